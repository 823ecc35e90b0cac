//! What comes on the stream, when, and after a reconnect.

use std::time::Duration;

use http::Method;

use super::{Finding, Verdict, expected, found, good, texts};
use crate::{
    http::End,
    observe::{Resumed, Survey, seen},
    stream::{
        Fault, FaultKind, Item,
        timing::{bursts, show},
    },
    target::Expectation,
};

/// A first byte that comes later is slow.
const SLOW: Duration = Duration::from_secs(3);

/// Most idle timeouts are 60 s.
const LONGEST_SILENCE: Duration = Duration::from_secs(55);

/// An event that was published has this long to arrive.
const LATEST_PUBLISHED: Duration = Duration::from_secs(2);

/// What a compressor may write before any data: gzip has 10 bytes, and up to 5 of an empty block.
const ARCHIVE_HEAD: u64 = 16;

/// Positions that are shown for each kind of fault.
const SHOWN_FAULTS: usize = 3;

/// The head and a first byte leave at once. A browser needs no byte: the head alone opens an `EventSource`.
pub(super) fn first_byte(survey: &Survey) -> Verdict {
    let expected = expected!(survey, FirstByte);
    let head = show(survey.main.head.phases.processing);
    let seen = match survey.main.first_byte() {
        Some(first) => {
            let seen = format!("head after {head}, first byte after {}", show(first));
            if first <= expected.unwrap_or(SLOW) {
                return good(seen);
            }
            seen
        }
        None => {
            let lasted = show(survey.main.lasted);
            format!("head after {head}, no byte of the body within {lasted}")
        }
    };
    found(texts::FIRST_BYTE.seen(seen).unmet_if(expected.is_some()))
}

/// Buffers between the application and the client. Only what is proven is reported: a stream may be idle.
pub(super) fn buffering(survey: &Survey) -> Verdict {
    let recording = survey.readable();
    let bursts = bursts(&recording.arrivals).len();
    let mut seen = format!("{} bytes in {bursts} bursts", recording.bytes);
    let published = published(survey);
    if let Some(Ok(said)) = &published {
        seen = format!("{seen}; {said}");
    }
    let held = recording.held_back().or_else(|| in_the_compressor(survey));
    let held = held.or_else(|| published?.err());
    let mut findings = Vec::new();
    findings.extend(held.map(|held| texts::BUFFERED.seen(held)));
    let accel = survey.main.head.headers.text("x-accel-buffering");
    if let Some(value) = accel.filter(|v| v.eq_ignore_ascii_case("yes")) {
        findings.push(texts::ACCEL.seen(format!("`X-Accel-Buffering: {value}`")));
    }
    Ok((seen, findings))
}

/// Compressed, nothing came but the head of the archive; uncompressed, events came.
fn in_the_compressor(survey: &Survey) -> Option<String> {
    let main = &survey.main;
    let (at, _) = seen(&survey.others.plain)?.stream.events().next()?;
    (main.bytes <= ARCHIVE_HEAD && main.lasted > at + LATEST_PUBLISHED).then(|| {
        let nothing = format!("compressed, no event came within {}", show(main.lasted));
        format!("{nothing}; uncompressed, the first came after {}", show(at))
    })
}

/// What is to be said of an event that was published; or how it shows that something is held back.
fn published(survey: &Survey) -> Option<Result<String, String>> {
    let published = survey.others.published.as_ref()?;
    let taken = match &published.taken {
        Ok(taken) => *taken,
        Err(why) => return Some(Ok(format!("nothing was published: {why}"))),
    };
    let mut events = survey.main.stream.events();
    let came = events.find(|(_, event)| event.data.contains(&published.marker));
    let waited = survey.main.lasted.saturating_sub(taken);
    Some(match came.map(|(at, _)| at.saturating_sub(taken)) {
        Some(after) if after <= LATEST_PUBLISHED => {
            Ok(format!("the published event came after {}", show(after)))
        }
        Some(after) => {
            let late = format!("{} after the server had taken it", show(after));
            Err(format!("the published event came {late}"))
        }
        None if waited <= LATEST_PUBLISHED => {
            Ok("the published event did not come in time to tell".to_owned())
        }
        None => {
            let missing = format!("the published event did not come within {}", show(waited));
            let why = "it is held back, or goes to another topic";
            Err(format!("{missing}: {why}"))
        }
    })
}

