//! The chart for the project's README: cost per delivery and memory beside the peers.

use std::fmt::Write as _;

use crate::{contestant::Contestant, report::Report};

/// How wide the longest bar is.
const WIDTH: f64 = 36.0;

/// A contestant's line of the chart.
struct Line {
    name: &'static str,
    /// CPU per delivery to that of the floor: median, least, most.
    ratio: (f64, f64, f64),
    /// Private KiB per idle stream.
    memory: Option<f64>,
}

/// Bars of the CPU per delivery with one event in flight, each with its spread over the rounds,
/// and the memory of an idle stream.
pub(crate) fn chart(report: &Report) -> String {
    let lines = report
        .contestants()
        .filter_map(|contestant| {
            Some(Line {
                name: contestant.short_name(),
                ratio: report.spread(contestant)?,
                memory: report.memory(contestant),
            })
        })
        .collect::<Vec<_>>();
    draw(&lines)
}

fn draw(lines: &[Line]) -> String {
    let most = lines.iter().map(|line| line.ratio.0).fold(0.0, f64::max);
    let names = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    let mut text = String::from("```text\nCPU per delivery, × a bare write (spread)");
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:>width$}",
        "KiB per idle stream",
        width = names + 46 - 21
    );
    for line in lines {
        let (median, least, greatest) = line.ratio;
        let bar = bar(median / most * WIDTH);
        let figures = format!("{median:.2} ({least:.2}–{greatest:.2})");
        let memory = line
            .memory
            .map_or_else(|| "–".into(), |kib| format!("{kib:.1}"));
        let _ = writeln!(
            text,
            "{:names$}  {bar} {figures}{memory:>pad$}",
            line.name,
            pad =
                (WIDTH as usize + 24).saturating_sub(bar.chars().count() + figures.chars().count()),
        );
    }
    text.push_str("```\n");
    text
}

/// A bar of whole and half blocks.
fn bar(length: f64) -> String {
    let halves = (length * 2.0).round().max(1.0) as usize;
    let mut bar = "█".repeat(halves / 2);
    if halves % 2 == 1 {
        bar.push('▌');
    }
    bar
}

impl Contestant {
    /// Its name in the chart.
    const fn short_name(self) -> &'static str {
        match self {
            Self::Floor => "bare write (epoll)",
            Self::Ours => "actix-web-sse",
            Self::Http => "actix-web-sse on HttpServer",
            Self::Lab => "actix-web-lab sse",
            Self::Axum => "axum Sse",
            Self::Nchan => "nchan (nginx)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_the_dearest_contestants() {
        let line = |name, median| Line {
            name,
            ratio: (median, median - 0.1, median + 0.1),
            memory: Some(9.7),
        };
        let text = draw(&[line("a", 1.0), line("bb", 2.0)]);
        let bars = text
            .lines()
            .map(|line| line.matches('█').count())
            .collect::<Vec<_>>();
        assert_eq!(bars, [0, 0, 18, 36, 0]);
        assert!(text.contains("2.00 (1.90–2.10)"), "{text}");
        assert!(
            text.lines()
                .nth(3)
                .is_some_and(|line| line.ends_with(" 9.7"))
        );
    }
}
