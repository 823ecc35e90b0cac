//! The comparison for people and for programs.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json as object};

use super::DiffReport;
use crate::{
    advice::Software,
    check::show,
    finding::Level,
    report::{colour, describe, finding_json},
};

/// With ANSI colours; remedies for the software in the list, or for all if it is empty.
#[must_use]
pub fn human(report: &DiffReport, software: &[Software]) -> String {
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
        let (mark, style) = match finding.level {
            Level::Fault => ("FAIL", colour(AnsiColor::Red)),
            Level::Warning => ("warn", colour(AnsiColor::Yellow)),
            Level::Note => ("note", colour(AnsiColor::Cyan)),
        };
        let _ = writeln!(
            out,
            "{style}{mark}{style:#}  {}: {}",
            difference.kind.name(),
            difference.cause
        );
        describe(&mut out, finding, software);
    }
    let count = report
        .differences
        .iter()
        .filter(|d| d.finding.level > Level::Note)
        .count();
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

/// As JSON.
#[must_use]
pub fn json(report: &DiffReport) -> Value {
    let differences: Vec<Value> = report
        .differences
        .iter()
        .map(|d| {
            object!({
                "kind": d.kind.name(),
                "cause": d.cause,
                "finding": finding_json(&d.finding),
            })
        })
        .collect();
    object!({
        "direct": report.direct,
        "public": report.public,
        "clean": report.is_clean_of(Level::Warning),
        "software": report.software.iter().map(|s| s.name()).collect::<Vec<_>>(),
        "watchedSeconds": report.watched.as_secs_f64(),
        "differences": differences,
    })
}
