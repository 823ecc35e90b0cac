//! The certificate.

use std::time::Duration;

use super::{Check, Verdict};
use crate::{advice, finding::Finding, survey::Survey, target::Expectation};

/// Less than this is too little to renew in peace.
const LEAST: Duration = Duration::from_secs(14 * 86_400);

#[derive(Debug)]
pub(super) struct Certificate;

impl Check for Certificate {
    fn name(&self) -> &'static str {
        "certificate"
    }

    fn title(&self) -> &'static str {
        "The certificate is valid for a while"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        let Some(expiry) = survey.main.head.certificate_expiry else {
            return Verdict::skipped("no TLS");
        };
        let asked = survey.target.expectations.iter().find_map(|e| match e {
            Expectation::Certificate(time) => Some(*time),
            _ => None,
        });
        let why = "once it has expired every client fails at once, and open streams live on, so the outage grows slowly";
        let Ok(left) = expiry.duration_since(survey.at) else {
            return Verdict::bad(Finding::fault("it has expired", why, advice::CERTIFICATE));
        };
        let seen = format!("valid for {} more days", left.as_secs() / 86_400);
        if left < asked.unwrap_or(LEAST) {
            return Verdict::bad(Finding::warning(seen, why, advice::CERTIFICATE));
        }
        Verdict::good(seen)
    }
}
