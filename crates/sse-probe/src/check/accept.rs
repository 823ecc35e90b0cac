//! Whoever does not ask for an event stream does not get one.

use super::{Check, NOT_OPEN, Verdict};
use crate::{advice, finding::Finding, mime, survey::Survey};

#[derive(Debug)]
pub(super) struct Accept;

impl Check for Accept {
    fn name(&self) -> &'static str {
        "accept"
    }

    fn title(&self) -> &'static str {
        "Another Accept gets 406, not a stream"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        let Some(attempt) = &survey.not_acceptable else {
            return Verdict::skipped(NOT_OPEN);
        };
        let Ok(recording) = attempt else {
            return Verdict::skipped("no answer to another Accept");
        };
        let head = &recording.head;
        let stream =
            mime::extract(&head.headers).is_some_and(|m| m.essence() == "text/event-stream");
        match head.status {
            406 => Verdict::good("406"),
            200 if stream => Verdict::bad(Finding::warning(
                "`Accept: application/json` opens a stream",
                "crawlers, monitors and link previews open streams that never end, and hold slots",
                advice::ACCEPT,
            )),
            status => Verdict::good(format!("status {status}, no stream")),
        }
    }
}
