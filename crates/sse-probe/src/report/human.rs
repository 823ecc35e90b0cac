//! For people: colour, one line per check, findings with what to change; and annotations for GitHub.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::{CheckReport, Checked};
use crate::checks::{
    CheckResult, Finding, FindingKind, Outcome, Profile, Remedy, Software, Verdict, link, show,
};

/// The report with ANSI colours; write it through `anstream`, which takes them out where they are not wanted.
///
/// Remedies are given for actix, for the page, and for the hops in `software`; for all of them if it is empty.
#[must_use]
pub fn human(report: &CheckReport, profile: Profile, software: &[Software]) -> String {
    let mut out = String::new();
    let bold = Style::new().bold();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{bold}{}{bold:#}", report.url);
    for outcome in &report.outcomes {
        line(&mut out, outcome, profile);
        for finding in outcome.findings() {
            describe(&mut out, finding, &link(outcome.check), software);
        }
    }
    out.push_str(&summary(report, profile));
    out
}

fn line(out: &mut String, outcome: &Outcome, profile: Profile) {
    let (mark, style) = match outcome.result(profile) {
        CheckResult::Skipped => ("skip", dim()),
        CheckResult::Failed => ("FAIL", colour(AnsiColor::Red)),
        CheckResult::Passed if outcome.findings().is_empty() => ("good", colour(AnsiColor::Green)),
        CheckResult::Passed => ("note", colour(AnsiColor::Cyan)),
    };
    let (Verdict::Judged(seen, _) | Verdict::Skipped(seen)) = &outcome.verdict;
    let faint = dim();
    let _ = writeln!(
        out,
        "{style}{mark}{style:#}  {} {faint}[{}]{faint:#}: {seen}",
        outcome.title, outcome.check
    );
}

/// One finding, indented below its check.
pub(crate) fn describe(out: &mut String, finding: &Finding, link: &str, software: &[Software]) {
    let style = match finding.kind {
        FindingKind::Blocked => colour(AnsiColor::Red),
        FindingKind::Insecure => colour(AnsiColor::Magenta),
        FindingKind::Advice => colour(AnsiColor::Cyan),
    };
    let faint = dim();
    let kind = label(finding);
    let _ = writeln!(out, "      {style}{kind}{style:#}: {}", finding.seen);
    let _ = writeln!(out, "      {faint}why{faint:#}: {}", finding.why);
    for remedy in chosen(finding.remedies, software) {
        let _ = writeln!(
            out,
            "      {faint}{}{faint:#}: {}",
            remedy.software, remedy.change
        );
    }
    let _ = writeln!(out, "      {faint}more{faint:#}: {link}");
}

/// `expected` for what the user asked for, else the kind.
fn label(finding: &Finding) -> &'static str {
    if finding.expected && finding.kind == FindingKind::Advice {
        "expected"
    } else {
        finding.kind.as_str()
    }
}

fn chosen<'a>(
    remedies: &'a [Remedy],
    software: &'a [Software],
) -> impl Iterator<Item = &'a Remedy> {
    remedies.iter().filter(move |r| {
        let always = matches!(r.software, Software::Actix | Software::Page);
        software.is_empty() || always || software.contains(&r.software)
    })
}

fn summary(report: &CheckReport, profile: Profile) -> String {
    let tally = report.tally(profile);
    let (word, style) = match (report.passes(profile), tally.advice) {
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
pub fn github(url: &str, checked: &Checked, profile: Profile) -> String {
    let mut out = String::new();
    match checked {
        Err(why) => annotate(&mut out, "error", url, &why.to_string()),
        Ok(report) => {
            for outcome in &report.outcomes {
                for finding in outcome.findings() {
                    let level = if finding.fails(profile) {
                        "error"
                    } else {
                        "notice"
                    };
                    let text = format!(
                        "{}: {} ({}). {}",
                        label(finding),
                        finding.seen,
                        finding.why,
                        link(outcome.check)
                    );
                    let title = format!("sse-probe {}: {}", outcome.check, report.url);
                    annotate(&mut out, level, &title, &text);
                }
            }
            let plain = anstream::adapter::strip_str(&summary(report, profile)).to_string();
            out.push_str(&plain);
        }
    }
    out
}

/// One [workflow command](https://docs.github.com/actions/reference/workflow-commands-for-github-actions).
pub(crate) fn annotate(out: &mut String, level: &str, title: &str, text: &str) {
    let data = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let title = data(title).replace(':', "%3A").replace(',', "%2C");
    let _ = writeln!(out, "::{level} title={title}::{}", data(text));
}
