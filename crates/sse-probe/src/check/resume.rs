//! Resuming after `Last-Event-ID`.

use super::{Check, NOT_OPEN, Verdict};
use crate::{
    advice,
    finding::{Finding, Level},
    survey::{Resumed, Survey},
    target::Expectation,
};

#[derive(Debug)]
pub(super) struct Resume;

impl Check for Resume {
    fn name(&self) -> &'static str {
        "resume"
    }

    fn title(&self) -> &'static str {
        "A reconnect with Last-Event-ID misses nothing"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if !survey.opened() {
            return Verdict::skipped(NOT_OPEN);
        }
        let expected = survey.target.expectations.contains(&Expectation::Resume);
        let level = if expected {
            Level::Fault
        } else {
            Level::Warning
        };
        let mut findings = Vec::new();
        if let Some(Ok(recording)) = &survey.unknown_id
            && recording.head.status != 200
        {
            findings.push(Finding::fault(
                format!(
                    "status {} for an unknown Last-Event-ID",
                    recording.head.status
                ),
                "after a restart that lost the ids, every EventSource ends for good",
                advice::RESUME,
            ));
        }
        let Some(resumption) = &survey.resumption else {
            if expected {
                findings.push(Finding::fault(
                    "no event with an id came, so nothing can be resumed",
                    "what is sent while a client reconnects is lost",
                    advice::RESUME,
                ));
            }
            return if findings.is_empty() {
                Verdict::skipped("no event with an id came")
            } else {
                Verdict::with("no event with an id came", findings)
            };
        };
        let lost = "what is sent while a client reconnects is lost without a word";
        let from = &resumption.from;
        let seen = match resumption.result() {
            None => {
                let why = resumption.attempt.as_ref().err().map(ToString::to_string);
                let seen = format!("no answer after {from}: {}", why.unwrap_or_default());
                findings.push(Finding::new(level, seen.clone(), lost, advice::RESUME));
                seen
            }
            Some(Resumed::Replayed) => format!(
                "{} missed events came again, in order",
                resumption.missed.len()
            ),
            Some(Resumed::NothingMissed) => {
                format!("nothing was missed since {from}, nothing was repeated")
            }
            Some(Resumed::Told(name)) => format!("the server tells of the gap by `event: {name}`"),
            Some(Resumed::Refused(status)) => {
                let seen = format!("status {status} with `Last-Event-ID: {from}`");
                findings.push(Finding::fault(
                    seen.clone(),
                    "an EventSource ends for good at its first reconnect",
                    advice::RESUME,
                ));
                seen
            }
            Some(Resumed::Repeated(id)) => {
                let seen =
                    format!("the stream begins again with {id}, which the client has already");
                findings.push(Finding::new(
                    level,
                    seen.clone(),
                    "clients handle events twice",
                    advice::RESUME,
                ));
                seen
            }
            Some(Resumed::Gap(id)) => {
                let seen = format!(
                    "after {from} came {id}, but {} should have come",
                    resumption.missed.join(", ")
                );
                findings.push(Finding::new(level, seen.clone(), lost, advice::RESUME));
                seen
            }
            Some(Resumed::Nothing) => {
                let seen = format!(
                    "{} events followed {from}, none of them came again",
                    resumption.missed.len()
                );
                findings.push(Finding::new(level, seen.clone(), lost, advice::RESUME));
                seen
            }
        };
        Verdict::with(seen, findings)
    }
}
