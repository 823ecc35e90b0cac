//! Users whose credentials up to some moment do not hold any more: on this node, and through a
//! [`RevocationStore`] on all.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    expiring::{Expires, ExpiringTable},
    policy::Inner,
};
use crate::{
    identity::{Identity, Recheck, UserStreams},
    observe::{AuthMethod, RefusalReason},
};

/// How exactly a revocation is passed on: its millisecond counts as a whole.
const EXACTLY: Duration = Duration::from_millis(1);
/// What lies further ahead than a clock reaches is as good as never forgotten.
const FAR_AHEAD: Duration = Duration::from_secs(10 * 366 * 86_400);

/// A user's tokens and tickets up to some moment hold no more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserRevocation {
    /// Whose.
    pub user: Arc<str>,
    /// What was issued up to this moment does not hold; what was issued later does. It lies ahead
    /// of the revocation by the tolerated skew
    /// ([`revocation_skew`](crate::config::AuthConfig::revocation_skew)), and after every moment
    /// that the revoking policy had for this user before.
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
    /// be passed to the sink before this returns.
    fn start(&self, sink: RevocationSink);

    /// To be passed on to every other node, and remembered. The policy knows it already. Must not
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

    /// Some node has revoked this: the policy refuses the user's credentials from now on, and the
    /// streams that were opened with them end.
    ///
    /// To say it again changes nothing, and neither does an `until` that is not after every one
    /// that the policy knows for this user: a store that gets a second revocation with an
    /// earlier one, because clocks differ, raises it by a millisecond above the one before.
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
    /// Takes back what a user holds by this clock, on this node; returns what the others are to be
    /// told.
    pub(super) fn take_back_at(&self, user: &str, now: SystemTime) -> UserRevocation {
        let until = now.checked_add(self.revocation_skew).unwrap_or(now);
        let revocation = UserRevocation::new(user, whole_millis(until), self.revocation_memory);
        let revocation = self.revoked.add_another(revocation);
        self.end_streams(&revocation.user);
        revocation
    }

    /// Takes back what another node has revoked.
    fn take_back(&self, revocation: &UserRevocation) {
        if self.revoked.add(revocation) {
            self.end_streams(&revocation.user);
        }
    }

    /// Ends what was opened with a user's credentials. Called when the revocation is noted, so that
    /// a stream which opens meanwhile finds it.
    fn end_streams(&self, user: &Arc<str>) {
        self.auth.forget(user);
        let hubs: Vec<_> = self.hubs().iter().filter_map(Weak::upgrade).collect();
        hubs.iter().for_each(|hub| hub.end_streams(user));
    }

    /// The hubs that have, or will have, streams which this policy let in.
    pub(super) fn hubs(&self) -> MutexGuard<'_, Vec<Weak<dyn UserStreams>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what has been revoked. Who does not say when the credentials were issued, as an
    /// authenticator that looks them up, answers for them alone.
    pub(super) fn check_revoked(&self, identity: &Identity) -> Result<(), RefusalReason> {
        let (Some(user), Some(issued)) = (&identity.user, identity.issued) else {
            return Ok(());
        };
        if self.revoked.covers(user, issued) {
            return Err(refusal(identity));
        }
        let store = self.revocation_store.as_ref();
        if store.is_some_and(|store| !store.is_current()) {
            return Err(RefusalReason::AuthUnavailable);
        }
        Ok(())
    }
}

impl Recheck for Inner {
    /// Who does not say when the credentials were issued is refused too: they were looked up before
    /// the revocation, or during it.
    fn check_again(&self, identity: &Identity, seen: u64) -> Result<(), RefusalReason> {
        let revoked = identity.user.as_ref();
        let revoked = revoked.is_some_and(|user| self.revoked.since(seen, user, identity.issued));
        if revoked || identity.is_expired() {
            return Err(refusal(identity));
        }
        Ok(())
    }

    fn enroll(&self, hub: &Weak<dyn UserStreams>) {
        let mut hubs = self.hubs();
        let known = |known: &Weak<dyn UserStreams>| std::ptr::addr_eq(known.as_ptr(), hub.as_ptr());
        if !hubs.iter().any(known) {
            hubs.retain(|known| known.strong_count() > 0);
            hubs.push(Weak::clone(hub));
        }
    }
}

const fn refusal(identity: &Identity) -> RefusalReason {
    match identity.method {
        AuthMethod::Ticket => RefusalReason::InvalidTicket,
        _ => RefusalReason::InvalidToken,
    }
}

/// Tickets and stores have whole milliseconds.
fn whole_millis(time: SystemTime) -> SystemTime {
    let millis = Duration::from_millis(super::ticket::millis(time));
    SystemTime::UNIX_EPOCH.checked_add(millis).unwrap_or(time)
}

/// What has been revoked, as this node knows it.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    table: Mutex<Table>,
    /// The number of the newest revocation; changed under the lock.
    newest: AtomicU64,
}

type Table = ExpiringTable<Arc<str>, Entry>;

#[derive(Debug, Clone, Copy)]
struct Entry {
    until: SystemTime,
    forget_at: Instant,
    /// Its number among all revocations of this policy.
    number: u64,
}

impl Entry {
    fn covers(&self, issued: SystemTime) -> bool {
        // Beyond what a clock can hold nothing is issued.
        let holds_from = self.until.checked_add(EXACTLY);
        holds_from.is_none_or(|from| issued < from)
    }
}

