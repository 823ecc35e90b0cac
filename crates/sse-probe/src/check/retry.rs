//! The reconnection time.

use std::time::Duration;

use super::{Check, NOT_OPEN, Verdict, show};
use crate::{advice, finding::Finding, survey::Survey};

#[derive(Debug)]
pub(super) struct Retry;

impl Check for Retry {
    fn name(&self) -> &'static str {
        "retry"
    }

    fn title(&self) -> &'static str {
        "The stream says when to reconnect"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if !survey.opened() {
            return Verdict::skipped(NOT_OPEN);
        }
        let stream = &survey.readable().stream;
        let Some(retry) = stream.retry() else {
            return Verdict::with(
                "none",
                vec![Finding::note(
                    "no `retry`",
                    "each browser has its own time (3 s in Chromium, 5 s in Firefox), the same for all clients, so they all come back at once",
                    advice::RETRY,
                )],
            );
        };
        let seen = show(retry);
        if retry < Duration::from_millis(100) {
            return Verdict::bad(Finding::warning(
                format!("`retry` of {seen}"),
                "after an outage every client comes back many times a second",
                advice::RETRY,
            ));
        }
        if retry > Duration::from_secs(3600) {
            return Verdict::bad(Finding::warning(
                format!("`retry` of {seen}"),
                "after a cut connection a page waits that long, which looks dead",
                advice::RETRY,
            ));
        }
        if !stream.retry_comes_first() {
            return Verdict::bad(Finding::note(
                format!("`retry` of {seen}, but only after the first event"),
                "a stream that is cut before has the browser's own time",
                advice::RETRY,
            ));
        }
        Verdict::good(seen)
    }
}
