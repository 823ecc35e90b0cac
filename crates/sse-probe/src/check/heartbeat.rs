//! Signs of life on an idle stream.

use std::time::Duration;

use super::{Check, NOT_OPEN, Verdict, show};
use crate::{advice, finding::Finding, survey::Survey, target::Expectation, timing::intervals};

/// Most idle timeouts are 60 s.
const LONGEST: Duration = Duration::from_secs(55);

#[derive(Debug)]
pub(super) struct Heartbeat;

impl Check for Heartbeat {
    fn name(&self) -> &'static str {
        "heartbeat"
    }

    fn title(&self) -> &'static str {
        "An idle stream shows signs of life"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if !survey.opened() {
            return Verdict::skipped(NOT_OPEN);
        }
        let asked = survey.target.expectations.iter().find_map(|e| match e {
            Expectation::Heartbeat(time) => Some(*time),
            _ => None,
        });
        let recording = survey.readable();
        let silence = recording.longest_silence();
        let why = "proxies and mobile networks cut connections that are silent for a minute, and the server does not notice clients that are gone";
        let limit = asked.unwrap_or(LONGEST);
        if silence > limit {
            return Verdict::bad(Finding::fault(
                format!("silent for {}, longer than {}", show(silence), show(limit)),
                why,
                advice::HEARTBEAT,
            ));
        }
        let intervals = intervals(&recording.stream);
        match intervals.iter().max() {
            Some(longest) => Verdict::good(format!(
                "{} comments and {} events, at most {} apart",
                recording.stream.comment_count(),
                recording.stream.event_count(),
                show(*longest)
            )),
            None if recording.lasted > limit => Verdict::good("no silence to speak of"),
            None => Verdict::skipped(format!(
                "none within {}; hold the stream longer (--hold 60s) to know",
                show(recording.lasted)
            )),
        }
    }
}
