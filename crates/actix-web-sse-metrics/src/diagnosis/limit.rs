//! The rate limits of reports: one for all, and one for each address.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A token bucket: the burst, and the rate per second.
#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: f32,
    per_second: f32,
}

/// The limit for all clients. An incident shows at a hundred a second as well as at ten thousand.
const ALL: Rate = Rate {
    burst: 200.0,
    per_second: 100.0,
};
/// The limit for one address: a page that reports each of its streams, or an office behind one address.
const EACH: Rate = Rate {
    burst: 10.0,
    per_second: 0.2,
};
/// Addresses share this many buckets, by a keyed hash, so memory is bounded and no client can choose
/// with whom they share.
const SLOTS: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f32,
    at: Duration,
}

impl Bucket {
    const fn full(rate: Rate) -> Self {
        Self {
            tokens: rate.burst,
            at: Duration::ZERO,
        }
    }

    fn take(&mut self, rate: Rate, now: Duration) -> bool {
        let since = now.saturating_sub(self.at).as_secs_f32();
        self.tokens = since.mul_add(rate.per_second, self.tokens).min(rate.burst);
        self.at = now;
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

#[derive(Debug)]
pub(crate) struct ReportLimit {
    buckets: Mutex<(Bucket, Box<[Bucket]>)>,
    hasher: RandomState,
}

impl Default for ReportLimit {
    fn default() -> Self {
        let each = vec![Bucket::full(EACH); SLOTS].into();
        Self {
            buckets: Mutex::new((Bucket::full(ALL), each)),
            hasher: RandomState::new(),
        }
    }
}

impl ReportLimit {
    pub(crate) fn admits(&self, client: impl Hash, now: Duration) -> bool {
        let slot = self.hasher.hash_one(client) as usize % SLOTS;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *buckets;
        // The address first: a flood of one address must not use up the shared bucket.
        each.get_mut(slot)
            .is_none_or(|bucket| bucket.take(EACH, now))
            && all.take(ALL, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_use_up_the_shared_limit() {
        let limit = ReportLimit::default();
        let flood = (0..10_000)
            .filter(|_| limit.admits(0, Duration::ZERO))
            .count();
        assert_eq!(flood, 10);
        let others = (1..=100)
            .filter(|n| limit.admits(n, Duration::ZERO))
            .count();
        assert!(others > 90, "{others}");
    }

    #[test]
    fn all_together_are_bounded_and_come_back_with_time() {
        let limit = ReportLimit::default();
        let flood = |now| (0..10_000).filter(|n| limit.admits(n, now)).count();
        assert_eq!(flood(Duration::ZERO), 200);
        assert_eq!(flood(Duration::from_secs(1)), 100);
    }
}
