//! For CI systems: one JUnit test case per check.

use std::fmt::Write as _;

use super::CheckReport;
use crate::{
    check::{Outcome, Verdict},
    finding::Level,
};

/// The report as JUnit XML. Findings of `fail_on` and worse are failures; others stand in the output.
#[must_use]
pub fn junit(report: &CheckReport, fail_on: Level) -> String {
    let failures = report
        .outcomes
        .iter()
        .filter(|o| o.worst() >= Some(fail_on))
        .count();
    let skipped = report.tally().skipped;
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<testsuites><testsuite name=\"sse-probe {}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{:.3}\">",
        escape(&report.url),
        report.outcomes.len(),
        report.took.as_secs_f64()
    );
    for outcome in &report.outcomes {
        case(&mut out, outcome, fail_on);
    }
    out.push_str("</testsuite></testsuites>\n");
    out
}

fn case(out: &mut String, outcome: &Outcome, fail_on: Level) {
    let _ = write!(
        out,
        "  <testcase classname=\"sse-probe\" name=\"{}\">",
        escape(outcome.check)
    );
    match &outcome.verdict {
        Verdict::Skipped(why) => {
            let _ = write!(out, "<skipped message=\"{}\"/>", escape(why));
        }
        Verdict::Judged(seen, findings) => {
            let mut text = String::new();
            for finding in findings {
                let _ = writeln!(
                    text,
                    "{}: {}\nwhy: {}",
                    finding.level, finding.seen, finding.why
                );
                for remedy in finding.remedies {
                    let _ = writeln!(text, "{}: {}", remedy.software, remedy.change);
                }
            }
            let (seen, text) = (escape(seen), escape(&text));
            if outcome.worst() >= Some(fail_on) {
                let _ = write!(out, "<failure message=\"{seen}\">{text}</failure>");
            } else {
                let _ = write!(out, "<system-out>{seen}\n{text}</system-out>");
            }
        }
    }
    out.push_str("</testcase>\n");
}

/// Text for XML 1.0, which has no form at all for most control characters.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out_of_the_xml() {
        assert_eq!(
            escape("<a b=\"c\">&\u{1}"),
            "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}"
        );
    }
}
