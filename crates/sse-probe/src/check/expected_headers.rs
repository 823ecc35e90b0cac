//! Header values that the user asked for.

use super::{Check, Verdict};
use crate::{advice, finding::Finding, headers::printable, survey::Survey, target::Expectation};

#[derive(Debug)]
pub(super) struct ExpectedHeaders;

impl Check for ExpectedHeaders {
    fn name(&self) -> &'static str {
        "expected_headers"
    }

    fn title(&self) -> &'static str {
        "Headers that were asked for with --expect"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        let headers = &survey.main.head.headers;
        let mut findings = Vec::new();
        let mut count = 0;
        for expectation in &survey.target.expectations {
            let Expectation::Header(name, value) = expectation else {
                continue;
            };
            count += 1;
            let seen = headers.get(name.as_str());
            if seen.as_deref() != Some(value.as_bytes()) {
                let seen =
                    seen.map_or_else(|| "nothing".to_owned(), |v| format!("`{}`", printable(&v)));
                findings.push(Finding::fault(
                    format!("{name}: {seen}, not `{}`", printable(value.as_bytes())),
                    "another value was expected",
                    advice::EXPECTED,
                ));
            }
        }
        if count == 0 {
            return Verdict::skipped("none were asked for");
        }
        Verdict::with(format!("{count} compared"), findings)
    }
}
