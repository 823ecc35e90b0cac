//! How many requests a second each address may make.
//!
//! One number per address (the generic cell rate algorithm, GCRA): the time at which its budget
//! is whole again. A request adds the time that one costs; it is refused if that would reach more
//! than a second ahead. An address whose budget is whole is as one that was never seen, so that
//! its entry can go: the table holds only addresses of the last second.
//!
//! The table is bounded. When it is full, addresses that it has keep their own budget, and those
//! that it has not share [`SHARED`] budgets by a keyed hash: nobody is locked out by the table,
//! and nobody gets past the limit.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use dashmap::{DashMap, Entry};
use tokio::time::Instant;

use super::address::ClientKey;

/// How many addresses have a budget of their own: about 3 MiB.
const MAX_ADDRESSES: usize = 65_536;

/// How many budgets those share that have none of their own.
const SHARED: usize = 1024;

/// Below this capacity the table is not worth shrinking.
const SMALL: usize = 1024;

/// How often a full table is looked through, which takes a millisecond or two.
const FULL_PAUSE: u64 = SECOND / 20;

/// In which stretch of time a whole budget comes back.
const SECOND: u64 = Duration::from_secs(1).as_nanos() as u64;

/// The budgets of all addresses.
#[derive(Debug)]
pub(super) struct Attempts {
    start: Instant,
    /// When the budget of each is whole again, in nanoseconds since `start`.
    known: DashMap<ClientKey, u64>,
    addresses: AtomicUsize,
    max: usize,
    shared: Box<[AtomicU64]>,
    hasher: RandomState,
    /// When entries without use were last removed.
    swept: AtomicU64,
}

/// One request's cost, for giving it back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    key: ClientKey,
    cost: u64,
}

impl Attempts {
    /// The cost of one request has to be at least a nanosecond.
    pub(super) const MAX_RATE: u32 = 1_000_000;

    pub(super) fn new(start: Instant) -> Self {
        Self::bounded(start, MAX_ADDRESSES)
    }

    fn bounded(start: Instant, max: usize) -> Self {
        Self {
            start,
            known: DashMap::new(),
            addresses: AtomicUsize::new(0),
            max,
            shared: (0..SHARED).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            swept: AtomicU64::new(0),
        }
    }

    /// Takes one request of this address out of its `limit` per second; `None` if there is
    /// nothing left.
    pub(super) fn spend(&self, key: ClientKey, limit: u32, now: Instant) -> Option<Attempt> {
        let now = self.nanos(now);
        self.sweep(now);
        let cost = SECOND / u64::from(limit.clamp(1, Self::MAX_RATE));
        let spent = |whole_at: u64| {
            let whole_at = whole_at.max(now).saturating_add(cost);
            (whole_at - now <= SECOND).then_some(whole_at)
        };
        match self.known.entry(key) {
            Entry::Occupied(mut entry) => {
                let whole_at = spent(*entry.get())?;
                entry.insert(whole_at);
            }
            Entry::Vacant(entry) if self.addresses.fetch_add(1, Relaxed) < self.max => {
                entry.insert(now.saturating_add(cost));
            }
            Entry::Vacant(_) => {
                self.addresses.fetch_sub(1, Relaxed);
                let shared_budget = self.shared_budget(&key)?;
                shared_budget.fetch_update(Relaxed, Relaxed, spent).ok()?;
            }
        }
        Some(Attempt { key, cost })
    }

    /// The request turned out to be none that counts.
    pub(super) fn give_back(&self, attempt: Attempt) {
        if let Some(mut whole_at) = self.known.get_mut(&attempt.key) {
            *whole_at = whole_at.saturating_sub(attempt.cost);
        }
        // One without an entry has a whole budget, or shares one that is whole within a second.
    }

