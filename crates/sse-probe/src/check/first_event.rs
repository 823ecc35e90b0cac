//! The first event.

use super::{Check, NOT_OPEN, Verdict, show};
use crate::{advice, finding::Finding, survey::Survey, target::Expectation};

#[derive(Debug)]
pub(super) struct FirstEvent;

impl Check for FirstEvent {
    fn name(&self) -> &'static str {
        "first_event"
    }

    fn title(&self) -> &'static str {
        "Events come"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
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
        let why = "an event was expected";
        match (first, limit) {
            (Some(at), Some(limit)) if at > limit => Verdict::bad(Finding::fault(
                format!("the first event came after {}", show(at)),
                why,
                advice::EXPECTED,
            )),
            (Some(at), _) => Verdict::good(format!(
                "{} events, the first after {}",
                recording.stream.event_count(),
                show(at)
            )),
            (None, Some(_)) => Verdict::bad(Finding::fault(
                format!("no event within {}", show(recording.lasted)),
                why,
                advice::EXPECTED,
            )),
            (None, None) => {
                Verdict::skipped(format!("no event came within {}", show(recording.lasted)))
            }
        }
    }
}
