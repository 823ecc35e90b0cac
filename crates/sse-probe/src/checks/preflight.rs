//! The preflight of fetch clients.

use super::{Finding, FindingKind, NOT_OPEN, SAME_ORIGIN, Verdict, inconclusive, remedies};
use crate::{
    browser::{Credentials, Origin, PreflightBlock, cors_check, preflight_check},
    http::Recording,
    observe::{Survey, UNKNOWN_HEADER, USUAL_HEADERS, foreign, preflight_headers, seen},
};

/// The preflight of fetch clients. An `EventSource` never asks.
pub(super) fn preflight(survey: &Survey) -> Verdict {
    if survey.target.is_same_origin() {
        return Verdict::skipped(SAME_ORIGIN);
    }
    let Some(attempt) = &survey.others.preflight else {
        return Verdict::skipped(NOT_OPEN);
    };
    let needed = !preflight_headers(&survey.target).is_empty();
    let why = "fetch clients with headers of their own cannot open the stream from another origin; EventSource is not concerned";
    let recording = match attempt {
        Ok(recording) => recording,
        Err(error) => {
            return match inconclusive(error) {
                None if needed => {
                    let seen = format!("no answer: {error}");
                    Verdict::bad(Finding::blocked(seen, why, remedies::PREFLIGHT))
                }
                _ => Verdict::skipped(format!("no answer: {error}")),
            };
        }
    };
    let mut findings = Vec::new();
    let head = &recording.head;
    let origin = survey.origin();
    let mut seen = format!(
        "status {}, max age {}",
        head.status,
        head.headers
            .text("access-control-max-age")
            .as_deref()
            .unwrap_or("not said")
    );
    match passes(survey, recording, &origin) {
        Err(block) if needed => {
            // Without credentials Chromium and Firefox still let `*` cover Authorization, against the standard.
            let lenient = block == PreflightBlock::AuthorizationByName
                && survey.target.credentials == Credentials::Omit
                && head.headers.lists("access-control-allow-headers", "*");
            let kind = if lenient {
                FindingKind::Advice
            } else {
                FindingKind::Blocked
            };
            let remedies = match block {
                PreflightBlock::Header(_)
                | PreflightBlock::AuthorizationByName
                | PreflightBlock::Unreadable(..) => remedies::PREFLIGHT_LISTS,
                _ => remedies::PREFLIGHT,
            };
            let seen = match block {
                PreflightBlock::Status(_) => format!("refused: {block}"),
                _ => format!("refused (status {}): {block}", head.status),
            };
            findings.push(Finding::new(kind, seen, why, remedies));
        }
        Err(block) => {
            seen = format!("refused ({block}), which an EventSource does not notice");
        }
        Ok(()) => {}
    }
    findings.extend(open_to_outsiders(survey));
    findings.extend(echo(survey));
    Verdict::with(seen, findings)
}

pub(super) fn passes(
    survey: &Survey,
    reply: &Recording,
    origin: &Origin,
) -> Result<(), PreflightBlock> {
    let mut names = preflight_headers(&survey.target);
    if names.is_empty() {
        names.extend(USUAL_HEADERS.map(str::to_owned));
    }
    preflight_check(
        reply.head.status,
        &reply.head.headers,
        origin,
        survey.target.credentials,
        survey.target.method.as_str(),
        &names,
    )
}

/// A preflight that lets everybody in. If the stream itself is then refused, little is gained by it.
fn open_to_outsiders(survey: &Survey) -> Option<Finding> {
    let reply = seen(survey.others.preflight_denied.as_ref())?;
    let origin = foreign();
    cors_check(&reply.head.headers, &origin, Credentials::Include).ok()?;
    let refused = survey.others.denied.iter().any(|denied| {
        let answer = denied.attempt.as_ref();
        denied.origin == origin && answer.is_ok_and(|r| r.head.status != 200)
    });
    let kind = if refused {
        FindingKind::Advice
    } else {
        FindingKind::Insecure
    };
    Some(Finding::new(
        kind,
        format!("the preflight lets the foreign origin {origin} in, with credentials"),
        "any page may then send requests with headers of its own and the visitor's cookies",
        remedies::DENY_ORIGIN,
    ))
}

/// A preflight that allows whatever it is asked for.
fn echo(survey: &Survey) -> Option<Finding> {
    let reply = seen(survey.others.preflight_unknown.as_ref())?;
    let named = reply
        .head
        .headers
        .lists("access-control-allow-headers", UNKNOWN_HEADER);
    (named && survey.target.credentials == Credentials::Include).then(|| {
        Finding::advice(
            format!("the preflight allows the unknown header `{UNKNOWN_HEADER}`: it echoes what it is asked for"),
            "a list that allows everything protects nothing",
            remedies::PREFLIGHT_LISTS,
        )
    })
}
