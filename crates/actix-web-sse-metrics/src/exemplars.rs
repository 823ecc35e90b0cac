//! The latest traced observation of each bucket of a histogram, with its trace.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::trace::TraceContext;

/// An observation that belongs to a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) trace: TraceContext,
    /// In millionths of the unit.
    pub(crate) micros: u64,
    pub(crate) at: SystemTime,
}

/// The latest of each bucket of a histogram. Empty, and without memory of its own, until the first.
#[derive(Debug, Default)]
pub(crate) struct Exemplars(Mutex<Vec<Option<Exemplar>>>);

impl Exemplars {
    /// Keeps an observation, unless a scrape reads at this moment: the next one will do as well.
    pub(crate) fn note(&self, bucket: usize, exemplar: Exemplar) {
        let Ok(mut buckets) = self.0.try_lock() else {
            return;
        };
        if buckets.len() <= bucket {
            buckets.resize(bucket + 1, None);
        }
        if let Some(slot) = buckets.get_mut(bucket) {
            *slot = Some(exemplar);
        }
    }

    /// Those of all buckets up to the last that has one.
    pub(crate) fn all(&self) -> Vec<Option<Exemplar>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Of each bucket the later one of both.
pub(crate) fn merge(these: &mut Vec<Option<Exemplar>>, others: &[Option<Exemplar>]) {
    if these.len() < others.len() {
        these.resize(others.len(), None);
    }
    for (this, other) in these.iter_mut().zip(others) {
        let later = other.filter(|other| this.is_none_or(|this| this.at < other.at));
        *this = later.or(*this);
    }
}

/// The exemplars of a scrape: by the name of the metric and the route.
#[derive(Debug, Default)]
pub(crate) struct Shown(Vec<Series>);

#[derive(Debug)]
struct Series {
    metric: &'static str,
    route: Arc<str>,
    buckets: Vec<Option<Exemplar>>,
}

impl Shown {
    pub(crate) fn add(
        &mut self,
        metric: &'static str,
        route: &Arc<str>,
        buckets: Vec<Option<Exemplar>>,
    ) {
        if !buckets.is_empty() {
            self.0.push(Series {
                metric,
                route: Arc::clone(route),
                buckets,
            });
        }
    }

    /// Those of a metric's series, one for each bucket.
    pub(crate) fn of(&self, metric: &str, route: &str) -> &[Option<Exemplar>] {
        let mut all = self.0.iter();
        let found = all.find(|series| series.metric == metric && *series.route == *route);
        found.map_or(&[], |series| &series.buckets)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn exemplar(second: u64) -> Exemplar {
        Exemplar {
            trace: TraceContext::new(1, second, true).unwrap(),
            micros: 1,
            at: UNIX_EPOCH + Duration::from_secs(second),
        }
    }

    #[test]
    fn each_bucket_keeps_its_latest() {
        let exemplars = Exemplars::default();
        assert_eq!(exemplars.all(), []);
        for (bucket, second) in [(2, 1), (0, 2), (2, 3)] {
            exemplars.note(bucket, exemplar(second));
        }
        let mut all = exemplars.all();
        assert_eq!(all, [Some(exemplar(2)), None, Some(exemplar(3))]);
        let others = [
            Some(exemplar(1)),
            None,
            Some(exemplar(4)),
            Some(exemplar(1)),
        ];
        merge(&mut all, &others);
        let merged = [
            Some(exemplar(2)),
            None,
            Some(exemplar(4)),
            Some(exemplar(1)),
        ];
        assert_eq!(all, merged);
    }
}
