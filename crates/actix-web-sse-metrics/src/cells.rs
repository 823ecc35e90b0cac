//! Counters and histograms that one thread writes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use crate::{
    exemplars::{Exemplar, Exemplars, merge},
    trace::TraceContext,
};

/// A counter that one thread raises and others read: a plain load and store instead of a locked
/// instruction, on a cache line that no other worker writes.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    pub(crate) fn add(&self, count: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(count);
        self.0.store(sum, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a histogram has counted, not cumulative; the last bucket is that above all bounds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) counts: Vec<u64>,
    /// In millionths of the unit.
    pub(crate) sum: u64,
    /// By bucket; fewer than buckets, or none.
    pub(crate) exemplars: Vec<Option<Exemplar>>,
}

impl Snapshot {
    pub(crate) fn empty(bounds: &[f64]) -> Self {
        Self {
            counts: vec![0; bounds.len() + 1],
            sum: 0,
            exemplars: Vec::new(),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum = self.sum.wrapping_add(other.sum);
        merge(&mut self.exemplars, &other.exemplars);
    }
}

/// The bounds of a histogram in millionths, so that an observation compares integers.
fn micro_bounds(bounds: &[f64]) -> Box<[u64]> {
    // The catalogue's bounds are positive and small; the cast is exact for them.
    bounds
        .iter()
        .map(|bound| (bound * 1e6).round() as u64)
        .collect()
}

/// Millionths of a second, rounded to the nearest.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from((duration.as_nanos() + 500) / 1000).unwrap_or(u64::MAX)
}

/// A histogram that one thread writes.
#[derive(Debug)]
pub(crate) struct CellHistogram {
    bounds: Box<[u64]>,
    counts: Box<[Cell]>,
    sum: Cell,
    exemplars: Exemplars,
}

impl CellHistogram {
    pub(crate) fn new(bounds: &[f64]) -> Self {
        Self {
            bounds: micro_bounds(bounds),
            counts: (0..=bounds.len()).map(|_| Cell::default()).collect(),
            sum: Cell::default(),
            exemplars: Exemplars::default(),
        }
    }

    /// Counts a value given in millionths of the unit.
    pub(crate) fn observe(&self, micros: u64) {
        if let Some(count) = self.counts.get(self.bucket(micros)) {
            count.add(1);
        }
        self.sum.add(micros);
    }

    /// Keeps a value that was counted as the latest of its bucket that belongs to a trace.
    pub(crate) fn exemplify(&self, micros: u64, trace: TraceContext) {
        let at = SystemTime::now();
        let exemplar = Exemplar { trace, micros, at };
        self.exemplars.note(self.bucket(micros), exemplar);
    }

    fn bucket(&self, micros: u64) -> usize {
        self.bounds.partition_point(|bound| *bound < micros)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            counts: self.counts.iter().map(Cell::get).collect(),
            sum: self.sum.get(),
            exemplars: self.exemplars.all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_on_a_bound_belongs_to_that_bucket() {
        let histogram = CellHistogram::new(&[0.25, 1.0]);
        for micros in [250_000, 250_001, 1_000_000, 9_000_000] {
            histogram.observe(micros);
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.counts, [1, 2, 1]);
        assert_eq!(snapshot.sum, 10_500_001);
    }
}
