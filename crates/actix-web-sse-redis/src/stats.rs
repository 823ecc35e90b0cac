//! Counts and levels for [`BackplaneStats`].

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix_web_sse::BackplaneStats;

/// Counts and levels, written by the backplane's thread.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) connected: AtomicBool,
    pub(crate) lag_micros: AtomicU64,
    pub(crate) pending: AtomicU64,
    pub(crate) topics: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) published: AtomicU64,
    pub(crate) unpublished: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) holes: AtomicU64,
    pub(crate) resets: AtomicU64,
    pub(crate) revocations_lost: AtomicU64,
    pub(crate) uncounted: AtomicU64,
    texts: Mutex<Texts>,
}

#[derive(Debug, Default)]
struct Texts {
    heard: Option<Instant>,
    last_error: Option<String>,
    epoch: Option<String>,
}

impl Gauges {
    fn texts(&self) -> std::sync::MutexGuard<'_, Texts> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the reader's last answer.
    pub(crate) fn silent(&self, started: Instant) -> Duration {
        self.texts().heard.unwrap_or(started).elapsed()
    }

    pub(crate) fn heard(&self) {
        self.texts().heard = Some(Instant::now());
    }

    pub(crate) fn failed(&self, why: String) {
        self.connected.store(false, Relaxed);
        self.failures.fetch_add(1, Relaxed);
        self.texts().last_error = Some(why);
    }

    pub(crate) fn set_epoch(&self, epoch: &str) {
        self.texts().epoch = Some(epoch.to_owned());
    }

    pub(crate) fn epoch(&self) -> Option<String> {
        self.texts().epoch.clone()
    }

    pub(crate) fn read(&self, started: Instant) -> BackplaneStats {
        let texts = self.texts();
        let count = |gauge: &AtomicU64| gauge.load(Relaxed);
        let mut stats = BackplaneStats::default();
        stats.connected = self.connected.load(Relaxed);
        stats.silent = texts.heard.unwrap_or(started).elapsed();
        stats.lag = Duration::from_micros(count(&self.lag_micros));
        stats.pending = count(&self.pending);
        stats.topics = count(&self.topics);
        stats.failures = count(&self.failures);
        stats.published = count(&self.published);
        stats.unpublished = count(&self.unpublished);
        stats.delivered = count(&self.delivered);
        stats.holes = count(&self.holes);
        stats.resets = count(&self.resets);
        stats.revocations_lost = count(&self.revocations_lost);
        stats.uncounted = count(&self.uncounted);
        stats.last_error.clone_from(&texts.last_error);
        stats
    }
}

/// A publication that waits for its answer. Counted as pending until this is dropped.
#[derive(Debug)]
pub(crate) struct Pending(Arc<Gauges>);

impl Pending {
    /// Counts one more pending publication; `None` if there are `max` already.
    pub(crate) fn new(gauges: &Arc<Gauges>, max: usize) -> Option<Self> {
        let waiting = gauges.pending.fetch_add(1, Relaxed);
        let place = Self(Arc::clone(gauges));
        (waiting < max as u64).then_some(place)
    }
}

impl Pending {
    /// Counts the result.
    pub(crate) fn over(&self, acknowledged: bool) {
        let count = match acknowledged {
            true => &self.0.published,
            false => &self.0.unpublished,
        };
        count.fetch_add(1, Relaxed);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Relaxed);
    }
}
