//! For people: colour, one line per check, findings with what to change.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::CheckReport;
use crate::{
    advice::{Remedy, Software},
    check::{Outcome, Verdict, show},
    finding::{Finding, Level},
};

/// The report with ANSI colours; write it through `anstream`, which takes them out where they are not wanted.
///
/// Remedies are given for actix and for the hops in `software`; for all of them if it is empty.
#[must_use]
pub fn human(report: &CheckReport, software: &[Software]) -> String {
    let mut out = String::new();
    let bold = Style::new().bold();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{bold}{}{bold:#}", report.url);
    for outcome in &report.outcomes {
        line(&mut out, outcome);
        for finding in outcome.findings() {
            describe(&mut out, finding, software);
        }
    }
    out.push_str(&summary(report));
    out
}

fn line(out: &mut String, outcome: &Outcome) {
    let (mark, style) = match (&outcome.verdict, outcome.worst()) {
        (Verdict::Skipped(_), _) => ("skip", dim()),
        (_, Some(Level::Fault)) => ("FAIL", colour(AnsiColor::Red)),
        (_, Some(Level::Warning)) => ("warn", colour(AnsiColor::Yellow)),
        _ => ("good", colour(AnsiColor::Green)),
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
pub(crate) fn describe(out: &mut String, finding: &Finding, software: &[Software]) {
    let style = match finding.level {
        Level::Fault => colour(AnsiColor::Red),
        Level::Warning => colour(AnsiColor::Yellow),
        Level::Note => colour(AnsiColor::Cyan),
    };
    let faint = dim();
    let _ = writeln!(
        out,
        "      {style}{}{style:#}: {}",
        finding.level, finding.seen
    );
    let _ = writeln!(out, "      {faint}why{faint:#}: {}", finding.why);
    for remedy in chosen(finding.remedies, software) {
        let _ = writeln!(
            out,
            "      {faint}{}{faint:#}: {}",
            remedy.software, remedy.change
        );
    }
}

fn chosen<'a>(
    remedies: &'a [Remedy],
    software: &'a [Software],
) -> impl Iterator<Item = &'a Remedy> {
    remedies.iter().filter(move |r| {
        software.is_empty() || r.software == Software::Actix || software.contains(&r.software)
    })
}

fn summary(report: &CheckReport) -> String {
    let tally = report.tally();
    let (word, style) = match report.worst() {
        Some(Level::Fault) => ("not good", colour(AnsiColor::Red)),
        Some(Level::Warning) => ("good, with warnings", colour(AnsiColor::Yellow)),
        _ => ("good", colour(AnsiColor::Green)),
    };
    format!(
        "{style}{word}{style:#}: {} passed, {} failed, {} skipped; {} faults, {} warnings, {} notes; in {}\n",
        tally.passed,
        tally.failed,
        tally.skipped,
        tally.faults,
        tally.warnings,
        tally.notes,
        show(report.took)
    )
}

pub(crate) fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(colour.into())).bold()
}

pub(crate) fn dim() -> Style {
    Style::new().dimmed()
}
