//! For people: colour, one line per check, findings with what to change; annotations for GitHub; JUnit for CI systems.

use std::{fmt::Write as _, time::Duration};

use anstyle::{AnsiColor, Style};
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
    let (bold, faint) = (Style::new().bold(), dim());
    let mut out = format!("{bold}{}{bold:#}\n", report.url);
    for outcome in &report.outcomes {
        let (mark, style) = match outcome.result {
            CheckResult::Skipped => ("skip", faint),
            CheckResult::Failed => ("FAIL", colour(AnsiColor::Red)),
            CheckResult::Passed if outcome.findings.is_empty() => {
                ("good", colour(AnsiColor::Green))
            }
            CheckResult::Passed => ("note", colour(AnsiColor::Cyan)),
        };
        let Outcome {
            title, check, seen, ..
        } = outcome;
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{style}{mark}{style:#}  {title} {faint}[{check}]{faint:#}: {seen}"
        );
        for finding in &outcome.findings {
            describe(&mut out, finding, &outcome.link, software);
        }
    }
    out.push_str(&summary(report));
    out
}

/// One finding, indented below its check.
pub(crate) fn describe(out: &mut String, finding: &Finding, link: &str, software: &[Software]) {
    let style = colour(match finding.kind {
        FindingKind::Blocked => AnsiColor::Red,
        FindingKind::Insecure => AnsiColor::Magenta,
        FindingKind::Advice => AnsiColor::Cyan,
    });
    let faint = dim();
    let _ = writeln!(
        out,
        "      {style}{}{style:#}: {}",
        finding.label(),
        finding.seen
    );
    let _ = writeln!(out, "      {faint}why{faint:#}: {}", finding.why);
    for remedy in finding.remedies {
        let always = matches!(remedy.software, Software::Actix | Software::Page);
        if software.is_empty() || always || software.contains(&remedy.software) {
            let _ = writeln!(
                out,
                "      {faint}{}{faint:#}: {}",
                remedy.software, remedy.change
            );
        }
    }
    let _ = writeln!(out, "      {faint}more{faint:#}: {link}");
}

fn summary(report: &CheckReport) -> String {
    let tally = report.tally;
    let (word, style) = match (report.passed, tally.advice) {
        (false, _) => ("not good", colour(AnsiColor::Red)),
        (true, 0) => ("good", colour(AnsiColor::Green)),
        (true, _) => ("good, with advice", colour(AnsiColor::Green)),
    };
    format!(
        "{style}{word}{style:#}: {} passed, {} failed, {} skipped; {} blocked, {} insecure, {} advice; in {}\n",
        tally.passed,
        tally.failed,
        tally.skipped,
        tally.blocked,
        tally.insecure,
        tally.advice,
        show(report.took)
    )
}

pub(crate) fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(colour.into())).bold()
}

pub(crate) fn dim() -> Style {
    Style::new().dimmed()
}

/// Annotations of a workflow run on GitHub: what fails is an error, other findings are notices.
#[must_use]
pub fn github(url: &str, checked: &Checked) -> String {
    let mut out = String::new();
    let report = match checked {
        Ok(report) => report,
        Err(why) => {
            annotate(&mut out, true, url, &why.to_string());
            return out;
        }
    };
    for outcome in &report.outcomes {
        let title = format!("sse-probe {}: {}", outcome.check, report.url);
        for finding in &outcome.findings {
            let (label, link) = (finding.label(), &outcome.link);
            let text = format!("{label}: {} ({}). {link}", finding.seen, finding.why);
            annotate(&mut out, finding.fails(report.profile), &title, &text);
        }
    }
    out.push_str(&anstream::adapter::strip_str(&summary(report)).to_string());
    out
}

/// One [workflow command](https://docs.github.com/actions/reference/workflow-commands-for-github-actions).
pub(crate) fn annotate(out: &mut String, fails: bool, title: &str, text: &str) {
    let level = if fails { "error" } else { "notice" };
    let line = |text: &str| {
        let text = text.replace('%', "%25");
        text.replace('\r', "%0D").replace('\n', "%0A")
    };
    let title = line(title).replace(':', "%3A").replace(',', "%2C");
    let _ = writeln!(out, "::{level} title={title}::{}", line(text));
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
    let mut text = String::new();
    for finding in &outcome.findings {
        describe(&mut text, finding, &outcome.link, &[]);
    }
    let text = anstream::adapter::strip_str(&text).to_string();
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
    use crate::observe::AttemptError;

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
