//! How the backplane is, for metrics and readiness checks.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How the backplane is, read when asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackplaneStats {
    /// Redis answers.
    pub connected: bool,
    /// For how long the reader has had no answer; it asks every second at the least.
    pub silent: Duration,
    /// How old the newest event was when it was delivered here, by Redis's clock.
    pub lag: Duration,
    /// Publications that wait for Redis.
    pub pending: u64,
    /// Topics that this node reads.
    pub topics: u64,
    /// Connections that ended, and attempts that failed.
    pub failures: u64,
    /// Events that Redis acknowledged.
    pub published: u64,
    /// Events that Redis did not acknowledge; each of them was an error of its publisher's.
    pub unpublished: u64,
    /// Events that came from Redis and went to the hub.
    pub delivered: u64,
    /// How often streams of a topic ended because Redis no longer had all that they lacked.
    pub holes: u64,
    /// How often the numbering began anew, because Redis had lost its history.
    pub resets: u64,
    /// Revocations that the other nodes have not been told of: there were too many in an outage.
    pub revocations_lost: u64,
    /// Why Redis was last lost.
    pub last_error: Option<String>,
}

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
        BackplaneStats {
            connected: self.connected.load(Relaxed),
            silent: texts.heard.unwrap_or(started).elapsed(),
            lag: Duration::from_micros(count(&self.lag_micros)),
            pending: count(&self.pending),
            topics: count(&self.topics),
            failures: count(&self.failures),
            published: count(&self.published),
            unpublished: count(&self.unpublished),
            delivered: count(&self.delivered),
            holes: count(&self.holes),
            resets: count(&self.resets),
            revocations_lost: count(&self.revocations_lost),
            last_error: texts.last_error.clone(),
        }
    }
}

/// A publication that waits, from when it was asked for to its answer, however that comes.
#[derive(Debug)]
pub(crate) struct Pending(Arc<Gauges>);

impl Pending {
    /// A place among those that wait; none if there are this many.
    pub(crate) fn new(gauges: &Arc<Gauges>, max: usize) -> Option<Self> {
        let waiting = gauges.pending.fetch_add(1, Relaxed);
        let place = Self(Arc::clone(gauges));
        (waiting < max as u64).then_some(place)
    }
}

impl Pending {
    /// Counts how it ended.
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
