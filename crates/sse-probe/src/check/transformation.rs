//! Nothing on the way may change the bytes.

use super::{Check, NOT_OPEN, Verdict};
use crate::{advice, finding::Finding, survey::Survey};

#[derive(Debug)]
pub(super) struct Transformation;

impl Check for Transformation {
    fn name(&self) -> &'static str {
        "transformation"
    }

    fn title(&self) -> &'static str {
        "The stream is neither compressed nor transformed"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if !survey.opened() {
            return Verdict::skipped(NOT_OPEN);
        }
        let headers = &survey.main.head.headers;
        let coding = headers.text("content-encoding");
        let mut findings = Vec::new();
        let compressed = headers
            .tokens("content-encoding")
            .iter()
            .any(|c| c != "identity");
        if compressed {
            findings.push(Finding::fault(
                format!("Content-Encoding: {}", coding.as_deref().unwrap_or_default()),
                "a compressor holds events back until it has enough of them, unless it flushes after each one; and secrets beside data that an attacker chooses leak by their length",
                advice::COMPRESSION,
            ));
        }
        if !headers.lists("cache-control", "no-transform") {
            findings.push(Finding::note(
                "no `no-transform` in Cache-Control",
                "it keeps proxies, and some CDNs, from compressing or rewriting the stream",
                advice::NO_TRANSFORM,
            ));
        }
        Verdict::with(coding.unwrap_or_else(|| "plain".to_owned()), findings)
    }
}
