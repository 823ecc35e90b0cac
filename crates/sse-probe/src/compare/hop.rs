//! What the hop does to requests and to the body: stored replies, lost origins, preflights; bytes that are held back,
//! compressed or cut off.

use std::time::Duration;

use super::{Difference, Kind, Side};
use crate::{
    browser::{Credentials, Origin, PreflightBlock, cors_check, preflight_check},
    checks::{served_from_cache, texts},
    http::{End, Recording},
    observe::{Attempt, USUAL_HEADERS},
    stream::{
        SeenEvent,
        timing::{held_back, intervals, show},
    },
};

/// Later than at the application by this is held back.
const LATE: Duration = Duration::from_millis(700);

/// A reply out of a store.
pub(super) fn cached(app: &Side, edge: &Side) -> Option<Difference> {
    let again = edge.again.as_ref().ok();
    let sign = served_from_cache(&edge.main.head.headers)
        .or_else(|| again.and_then(|r| served_from_cache(&r.head.headers)))
        .or_else(|| same_twice(&edge.main, again?, app))
        .or_else(|| length(&app.main, &edge.main))?;
    let seen = format!("the public reply comes out of a store: {sign}");
    let cause = "a cache on the way stores the stream, against its Cache-Control";
    Some(Difference::new(
        Kind::Cached,
        texts::CACHED.seen(seen),
        cause,
    ))
}

/// The same bytes twice, the second time all at once: no live stream does that. The application must not do it itself.
fn same_twice(first: &Recording, second: &Recording, app: &Side) -> Option<String> {
    let at_once = |r: &Recording| r.end == End::Clean && r.lasted < Duration::from_millis(700);
    let same = |a: &Recording, b: &Recording| !b.beginning.is_empty() && a.beginning == b.beginning;
    let replayed = at_once(second) && same(first, second);
    let again = app.again.as_ref();
    let itself = again.is_ok_and(|again| at_once(again) && same(&app.main, again));
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
    let headers = &edge.main.head.headers;
    let allowed = cors_check(&app.main.head.headers, origin, Credentials::Omit).is_ok();
    if !allowed || headers.has("access-control-allow-origin") {
        return None;
    }
    let status = |attempt: &Option<Attempt>| Some(attempt.as_ref()?.as_ref().ok()?.head.status);
    let public = edge.main.head.status;
    let without = status(&app.originless);
    let (foreign_at_app, foreign_in_public) = (status(&app.foreign), status(&edge.foreign));
    let opens = public == 200 && without == Some(200);
    let seen = if public != app.main.head.status && Some(public) == without {
        // The application answers a request that has lost its origin otherwise than one that has it: that is the sign.
        "the public URL answers as the application does to a request without `Origin`"
    } else if opens && foreign_in_public == Some(200) && foreign_at_app != Some(200) {
        // If it opens for both, foreign origins show it: it refuses them, unless it does not see who they are.
        "through the proxy every origin opens the stream, and none gets CORS headers"
    } else if opens
        && foreign_at_app == Some(200)
        && !headers
            .names()
            .iter()
            .any(|n| n.starts_with("access-control-"))
    {
        // If it opens for foreign origins as well, only the other CORS headers tell.
        "through the proxy no CORS header comes back at all"
    } else {
        return None;
    };
    let cause = "the proxy does not forward the `Origin` header, so the application takes every page for one of its own";
    let finding = texts::DIFF_ORIGIN.seen(seen);
    Some(Difference::new(Kind::OriginNotForwarded, finding, cause))
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
    let seen = format!("the preflight passes at the application and fails in public ({seen})");
    let finding = texts::DIFF_PREFLIGHT.seen(seen);
    Some(Difference::new(Kind::Preflight, finding, cause))
}

fn passes(recording: &Recording, origin: &Origin) -> Result<(), PreflightBlock> {
    let head = &recording.head;
    let (mode, names) = (Credentials::Omit, &USUAL_HEADERS);
    preflight_check(head.status, &head.headers, origin, mode, "GET", names)
}

