//! Buffers between the application and the client.

use super::{Check, NOT_OPEN, Verdict, show};
use crate::{
    advice,
    finding::Finding,
    survey::Survey,
    timing::{Held, bursts, held_back},
};

#[derive(Debug)]
pub(super) struct Buffering;

impl Check for Buffering {
    fn name(&self) -> &'static str {
        "buffering"
    }

    fn title(&self) -> &'static str {
        "Nothing holds events back"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if !survey.opened() {
            return Verdict::skipped(NOT_OPEN);
        }
        let recording = survey.readable();
        let headers = &survey.main.head.headers;
        let why = "clients get events late and in lumps, heartbeats keep nothing alive, and idle timeouts strike";
        let mut findings = Vec::new();
        match held_back(&recording.arrivals, &recording.stream) {
            Some(Held::Heartbeats { count, at }) => findings.push(Finding::fault(
                format!(
                    "{count} heartbeats came at one moment, {} after the request",
                    show(at)
                ),
                why,
                advice::BUFFERING,
            )),
            Some(Held::Blocks { size, count }) => findings.push(Finding::fault(
                format!("the body came in {count} bursts of {size} bytes: a buffer's size"),
                why,
                advice::BUFFERING,
            )),
            None => {}
        }
        if recording.bytes == 0 {
            findings.push(Finding::fault(
                format!(
                    "no byte within {}: held back, or never sent",
                    show(recording.lasted)
                ),
                why,
                advice::BUFFERING,
            ));
        }
        match headers.text("x-accel-buffering") {
            Some(value) if !value.eq_ignore_ascii_case("no") => findings.push(Finding::warning(
                format!("`X-Accel-Buffering: {value}`"),
                "it asks nginx to buffer the stream",
                advice::ACCEL,
            )),
            None if !is_behind_nginx(survey) => findings.push(Finding::note(
                "no `X-Accel-Buffering: no`",
                "an nginx that is put in front one day would buffer the stream",
                advice::ACCEL,
            )),
            _ => {}
        }
        let count = bursts(&recording.arrivals).len();
        Verdict::with(
            format!("{} bytes in {count} bursts", recording.bytes),
            findings,
        )
    }
}

fn is_behind_nginx(survey: &Survey) -> bool {
    use crate::advice::Software;
    Software::seen_in(&survey.main.head.headers).contains(&Software::Nginx)
}