/// Events come at all.
pub(super) fn first_event(survey: &Survey) -> Verdict {
    let recording = survey.readable();
    let lasted = show(recording.lasted);
    let limit = expected!(survey, FirstEvent);
    let expected = limit.is_some() || survey.target.expects(&Expectation::Event);
    let seen = match recording.stream.events().next() {
        Some((at, _)) if limit.is_some_and(|limit| at > limit) => {
            format!("the first event came after {}", show(at))
        }
        Some((at, _)) => {
            let count = recording.stream.event_count;
            return good(format!("{count} events, the first after {}", show(at)));
        }
        None if expected => format!("no event within {lasted}"),
        None => return Err(format!("no event came within {lasted}")),
    };
    found(texts::NO_EVENT.seen(seen).unmet_if(true))
}

/// Signs of life on an idle stream.
pub(super) fn heartbeat(survey: &Survey) -> Verdict {
    let expected = expected!(survey, Heartbeat);
    let recording = survey.readable();
    let (silence, lasted) = (recording.longest_silence(), recording.lasted);
    let limit = expected.unwrap_or(LONGEST_SILENCE);
    if silence > limit {
        let seen = format!("silent for {}, longer than {}", show(silence), show(limit));
        return found(texts::HEARTBEAT.seen(seen).unmet_if(expected.is_some()));
    }
    match recording.longest_interval() {
        Some(longest) => {
            let (comments, events) = (recording.stream.comment_count, recording.stream.event_count);
            let apart = show(longest);
            let seen = format!("{comments} comments and {events} events, at most {apart} apart");
            good(seen)
        }
        None if lasted > limit => good("no silence to speak of"),
        None => {
            let none = format!("none within {}", show(lasted));
            let longer = "hold the stream longer (--hold 60s) to know";
            Err(format!("{none}; {longer}"))
        }
    }
}

/// The reconnection time.
pub(super) fn retry(survey: &Survey) -> Verdict {
    let Some(retry) = survey.readable().stream.retry else {
        return good("none: the browser's own time counts (3 s in Chromium, 5 s in Firefox)");
    };
    let text = match retry.as_millis() {
        0..100 => texts::SHORT_RETRY,
        100..=3_600_000 => return good(show(retry)),
        _ => texts::LONG_RETRY,
    };
    found(text.seen(format!("`retry` of {}", show(retry))))
}

/// The bytes keep to the format. Browsers read on whatever comes, so all of this is advice.
pub(super) fn format(survey: &Survey) -> Verdict {
    let recording = survey.readable();
    let stream = &recording.stream;
    let too_much = recording.end == End::TooMuch;
    if stream.items.is_empty() && stream.fault_count == 0 && !too_much {
        return Err("nothing to read".to_owned());
    }
    let mut groups: Vec<(_, Vec<&Fault>)> = Vec::new();
    for fault in &stream.faults {
        let kind = std::mem::discriminant(&fault.kind);
        match groups.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, group)) => group.push(fault),
            None => groups.push((kind, vec![fault])),
        }
    }
    let groups = groups.iter();
    let mut findings: Vec<_> = groups.filter_map(|(_, faults)| of_group(faults)).collect();
    let ignored = |fault: &Fault| matches!(fault.kind, FaultKind::UnknownField(_));
    if stream.items.is_empty() && stream.faults.len() > 1 && stream.faults.iter().all(ignored) {
        findings.push(texts::NO_EVENTS.seen("nothing came but lines that clients ignore"));
    }
    let first = stream.items.first();
    let not_data = matches!(first, Some(Item::Comment(..) | Item::Retry(..)));
    if survey.target.method != Method::GET && not_data {
        let seen = "the answer begins with a comment or `retry`, not with `data:`";
        findings.push(texts::NOT_DATA_FIRST.seen(seen));
    }
    if too_much {
        let seen = format!("{} bytes came; the rest was not read", recording.bytes);
        findings.push(texts::TOO_MUCH.seen(seen));
    }
    let (events, comments, faults) = (stream.event_count, stream.comment_count, stream.fault_count);
    let seen = format!("{events} events, {comments} comments, {faults} faults");
    Ok((seen, findings))
}

/// Faults of one kind.
fn of_group(group: &[&Fault]) -> Option<Finding> {
    let first = &group.first()?.kind;
    let why = why(first)?;
    let shown = group.iter().take(SHOWN_FAULTS).map(ToString::to_string);
    let mut seen = shown.collect::<Vec<_>>().join("; ");
    if let more @ 1.. = group.len().saturating_sub(SHOWN_FAULTS) {
        seen.push_str(&format!(" (and {more} more)"));
    }
    let text = match first {
        FaultKind::NoBlankLine(_) => texts::NO_EVENTS,
        _ => texts::FORMAT,
    };
    Some(Finding {
        why,
        ..text.seen(seen)
    })
}

