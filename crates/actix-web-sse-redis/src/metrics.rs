//! Counts and levels for [`BackplaneStats`], and an estimate of Redis's clock.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix_web_sse::BackplaneStats;

use crate::config::RedisConfig;

/// Counts and levels, written by the backplane's thread.
#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) connected: AtomicBool,
    pub(crate) lag_micros: AtomicU64,
    pending: AtomicU64,
    pending_bytes: AtomicU64,
    pub(crate) failures: AtomicU64,
    published: AtomicU64,
    unpublished: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) holes: AtomicU64,
    pub(crate) resets: AtomicU64,
    pub(crate) revocations_lost: AtomicU64,
    pub(crate) uncounted: AtomicU64,
    heard: Mutex<Instant>,
    last_error: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gauges {
    pub(crate) fn new() -> Self {
        let count = || AtomicU64::new(0);
        Self {
            connected: AtomicBool::new(false),
            lag_micros: count(),
            pending: count(),
            pending_bytes: count(),
            failures: count(),
            published: count(),
            unpublished: count(),
            delivered: count(),
            holes: count(),
            resets: count(),
            revocations_lost: count(),
            uncounted: count(),
            heard: Mutex::new(Instant::now()),
            last_error: Mutex::new(None),
        }
    }

    /// The time since the reader's last answer, or since the start.
    pub(crate) fn silent(&self) -> Duration {
        lock(&self.heard).elapsed()
    }

    pub(crate) fn heard(&self) {
        *lock(&self.heard) = Instant::now();
    }

    pub(crate) fn trouble(&self, why: String) {
        *lock(&self.last_error) = Some(why);
    }

    pub(crate) fn read(&self, topics: usize) -> BackplaneStats {
        let count = |gauge: &AtomicU64| gauge.load(Relaxed);
        let mut stats = BackplaneStats::default();
        stats.connected = self.connected.load(Relaxed);
        stats.silent = self.silent();
        stats.lag = Duration::from_micros(count(&self.lag_micros));
        stats.pending = count(&self.pending);
        stats.topics = topics as u64;
        stats.failures = count(&self.failures);
        stats.published = count(&self.published);
        stats.unpublished = count(&self.unpublished);
        stats.delivered = count(&self.delivered);
        stats.holes = count(&self.holes);
        stats.resets = count(&self.resets);
        stats.revocations_lost = count(&self.revocations_lost);
        stats.uncounted = count(&self.uncounted);
        stats.last_error.clone_from(&lock(&self.last_error));
        stats
    }
}

/// A publication that waits for its answer. It is pending until this is dropped, and failed unless it was
/// acknowledged by then.
#[derive(Debug)]
pub(crate) struct Pending {
    gauges: Arc<Gauges>,
    bytes: u64,
    acknowledged: bool,
}

impl Pending {
    /// Counts one more.
    ///
    /// # Errors
    /// There are as many as may be, or as many bytes.
    pub(crate) fn new(
        gauges: &Arc<Gauges>,
        bytes: usize,
        config: &RedisConfig,
    ) -> Result<Self, String> {
        let bytes = bytes as u64;
        let waiting = gauges.pending.fetch_add(1, Relaxed);
        let waiting_bytes = gauges.pending_bytes.fetch_add(bytes, Relaxed);
        let pending = Self {
            gauges: Arc::clone(gauges),
            bytes,
            acknowledged: false,
        };
        let (most, most_bytes) = (config.max_pending, config.max_pending_bytes);
        if waiting >= most as u64 {
            return Err(format!(
                "{most} publications wait for Redis already (max_pending)"
            ));
        }
        // A single one is always taken.
        if waiting_bytes > 0 && waiting_bytes + bytes > most_bytes as u64 {
            return Err(format!(
                "{waiting_bytes} bytes wait for Redis already (max_pending_bytes is {most_bytes})"
            ));
        }
        Ok(pending)
    }

    pub(crate) fn acknowledge(mut self) {
        self.acknowledged = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let outcome = match self.acknowledged {
            true => &self.gauges.published,
            false => &self.gauges.unpublished,
        };
        outcome.fetch_add(1, Relaxed);
        self.gauges.pending.fetch_sub(1, Relaxed);
        self.gauges.pending_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// How long an estimate is used: clocks drift and are set.
const FRESH: Duration = Duration::from_secs(60);

/// The time of Redis's clock at an instant of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    then: Instant,
    micros: u64,
}

impl Clock {
    /// Combines an estimate with a new answer (`micros`), which is taken as the time when the
    /// question was sent: a slow answer makes events look older, never younger. The answer with the
    /// shorter delay is kept unless it is old.
    pub(crate) fn better(known: Option<Self>, asked: Instant, micros: u64) -> Self {
        let new = Self {
            then: asked,
            micros,
        };
        known
            .filter(|known| known.then.elapsed() <= FRESH)
            .filter(|known| known.micros() < new.micros())
            .unwrap_or(new)
    }

    /// The estimated time, in microseconds since the Unix epoch.
    pub(crate) fn micros(self) -> u64 {
        let passed = u64::try_from(self.then.elapsed().as_micros()).unwrap_or_default();
        self.micros.saturating_add(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn the_faster_answer_is_kept_until_it_is_old() {
        let now = Instant::now();
        let ago = |seconds| now - Duration::from_secs(seconds);
        // Asked two seconds ago, answered at once.
        let fast = Clock::better(None, ago(2), 100 * SECOND);
        // Asked a second ago; the answer took half a second on its way to Redis.
        let kept = Clock::better(Some(fast), ago(1), 101 * SECOND + SECOND / 2);
        assert_eq!(kept.micros / SECOND, 100);
        let old = Clock::better(None, ago(61), 0);
        let fresh = Clock::better(Some(old), ago(1), 90 * SECOND);
        assert_eq!(fresh.micros, 90 * SECOND);
    }

    #[test]
    fn it_goes_on_by_itself() {
        let then = Instant::now() - Duration::from_secs(5);
        let clock = Clock::better(None, then, SECOND);
        let micros = clock.micros();
        let most = u64::try_from(then.elapsed().as_micros()).unwrap() + SECOND;
        assert!((6 * SECOND..=most).contains(&micros), "{micros}");
    }

    #[test]
    fn bytes_that_wait_are_bounded_and_counted_out() {
        let gauges = Arc::new(Gauges::new());
        let config = RedisConfig {
            max_pending_bytes: 100,
            ..RedisConfig::default()
        };
        let first = Pending::new(&gauges, 500, &config).unwrap();
        let refused = Pending::new(&gauges, 1, &config).unwrap_err();
        assert!(refused.contains("max_pending_bytes"), "{refused}");
        first.acknowledge();
        let stats = gauges.read(0);
        assert_eq!(
            (stats.pending, stats.published, stats.unpublished),
            (0, 1, 1)
        );
        assert!(Pending::new(&gauges, 1, &config).is_ok());
    }
}
