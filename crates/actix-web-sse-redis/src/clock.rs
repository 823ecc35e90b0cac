//! An estimate of Redis's clock.

use std::time::{Duration, Instant};

/// How long an estimate is used: clocks drift and are set.
const FRESH: Duration = Duration::from_secs(30);

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
            .filter(|known| known.then.elapsed() <= FRESH * 2)
            .filter(|known| known.micros() < new.micros())
            .unwrap_or(new)
    }

    /// Whether Redis should be asked again.
    pub(crate) fn is_old(self) -> bool {
        self.then.elapsed() > FRESH
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

    fn ago(seconds: u64) -> Instant {
        Instant::now() - Duration::from_secs(seconds)
    }

    #[test]
    fn the_faster_answer_is_kept_until_it_is_old() {
        // Asked two seconds ago, answered at once.
        let fast = Clock::better(None, ago(2), 100 * SECOND);
        // Asked a second ago; the answer took half a second on its way to Redis.
        let kept = Clock::better(Some(fast), ago(1), 101 * SECOND + SECOND / 2);
        assert_eq!(kept.micros / SECOND, 100);
        let old = Clock::better(None, ago(61), 0);
        let fresh = Clock::better(Some(old), ago(1), 90 * SECOND);
        assert_eq!(fresh.micros, 90 * SECOND);
        assert!(old.is_old() && !fresh.is_old());
    }

    #[test]
    fn it_goes_on_by_itself() {
        let clock = Clock::better(None, ago(5), SECOND);
        assert!((6 * SECOND..7 * SECOND).contains(&clock.micros()));
    }
}