/// The head did not come at all.
pub(super) fn head_held_back(after: Duration) -> Difference {
    let seen = format!("not even the head of the reply came within {}", show(after));
    let cause = "the proxy waits for the end of the body before it sends anything";
    Difference::new(Kind::Buffered, texts::BUFFERED.seen(seen), cause)
}

pub(super) fn compressed(app: &Recording, edge: &Recording) -> Option<Difference> {
    if !edge.head.is_compressed() || app.head.is_compressed() {
        return None;
    }
    let coding = edge.head.headers.text("content-encoding")?;
    let seen = format!("the body is compressed ({coding}); the application sends it plain");
    let (finding, cause) = (
        texts::DIFF_COMPRESSED.seen(seen),
        "the proxy compresses text/event-stream, or everything",
    );
    Some(Difference::new(Kind::Compressed, finding, cause))
}

pub(super) fn buffered(app: &Side, edge: &Side) -> Option<Difference> {
    let (direct, public) = (app.readable(), edge.readable());
    let seen = lump(direct, public)
        .or_else(|| silent(direct, public))
        .or_else(|| late_first_byte(direct, public))
        .or_else(|| late_events(direct, public))?;
    let cause = "the proxy collects the reply in a buffer before it passes it on";
    let finding = texts::BUFFERED.seen(seen);
    Some(Difference::new(Kind::Buffered, finding, cause))
}

/// Bytes that come together in public, and not at the application.
fn lump(direct: &Recording, public: &Recording) -> Option<String> {
    let held = |side: &Recording| held_back(&side.arrivals, &side.stream);
    held(public)
        .filter(|_| held(direct).is_none())
        .map(|held| held.to_string())
}

fn silent(direct: &Recording, public: &Recording) -> Option<String> {
    (public.bytes == 0 && direct.bytes > 0).then(|| {
        let (lasted, bytes) = (show(public.lasted), direct.bytes);
        format!("no byte came within {lasted}; at the application {bytes} bytes did")
    })
}

fn late_first_byte(direct: &Recording, public: &Recording) -> Option<String> {
    let (at_app, in_public) = (direct.first_byte()?, public.first_byte()?);
    (in_public > at_app + LATE).then(|| {
        let (at_app, in_public) = (show(at_app), show(in_public));
        format!("the first byte came after {in_public}; at the application after {at_app}")
    })
}

/// The same events, compared by their times of arrival.
fn late_events(direct: &Recording, public: &Recording) -> Option<String> {
    let delays = public.stream.events().filter_map(|(at, event)| {
        let same = |(_, e): &(Duration, &SeenEvent)| (&e.id, &e.data) == (&event.id, &event.data);
        let (sent, _) = direct.stream.events().find(same)?;
        Some(at.saturating_sub(sent))
    });
    let mut delays: Vec<Duration> = delays.collect();
    delays.sort();
    let median = delays.get(delays.len() / 2)?;
    (delays.len() >= 2 && *median > LATE).then(|| {
        let later = show(*median);
        format!("events come {later} later than at the application")
    })
}

pub(super) fn cut(app: &Recording, edge: &Recording) -> Option<Difference> {
    let how = match &edge.end {
        End::Cut(_) => "cut",
        End::Clean => "ended",
        End::Open | End::TooMuch => return None,
    };
    // An application that ends its streams itself, at about the same time, is not the proxy's fault.
    if app.end != End::Open && app.lasted < edge.lasted + LATE {
        return None;
    }
    let silence = edge.last_silence();
    let heartbeat = intervals(&app.stream).into_iter().max();
    let idle = silence > Duration::from_millis(400)
        && heartbeat.is_none_or(|h| h + Duration::from_millis(200) > silence);
    let (lasted, shown) = (show(edge.lasted), show(silence));
    let cause = if idle {
        let of = heartbeat.map_or(String::new(), |h| format!(" of {}", show(h)));
        format!("an idle timeout of about {shown}, below the heartbeat{of}")
    } else {
        format!("a limit of about {lasted} on the whole reply, a reload, or a worker that ended")
    };
    let seen =
        format!("{how} after {lasted}, after {shown} of silence; at the application it lives on");
    let finding = texts::DIFF_CUT.seen(seen);
    Some(Difference::new(Kind::Cut, finding, cause))
}
