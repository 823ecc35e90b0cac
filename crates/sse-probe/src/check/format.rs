//! The bytes keep to the format.

use super::{Check, NOT_OPEN, Verdict};
use crate::{
    advice,
    exchange::End,
    finding::{Finding, Level},
    stream::{Fault, FaultKind, Weight},
    survey::Survey,
};

/// Positions that are shown for each kind of fault.
const SHOWN: usize = 3;

#[derive(Debug)]
pub(super) struct Format;

impl Check for Format {
    fn name(&self) -> &'static str {
        "format"
    }

    fn title(&self) -> &'static str {
        "The bytes keep to the event stream format"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
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
            match groups
                .iter_mut()
                .find(|g| g.first().is_some_and(|f| f.kind.same_kind(&fault.kind)))
            {
                Some(group) => group.push(fault),
                None => groups.push(vec![fault]),
            }
        }
        let mut findings: Vec<Finding> = groups.iter().filter_map(|group| finding(group)).collect();
        if recording.end == End::TooMuch {
            findings.push(Finding::warning(
                format!("{} bytes came; the rest was not read", recording.bytes),
                "more than a probe reads: no client keeps up with that for long",
                advice::FORMAT,
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
}

fn finding(group: &[&Fault]) -> Option<Finding> {
    let first = group.first()?;
    let shown: Vec<_> = group.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = match group.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    let level = match first.kind.weight() {
        Weight::Note => Level::Note,
        Weight::Warning => Level::Warning,
        Weight::Loss => Level::Fault,
    };
    Some(Finding::new(
        level,
        format!("{}{more}", shown.join("; ")),
        why(&first.kind),
        advice::FORMAT,
    ))
}

fn why(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::BadUtf8 => {
            "browsers show a replacement character; strict parsers end the stream"
        }
        FaultKind::ByteOrderMark => {
            "browsers skip it; many libraries take it for part of the first field"
        }
        FaultKind::UnknownField(_) => {
            "clients ignore the line without a word: often a line break inside of data, or JSON without `data:`"
        }
        FaultKind::RetryNotANumber(_) => "clients ignore it",
        FaultKind::RetryTooLarge(_) => "clients with 32-bit timers reconnect at once instead",
        FaultKind::IdWithNul => "clients ignore the id and resume from an older one",
        FaultKind::IdUnsafe(_) => {
            "the id comes back as a header: clients fail to send it, send it changed, or need a preflight"
        }
        FaultKind::IdWithoutData => "WebKit does not move the last event ID there",
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
        FaultKind::LoneCr => "parsers that split at LF only see one endless line",
        FaultKind::Unfinished => "the last event lacks its blank line, so no client dispatches it",
    }
}
