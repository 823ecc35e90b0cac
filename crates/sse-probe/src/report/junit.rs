//! For CI systems: one JUnit test case per check.

use std::{fmt::Write as _, time::Duration};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Checked;
use crate::checks::{CheckResult, Finding, Outcome, Profile, Verdict, link};

/// The result as JUnit XML. Findings that fail a run of `profile` are failures; others stand in the output. Without a
/// report there is one case, `reachable`, in error.
#[must_use]
pub fn junit(url: &str, checked: &Checked, took: Duration, profile: Profile) -> String {
    let mut suite = TestSuite::new(format!("sse-probe {url}"));
    suite.set_time(took);
    match checked {
        Ok(report) => suite.add_test_cases(report.outcomes.iter().map(|o| case(o, profile))),
        Err(why) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(why.to_string()).set_type(why.reason());
            suite.add_test_case(TestCase::new("reachable", status))
        }
    };
    let mut report = Report::new("sse-probe");
    report.set_time(took).add_test_suite(suite);
    // Writing to memory cannot fail.
    report.to_string().unwrap_or_default()
}

fn case(outcome: &Outcome, profile: Profile) -> TestCase {
    let (Verdict::Judged(seen, _) | Verdict::Skipped(seen)) = &outcome.verdict;
    let text = || -> String {
        outcome
            .findings()
            .iter()
            .map(|f| text(f, outcome))
            .collect()
    };
    let status = match outcome.result(profile) {
        CheckResult::Passed => TestCaseStatus::success(),
        CheckResult::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(seen.as_str());
            status
        }
        CheckResult::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(seen.as_str()).set_description(text());
            status
        }
    };
    let mut case = TestCase::new(outcome.check, status);
    case.set_classname("sse-probe");
    if outcome.result(profile) == CheckResult::Passed {
        case.set_system_out(format!("{seen}\n{}", text()));
    }
    case
}

fn text(finding: &Finding, outcome: &Outcome) -> String {
    let mut text = format!("{}: {}\nwhy: {}\n", finding.kind, finding.seen, finding.why);
    for remedy in finding.remedies {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}: {}", remedy.software, remedy.change);
    }
    let _ = writeln!(text, "more: {}", link(outcome.check));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::AttemptError;

    #[test]
    fn text_cannot_break_out_of_the_xml() {
        let checked = Err(AttemptError::Ticket(
            "<a b=\"c\">&\u{1}\u{1b}[1m".to_owned(),
        ));
        let xml = junit("http://x/\"<", &checked, Duration::ZERO, Profile::Browser);
        assert!(xml.contains("&lt;a b=&quot;c&quot;&gt;&amp;"), "{xml}");
        assert!(!xml.contains('\u{1}') && !xml.contains("<a"), "{xml}");
        assert!(xml.contains("errors=\"1\""), "{xml}");
    }
}
