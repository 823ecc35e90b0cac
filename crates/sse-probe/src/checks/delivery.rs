//! What comes on the stream, and when.

use std::time::Duration;

use http::Method;

use super::{Finding, NOT_OPEN, Verdict, remedies, show};
use crate::{
    http::{End, Recording},
    observe::Survey,
    stream::{
        Fault, FaultKind, Item,
        timing::{Held, bursts, held_back, intervals},
    },
    target::Expectation,
};

/// A first byte that comes later is slow.
const SLOW: Duration = Duration::from_secs(3);

/// Most idle timeouts are 60 s.
const LONGEST_SILENCE: Duration = Duration::from_secs(55);

/// An event that was published has this long to arrive.
const LATEST_PUBLISHED: Duration = Duration::from_secs(2);

/// Positions that are shown for each kind of fault.
const SHOWN_FAULTS: usize = 3;

const EXPECTED: &str = "an expectation is not met";

/// The head and a first byte leave at once. A browser needs no byte: the head alone opens an `EventSource`.
pub(super) fn first_byte(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let expected = survey.target.expectations.iter().find_map(|e| match e {
        Expectation::FirstByte(time) => Some(*time),
        _ => None,
    });
    let head = show(survey.main.head.phases.processing);
    let (late, seen) = match survey.main.first_byte() {
        Some(first) => {
            let seen = format!("head after {head}, first byte after {}", show(first));
            (first > expected.unwrap_or(SLOW), seen)
        }
        None => {
            let lasted = show(survey.main.lasted);
            let seen = format!("head after {head}, no byte of the body within {lasted}");
            (true, seen)
        }
    };
    let why = "a page cannot tell an idle stream from one that is held back; some proxies pass the head on with the first byte only";
    let finding = Finding::advice(seen.clone(), why, remedies::FIRST_BYTE);
    match expected {
        _ if !late => Verdict::good(seen),
        Some(_) => Verdict::bad(finding.unmet()),
        None => Verdict::bad(finding),
    }
}

/// Buffers between the application and the client. Only what is proven is reported: a stream may be idle.
pub(super) fn buffering(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let recording = survey.readable();
    let why = "clients get events late and in lumps, heartbeats keep nothing alive, and idle timeouts strike";
    let held = held_back(&recording.arrivals, &recording.stream).map(|held| match held {
        Held::Heartbeats { count, at } => format!(
            "{count} heartbeats came at one moment, {} after the request",
            show(at)
        ),
        Held::Clock { count, span, at } => format!(
            "{count} events that the application stamped {} apart came at one moment, {} after the request",
            show(span),
            show(at)
        ),
        Held::Blocks { size, count } => {
            format!("the body came in {count} bursts of {size} bytes: a buffer's size")
        }
    });
    let mut findings = Vec::new();
    let mut seen = format!(
        "{} bytes in {} bursts",
        recording.bytes,
        bursts(&recording.arrivals).len()
    );
    let published = published(survey);
    if let Ok(Some(text)) = &published {
        seen = format!("{seen}; {text}");
    }
    let unpublished = match &published {
        Err(Unpublished::NotTaken(why)) => {
            seen = format!("{seen}; nothing was published: {why}");
            None
        }
        Err(Unpublished::HeldBack(text)) => Some(text.clone()),
        Ok(_) => None,
    };
    if let Some(held) = held.or(unpublished) {
        findings.push(Finding::blocked(held, why, remedies::BUFFERING));
    }
    let accel = survey.main.head.headers.text("x-accel-buffering");
    if let Some(value) = accel.filter(|v| v.eq_ignore_ascii_case("yes")) {
        findings.push(Finding::advice(
            format!("`X-Accel-Buffering: {value}`"),
            "it asks nginx to buffer the stream",
            remedies::ACCEL,
        ));
    }
    Verdict::with(seen, findings)
}

enum Unpublished {
    NotTaken(String),
    HeldBack(String),
}

