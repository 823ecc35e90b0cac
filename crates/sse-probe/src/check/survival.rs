//! The stream lives as long as it is held.

use std::time::Duration;

use super::{Check, NOT_OPEN, Verdict, show};
use crate::{
    advice,
    exchange::{End, Recording},
    finding::Finding,
    survey::Survey,
};

#[derive(Debug)]
pub(super) struct Survival;

impl Check for Survival {
    fn name(&self) -> &'static str {
        "survival"
    }

    fn title(&self) -> &'static str {
        "The stream stays open"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if !survey.opened() {
            return Verdict::skipped(NOT_OPEN);
        }
        let recording = &survey.main;
        let lasted = show(recording.lasted);
        match &recording.end {
            End::Open => Verdict::good(format!("open for {lasted}")),
            End::TooMuch => Verdict::skipped("more came than is read"),
            End::Cut(how) => Verdict::bad(Finding::fault(
                format!(
                    "cut after {lasted}, after {} of silence: {how}",
                    show(last_silence(recording))
                ),
                "the stream was broken off in mid-air: an idle timeout, a limit of response time, or a crash",
                advice::CUT,
            )),
            End::Clean => Verdict::bad(Finding::warning(
                format!(
                    "ended cleanly after {lasted}, before {} were over",
                    show(survey.target.hold)
                ),
                "clients reconnect again and again; a server that ends streams on purpose does so after minutes",
                advice::CUT,
            )),
        }
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