/// Why a departure from the format matters; nothing for those that do no harm.
#[rustfmt::skip]
fn why(kind: &FaultKind) -> Option<&'static str> {
    Some(match kind {
        FaultKind::LoneCr | FaultKind::ByteOrderMark | FaultKind::IdWithoutData => return None,
        FaultKind::BadUtf8 => "browsers show a replacement character; strict parsers end the stream",
        FaultKind::UnknownField(_) => "clients ignore the line: often a line break inside of data, or JSON without `data:`",
        FaultKind::RetryNotANumber(_) => "clients ignore it",
        FaultKind::RetryTooLarge(_) => "clients with 32-bit timers reconnect at once instead",
        FaultKind::IdWithNul => "clients ignore the id and resume from an older one",
        FaultKind::IdUnsafe(_) => "the id comes back as a header: some clients fail to send it, or send it changed",
        FaultKind::EventWithoutData(_) => "no client dispatches it; write `data:` with nothing behind it",
        FaultKind::BlankAfterComment => "some clients (httpx-sse, fetch-event-source) make an empty message of it; write the comment without the blank line",
        FaultKind::LineTooLong => "proxies and parsers have limits per line; some buffer it whole",
        FaultKind::EventTooLarge => "slow clients stall on it, and a reconnect sends it again; send a reference instead",
        FaultKind::NulInData => "C libraries cut the text there",
        FaultKind::NoBlankLine(_) => "a blank line ends an event: an EventSource opens, but no event ever reaches the page",
        FaultKind::Unfinished => "the last event lacks its blank line, so no client dispatches it",
    })
}

/// The stream lives as long as it is held.
pub(super) fn survival(survey: &Survey) -> Verdict {
    let recording = &survey.main;
    let lasted = show(recording.lasted);
    match &recording.end {
        End::Open => good(format!("open for {lasted}")),
        End::TooMuch => Err("more came than is read".to_owned()),
        End::Cut(how) => {
            let silence = show(recording.last_silence());
            let seen = format!("cut after {lasted}, after {silence} of silence: {how}");
            found(texts::CUT.seen(seen))
        }
        End::Clean if survey.target.method != Method::GET => {
            good(format!("the answer ended after {lasted}"))
        }
        End::Clean => {
            let hold = show(survey.hold);
            let seen = format!("ended cleanly after {lasted}, before {hold} were over");
            found(texts::ENDED.seen(seen))
        }
    }
}

/// A reconnect with `Last-Event-ID` misses nothing.
pub(super) fn resume(survey: &Survey) -> Verdict {
    let expected = survey.target.expects(&Expectation::Resume);
    let mut findings = Vec::new();
    let unknown = seen(&survey.others.unknown_id).map(|recording| recording.head.status);
    if let Some(status) = unknown.filter(|status| *status != 200) {
        let seen = format!("status {status} for an unknown Last-Event-ID");
        findings.push(texts::UNKNOWN_ID.seen(seen));
    }
    let Some(resumption) = &survey.others.resumption else {
        let none = "no event with an id came".to_owned();
        if expected {
            let seen = format!("{none}, so nothing can be resumed");
            findings.push(texts::LOST.seen(seen).unmet_if(true));
        }
        return if findings.is_empty() {
            Err(none)
        } else {
            Ok((none, findings))
        };
    };
    let from = &resumption.from;
    let missed = resumption.missed.len();
    let (text, seen) = match resumption.result() {
        Err(why) => {
            let text = (!why.is_inconclusive()).then_some(texts::LOST);
            (text, format!("no answer after {from}: {why}"))
        }
        Ok(Resumed::Replayed) => (None, format!("{missed} missed events came again, in order")),
        Ok(Resumed::NothingMissed) => {
            let seen = format!("nothing was missed since {from}, nothing was repeated");
            (None, seen)
        }
        Ok(Resumed::Announced(name)) => {
            let seen = format!("the server announces the gap by `event: {name}`");
            (None, seen)
        }
        Ok(Resumed::Refused(status)) => {
            let seen = format!("status {status} with `Last-Event-ID: {from}`");
            (Some(texts::RECONNECT_REFUSED), seen)
        }
        Ok(Resumed::Repeated(id)) => {
            let seen = format!("the stream begins again with {id}, which the client has already");
            (Some(texts::REPEATED), seen)
        }
        Ok(Resumed::Gap(id)) => {
            let should = resumption.missed.join(", ");
            let seen = format!("after {from} came {id}, but {should} should have come");
            (Some(texts::LOST), seen)
        }
        Ok(Resumed::Nothing) => {
            let seen = format!("{missed} events followed {from}, none of them came again");
            (Some(texts::LOST), seen)
        }
    };
    findings.extend(text.map(|text| text.seen(seen.clone()).unmet_if(expected)));
    Ok((seen, findings))
}