/// How long a published event took; none if nothing was to be published.
fn published(survey: &Survey) -> Result<Option<String>, Unpublished> {
    let Some(published) = &survey.others.published else {
        return Ok(None);
    };
    let taken = match &published.taken {
        Ok(taken) => *taken,
        Err(why) => return Err(Unpublished::NotTaken(why.clone())),
    };
    let recording = &survey.main;
    let came = recording
        .stream
        .events()
        .find(|(_, event)| event.data.contains(&published.marker))
        .map(|(at, _)| at.saturating_sub(taken));
    match came {
        Some(after) if after <= LATEST_PUBLISHED => Ok(Some(format!(
            "the published event came after {}",
            show(after)
        ))),
        Some(after) => Err(Unpublished::HeldBack(format!(
            "the published event came {} after the server had taken it",
            show(after)
        ))),
        None if recording.lasted.saturating_sub(taken) <= LATEST_PUBLISHED => Ok(Some(
            "the published event did not come in time to tell".to_owned(),
        )),
        None => Err(Unpublished::HeldBack(format!(
            "the published event did not come within {}: it is held back, or goes to another topic",
            show(recording.lasted.saturating_sub(taken))
        ))),
    }
}

/// Events come at all.
pub(super) fn first_event(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let recording = survey.readable();
    let limit = survey.target.expectations.iter().find_map(|e| match e {
        Expectation::FirstEvent(time) => Some(*time),
        Expectation::Event => Some(recording.lasted),
        _ => None,
    });
    let first = recording.stream.events().next().map(|(at, _)| at);
    let unmet =
        |seen: String| Verdict::bad(Finding::advice(seen, EXPECTED, remedies::EXPECTED).unmet());
    match (first, limit) {
        (Some(at), Some(limit)) if at > limit => {
            unmet(format!("the first event came after {}", show(at)))
        }
        (Some(at), _) => Verdict::good(format!(
            "{} events, the first after {}",
            recording.stream.event_count(),
            show(at)
        )),
        (None, Some(_)) => unmet(format!("no event within {}", show(recording.lasted))),
        (None, None) => {
            Verdict::skipped(format!("no event came within {}", show(recording.lasted)))
        }
    }
}

/// Signs of life on an idle stream.
pub(super) fn heartbeat(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let expected = survey.target.expectations.iter().find_map(|e| match e {
        Expectation::Heartbeat(time) => Some(*time),
        _ => None,
    });
    let recording = survey.readable();
    let silence = recording.longest_silence();
    let limit = expected.unwrap_or(LONGEST_SILENCE);
    if silence > limit {
        let finding = Finding::advice(
            format!("silent for {}, longer than {}", show(silence), show(limit)),
            "proxies and mobile networks cut connections that are silent for a minute, and the server does not notice clients that are gone",
            remedies::HEARTBEAT,
        );
        return Verdict::bad(if expected.is_some() {
            finding.unmet()
        } else {
            finding
        });
    }
    match intervals(&recording.stream).into_iter().max() {
        Some(longest) => Verdict::good(format!(
            "{} comments and {} events, at most {} apart",
            recording.stream.comment_count(),
            recording.stream.event_count(),
            show(longest)
        )),
        None if recording.lasted > limit => Verdict::good("no silence to speak of"),
        None => Verdict::skipped(format!(
            "none within {}; hold the stream longer (--hold 60s) to know",
            show(recording.lasted)
        )),
    }
}

/// The reconnection time.
pub(super) fn retry(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let Some(retry) = survey.readable().stream.retry() else {
        return Verdict::good(
            "none: the browser's own time counts (3 s in Chromium, 5 s in Firefox)",
        );
    };
    let seen = show(retry);
    let why = if retry < Duration::from_millis(100) {
        "after an outage every client comes back many times a second"
    } else if retry > Duration::from_secs(3600) {
        "after a cut connection a page waits that long, which looks dead"
    } else {
        return Verdict::good(seen);
    };
    let seen = format!("`retry` of {seen}");
    Verdict::bad(Finding::advice(seen, why, remedies::RETRY))
}

