//! The preflight of fetch clients.

use super::{Check, SAME_ORIGIN, Verdict};
use crate::{
    advice,
    exchange::Recording,
    finding::{Finding, Level},
    preflight::{PreflightBlock, preflight_check},
    survey::{Survey, UNKNOWN_HEADER, UNSAFE_HEADERS, foreign},
    target::Access,
    verdict::{Credentials, cors_check},
};

#[derive(Debug)]
pub(super) struct Preflight;

impl Check for Preflight {
    fn name(&self) -> &'static str {
        "preflight"
    }

    fn title(&self) -> &'static str {
        "Fetch clients pass the preflight"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if survey.target.is_same_origin() {
            return Verdict::skipped(SAME_ORIGIN);
        }
        let Some(attempt) = &survey.preflight else {
            return Verdict::skipped(super::NOT_OPEN);
        };
        // Without a bearer token the stream is made for EventSource, which never asks.
        let level = match survey.target.access {
            Access::Bearer(_) => Level::Fault,
            _ => Level::Warning,
        };
        let why = "fetch clients that send Authorization or Last-Event-ID cannot open the stream from another origin; EventSource is not concerned";
        let recording = match attempt {
            Ok(recording) => recording,
            Err(error) => {
                return Verdict::bad(Finding::new(
                    level,
                    format!("no answer: {error}"),
                    why,
                    advice::PREFLIGHT,
                ));
            }
        };
        let mut findings = Vec::new();
        let head = &recording.head;
        if let Err(block) = passes(survey, recording) {
            // Without credentials Chromium and Firefox still let `*` cover Authorization, against the standard.
            let lenient = block == PreflightBlock::AuthorizationByName
                && survey.target.credentials == Credentials::Omit
                && head.headers.lists("access-control-allow-headers", "*");
            let level = if lenient { Level::Warning } else { level };
            let remedies = match block {
                PreflightBlock::Header(_)
                | PreflightBlock::AuthorizationByName
                | PreflightBlock::Unreadable(..) => advice::PREFLIGHT_LISTS,
                _ => advice::PREFLIGHT,
            };
            let status = head.status;
            let seen = match block {
                PreflightBlock::Status(_) => format!("refused: {block}"),
                _ => format!("refused (status {status}): {block}"),
            };
            findings.push(Finding::new(level, seen, why, remedies));
        } else if recording.head.status != 204 {
            findings.push(Finding::note(
                format!("status {}", recording.head.status),
                "204 says the same without a body",
                advice::PREFLIGHT,
            ));
        }
        findings.extend(stranger(survey));
        findings.extend(echo(survey));
        let age = head.headers.text("access-control-max-age");
        Verdict::with(
            format!(
                "status {}, max age {}",
                head.status,
                age.as_deref().unwrap_or("not said")
            ),
            findings,
        )
    }
}

fn passes(survey: &Survey, recording: &Recording) -> Result<(), PreflightBlock> {
    preflight_check(
        recording.head.status,
        &recording.head.headers,
        &survey.origin(),
        survey.target.credentials,
        "GET",
        &UNSAFE_HEADERS,
    )
}

/// A preflight that lets everybody in.
fn stranger(survey: &Survey) -> Option<Finding> {
    let Some(Ok(recording)) = &survey.preflight_denied else {
        return None;
    };
    let origin = foreign();
    (cors_check(&recording.head.headers, &origin, Credentials::Include).is_ok()).then(|| {
        Finding::fault(
            format!("the preflight lets the foreign origin {origin} in, with credentials"),
            "any page may then send requests with headers of its own and the visitor's cookies",
            advice::DENY_ORIGIN,
        )
    })
}

/// A preflight that allows whatever it is asked for.
fn echo(survey: &Survey) -> Option<Finding> {
    let Some(Ok(recording)) = &survey.preflight_unknown else {
        return None;
    };
    let headers = &recording.head.headers;
    let named = headers.lists("access-control-allow-headers", UNKNOWN_HEADER);
    (named && survey.target.credentials == Credentials::Include).then(|| {
        Finding::warning(
            format!("the preflight allows the unknown header `{UNKNOWN_HEADER}`: it echoes what it is asked for"),
            "a list that allows everything protects nothing",
            advice::PREFLIGHT_LISTS,
        )
    })
}
