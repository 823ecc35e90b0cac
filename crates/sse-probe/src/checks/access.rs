//! Who gets a stream at all: credentials, and what is asked for.

use super::{Finding, NOT_OPEN, Verdict, inconclusive, remedies};
use crate::{
    browser::mime,
    observe::{Survey, seen},
    target::Expectation,
};

/// Without credentials there is no stream.
pub(super) fn auth(survey: &Survey) -> Verdict {
    let Some(attempt) = &survey.others.anonymous else {
        return no_credentials(survey);
    };
    let recording = match attempt {
        Ok(recording) => recording,
        Err(error) => {
            let seen = format!("no answer without credentials: {error}");
            return Verdict::skipped(seen);
        }
    };
    let head = &recording.head;
    if head.status == 200 && mime::is_event_stream(&head.headers) {
        return Verdict::bad(Finding::insecure(
            "the stream opens without credentials",
            "whoever knows the URL reads the stream",
            remedies::AUTH,
        ));
    }
    let challenge = head.headers.text("www-authenticate");
    let mut findings = Vec::new();
    if head.status != 401 {
        findings.push(Finding::advice(
            format!("status {} without credentials, not 401", head.status),
            "clients cannot tell that they must log in again",
            remedies::CHALLENGE,
        ));
    } else if challenge.is_none() {
        findings.push(Finding::advice(
            "401 without WWW-Authenticate",
            "RFC 9110 requires it, and some client libraries need it",
            remedies::CHALLENGE,
        ));
    }
    let dialog = challenge.unwrap_or_default().to_ascii_lowercase();
    let asks = |scheme: &&str| dialog.starts_with(*scheme);
    if ["basic", "negotiate", "digest"].iter().any(asks) {
        findings.push(Finding::advice(
            format!("`WWW-Authenticate: {dialog}`"),
            "browsers open a password dialog",
            remedies::CHALLENGE,
        ));
    }
    Verdict::with(
        format!("status {} without credentials", head.status),
        findings,
    )
}

/// The target has no credentials, so the stream itself was asked for without.
fn no_credentials(survey: &Survey) -> Verdict {
    if !survey.target.expectations.contains(&Expectation::Auth) {
        return Verdict::skipped("no --bearer, --cookie or --ticket-url was given");
    }
    match survey.main.head.status {
        401 => Verdict::good("status 401 without credentials"),
        200 => {
            let finding = Finding::insecure(
                "the stream opens without credentials",
                "whoever knows the URL reads the stream",
                remedies::AUTH,
            );
            Verdict::bad(finding.unmet())
        }
        status => {
            let seen = format!("status {status} without credentials, not 401");
            let why = "401 was expected";
            Verdict::bad(Finding::advice(seen, why, remedies::CHALLENGE).unmet())
        }
    }
}

/// Whoever does not ask for an event stream had better not get one.
pub(super) fn accept(survey: &Survey) -> Verdict {
    let attempt = survey.others.not_acceptable.as_ref();
    if let Some(Err(why)) = attempt {
        let seen = inconclusive(why).unwrap_or_else(|| why.to_string());
        return Verdict::skipped(format!("no answer to another Accept: {seen}"));
    }
    let Some(recording) = seen(attempt) else {
        return Verdict::skipped(NOT_OPEN);
    };
    match recording.head.status {
        200 if mime::is_event_stream(&recording.head.headers) => Verdict::bad(Finding::advice(
            "`Accept: application/json` opens a stream",
            "crawlers, monitors and link previews open streams that never end, and hold slots",
            remedies::ACCEPT,
        )),
        406 => Verdict::good("406"),
        status => Verdict::good(format!("status {status}, no stream")),
    }
}