/// The bytes keep to the format. Browsers read on whatever comes, so all of this is advice.
pub(super) fn format(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let recording = survey.readable();
    let stream = &recording.stream;
    if stream.items().is_empty() && stream.fault_count() == 0 && recording.end != End::TooMuch {
        return Verdict::skipped("nothing to read");
    }
    let mut groups: Vec<Vec<&Fault>> = Vec::new();
    for fault in stream.faults() {
        let same = |g: &&mut Vec<&Fault>| g.first().is_some_and(|f| f.kind.same_kind(&fault.kind));
        match groups.iter_mut().find(same) {
            Some(group) => group.push(fault),
            None => groups.push(vec![fault]),
        }
    }
    let mut findings: Vec<Finding> = groups.iter().filter_map(|g| finding(g)).collect();
    let first = stream.items().first();
    if survey.target.method != Method::GET
        && matches!(first, Some(Item::Comment(..) | Item::Retry(..)))
    {
        findings.push(Finding::advice(
            "the answer begins with a comment or `retry`, not with `data:`",
            "several parsers of OpenAI-style clients fail on such a line before the first data",
            remedies::FORMAT,
        ));
    }
    if recording.end == End::TooMuch {
        findings.push(Finding::advice(
            format!("{} bytes came; the rest was not read", recording.bytes),
            "more than a probe reads: no client keeps up with that for long",
            remedies::FORMAT,
        ));
    }
    Verdict::with(
        format!(
            "{} events, {} comments, {} faults",
            stream.event_count(),
            stream.comment_count(),
            stream.fault_count()
        ),
        findings,
    )
}

fn finding(group: &[&Fault]) -> Option<Finding> {
    let first = group.first()?;
    let why = why(&first.kind)?;
    let shown: Vec<_> = group
        .iter()
        .take(SHOWN_FAULTS)
        .map(ToString::to_string)
        .collect();
    let more = match group.len().saturating_sub(SHOWN_FAULTS) {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    let seen = format!("{}{more}", shown.join("; "));
    Some(Finding::advice(seen, why, remedies::FORMAT))
}

/// Why a departure from the format matters; nothing for those that do no harm.
fn why(kind: &FaultKind) -> Option<&'static str> {
    Some(match kind {
        FaultKind::LoneCr | FaultKind::ByteOrderMark | FaultKind::IdWithoutData => return None,
        FaultKind::BadUtf8 => {
            "browsers show a replacement character; strict parsers end the stream"
        }
        FaultKind::UnknownField(_) => {
            "clients ignore the line: often a line break inside of data, or JSON without `data:`"
        }
        FaultKind::RetryNotANumber(_) => "clients ignore it",
        FaultKind::RetryTooLarge(_) => "clients with 32-bit timers reconnect at once instead",
        FaultKind::IdWithNul => "clients ignore the id and resume from an older one",
        FaultKind::IdUnsafe(_) => {
            "the id comes back as a header: some clients fail to send it, or send it changed"
        }
        FaultKind::EventWithoutData(_) => {
            "no client dispatches it; write `data:` with nothing behind it"
        }
        FaultKind::BlankAfterComment => {
            "some clients (httpx-sse, fetch-event-source) make an empty message of it; write the comment without the blank line"
        }
        FaultKind::LineTooLong => "proxies and parsers have limits per line; some buffer it whole",
        FaultKind::EventTooLarge => {
            "slow clients stall on it, and a reconnect sends it again; send a reference instead"
        }
        FaultKind::NulInData => "C libraries cut the text there",
        FaultKind::Unfinished => "the last event lacks its blank line, so no client dispatches it",
    })
}

/// The stream lives as long as it is held.
pub(super) fn survival(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let recording = &survey.main;
    let lasted = show(recording.lasted);
    match &recording.end {
        End::Open => Verdict::good(format!("open for {lasted}")),
        End::TooMuch => Verdict::skipped("more came than is read"),
        End::Cut(how) => Verdict::bad(Finding::blocked(
            format!(
                "cut after {lasted}, after {} of silence: {how}",
                show(last_silence(recording))
            ),
            "the stream was broken off: an idle timeout, a limit of response time, or a crash",
            remedies::CUT,
        )),
        End::Clean if survey.target.method != Method::GET => {
            Verdict::good(format!("the answer ended after {lasted}"))
        }
        End::Clean => Verdict::bad(Finding::advice(
            format!(
                "ended cleanly after {lasted}, before {} were over",
                show(survey.hold)
            ),
            "an EventSource reconnects and asks again; a server that ends streams on purpose does so after minutes",
            remedies::CUT,
        )),
    }
}

/// The silence before the end, which is the length of an idle timeout if one struck.
pub(crate) fn last_silence(recording: &Recording) -> Duration {
    let last = recording
        .arrivals
        .last()
        .map_or(recording.head.phases.processing, |a| a.at);
    recording.lasted.saturating_sub(last)
}
