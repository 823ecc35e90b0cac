//! `Vary`.

use super::{Check, Verdict};
use crate::{advice, finding::Finding, survey::Survey};

#[derive(Debug)]
pub(super) struct Vary;

impl Check for Vary {
    fn name(&self) -> &'static str {
        "vary"
    }

    fn title(&self) -> &'static str {
        "Replies that depend on the origin say so in Vary"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if survey.target.is_same_origin()
            && !survey.main.head.headers.has("access-control-allow-origin")
        {
            return Verdict::skipped(super::SAME_ORIGIN);
        }
        if survey.is_public() {
            return Verdict::good("not needed: the reply is the same for every origin");
        }
        let why =
            "a cache may hand the reply for one origin to a page of another, which is then blocked";
        let mut findings = Vec::new();
        let headers = &survey.main.head.headers;
        let named = |headers: &crate::headers::Headers| {
            headers.lists("vary", "origin") || headers.lists("vary", "*")
        };
        if !named(headers) {
            let seen = headers.text("vary").map_or_else(
                || "no Vary".to_owned(),
                |v| format!("`Vary: {v}` without Origin"),
            );
            findings.push(Finding::warning(seen, why, advice::VARY));
        }
        let count = headers
            .tokens("vary")
            .iter()
            .filter(|t| *t == "origin")
            .count();
        if count > 1 {
            findings.push(Finding::note(
                format!("Vary lists Origin {count} times"),
                "harmless, but two layers write CORS headers: see that they agree",
                advice::VARY,
            ));
        }
        let refused = survey
            .denied
            .iter()
            .filter_map(|d| d.attempt.as_ref().ok())
            .find(|r| r.head.status >= 400 && !named(&r.head.headers));
        if let Some(recording) = refused {
            findings.push(Finding::warning(
                format!(
                    "the {} for another origin has no `Vary: Origin`",
                    recording.head.status
                ),
                "a cache may hand the refusal to the allowed origin",
                advice::VARY,
            ));
        }
        Verdict::with(
            headers.text("vary").unwrap_or_else(|| "no Vary".to_owned()),
            findings,
        )
    }
}