impl Revoked {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the newest revocation.
    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// Adds a revocation of this node's: it is another than all before, and so covers more,
    /// whatever the clocks say.
    fn add_another(&self, mut revocation: UserRevocation) -> UserRevocation {
        let mut table = self.lock();
        if let Some(known) = table.get(&revocation.user)
            && let Some(after) = known.until.checked_add(EXACTLY)
        {
            revocation.until = revocation.until.max(after);
        }
        put(&mut table, &revocation, &self.newest);
        revocation
    }

    /// Adds a revocation; whether it is news.
    pub(super) fn add(&self, revocation: &UserRevocation) -> bool {
        put(&mut self.lock(), revocation, &self.newest)
    }

    /// Whether credentials of this user, issued then, are revoked. The millisecond of the
    /// revocation counts as a whole, for that is how exactly it is passed on.
    fn covers(&self, user: &str, issued: SystemTime) -> bool {
        let table = self.lock();
        let entry = table.get(user);
        entry.is_some_and(|entry| entry.covers(issued) && entry.forget_at > Instant::now())
    }

    /// Whether a revocation after this one concerns the user's credentials, issued then if they
    /// say so. Costs next to nothing while nobody is revoked.
    pub(super) fn since(&self, seen: u64, user: &str, issued: Option<SystemTime>) -> bool {
        if self.newest() == seen {
            return false;
        }
        let table = self.lock();
        let entry = table.get(user).filter(|entry| entry.number > seen);
        entry.is_some_and(|entry| issued.is_none_or(|issued| entry.covers(issued)))
    }

    /// The first moment from which on credentials of this user hold, if they are issued then.
    pub(super) fn hold_from(&self, user: &str) -> Option<SystemTime> {
        let table = self.lock();
        let entry = table.get(user);
        let entry = entry.filter(|entry| entry.forget_at > Instant::now());
        entry.and_then(|entry| entry.until.checked_add(EXACTLY))
    }
}

impl Expires for Entry {
    fn is_stale(&self, now: Instant) -> bool {
        self.forget_at <= now
    }
}

/// Adds a revocation to the table; whether it is news. When the table is full, what is forgotten
/// soonest makes room.
fn put(table: &mut Table, revocation: &UserRevocation, newest: &AtomicU64) -> bool {
    let now = Instant::now();
    if !table.make_room(now) {
        table.evict(|entry| entry.forget_at);
    }
    let forget_at = now
        .checked_add(revocation.remember)
        .or_else(|| now.checked_add(FAR_AHEAD))
        .unwrap_or(now);
    let known = table.get(&revocation.user).copied();
    let news = known.is_none_or(|known| known.until < revocation.until);
    let entry = match known {
        Some(known) if !news => Entry {
            forget_at: known.forget_at.max(forget_at),
            ..known
        },
        _ => Entry {
            until: revocation.until,
            forget_at: known.map_or(forget_at, |known| known.forget_at.max(forget_at)),
            number: newest.load(Ordering::Relaxed).wrapping_add(1),
        },
    };
    table.insert(Arc::clone(&revocation.user), entry);
    if news {
        newest.store(entry.number, Ordering::Release);
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protect::expiring::SMALL;

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
        assert!(revoked.lock().len() <= 2 * SMALL);
    }

    #[tokio::test(start_paused = true)]
    async fn h06_only_a_later_revocation_of_the_same_user_counts_again() {
        let revoked = Revoked::default();
        revoked.add(&revocation("u", 1000, 60));
        let seen = revoked.newest();
        assert!(!revoked.since(seen, "u", None));
        revoked.add(&revocation("v", 1000, 60));
        assert!(!revoked.since(seen, "u", None));
        assert!(!revoked.add(&revocation("u", 1000, 60)), "said again");
        assert!(!revoked.since(seen, "u", None));
        assert!(revoked.add(&revocation("u", 1001, 60)));
        assert!(revoked.since(seen, "u", None), "it was looked up before");
        assert!(revoked.since(seen, "u", Some(at(1001))));
        assert!(!revoked.since(seen, "u", Some(at(1002))), "newer");
    }

    #[tokio::test(start_paused = true)]
    async fn h06_a_second_revocation_is_never_without_effect_whatever_the_clock_says() {
        let revoked = Revoked::default();
        revoked.add_another(revocation("u", 1000, 60));
        let seen = revoked.newest();
        // The clock was set back, or it is another node's.
        let second = revoked.add_another(revocation("u", 900, 60));
        assert_eq!(second.until, at(1000) + EXACTLY);
        assert!(revoked.since(seen, "u", None));
        assert_eq!(revoked.hold_from("u"), Some(at(1000) + EXACTLY * 2));
    }

    #[tokio::test(start_paused = true)]
    async fn times_from_a_store_that_no_clock_holds_are_survived() {
        let revoked = Revoked::default();
        let latest = (0..64).rev().fold(SystemTime::UNIX_EPOCH, |time, bit| {
            let later = time.checked_add(Duration::from_secs(1 << bit));
            later.unwrap_or(time)
        });
        let latest = latest
            .checked_add(Duration::from_nanos(999_999_999))
            .unwrap_or(latest);
        assert_eq!(
            latest.checked_add(EXACTLY),
            None,
            "the last moment there is"
        );
        let all = UserRevocation::new("u", latest, Duration::MAX);
        assert!(revoked.add(&all));
        assert!(revoked.covers("u", at(1000)));
        assert!(revoked.covers("u", latest));
        assert_eq!(revoked.hold_from("u"), None);
        revoked.add_another(revocation("u", 1000, 60));
        assert!(revoked.covers("u", at(1000)));
    }
}
