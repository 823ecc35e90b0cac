//! CORS headers on error replies.

use super::{Check, SAME_ORIGIN, Verdict};
use crate::{advice, exchange::Recording, finding::Finding, survey::Survey, verdict::cors_check};

#[derive(Debug)]
pub(super) struct ErrorCors;

impl Check for ErrorCors {
    fn name(&self) -> &'static str {
        "error_cors"
    }

    fn title(&self) -> &'static str {
        "The allowed origin can read error replies"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if survey.target.is_same_origin() {
            return Verdict::skipped(SAME_ORIGIN);
        }
        let main = (!survey.opened()).then_some(&survey.main);
        let others = [&survey.anonymous, &survey.not_acceptable]
            .into_iter()
            .filter_map(|attempt| attempt.as_ref()?.as_ref().ok());
        let errors: Vec<&Recording> = main
            .into_iter()
            .chain(others)
            .filter(|r| r.head.status >= 400)
            .collect();
        if errors.is_empty() {
            return Verdict::skipped("no error reply was seen");
        }
        let origin = survey.origin();
        let blocked = errors.iter().filter_map(|r| {
            let block = cors_check(&r.head.headers, &origin, survey.target.credentials).err()?;
            Some(Finding::warning(
                format!("the {} cannot be read: {block}", r.head.status),
                "a fetch client sees a network error instead of the status, and cannot tell a lost session from a broken network",
                advice::ERROR_CORS,
            ))
        });
        let seen: Vec<_> = errors.iter().map(|r| r.head.status.to_string()).collect();
        let findings = blocked.collect();
        Verdict::with(format!("error replies seen: {}", seen.join(", ")), findings)
    }
}
