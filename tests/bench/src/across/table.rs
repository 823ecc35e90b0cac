//! The tables of what goes through Redis.

use std::fmt;

use super::Plan;
use crate::{report::cell, statistics::median};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    Local,
    Bare,
    Across,
}

impl Row {
    const ALL: [Self; 3] = [Self::Local, Self::Bare, Self::Across];

    const fn name(self) -> &'static str {
        match self {
            Self::Local => "one hub, without Redis",
            Self::Bare => "bare `XADD` and `XREAD`",
            Self::Across => "from node to node, through Redis",
        }
    }
}

/// All rounds.
#[derive(Debug)]
pub(super) struct Table {
    plan: Plan,
    version: String,
    /// Of each round: the median and the 99th percentile, microseconds.
    latencies: Vec<(Row, usize, f64, f64)>,
    /// Of each round: events per second.
    rates: Vec<(Row, Vec<f64>)>,
}

impl Table {
    pub(super) fn new(plan: &Plan, version: String) -> Self {
        Self {
            plan: plan.clone(),
            version,
            latencies: Vec::new(),
            rates: Vec::new(),
        }
    }

    pub(super) fn latency(&mut self, row: Row, topics: usize, times: &[f64]) {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times.get(times.len() * part / 100).copied();
        let (half, most) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
        self.latencies.push((row, topics, half, most));
    }

    pub(super) fn rates(&mut self, row: Row, rates: &[f64]) {
        self.rates.push((row, rates.to_vec()));
    }

    /// A figure of each round.
    fn times(&self, row: Row, topics: usize, which: fn(f64, f64) -> f64) -> Vec<f64> {
        let known = self.latencies.iter();
        known
            .filter(|(of, at, ..)| *of == row && *at == topics)
            .map(|(.., half, most)| which(*half, *most))
            .collect()
    }

    fn rate(&self, row: Row, which: usize) -> Vec<f64> {
        let known = self.rates.iter().filter(|(of, _)| *of == row);
        known
            .filter_map(|(_, rates)| rates.get(which).copied())
            .collect()
    }
}

/// The median of the ratios, each to the other's figure of the same round.
fn ratio(own: &[f64], other: &[f64]) -> Option<f64> {
    median(
        own.iter()
            .zip(other)
            .map(|(own, other)| own / other)
            .collect(),
    )
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "redis-server {} on one core, without a file; nodes and clients on another; events of \
             100 bytes; medians of {} rounds, and of the ratios in each round.\n",
            self.version, self.plan.rounds
        )?;
        writeln!(
            f,
            "| from the call of publish to the client, one event at a time | topics that are read \
             | median µs | to no Redis | to the bare commands | 99th percentile µs |\n|---|---|---|---|---|---|"
        )?;
        for (topics, _) in self.plan.latencies {
            let half = |row| self.times(row, topics, |half, _| half);
            for row in Row::ALL {
                let to = |other| match row == other {
                    true => None,
                    false => ratio(&half(row), &half(other)),
                };
                writeln!(
                    f,
                    "| {} | {topics} | {} | {} | {} | {} |",
                    row.name(),
                    cell(median(half(row)), 0),
                    cell(to(Row::Local), 1),
                    cell(to(Row::Bare), 2),
                    cell(median(self.times(row, topics, |_, most| most)), 0),
                )?;
            }
        }
        writeln!(
            f,
            "\n| events per second, to the last at the client | a publisher that waits | to no \
             Redis | to the bare commands | {} under way | to no Redis | to the bare commands \
             |\n|---|---|---|---|---|---|---|",
            self.plan.under_way
        )?;
        for row in Row::ALL {
            write!(f, "| {} |", row.name())?;
            for which in 0..2 {
                let own = self.rate(row, which);
                let to = |other| match row == other {
                    true => None,
                    false => ratio(&own, &self.rate(other, which)),
                };
                let (local, bare) = (to(Row::Local), to(Row::Bare));
                write!(
                    f,
                    " {} | {} | {} |",
                    cell(median(own.clone()), 0),
                    cell(local, 3),
                    cell(bare, 2)
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_to_the_other_of_the_same_round() {
        let mut table = Table::new(&Plan::quick(), "7".to_owned());
        for (local, across) in [(1.0, 10.0), (2.0, 60.0), (1.0, 20.0)] {
            table.latency(Row::Local, 1, &[local]);
            table.latency(Row::Across, 1, &[across]);
        }
        let half = |row| table.times(row, 1, |half, _| half);
        assert_eq!(ratio(&half(Row::Across), &half(Row::Local)), Some(20.0));
        assert_eq!(ratio(&half(Row::Across), &half(Row::Bare)), None);
    }
}
