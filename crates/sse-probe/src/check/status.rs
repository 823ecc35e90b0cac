//! The status: anything but 200 ends an `EventSource` for good.

use super::{Check, Verdict};
use crate::{advice, finding::Finding, survey::Survey};

#[derive(Debug)]
pub(super) struct Status;

impl Check for Status {
    fn name(&self) -> &'static str {
        "status"
    }

    fn title(&self) -> &'static str {
        "The stream answers 200"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        let status = survey.main.head.status;
        if status == 200 {
            return Verdict::good("200");
        }
        Verdict::bad(Finding::fault(
            format!("status {status}{}", hint(status)),
            "a native EventSource ends for good on every other status and never tries again; Retry-After is not read",
            advice::STATUS,
        ))
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        204 => " (tells clients to stop)",
        401 => " (give --bearer, --cookie or --ticket-url)",
        403 => " (the origin, or the rights of the credentials)",
        404 | 405 => " (is this the stream's URL?)",
        406 => " (the server did not accept `Accept: text/event-stream`)",
        429 => " (too many streams or connects)",
        502..=504 => " (a proxy without its application?)",
        _ => "",
    }
}
