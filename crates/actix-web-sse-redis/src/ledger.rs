//! What has been revoked, as this node knows it: to tell its policies when they are built, and a
//! Redis that has lost it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use actix_web_sse::protect::{RevocationSink, UserRevocation};

/// What is over so soon is not told again: clocks differ, and another node may have forgotten it
/// already.
const NEARLY_OVER: Duration = Duration::from_secs(5);

/// Below this many entries nobody looks for stale ones.
const SMALL: usize = 1024;

/// What lies further ahead than a clock reaches is remembered for so long.
const FAR_AHEAD: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Shared by the backplane's thread, which learns, and the threads that build policies.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    users: HashMap<Arc<str>, (SystemTime, Instant)>,
    sinks: Vec<RevocationSink>,
    sweep_at: usize,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A policy of this node wants to know: what is in force already, and all that comes.
    pub(crate) fn join(&self, sink: RevocationSink) {
        let mut inner = self.lock();
        for revocation in inner.known() {
            sink.revoke(&revocation);
        }
        inner.sinks.retain(RevocationSink::is_open);
        inner.sinks.push(sink);
    }

    /// Takes note of a revocation that another node tells of; whether streams are to be ended for it.
    /// It may be known already, from a question to Redis: then it is the very moment that is known.
    /// One with an earlier moment is another, of a node whose clock is behind: nothing more is
    /// covered by it, but what was opened meanwhile ends.
    pub(crate) fn learn_another(&self, revocation: &UserRevocation) -> bool {
        let known = self.lock().users.get(&revocation.user).copied();
        let is_behind = known.is_some_and(|(until, _)| until > revocation.until);
        self.learn(revocation) || is_behind
    }

    /// Takes note of a revocation, and tells the policies; whether it is news.
    pub(crate) fn learn(&self, revocation: &UserRevocation) -> bool {
        let now = Instant::now();
        let until = revocation.until;
        let forget_at = now
            .checked_add(revocation.remember)
            .or_else(|| now.checked_add(FAR_AHEAD))
            .unwrap_or(now);
        let mut inner = self.lock();
        inner.sweep(now);
        let entry = inner.users.entry(Arc::clone(&revocation.user));
        let mut news = false;
        let known = entry.or_insert_with(|| {
            news = true;
            (until, forget_at)
        });
        news |= known.0 < until;
        *known = (known.0.max(until), known.1.max(forget_at));
        if news {
            inner.sinks.iter().for_each(|sink| sink.revoke(revocation));
        }
        news
    }

    /// All that will be in force for a while, if that is more than so many.
    pub(crate) fn if_above(&self, count: usize) -> Vec<UserRevocation> {
        let inner = self.lock();
        if inner.users.len() <= count {
            return Vec::new();
        }
        let mut known = inner.known();
        drop(inner);
        known.retain(|revocation| revocation.remember > NEARLY_OVER);
        if known.len() <= count {
            known.clear();
        }
        known
    }
}

impl Inner {
    fn known(&self) -> Vec<UserRevocation> {
        let now = Instant::now();
        let users = self.users.iter();
        users
            .filter_map(|(user, (until, forget_at))| {
                let rest = forget_at.checked_duration_since(now)?;
                Some(UserRevocation::new(Arc::clone(user), *until, rest))
            })
            .collect()
    }

    fn sweep(&mut self, now: Instant) {
        if self.users.len() >= self.sweep_at {
            self.users.retain(|_, (_, forget_at)| *forget_at > now);
            self.sweep_at = (self.users.len() * 2).max(SMALL);
        }
    }
}

/// A revocation as it is passed on: times in milliseconds.
pub(crate) fn revocation(user: &str, until: u64, remember: u64) -> UserRevocation {
    // Nobody revokes what is issued after the year 10000.
    let until = Duration::from_millis(until.min(253_402_300_800_000));
    let until = UNIX_EPOCH.checked_add(until).unwrap_or(UNIX_EPOCH);
    let remember = Duration::from_millis(remember).min(Duration::from_secs(366 * 24 * 3600));
    UserRevocation::new(user, until, remember)
}

/// The other way.
pub(crate) fn millis(revocation: &UserRevocation) -> (u64, u64) {
    let until = revocation.until.duration_since(UNIX_EPOCH);
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2000);
    (
        millis(until.unwrap_or_default()),
        millis(revocation.remember),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_covers_more_is_news() {
        let ledger = Ledger::default();
        assert!(ledger.learn(&revocation("u", 1000, 60_000)));
        assert!(!ledger.learn(&revocation("u", 1000, 60_000)));
        assert!(!ledger.learn(&revocation("u", 900, 60_000)));
        assert!(ledger.learn(&revocation("u", 1001, 60_000)));
        assert!(ledger.learn(&revocation("v", 1, 60_000)));
        assert_eq!(ledger.if_above(1).len(), 2);
        assert_eq!(ledger.if_above(2), []);
    }

    #[test]
    fn h06_a_second_revocation_by_a_slower_clock_is_news() {
        let ledger = Ledger::default();
        assert!(ledger.learn_another(&revocation("u", 1000, 60_000)));
        assert!(
            !ledger.learn_another(&revocation("u", 1000, 60_000)),
            "told"
        );
        assert!(ledger.learn_another(&revocation("u", 900, 60_000)));
        assert!(ledger.learn_another(&revocation("u", 1001, 60_000)));
        let known = ledger.if_above(0);
        assert_eq!(millis(&known[0]).0, 1001, "it covers no less");
        assert!(!ledger.learn(&revocation("u", 900, 60_000)));
        // A time to remember it that no clock holds.
        assert!(ledger.learn(&UserRevocation::new("v", UNIX_EPOCH, Duration::MAX)));
        assert_eq!(ledger.if_above(0).len(), 2);
    }

    #[test]
    fn what_is_over_is_told_to_nobody() {
        let ledger = Ledger::default();
        ledger.learn(&revocation("u", 1000, 0));
        ledger.learn(&revocation("v", 1000, 4000));
        assert_eq!(ledger.if_above(0), []);
        for user in 0..10 * SMALL {
            ledger.learn(&revocation(&user.to_string(), 1000, 0));
        }
        assert!(ledger.lock().users.len() <= 2 * SMALL);
    }

    #[test]
    fn times_come_through() {
        assert_eq!(millis(&revocation("u", 1234, 5678)), (1234, 5678));
        assert_eq!(
            millis(&revocation("u", u64::MAX, u64::MAX)).0,
            253_402_300_800_000
        );
    }
}
