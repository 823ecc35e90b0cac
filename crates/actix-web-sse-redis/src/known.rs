//! The revocations that this node knows, and which of them Redis lacks.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, UNIX_EPOCH},
};

use actix_web_sse::protect::{RevocationSink, UserRevocation};
use tokio::sync::Notify;

use crate::config::millis;

/// Revocations that expire within this time are not sent to Redis again.
const NEARLY_OVER: Duration = Duration::from_secs(5);

/// Below this many, expired ones are not removed.
const SMALL: usize = 1024;

/// The latest moment and the longest time that are passed on, in milliseconds: the year 10000, and ten
/// years.
pub(crate) const LATEST: u64 = 253_402_300_800_000;
pub(crate) const LONGEST: u64 = 3660 * 86_400_000;

/// How many are read, or sent again, in one command.
pub(crate) const PAGE: usize = 500;

/// The revocations that this node knows. Shared by the backplane's thread and the threads that build
/// policies and revoke.
pub(crate) struct Known {
    inner: Mutex<Inner>,
    /// Notified when Redis lacks some, or may lack some.
    pub(crate) differs: Notify,
}

/// What is behind the lock.
pub(crate) struct Inner {
    pub(crate) by_id: HashMap<u64, Entry>,
    /// Up to which moment each user's credentials are revoked, in milliseconds.
    pub(crate) until: HashMap<Arc<str>, u64>,
    pub(crate) sinks: Vec<RevocationSink>,
    pub(crate) sweep_at: usize,
    /// Those of this node that Redis does not have yet.
    pub(crate) unsent: VecDeque<u64>,
    pub(crate) most_unsent: usize,
    /// The ID of the last one that was read.
    pub(crate) read: String,
    /// Since when Redis lacks those that have to be there, and nobody has sent them again.
    pub(crate) lacking: Option<Instant>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) user: Arc<str>,
    pub(crate) until: u64,
    pub(crate) forget_at: Instant,
}

impl Entry {
    /// For how long it stays in force.
    pub(crate) fn rest(&self) -> Duration {
        self.forget_at.saturating_duration_since(Instant::now())
    }
}

impl Inner {
    /// Adds one; returns what policies must learn, if it is news. Of the same user, the later one
    /// covers more than those before, whatever the clocks say.
    pub(crate) fn add(
        &mut self,
        id: u64,
        user: &Arc<str>,
        until: u64,
        rest: Duration,
    ) -> Option<UserRevocation> {
        self.sweep();
        let forget_at = Instant::now() + rest;
        let known = self.by_id.get(&id);
        if known.is_some_and(|known| known.until >= until) {
            return None;
        }
        let newest = self.until.get(user).copied();
        let raised = match (known, newest) {
            // The same one, of which Redis has raised the moment.
            (Some(_), Some(newest)) if newest >= until => None,
            (None, Some(newest)) if newest >= until => Some(newest.saturating_add(1)),
            _ => Some(until),
        };
        let user = Arc::clone(user);
        let entry = Entry {
            user: Arc::clone(&user),
            until,
            forget_at,
        };
        self.by_id.insert(id, entry);
        let until = raised?;
        self.until.insert(Arc::clone(&user), until);
        Some(revocation(user, until, rest))
    }

    /// Whether Redis may have lost some that this node knows, as the last one that it has read is `there`
    /// or not, and Redis is `lacking` all. One that has read none cannot ask for the last of them.
    pub(crate) fn may_differ(&self, there: bool, lacking: bool) -> bool {
        let asked = !lacking && !self.read.is_empty();
        !there || (!asked && !self.by_id.is_empty())
    }

    fn sweep(&mut self) {
        if self.by_id.len() < self.sweep_at {
            return;
        }
        let now = Instant::now();
        self.by_id.retain(|_, entry| entry.forget_at > now);
        let users: HashSet<_> = self
            .by_id
            .values()
            .map(|entry| Arc::clone(&entry.user))
            .collect();
        self.until.retain(|user, _| users.contains(user));
        self.sweep_at = (self.by_id.len() * 2).max(SMALL);
    }
}

fn revocation(user: Arc<str>, until: u64, rest: Duration) -> UserRevocation {
    let until = UNIX_EPOCH.checked_add(Duration::from_millis(until.min(LATEST)));
    UserRevocation::new(user, until.unwrap_or(UNIX_EPOCH), rest)
}

