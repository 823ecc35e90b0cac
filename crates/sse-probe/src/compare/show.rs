//! The comparison for people, for programs, for GitHub.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;

use super::{DiffReport, Difference};
use crate::{
    checks::{Profile, Software, show},
    report::{annotate, colour, describe, dim},
};

/// With ANSI colours; remedies for the software in the list, or for all if it is empty.
#[must_use]
pub fn human(report: &DiffReport, profile: Profile, software: &[Software]) -> String {
    let mut out = String::new();
    let bold = Style::new().bold();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{bold}{}{bold:#} through {bold}{}{bold:#}",
        report.direct, report.public
    );
    for difference in &report.differences {
        let finding = &difference.finding;
        let (mark, style) = if finding.fails(profile) {
            ("FAIL", colour(AnsiColor::Red))
        } else {
            ("note", colour(AnsiColor::Cyan))
        };
        let _ = writeln!(
            out,
            "{style}{mark}{style:#}  {}: {}",
            difference.kind.name(),
            difference.cause
        );
        describe(&mut out, finding, &difference.kind.link(), software);
    }
    if !report.also.is_empty() {
        let faint = dim();
        let names = report.also.join(", ");
        let _ = writeln!(out, "{faint}also different: {names}{faint:#}");
    }
    let failing = report
        .differences
        .iter()
        .filter(|d| d.finding.fails(profile));
    let count = failing.count();
    let hops = match report.software.as_slice() {
        [] => "no hop shows itself".to_owned(),
        list => list.iter().map(|s| s.name()).collect::<Vec<_>>().join(", "),
    };
    let (word, style) = if count == 0 {
        ("the same", colour(AnsiColor::Green))
    } else {
        ("not the same", colour(AnsiColor::Red))
    };
    let _ = writeln!(
        out,
        "{style}{word}{style:#}: {count} differences that matter, seen within {} ({hops})",
        show(report.watched)
    );
    out
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    direct: &'a str,
    public: &'a str,
    passed: bool,
    profile: Profile,
    software: &'a [Software],
    watched_seconds: f64,
    differences: &'a [Difference],
    also: &'a [String],
}

/// As JSON.
#[must_use]
pub fn json(report: &DiffReport, profile: Profile) -> Value {
    let value = serde_json::to_value(Report {
        direct: &report.direct,
        public: &report.public,
        passed: report.passes(profile),
        profile,
        software: &report.software,
        watched_seconds: report.watched.as_secs_f64(),
        differences: &report.differences,
        also: &report.also,
    });
    // These types always serialise.
    value.unwrap_or_default()
}

/// As annotations of a workflow run on GitHub.
#[must_use]
pub fn github(report: &DiffReport, profile: Profile) -> String {
    let mut out = String::new();
    for difference in &report.differences {
        let finding = &difference.finding;
        let level = if finding.fails(profile) {
            "error"
        } else {
            "notice"
        };
        let title = format!(
            "sse-probe diff, {}: {}",
            difference.kind.name(),
            report.public
        );
        let text = format!(
            "{}: {}. {}",
            difference.cause,
            finding.seen,
            difference.kind.link()
        );
        annotate(&mut out, level, &title, &text);
    }
    out
}
