//! The revocations that this node knows. Policies read them when they are built, and they are sent
//! again to a Redis that has lost them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use actix_web_sse::protect::{RevocationSink, UserRevocation};

/// Revocations that expire within this time are not sent again: clocks differ, and another node may
/// have dropped them already.
const NEARLY_OVER: Duration = Duration::from_secs(5);

/// Below this many entries expired ones are not removed.
const SMALL: usize = 1024;

/// The lifetime of a revocation whose expiry `Instant` cannot represent.
const FAR_AHEAD: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Shared by the backplane's thread, which adds revocations, and the threads that build policies.
#[derive(Debug, Default)]
pub(crate) struct KnownRevocations(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    users: HashMap<Arc<str>, (SystemTime, Instant)>,
    sinks: Vec<RevocationSink>,
    sweep_at: usize,
}

impl KnownRevocations {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a policy of this node: it gets the revocations in force and all later ones.
    pub(crate) fn join(&self, sink: RevocationSink) {
        let mut inner = self.lock();
        for revocation in inner.known() {
            sink.revoke(&revocation);
        }
        inner.sinks.retain(RevocationSink::is_open);
        inner.sinks.push(sink);
    }

    /// Adds a revocation from another node; returns whether streams must end for it. It may be known
    /// already from a handshake: then its time is equal. One with an earlier time is a second
    /// revocation, by a node whose clock is behind: it covers no more credentials, but streams that
    /// were opened meanwhile end.
    pub(crate) fn learn_another(&self, revocation: &UserRevocation) -> bool {
        let known = self.lock().users.get(&revocation.user).copied();
        let is_behind = known.is_some_and(|(until, _)| until > revocation.until);
        self.learn(revocation) || is_behind
    }

    /// Adds a revocation and passes it to the policies; returns whether it is new.
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

    /// All revocations that stay in force for a while, if they are more than `count`.
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

/// Builds a revocation from its wire form: times in milliseconds.
pub(crate) fn revocation(user: &str, until: u64, remember: u64) -> UserRevocation {
    // Capped at the year 10000, which every clock can represent.
    let until = Duration::from_millis(until.min(253_402_300_800_000));
    let until = UNIX_EPOCH.checked_add(until).unwrap_or(UNIX_EPOCH);
    let remember = Duration::from_millis(remember).min(Duration::from_secs(366 * 24 * 3600));
    UserRevocation::new(user, until, remember)
}

/// The wire form of a revocation: its time and its lifetime in milliseconds.
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
    fn only_a_revocation_that_covers_more_is_new() {
        let known = KnownRevocations::default();
        assert!(known.learn(&revocation("u", 1000, 60_000)));
        assert!(!known.learn(&revocation("u", 1000, 60_000)));
        assert!(!known.learn(&revocation("u", 900, 60_000)));
        assert!(known.learn(&revocation("u", 1001, 60_000)));
        assert!(known.learn(&revocation("v", 1, 60_000)));
        assert_eq!(known.if_above(1).len(), 2);
        assert_eq!(known.if_above(2), []);
    }

    #[test]
    fn h06_a_second_revocation_by_a_slower_clock_is_new() {
        let known = KnownRevocations::default();
        assert!(known.learn_another(&revocation("u", 1000, 60_000)));
        assert!(
            !known.learn_another(&revocation("u", 1000, 60_000)),
            "a duplicate"
        );
        assert!(known.learn_another(&revocation("u", 900, 60_000)));
        assert!(known.learn_another(&revocation("u", 1001, 60_000)));
        let in_force = known.if_above(0);
        assert_eq!(millis(&in_force[0]).0, 1001, "it covers no less");
        assert!(!known.learn(&revocation("u", 900, 60_000)));
        // A lifetime that `Instant` cannot represent.
        assert!(known.learn(&UserRevocation::new("v", UNIX_EPOCH, Duration::MAX)));
        assert_eq!(known.if_above(0).len(), 2);
    }

    #[test]
    fn expired_revocations_are_not_sent_and_are_removed() {
        let known = KnownRevocations::default();
        known.learn(&revocation("u", 1000, 0));
        known.learn(&revocation("v", 1000, 4000));
        assert_eq!(known.if_above(0), []);
        for user in 0..10 * SMALL {
            known.learn(&revocation(&user.to_string(), 1000, 0));
        }
        assert!(known.lock().users.len() <= 2 * SMALL);
    }

    #[test]
    fn times_survive_the_wire_form() {
        assert_eq!(millis(&revocation("u", 1234, 5678)), (1234, 5678));
        assert_eq!(
            millis(&revocation("u", u64::MAX, u64::MAX)).0,
            253_402_300_800_000
        );
    }
}
