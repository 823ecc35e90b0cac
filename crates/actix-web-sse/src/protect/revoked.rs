//! Users whose credentials up to some moment do not hold any more.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::expiring::{Expires, ExpiringTable};

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
    pub(super) fn add_another(&self, mut revocation: UserRevocation) -> UserRevocation {
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
    pub(super) fn covers(&self, user: &str, issued: SystemTime) -> bool {
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
