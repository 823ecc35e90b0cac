//! How the hop answers requests that it should only pass on: stored replies, lost origins, preflights.

use std::time::Duration;

use super::{Difference, Kind, side::Side};
use crate::{
    browser::{Credentials, Origin, PreflightBlock, cors_check, preflight_check},
    checks::{FindingKind, remedies, served_from_cache},
    http::{End, Recording},
    observe::{Attempt, USUAL_HEADERS},
};

/// A reply out of a store.
pub(super) fn cached(app: &Side, edge: &Side) -> Option<Difference> {
    let again = edge.again.as_ref().ok();
    let sign = served_from_cache(&edge.main.head.headers)
        .or_else(|| again.and_then(|r| served_from_cache(&r.head.headers)))
        .or_else(|| same_twice(&edge.main, again?, app))
        .or_else(|| length(&app.main, &edge.main))?;
    Some(Difference::new(
        Kind::Cached,
        FindingKind::Blocked,
        format!("the public reply comes out of a store: {sign}"),
        "a cache on the way stores the stream, against its Cache-Control",
        "clients get an old stream, or the stream of somebody else",
        remedies::CACHED,
    ))
}

/// The same bytes twice, the second time all at once: no live stream does that. The application must not do it itself.
fn same_twice(first: &Recording, second: &Recording, app: &Side) -> Option<String> {
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

/// Compares how the application answers with and without an origin to how it answers through the hop.
pub(super) fn not_forwarded(app: &Side, edge: &Side) -> Option<Difference> {
    let origin = app.origin.as_ref()?;
    let allowed =
        |side: &Side| cors_check(&side.main.head.headers, origin, Credentials::Omit).is_ok();
    if !allowed(app) || edge.main.head.headers.has("access-control-allow-origin") {
        return None;
    }
    let seen = |attempt: &Option<Attempt>| attempt.as_ref()?.as_ref().ok().map(|r| r.head.status);
    let without = seen(&app.originless);
    let public = edge.main.head.status;
    let (foreign_at_app, foreign_in_public) = (seen(&app.foreign), seen(&edge.foreign));
    // The application answers a request that has lost its origin otherwise than one that has it: that is the sign.
    let refused = public != app.main.head.status && Some(public) == without;
    // If it opens for both, foreign origins show it: it refuses them, unless it does not see who they are.
    let foreign_pass = foreign_in_public == Some(200) && foreign_at_app != Some(200);
    // If it opens for foreign origins as well, only the other CORS headers tell.
    let open_to_all = foreign_at_app == Some(200)
        && !edge
            .main
            .head
            .headers
            .names()
            .iter()
            .any(|n| n.starts_with("access-control-"));
    let lost = refused || (public == 200 && without == Some(200) && (foreign_pass || open_to_all));
    lost.then(|| {
        Difference::new(
            Kind::OriginNotForwarded,
            FindingKind::Blocked,
            if refused {
                "the public URL answers as the application does to a request without `Origin`"
            } else if foreign_pass {
                "through the proxy every origin opens the stream, and none gets CORS headers"
            } else {
                "through the proxy no CORS header comes back at all"
            },
            "the proxy does not forward the `Origin` header, so the application takes every page for one of its own",
            "allowed pages are blocked, and the application's check of origins is off",
            remedies::FORWARD_ORIGIN,
        )
    })
}

/// A preflight that the hop answers otherwise than the application.
pub(super) fn preflight(app: &Side, edge: &Side) -> Option<Difference> {
    let origin = app.origin.as_ref()?;
    let at_app = app.preflight.as_ref()?.as_ref().ok()?;
    passes(at_app, origin).ok()?;
    let (seen, cause) = match edge.preflight.as_ref()? {
        Err(why) => (
            format!("no answer: {why}"),
            "the proxy does not let OPTIONS through",
        ),
        Ok(at_edge) => {
            let block = passes(at_edge, origin).err()?;
            (
                format!("status {}: {block}", at_edge.head.status),
                "the proxy answers OPTIONS itself, asks for authentication first, or changes CORS headers",
            )
        }
    };
    Some(Difference::new(
        Kind::Preflight,
        FindingKind::Blocked,
        format!("the preflight passes at the application and fails in public ({seen})"),
        cause,
        "fetch clients that send Authorization cannot open the stream; EventSource is not concerned",
        remedies::PREFLIGHT,
    ))
}

fn passes(recording: &Recording, origin: &Origin) -> Result<(), PreflightBlock> {
    preflight_check(
        recording.head.status,
        &recording.head.headers,
        origin,
        Credentials::Omit,
        "GET",
        &USUAL_HEADERS,
    )
}
