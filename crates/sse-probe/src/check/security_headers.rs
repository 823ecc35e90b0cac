//! Headers that keep a stream from being taken for something else.

use super::{Check, NOT_OPEN, Verdict};
use crate::{advice, finding::Finding, survey::Survey};

#[derive(Debug)]
pub(super) struct SecurityHeaders;

impl Check for SecurityHeaders {
    fn name(&self) -> &'static str {
        "security_headers"
    }

    fn title(&self) -> &'static str {
        "Security headers"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if !survey.opened() {
            return Verdict::skipped(NOT_OPEN);
        }
        let headers = &survey.main.head.headers;
        let mut findings = Vec::new();
        if !headers.lists("x-content-type-options", "nosniff") {
            findings.push(Finding::warning(
                "no `X-Content-Type-Options: nosniff`",
                "a stream that carries what users write can be loaded as a script; EventSource itself does not look at it",
                advice::SECURITY,
            ));
        }
        if !headers.has("content-security-policy") {
            findings.push(Finding::note(
                "no Content-Security-Policy",
                "a browser tab that is led to the stream's URL should run nothing",
                advice::SECURITY,
            ));
        }
        let https = survey.target.url.scheme() == "https";
        match headers.text("strict-transport-security") {
            Some(value) if !https => findings.push(Finding::warning(
                format!("`Strict-Transport-Security: {value}` on http"),
                "browsers ignore it there; it shows that the application takes itself to be on https",
                advice::HSTS,
            )),
            None if https => findings.push(Finding::note(
                "no Strict-Transport-Security",
                "the first request after a typed address goes unencrypted",
                advice::HSTS,
            )),
            _ => {}
        }
        let judged = if findings.is_empty() {
            "complete"
        } else {
            "incomplete"
        };
        Verdict::with(judged, findings)
    }
}