    fn shared_budget(&self, key: &ClientKey) -> Option<&AtomicU64> {
        self.shared.get(self.hasher.hash_one(key) as usize % SHARED)
    }

    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// Once a second, and more often when the table is full, removes the addresses whose budget is
    /// whole.
    fn sweep(&self, now: u64) {
        let addresses = self.addresses.load(Relaxed);
        let pause = if addresses < self.max {
            SECOND
        } else {
            FULL_PAUSE
        };
        let swept = self.swept.load(Relaxed);
        let due = now.saturating_sub(swept) >= pause && addresses > 0;
        if !due
            || self
                .swept
                .compare_exchange(swept, now, Relaxed, Relaxed)
                .is_err()
        {
            return;
        }
        let mut removed = 0;
        self.known.retain(|_, whole_at| {
            let keep = *whole_at > now;
            removed += usize::from(!keep);
            keep
        });
        let kept = self.addresses.fetch_sub(removed, Relaxed) - removed;
        let capacity = self.known.capacity();
        if capacity > SMALL && kept < capacity / 8 {
            self.known.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, thread};

    use proptest::prelude::*;

    use super::*;

    fn key(n: u32) -> ClientKey {
        ClientKey::of(Some(IpAddr::from(n.to_be_bytes())), 64)
    }

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// How many of these requests are let in.
    fn spend(attempts: &Attempts, keys: impl IntoIterator<Item = u32>, now: Instant) -> usize {
        let keys = keys.into_iter();
        keys.filter(|n| attempts.spend(key(*n), 10, now).is_some())
            .count()
    }

    #[test]
    fn h02_an_address_spends_its_own_budget_and_no_other() {
        let start = Instant::now();
        let attempts = Attempts::new(start);
        assert_eq!(spend(&attempts, [0; 1000], start), 10);
        assert_eq!(spend(&attempts, 1..=100, start), 100);
        assert_eq!(spend(&attempts, [0; 1000], start + millis(99)), 0);
        assert_eq!(spend(&attempts, [0; 1000], start + millis(100)), 1);
        assert_eq!(spend(&attempts, [0; 1000], start + millis(1200)), 10);
    }

    #[test]
    fn what_is_given_back_can_be_spent_again() {
        let start = Instant::now();
        let attempts = Attempts::new(start);
        for _ in 0..1000 {
            let attempt = attempts.spend(key(1), 1, start).unwrap();
            attempts.give_back(attempt);
        }
        assert!(attempts.spend(key(1), 1, start).is_some());
        assert!(attempts.spend(key(1), 1, start).is_none());
    }

    #[test]
    fn l15_a_million_addresses_are_bounded_and_leave_nothing_behind() {
        let start = Instant::now();
        let attempts = Attempts::new(start);
        assert_eq!(spend(&attempts, [0; 5], start), 5);
        let mut admitted = 0;
        for n in 1..=1_000_000_u32 {
            admitted += spend(&attempts, [n], start);
        }
        assert_eq!(attempts.known.len(), MAX_ADDRESSES);
        // The gate is not open: what has no entry shares the budgets that are shared.
        let most = MAX_ADDRESSES - 1 + SHARED * 10;
        assert!(admitted <= most, "{admitted}");
        // Nobody who is known is locked out.
        assert_eq!(spend(&attempts, [0; 20], start), 5);
        // Within a second others have a budget of their own again.
        assert_eq!(spend(&attempts, [2_000_000; 20], start + millis(1000)), 10);
        assert_eq!(attempts.known.len(), 1);
        assert!(
            attempts.known.capacity() <= SMALL,
            "{}",
            attempts.known.capacity()
        );
    }

    #[test]
    fn threads_together_get_no_more_than_the_budget() {
        let start = Instant::now();
        let attempts = Attempts::bounded(start, 4);
        let admitted = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let keys = (0..10_000).map(|n| n % 4);
                    admitted.fetch_add(spend(&attempts, keys, start), Relaxed);
                });
            }
        });
        assert_eq!(admitted.into_inner(), 40);
        assert_eq!(attempts.known.len(), attempts.addresses.load(Relaxed));
    }

    proptest! {
        /// Whatever the order and the times: no more than a budget at once and what comes back
        /// meanwhile, for each address, and no more entries than may be.
        #[test]
        fn no_address_ever_gets_more_than_its_rate(
            limit in 1..50_u32,
            steps in prop::collection::vec((0..8_u32, 0..200_u64), 1..400),
        ) {
            let start = Instant::now();
            let attempts = Attempts::bounded(start, 4);
            let mut admitted = [0_u64; 8];
            let mut at = Duration::ZERO;
            for (n, wait) in steps {
                at += millis(wait);
                if attempts.spend(key(n), limit, start + at).is_some() {
                    admitted[n as usize] += 1;
                }
                prop_assert!(attempts.known.len() <= 4);
                prop_assert_eq!(attempts.known.len(), attempts.addresses.load(Relaxed));
            }
            // One that moves between its own budget and a shared one has two of them.
            let most = 2.0 * (f64::from(limit) * (1.0 + at.as_secs_f64()) + 1.0);
            for admitted in admitted {
                prop_assert!(admitted as f64 <= most, "{} of {}", admitted, most);
            }
        }
    }
}
