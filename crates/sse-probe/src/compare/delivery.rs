//! Bytes that are held back, compressed or cut off.

use std::time::Duration;

use super::{Difference, Kind, side::Side};
use crate::{
    checks::{FindingKind, last_silence, remedies, show},
    http::{End, Recording},
    stream::{
        Item,
        timing::{Held, held_back, intervals},
    },
};

/// Later than at the application by this is held back.
const LATE: Duration = Duration::from_millis(700);

const WHY_BUFFERED: &str =
    "clients get events late and in lumps, heartbeats keep nothing alive, and idle timeouts strike";

/// The head did not come at all.
pub(super) fn head_held_back(after: Duration) -> Difference {
    Difference::new(
        Kind::Buffered,
        FindingKind::Blocked,
        format!("not even the head of the reply came within {}", show(after)),
        "the proxy waits for the end of the body before it sends anything",
        WHY_BUFFERED,
        remedies::BUFFERING,
    )
}

pub(super) fn compressed(app: &Recording, edge: &Recording) -> Option<Difference> {
    if !edge.is_compressed() || app.is_compressed() {
        return None;
    }
    let coding = edge
        .head
        .headers
        .text("content-encoding")
        .unwrap_or_default();
    Some(Difference::new(
        Kind::Compressed,
        FindingKind::Blocked,
        format!("the body is compressed ({coding}); the application sends it plain"),
        "the proxy compresses text/event-stream, or everything",
        "a compressor holds events back until it has enough of them, unless it flushes after each one",
        remedies::COMPRESSION,
    ))
}

pub(super) fn buffered(app: &Side, edge: &Side) -> Option<Difference> {
    let (direct, public) = (app.readable(), edge.readable());
    let seen = lump(direct, public)
        .or_else(|| silent(direct, public))
        .or_else(|| late_first_byte(direct, public))
        .or_else(|| late_events(direct, public))?;
    Some(Difference::new(
        Kind::Buffered,
        FindingKind::Blocked,
        seen,
        "the proxy collects the reply in a buffer before it passes it on",
        WHY_BUFFERED,
        remedies::BUFFERING,
    ))
}

fn lump(direct: &Recording, public: &Recording) -> Option<String> {
    if held_back(&direct.arrivals, &direct.stream).is_some() {
        return None;
    }
    Some(match held_back(&public.arrivals, &public.stream)? {
        Held::Heartbeats { count, at } => {
            format!(
                "{count} heartbeats came at one moment ({}), which the application sends apart",
                show(at)
            )
        }
        Held::Clock { count, span, .. } => format!(
            "{count} events that the application stamped {} apart came at one moment",
            show(span)
        ),
        Held::Blocks { size, count } => format!("{count} bursts of {size} bytes: a buffer's size"),
    })
}

fn silent(direct: &Recording, public: &Recording) -> Option<String> {
    (public.bytes == 0 && direct.bytes > 0).then(|| {
        format!(
            "no byte came within {}; at the application {} bytes did",
            show(public.lasted),
            direct.bytes
        )
    })
}

fn late_first_byte(direct: &Recording, public: &Recording) -> Option<String> {
    let (at_app, in_public) = (direct.first_byte()?, public.first_byte()?);
    (in_public > at_app + LATE).then(|| {
        format!(
            "the first byte came after {}; at the application after {}",
            show(in_public),
            show(at_app)
        )
    })
}

/// The same events, compared by their times of arrival.
fn late_events(direct: &Recording, public: &Recording) -> Option<String> {
    let events = |recording: &Recording| -> Vec<(String, Duration)> {
        recording
            .stream
            .items()
            .iter()
            .filter_map(|item| match item {
                Item::Event(at, event) => Some((
                    format!(
                        "{}\n{}",
                        event.id.as_deref().unwrap_or_default(),
                        event.data
                    ),
                    *at,
                )),
                _ => None,
            })
            .collect()
    };
    let at_app = events(direct);
    let mut delays: Vec<Duration> = events(public)
        .iter()
        .filter_map(|(key, at)| {
            let (_, sent) = at_app.iter().find(|(k, _)| k == key)?;
            Some(at.saturating_sub(*sent))
        })
        .collect();
    delays.sort();
    let median = delays.get(delays.len() / 2)?;
    (delays.len() >= 2 && *median > LATE).then(|| {
        format!(
            "events come {} later than at the application",
            show(*median)
        )
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
    let silence = last_silence(edge);
    let heartbeat = intervals(&app.stream).into_iter().max();
    let idle = silence > Duration::from_millis(400)
        && heartbeat.is_none_or(|h| h + Duration::from_millis(200) > silence);
    let cause = if idle {
        format!(
            "an idle timeout of about {}, below the heartbeat{}",
            show(silence),
            heartbeat.map_or_else(String::new, |h| format!(" of {}", show(h)))
        )
    } else {
        format!(
            "a limit of about {} on the whole reply, a reload, or a worker that was ended",
            show(edge.lasted)
        )
    };
    Some(Difference::new(
        Kind::Cut,
        FindingKind::Blocked,
        format!(
            "{how} after {}, after {} of silence; at the application the stream lives on",
            show(edge.lasted),
            show(silence)
        ),
        cause,
        "clients reconnect again and again, and miss what is sent in between unless they resume",
        remedies::CUT,
    ))
}
