//! Without credentials there is no stream.

use super::{Check, Verdict};
use crate::{advice, finding::Finding, mime, survey::Survey};

#[derive(Debug)]
pub(super) struct Auth;

impl Check for Auth {
    fn name(&self) -> &'static str {
        "auth"
    }

    fn title(&self) -> &'static str {
        "Without credentials there is no stream"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        let Some(attempt) = &survey.anonymous else {
            return Verdict::skipped("no --bearer, --cookie or --ticket-url was given");
        };
        let recording = match attempt {
            Ok(recording) => recording,
            Err(error) => {
                return Verdict::bad(Finding::warning(
                    format!("no answer without credentials: {error}"),
                    "whether the stream is protected is not known",
                    advice::UNREACHABLE_VARIANT,
                ));
            }
        };
        let head = &recording.head;
        let stream =
            mime::extract(&head.headers).is_some_and(|m| m.essence() == "text/event-stream");
        if head.status == 200 {
            return Verdict::bad(Finding::fault(
                if stream {
                    "the stream opens without credentials"
                } else {
                    "200 without credentials"
                },
                "whoever knows the URL reads the stream",
                advice::AUTH,
            ));
        }
        let challenge = head.headers.text("www-authenticate");
        let mut findings = Vec::new();
        if head.status != 401 {
            findings.push(Finding::warning(
                format!("status {} without credentials, not 401", head.status),
                "clients cannot tell that they must log in again",
                advice::CHALLENGE,
            ));
        } else if challenge.is_none() {
            findings.push(Finding::warning(
                "401 without WWW-Authenticate",
                "RFC 9110 requires it, and some client libraries need it",
                advice::CHALLENGE,
            ));
        }
        let dialog = challenge
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if ["basic", "negotiate", "digest"]
            .iter()
            .any(|scheme| dialog.starts_with(scheme))
        {
            findings.push(Finding::warning(
                format!("`WWW-Authenticate: {dialog}`"),
                "browsers open a password dialog",
                advice::CHALLENGE,
            ));
        }
        Verdict::with(
            format!("status {} without credentials", head.status),
            findings,
        )
    }
}
