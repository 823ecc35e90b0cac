//! A few lines a second for each kind of refusal and eviction, of which one client gets half.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web_sse::observe::{CloseReason, RefusalReason};

use super::{ENDS, LogEvent, REFUSALS, is_eviction};
use crate::clients::Client;

/// The burst, and the rate per second: with the record about suppressed ones, at most ten lines in any
/// second.
const BURST: f64 = 4.0;
const PER_SECOND: f64 = 4.0;
/// How long a line of one client's takes of its own part: it has two at once, and two a second.
const CLIENT_COST: Duration = Duration::from_millis(500);
/// Clients share this many parts, by a keyed hash, so memory is bounded and no client can choose with
/// whom they share.
const PARTS: usize = 1024;
/// The interval at which suppressed counts are logged.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// A token bucket.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Duration,
    suppressed: u64,
}

impl Bucket {
    const FULL: Self = Self {
        tokens: BURST,
        at: Duration::ZERO,
        suppressed: 0,
    };

    fn take(&mut self, now: Duration) -> bool {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = since.mul_add(PER_SECOND, self.tokens).min(BURST);
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            true
        } else {
            self.suppressed += 1;
            false
        }
    }
}

#[derive(Debug)]
struct Buckets {
    refusals: [Bucket; REFUSALS],
    ends: [Bucket; ENDS],
    /// When each client's part is full again.
    parts: Box<[Duration]>,
    hasher: RandomState,
    logged: Duration,
    unlogged: bool,
}

/// The buckets of one log.
#[derive(Debug)]
pub(crate) struct Rates(Mutex<Buckets>);

/// Records that were left out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suppressed {
    pub(crate) event: LogEvent,
    pub(crate) reason: &'static str,
    pub(crate) count: u64,
}

impl Default for Rates {
    fn default() -> Self {
        Self(Mutex::new(Buckets {
            refusals: [Bucket::FULL; REFUSALS],
            ends: [Bucket::FULL; ENDS],
            parts: vec![Duration::ZERO; PARTS].into(),
            hasher: RandomState::new(),
            logged: Duration::ZERO,
            unlogged: false,
        }))
    }
}

impl Buckets {
    /// Takes a line out of a client's part, for this kind of refusal.
    fn take_part(&mut self, reason: RefusalReason, client: Client, now: Duration) -> bool {
        let at = self.hasher.hash_one((reason, client)) as usize % PARTS;
        self.parts.get_mut(at).is_none_or(|whole_at| {
            let next = now.max(*whole_at) + CLIENT_COST;
            let admitted = next <= now + CLIENT_COST * 2;
            if admitted {
                *whole_at = next;
            }
            admitted
        })
    }
}

impl Rates {
    /// Whether a refusal of this client may be logged.
    pub(crate) fn reject(&self, reason: RefusalReason, client: Client, now: Duration) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The client first: a flood of one client must not use up the shared bucket.
        let has_part = buckets.take_part(reason, client, now);
        let index = RefusalReason::ALL.iter().position(|known| *known == reason);
        let bucket = index.and_then(|index| buckets.refusals.get_mut(index));
        let admitted = bucket.is_none_or(|bucket| {
            if !has_part {
                bucket.suppressed += 1;
            }
            has_part && bucket.take(now)
        });
        buckets.unlogged |= !admitted;
        admitted
    }

    /// Whether an end may be logged.
    pub(crate) fn close(&self, reason: CloseReason, now: Duration) -> bool {
        if !is_eviction(reason) {
            return true;
        }
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = CloseReason::ALL.iter().position(|known| *known == reason);
        let bucket = index.and_then(|index| buckets.ends.get_mut(index));
        let admitted = bucket.is_none_or(|bucket| bucket.take(now));
        buckets.unlogged |= !admitted;
        admitted
    }

    /// The suppressed counts since the last call that returned any.
    pub(crate) fn take_suppressed(&self, now: Duration) -> Vec<Suppressed> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.unlogged || now.saturating_sub(buckets.logged) < LOG_EVERY {
            return Vec::new();
        }
        buckets.logged = now;
        buckets.unlogged = false;
        let Buckets { refusals, ends, .. } = &mut *buckets;
        let refusals = RefusalReason::ALL
            .iter()
            .zip(refusals)
            .map(|(reason, bucket)| (LogEvent::Reject, reason.as_str(), bucket));
        let ends = CloseReason::ALL
            .iter()
            .zip(ends)
            .map(|(reason, bucket)| (LogEvent::Close, reason.as_str(), bucket));
        refusals
            .chain(ends)
            .map(|(event, reason, bucket)| Suppressed {
                event,
                reason,
                count: std::mem::take(&mut bucket.suppressed),
            })
            .filter(|suppressed| suppressed.count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: u32) -> Client {
        Client::of(Some(n.to_be_bytes().into()), 64)
    }

    #[test]
    fn m10_ten_thousand_evictions_in_a_second_are_at_most_ten_lines() {
        let rates = Rates::default();
        let (mut lines, mut logged) = (0, 0);
        for n in 0..10_000 {
            let now = Duration::from_micros(n * 100);
            lines += u32::from(rates.close(CloseReason::SlowConsumer, now));
            for suppressed in rates.take_suppressed(now) {
                lines += 1;
                logged += suppressed.count;
            }
        }
        assert!((1..=10).contains(&lines), "{lines} lines");
        let rest = rates.take_suppressed(Duration::from_secs(5));
        let rest: u64 = rest.iter().map(|suppressed| suppressed.count).sum();
        assert_eq!(
            u64::from(lines) + logged + rest,
            10_000,
            "every one is written or counted"
        );
    }

    #[test]
    fn one_reason_does_not_silence_another() {
        let rates = Rates::default();
        for _ in 0..100 {
            rates.reject(RefusalReason::IpLimit, client(1), Duration::ZERO);
        }
        assert!(rates.reject(RefusalReason::OriginDenied, client(1), Duration::ZERO));
        assert!(!rates.reject(RefusalReason::IpLimit, client(1), Duration::ZERO));
    }

    #[test]
    fn h02_one_client_does_not_silence_the_others() {
        let rates = Rates::default();
        let (mut own, mut others) = (0, 0);
        for millis in 0..10_000 {
            let now = Duration::from_millis(millis);
            own += u32::from(rates.reject(RefusalReason::IpLimit, client(0), now));
            if millis % 1000 == 999 {
                let other = client(u32::try_from(millis).unwrap());
                others += u32::from(rates.reject(RefusalReason::IpLimit, other, now));
            }
        }
        assert!((20..=22).contains(&own), "{own}");
        // One of them may share the flooding client's part.
        assert!(others >= 9, "{others}");
        let rest = rates.take_suppressed(Duration::from_secs(11));
        let rest: u64 = rest.iter().map(|suppressed| suppressed.count).sum();
        let all = u64::from(own + others) + rest;
        assert_eq!(all, 10_010, "every one is written or counted");
    }

    #[test]
    fn what_clients_choose_is_always_logged() {
        let rates = Rates::default();
        assert!((0..1000).all(|_| rates.close(CloseReason::ClientGone, Duration::ZERO)));
    }
}
