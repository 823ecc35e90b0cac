//! The head and a first byte leave at once.

use std::time::Duration;

use super::{Check, NOT_OPEN, Verdict, show};
use crate::{advice, finding::Finding, survey::Survey, target::Expectation};

/// Later than this is a fault: the page cannot tell a working stream from a dead one.
const LATEST: Duration = Duration::from_secs(3);

/// Later than this is slow.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct FirstByte;

impl Check for FirstByte {
    fn name(&self) -> &'static str {
        "first_byte"
    }

    fn title(&self) -> &'static str {
        "The first byte of the body comes at once"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if !survey.opened() {
            return Verdict::skipped(NOT_OPEN);
        }
        let why = "some browsers and proxies show nothing of a stream before its first byte; a head that waits for the first event looks like a dead server";
        let head = survey.main.head.phases.processing;
        let Some(first) = survey.main.first_byte() else {
            let lasted = survey.main.lasted;
            return Verdict::bad(Finding::fault(
                format!("no byte of the body within {}", show(lasted)),
                why,
                advice::FIRST_BYTE,
            ));
        };
        let asked = survey.target.expectations.iter().find_map(|e| match e {
            Expectation::FirstByte(time) => Some(*time),
            _ => None,
        });
        let seen = format!(
            "head after {}, first byte after {}",
            show(head),
            show(first)
        );
        if first > asked.unwrap_or(LATEST) {
            return Verdict::bad(Finding::fault(seen, why, advice::FIRST_BYTE));
        }
        if first > SLOW && asked.is_none() {
            return Verdict::bad(Finding::warning(seen, why, advice::FIRST_BYTE));
        }
        Verdict::good(seen)
    }
}
