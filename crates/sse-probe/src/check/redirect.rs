//! Redirects on a stream's URL.

use super::{Check, Verdict};
use crate::{advice, finding::Finding, survey::Survey};

#[derive(Debug)]
pub(super) struct Redirect;

impl Check for Redirect {
    fn name(&self) -> &'static str {
        "redirect"
    }

    fn title(&self) -> &'static str {
        "No redirect"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        let head = &survey.main.head;
        if !head.redirects() {
            return Verdict::good("none");
        }
        let to = head.headers.text("location");
        Verdict::bad(Finding::fault(
            format!(
                "{} to {}",
                head.status,
                to.as_deref().unwrap_or("nowhere (no Location)")
            ),
            "a redirect to another origin turns `Origin` into `null`, loses the credentials of fetch clients, and Chromium reconnects to the target instead of the URL",
            advice::REDIRECT,
        ))
    }
}
