//! When each worker of a hub last ran: a thread that is blocked does not say so itself.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The longest time between two ticks of a worker that is well.
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// The ticks of a hub's workers, by worker.
#[derive(Debug)]
pub(crate) struct Ticks {
    start: Instant,
    workers: Mutex<BTreeMap<u64, Weak<AtomicU64>>>,
}

/// A worker's own. With it goes the worker.
#[derive(Debug)]
pub(super) struct Tick {
    start: Instant,
    millis: Arc<AtomicU64>,
}

impl Default for Ticks {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            workers: Mutex::default(),
        }
    }
}

impl Ticks {
    pub(super) fn add(&self, worker: u64) -> Tick {
        let tick = Tick {
            start: self.start,
            millis: Arc::default(),
        };
        tick.now();
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|_, tick| tick.strong_count() > 0);
        workers.insert(worker, Arc::downgrade(&tick.millis));
        tick
    }

    /// How long ago each worker that has streams last ran, by worker.
    pub(super) fn ages(&self) -> Vec<(u64, Duration)> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.start.elapsed();
        let age = |tick: Arc<AtomicU64>| {
            now.saturating_sub(Duration::from_millis(tick.load(Ordering::Relaxed)))
        };
        workers
            .iter()
            .filter_map(|(worker, tick)| Some((*worker, age(tick.upgrade()?))))
            .collect()
    }
}

impl Tick {
    pub(super) fn now(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::rt::test]
    async fn a_worker_is_as_old_as_its_last_tick_and_gone_when_it_ends() {
        tokio::time::pause();
        let ticks = Ticks::default();
        let (well, stuck) = (ticks.add(1), ticks.add(2));
        tokio::time::advance(Duration::from_secs(70)).await;
        well.now();
        let ages = [(1, Duration::ZERO), (2, Duration::from_secs(70))];
        assert_eq!(ticks.ages(), ages);
        drop(stuck);
        assert_eq!(ticks.ages(), ages[..1]);
    }
}