impl Known {
    pub(crate) fn new(most_unsent: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                by_id: HashMap::new(),
                until: HashMap::new(),
                sinks: Vec::new(),
                sweep_at: SMALL,
                unsent: VecDeque::new(),
                most_unsent,
                read: String::new(),
                lacking: None,
            }),
            differs: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ID of the last one that was read; empty if none was.
    pub(crate) fn read(&self) -> String {
        self.lock().read.clone()
    }

    /// After which ID to read.
    pub(crate) fn read_from(&self) -> String {
        let read = self.read();
        if read.is_empty() {
            "0-0".to_owned()
        } else {
            read
        }
    }

    /// Adds a policy of this node: it gets the revocations in force and all later ones.
    pub(crate) fn join(&self, sink: RevocationSink) {
        let mut inner = self.lock();
        let mut rests: HashMap<&Arc<str>, Duration> = HashMap::new();
        for entry in inner.by_id.values() {
            let rest = rests.entry(&entry.user).or_default();
            *rest = entry.rest().max(*rest);
        }
        for (user, rest) in rests.into_iter().filter(|(_, rest)| !rest.is_zero()) {
            let until = inner.until.get(user).copied().unwrap_or_default();
            sink.revoke(&revocation(Arc::clone(user), until, rest));
        }
        inner.sinks.retain(RevocationSink::is_open);
        inner.sinks.push(sink);
    }

    /// Adds one of this node's own. False if more wait for Redis than may.
    pub(crate) fn revoke(&self, revocation: &UserRevocation) -> bool {
        let until = revocation
            .until
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let rest = revocation.remember.min(Duration::from_millis(LONGEST));
        let mut inner = self.lock();
        let has_room = inner.unsent.len() < inner.most_unsent;
        // A number that Lua represents exactly.
        let id = fastrand::u64(..1 << 53);
        let news = inner.add(id, &revocation.user, millis(until).min(LATEST), rest);
        if has_room {
            inner.unsent.push_back(id);
        } else {
            // Other nodes will never know it: it must not look as if Redis had lost it.
            inner.by_id.remove(&id);
        }
        if let Some(news) = news {
            inner.sinks.iter().for_each(|sink| sink.revoke(&news));
        }
        has_room
    }

    /// Whether revocations that have to be there are on their way.
    pub(crate) fn is_lacking(&self) -> bool {
        let lacking = self.lock().lacking;
        lacking.is_some_and(|since| since <= Instant::now())
    }

    /// The oldest ones of this node that Redis does not have.
    pub(crate) fn next_unsent(&self) -> Vec<(u64, Entry)> {
        let inner = &mut *self.lock();
        inner.unsent.retain(|id| inner.by_id.contains_key(id));
        let entry = |id: &u64| Some((*id, inner.by_id.get(id)?.clone()));
        inner.unsent.iter().take(PAGE).filter_map(entry).collect()
    }

    /// Those that Redis has or had.
    pub(crate) fn sent(&self) -> HashSet<u64> {
        let inner = self.lock();
        let mut sent: HashSet<_> = inner.by_id.keys().copied().collect();
        for id in &inner.unsent {
            sent.remove(id);
        }
        sent
    }

    /// Of those that were sent before Redis was read, the ones in force that are not among what was there, with
    /// the time that they stay in force. What this node has learned since, Redis has.
    pub(crate) fn missing(&self, sent: &HashSet<u64>, there: &HashSet<u64>) -> Vec<(u64, Entry)> {
        let inner = self.lock();
        let lost = sent.difference(there).filter_map(|id| {
            let entry = inner.by_id.get(id)?;
            (entry.rest() > NEARLY_OVER).then(|| (*id, entry.clone()))
        });
        lost.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn known() -> Known {
        Known::new(10)
    }

    fn add(known: &Known, id: u64, until: u64) -> Option<u64> {
        let news = known.lock().add(id, &"u".into(), until, MINUTE)?;
        Some(millis(news.until.duration_since(UNIX_EPOCH).unwrap()))
    }

    #[test]
    fn h06_a_revocation_is_applied_once_and_a_second_one_covers_more_whatever_the_clock_says() {
        let known = known();
        assert_eq!(add(&known, 1, 1000), Some(1000));
        assert_eq!(add(&known, 1, 1000), None, "stored again");
        assert_eq!(add(&known, 2, 900), Some(1001));
        assert_eq!(add(&known, 2, 900), None);
        assert_eq!(add(&known, 3, 2000), Some(2000));
        // Redis's clock is ahead of the node that revoked.
        assert_eq!(add(&known, 3, 2500), Some(2500));
        assert_eq!(add(&known, 1, 1500), None, "it covers no more than 3");
    }

    #[test]
    fn what_redis_does_not_have_is_missing_unless_it_was_never_sent() {
        let known = known();
        add(&known, 1, 1000);
        add(&known, 2, 1001);
        assert!(known.revoke(&UserRevocation::new("v", UNIX_EPOCH, MINUTE)));
        let sent = known.sent();
        add(&known, 3, 1002);
        let missing = known.missing(&sent, &HashSet::from([1]));
        assert_eq!(missing.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2]);
        let unsent = known.next_unsent();
        let [(id, entry)] = unsent.as_slice() else {
            panic!("{unsent:?}")
        };
        assert_eq!(&*entry.user, "v");
        known.lock().unsent.pop_front();
        assert_eq!(
            known
                .missing(&known.sent(), &HashSet::from([1, 2, 3, *id]))
                .len(),
            0
        );
    }

    #[test]
    fn a_node_compares_unless_the_last_one_that_it_read_is_there() {
        let known = known();
        let differs = |there, lacking| known.lock().may_differ(there, lacking);
        assert!(!differs(true, false), "nothing to be lost");
        add(&known, 1, 1000);
        assert!(differs(true, false), "it has not read its own yet");
        known.lock().read = "1-0".to_owned();
        assert!(!differs(true, false));
        assert!(differs(false, false));
        assert!(differs(true, true));
    }

    #[test]
    fn expired_ones_are_not_sent_again_and_are_removed() {
        let known = known();
        for id in 0..10 * SMALL as u64 {
            let user = id.to_string().into();
            known.lock().add(id, &user, 1000, Duration::ZERO);
        }
        assert!(known.missing(&known.sent(), &HashSet::new()).is_empty());
        let inner = known.lock();
        assert!(inner.by_id.len() <= 2 * SMALL && inner.until.len() <= 2 * SMALL);
    }
}
