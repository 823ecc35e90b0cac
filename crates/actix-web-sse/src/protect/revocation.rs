//! Users whose credentials up to some moment do not hold any more: on this node, and through a
//! [`RevocationStore`] on all.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::policy::Inner;
use crate::{
    observe::{AuthMethod, RefusalReason},
    subscriber::Identity,
};

/// What is remembered at most: above it, what is forgotten soonest makes room.
const MAX_REMEMBERED: usize = 1_000_000;
/// Below this many entries nobody looks for stale ones.
const SMALL: usize = 1024;

/// A user's tokens and tickets up to some moment hold no more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserRevocation {
    /// Whose.
    pub user: Arc<str>,
    /// What was issued up to this moment does not hold; what was issued later does.
    pub until: SystemTime,
    /// For how long from now this has to be remembered: as long as such credentials can live.
    pub remember: Duration,
}

impl UserRevocation {
    /// A revocation of what was issued up to `until`.
    pub fn new(user: impl Into<Arc<str>>, until: SystemTime, remember: Duration) -> Self {
        Self {
            user: user.into(),
            until,
            remember,
        }
    }
}

/// Tells all nodes what one of them has revoked ([`Policy::revoke`]), those that are cut off or
/// start later too. The default is none: a revocation stays in its process.
///
/// [`Policy::revoke`]: super::Policy::revoke
pub trait RevocationStore: Send + Sync + 'static {
    /// Called once, when the policy is built: the way back into it. What is in force already is to
    /// be told before this returns.
    fn start(&self, sink: RevocationSink);

    /// To be told to every other node, and remembered. The policy knows it already. Must not
    /// block.
    fn revoke(&self, revocation: UserRevocation);

    /// Whether this node may go by what it knows. If not, nobody is let in whose credentials could
    /// have been revoked (503 `auth_unavailable`). Asked for each request: must not block.
    fn is_current(&self) -> bool {
        true
    }
}

/// The way from a [`RevocationStore`] into a policy of this node.
#[derive(Clone)]
pub struct RevocationSink {
    policy: Weak<Inner>,
}

impl RevocationSink {
    pub(super) fn new(policy: &Arc<Inner>) -> Self {
        Self {
            policy: Arc::downgrade(policy),
        }
    }

    /// Whether the policy is still there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.policy.strong_count() > 0
    }

    /// Some node has revoked this. To say it again changes nothing.
    pub fn revoke(&self, revocation: &UserRevocation) {
        if let Some(policy) = self.policy.upgrade() {
            policy.take_back(revocation);
        }
    }
}

impl fmt::Debug for RevocationSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationSink").finish_non_exhaustive()
    }
}

impl Inner {
    /// Takes a user's credentials back, on this node.
    pub(super) fn take_back(&self, revocation: &UserRevocation) {
        self.revoked.add(revocation);
        self.auth.forget(&revocation.user);
    }

    /// Refuses what has been revoked. Who does not say when the credentials were issued, as an
    /// authenticator that looks them up, answers for them alone.
    pub(super) fn check_revoked(&self, identity: &Identity) -> Result<(), RefusalReason> {
        let (Some(user), Some(issued)) = (&identity.user, identity.issued) else {
            return Ok(());
        };
        if self.revoked.covers(user, issued) {
            return Err(match identity.method {
                AuthMethod::Ticket => RefusalReason::InvalidTicket,
                _ => RefusalReason::InvalidToken,
            });
        }
        let store = self.revocation_store.as_ref();
        if store.is_some_and(|store| !store.is_current()) {
            return Err(RefusalReason::AuthUnavailable);
        }
        Ok(())
    }
}

/// What has been revoked, as this node knows it.
#[derive(Debug, Default)]
pub(super) struct Revoked(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    users: HashMap<Arc<str>, Entry>,
    /// At how many entries stale ones are looked for next.
    sweep_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    until: SystemTime,
    forget_at: Instant,
}

impl Revoked {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, revocation: &UserRevocation) {
        let now = Instant::now();
        let mut table = self.lock();
        table.sweep(now);
        let new = Entry {
            until: revocation.until,
            forget_at: now + revocation.remember,
        };
        let entry = table.users.entry(Arc::clone(&revocation.user));
        let entry = entry.or_insert(new);
        entry.until = entry.until.max(new.until);
        entry.forget_at = entry.forget_at.max(new.forget_at);
    }

    /// Whether credentials of this user, issued then, are revoked. The millisecond of the
    /// revocation counts as a whole, for that is how exactly it is passed on.
    fn covers(&self, user: &str, issued: SystemTime) -> bool {
        let table = self.lock();
        let entry = table.users.get(user);
        entry.is_some_and(|entry| {
            issued < entry.until + Duration::from_millis(1) && entry.forget_at > Instant::now()
        })
    }
}

impl Table {
    fn sweep(&mut self, now: Instant) {
        if self.users.len() < self.sweep_at.max(SMALL) {
            return;
        }
        self.users.retain(|_, entry| entry.forget_at > now);
        if self.users.len() >= MAX_REMEMBERED {
            let soonest = self.users.iter().min_by_key(|(_, entry)| entry.forget_at);
            if let Some(user) = soonest.map(|(user, _)| Arc::clone(user)) {
                self.users.remove(&user);
            }
        }
        self.sweep_at = (self.users.len() * 2).min(MAX_REMEMBERED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn revocation(user: &str, until: u64, remember: u64) -> UserRevocation {
        UserRevocation::new(user, at(until), Duration::from_secs(remember))
    }

    #[tokio::test(start_paused = true)]
    async fn a_revocation_covers_the_past_only_and_is_forgotten() {
        let revoked = Revoked::default();
        revoked.add(&revocation("u", 1000, 60));
        assert!(revoked.covers("u", at(1000)));
        assert!(revoked.covers("u", at(1000) + Duration::from_micros(999)));
        assert!(!revoked.covers("u", at(1000) + Duration::from_millis(1)));
        assert!(!revoked.covers("v", at(1000)));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!revoked.covers("u", at(1000)));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_revocations_the_later_and_the_longer_counts_whatever_their_order() {
        let revoked = Revoked::default();
        revoked.add(&revocation("u", 1000, 60));
        revoked.add(&revocation("u", 900, 120));
        assert!(revoked.covers("u", at(1000)));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(revoked.covers("u", at(1000)));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!revoked.covers("u", at(900)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_not_hold_anyway_takes_no_room() {
        let revoked = Revoked::default();
        for round in 0..20 {
            for user in 0..1000 {
                revoked.add(&revocation(&format!("{round} {user}"), 1000, 60));
            }
            tokio::time::advance(Duration::from_secs(61)).await;
        }
        assert!(revoked.lock().users.len() <= 2 * SMALL);
    }
}
