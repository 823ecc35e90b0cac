//! For people: colour, one line per check, findings with what to change; annotations for GitHub; JUnit for CI systems.

use std::time::Duration;

use anstyle::{
    AnsiColor::{self, Cyan, Green, Magenta, Red},
    Style,
};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{CheckReport, Checked};
use crate::{
    checks::{CheckResult, Finding, FindingKind, Outcome, Software},
    stream::timing::show,
};

/// The report with ANSI colours; write it through `anstream`, which takes them out where they are not wanted.
///
/// Remedies are given for actix, for the page, and for the hops in `software`; for all of them if it is empty.
#[must_use]
pub fn human(report: &CheckReport, software: &[Software]) -> String {
    let mut out = format!("{}\n", bold(&report.url));
    for outcome in &report.outcomes {
        let mark = match outcome.result {
            CheckResult::Skipped => dim("skip"),
            CheckResult::Failed => paint(Red, "FAIL"),
            CheckResult::Passed if outcome.findings.is_empty() => paint(Green, "good"),
            CheckResult::Passed => paint(Cyan, "note"),
        };
        let check = dim(&format!("[{}]", outcome.check));
        let (title, seen) = (outcome.title, &outcome.seen);
        out.push_str(&format!("{mark}  {title} {check}: {seen}\n"));
        out.push_str(&described(&outcome.findings, &outcome.link, software));
    }
    out + &summary(report)
}

/// Findings, indented below their check. Those that follow each other with one reason share it, and what to change.
pub(crate) fn described(findings: &[Finding], link: &str, software: &[Software]) -> String {
    let mut lines = Vec::new();
    for group in findings.chunk_by(|a, b| (a.why, a.remedies) == (b.why, b.remedies)) {
        for finding in group {
            let colour = match finding.kind {
                FindingKind::Blocked => Red,
                FindingKind::Insecure => Magenta,
                FindingKind::Advice => Cyan,
            };
            lines.push((paint(colour, finding.label()), finding.seen.as_str()));
        }
        let Some(first) = group.first() else { continue };
        lines.push((dim("why"), first.why));
        for remedy in first.remedies {
            let always = matches!(remedy.software, Software::Actix | Software::Page);
            if software.is_empty() || always || software.contains(&remedy.software) {
                lines.push((dim(remedy.software.as_str()), remedy.change));
            }
        }
        lines.push((dim("more"), link));
    }
    let line = |(name, text): &(String, &str)| format!("      {name}: {text}\n");
    lines.iter().map(line).collect()
}

fn summary(report: &CheckReport) -> String {
    let tally = report.tally;
    let verdict = match (report.passed, tally.advice) {
        (false, _) => paint(Red, "not good"),
        (true, 0) => paint(Green, "good"),
        (true, _) => paint(Green, "good, with advice"),
    };
    let (passed, failed, skipped) = (tally.passed, tally.failed, tally.skipped);
    let (blocked, insecure, advice) = (tally.blocked, tally.insecure, tally.advice);
    let checks = format!("{passed} passed, {failed} failed, {skipped} skipped");
    let findings = format!("{blocked} blocked, {insecure} insecure, {advice} advice");
    let took = show(report.took);
    format!("{verdict}: {checks}; {findings}; in {took}\n")
}

pub(crate) fn paint(colour: AnsiColor, text: &str) -> String {
    let style = Style::new().fg_color(Some(colour.into())).bold();
    format!("{style}{text}{style:#}")
}

pub(crate) fn bold(text: &str) -> String {
    let style = Style::new().bold();
    format!("{style}{text}{style:#}")
}

pub(crate) fn dim(text: &str) -> String {
    let style = Style::new().dimmed();
    format!("{style}{text}{style:#}")
}

/// The same without its colours.
pub(crate) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Annotations of a workflow run on GitHub: what fails is an error, other findings are notices.
#[must_use]
pub fn github(url: &str, checked: &Checked) -> String {
    let report = match checked {
        Ok(report) => report,
        Err(why) => return annotate(true, url, &why.to_string()),
    };
    let mut out = String::new();
    for outcome in &report.outcomes {
        let title = format!("sse-probe {}: {}", outcome.check, report.url);
        for finding in &outcome.findings {
            let (label, link) = (finding.label(), &outcome.link);
            let text = format!("{label}: {} ({}). {link}", finding.seen, finding.why);
            out.push_str(&annotate(finding.fails(report.profile), &title, &text));
        }
    }
    out + &plain(&summary(report))
}

/// One [workflow command](https://docs.github.com/actions/reference/workflow-commands-for-github-actions).
pub(crate) fn annotate(fails: bool, title: &str, text: &str) -> String {
    let level = if fails { "error" } else { "notice" };
    let line = |text: &str| {
        let text = text.replace('%', "%25");
        text.replace('\r', "%0D").replace('\n', "%0A")
    };
    let title = line(title).replace(':', "%3A").replace(',', "%2C");
    format!("::{level} title={title}::{}\n", line(text))
}

/// The result as JUnit XML, a test case per check. Findings that fail the run are failures; others stand in the output.
/// Without a report there is one case, `reachable`, in error.
#[must_use]
pub fn junit(url: &str, checked: &Checked, took: Duration) -> String {
    let mut suite = TestSuite::new(format!("sse-probe {url}"));
    suite.set_time(took);
    match checked {
        Ok(report) => suite.add_test_cases(report.outcomes.iter().map(case)),
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

fn case(outcome: &Outcome) -> TestCase {
    let text = plain(&described(&outcome.findings, &outcome.link, &[]));
    let seen = outcome.seen.as_str();
    let mut status = match outcome.result {
        CheckResult::Passed => TestCaseStatus::success(),
        CheckResult::Skipped => TestCaseStatus::skipped(),
        CheckResult::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    let passed = outcome.result == CheckResult::Passed;
    if !passed {
        status.set_message(seen);
    }
    if outcome.result == CheckResult::Failed {
        status.set_description(text.as_str());
    }
    let mut case = TestCase::new(outcome.check, status);
    case.set_classname("sse-probe");
    if passed {
        case.set_system_out(format!("{seen}\n{text}"));
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::AttemptError;

    #[test]
    fn text_cannot_break_out_of_the_xml() {
        let checked = Err(AttemptError::Ticket(
            "<a b=\"c\">&\u{1}\u{1b}[1m".to_owned(),
        ));
        let xml = junit("http://x/\"<", &checked, Duration::ZERO);
        assert!(xml.contains("&lt;a b=&quot;c&quot;&gt;&amp;"), "{xml}");
        assert!(!xml.contains('\u{1}') && !xml.contains("<a"), "{xml}");
        assert!(xml.contains("errors=\"1\""), "{xml}");
    }
}
