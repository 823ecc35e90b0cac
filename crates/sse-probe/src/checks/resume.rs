//! Resuming after `Last-Event-ID`.

use super::{Finding, NOT_OPEN, Verdict, inconclusive, remedies};
use crate::{
    observe::{Resumed, Survey, seen},
    target::Expectation,
};

/// A reconnect misses nothing.
pub(super) fn resume(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let expected = survey.target.expectations.contains(&Expectation::Resume);
    let found = |seen: String, why: &'static str| {
        let finding = Finding::advice(seen, why, remedies::RESUME);
        if expected { finding.unmet() } else { finding }
    };
    let mut findings = Vec::new();
    if let Some(recording) = seen(survey.others.unknown_id.as_ref())
        && recording.head.status != 200
    {
        findings.push(Finding::blocked(
            format!(
                "status {} for an unknown Last-Event-ID",
                recording.head.status
            ),
            "after a restart that lost the ids, every EventSource ends for good",
            remedies::RESUME,
        ));
    }
    let lost = "what is sent while a client reconnects is lost, and nothing says so";
    let Some(resumption) = &survey.others.resumption else {
        let none = "no event with an id came";
        if expected {
            findings.push(found(format!("{none}, so nothing can be resumed"), lost));
        }
        return if findings.is_empty() {
            Verdict::skipped(none)
        } else {
            Verdict::with(none, findings)
        };
    };
    let from = &resumption.from;
    let missed = resumption.missed.len();
    let text = match resumption.result() {
        None => {
            let why = resumption.attempt.as_ref().err();
            let text = why.map(ToString::to_string).unwrap_or_default();
            let text = format!("no answer after {from}: {text}");
            if why.and_then(inconclusive).is_none() {
                findings.push(found(text.clone(), lost));
            }
            text
        }
        Some(Resumed::Replayed) => format!("{missed} missed events came again, in order"),
        Some(Resumed::NothingMissed) => {
            format!("nothing was missed since {from}, nothing was repeated")
        }
        Some(Resumed::Announced(name)) => {
            format!("the server announces the gap by `event: {name}`")
        }
        Some(Resumed::Refused(status)) => {
            let text = format!("status {status} with `Last-Event-ID: {from}`");
            let why = "an EventSource ends for good at its first reconnect";
            findings.push(Finding::blocked(text.clone(), why, remedies::RESUME));
            text
        }
        Some(Resumed::Repeated(id)) => {
            let text = format!("the stream begins again with {id}, which the client has already");
            findings.push(found(text.clone(), "clients handle events twice"));
            text
        }
        Some(Resumed::Gap(id)) => {
            let should = resumption.missed.join(", ");
            let text = format!("after {from} came {id}, but {should} should have come");
            findings.push(found(text.clone(), lost));
            text
        }
        Some(Resumed::Nothing) => {
            let text = format!("{missed} events followed {from}, none of them came again");
            findings.push(found(text.clone(), lost));
            text
        }
    };
    Verdict::with(text, findings)
}
