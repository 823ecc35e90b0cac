//! Replies out of a store.

use std::time::Duration;

use super::{Difference, Kind, sighting::Sighting};
use crate::{
    advice,
    check::served_from_cache,
    exchange::{End, Recording},
    finding::Level,
};

pub(super) fn cached(app: &Sighting, edge: &Sighting) -> Option<Difference> {
    let again = edge.again.as_ref().ok();
    let sign = served_from_cache(&edge.main.head.headers)
        .or_else(|| again.and_then(|r| served_from_cache(&r.head.headers)))
        .or_else(|| same_twice(&edge.main, again?, app))
        .or_else(|| length(&app.main, &edge.main))?;
    Some(Difference::new(
        Kind::Cached,
        Level::Fault,
        format!("the public reply comes out of a store: {sign}"),
        "a cache on the way stores the stream, against its Cache-Control",
        "clients get an old stream, or the stream of somebody else",
        advice::CACHED,
    ))
}

/// The same bytes twice, the second time all at once: no live stream does that. The application must not do it itself.
fn same_twice(first: &Recording, second: &Recording, app: &Sighting) -> Option<String> {
    let at_once = |r: &Recording| r.end == End::Clean && r.lasted < Duration::from_millis(700);
    let same = |a: &Recording, b: &Recording| !b.beginning.is_empty() && a.beginning == b.beginning;
    let replayed = at_once(second) && same(first, second);
    let itself = app
        .again
        .as_ref()
        .is_ok_and(|again| at_once(again) && same(&app.main, again));
    (replayed && !itself)
        .then(|| "asked again, the very same bytes came at once, to their end".to_owned())
}

fn length(app: &Recording, edge: &Recording) -> Option<String> {
    let length = edge.head.headers.text("content-length")?;
    (!app.head.headers.has("content-length"))
        .then(|| format!("it has a Content-Length ({length}), which a stream cannot have"))
}
