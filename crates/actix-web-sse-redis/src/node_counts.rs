//! Counts of this node, and which of them Redis does not have yet.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::attendance::Attendance;

/// How long Redis keeps the counts of a node. Longer than the interval at which all are sent again.
pub(crate) const COUNTS_TTL: Duration = Duration::from_secs(2 * 24 * 3600);

/// A count for each key, with the keys whose count must be sent. `N` is sent with the count.
#[derive(Debug)]
pub(crate) struct NodeCounts<K, N> {
    counts: HashMap<K, u32>,
    /// How many of a count are only asked for yet.
    claims: HashMap<K, u32>,
    dirty: HashMap<K, N>,
    /// What has come to zero, and when: a Redis that is behind does not know.
    ended: VecDeque<(Instant, K, N)>,
    /// By how much a Redis in which the lease is alive may be behind.
    lease: Duration,
}

impl<K: Eq + Hash + Clone, N: Clone> NodeCounts<K, N> {
    fn new(lease: Duration) -> Self {
        Self {
            counts: HashMap::new(),
            claims: HashMap::new(),
            dirty: HashMap::new(),
            ended: VecDeque::new(),
            lease,
        }
    }

    /// The count of a key.
    pub(crate) fn count(&self, key: &K) -> u32 {
        self.counts.get(key).copied().unwrap_or_default()
    }

    /// Adds one; returns the new count.
    pub(crate) fn add(&mut self, key: K) -> u32 {
        let count = self.counts.entry(key).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Adds one that is only asked for; returns the new count, and whether some of it was there before.
    pub(crate) fn claim(&mut self, key: K) -> (u32, bool) {
        let count = self.add(key.clone());
        let claims = self.claims.entry(key).or_default();
        *claims = claims.saturating_add(1);
        (count, count > *claims)
    }

    /// One of them is there, or will be removed.
    pub(crate) fn settle(&mut self, key: &K) {
        match self.claims.get_mut(key) {
            Some(claims) if *claims > 1 => *claims -= 1,
            _ => drop(self.claims.remove(key)),
        }
    }

    /// Removes one and marks the key to be sent.
    pub(crate) fn remove(&mut self, key: &K, note: N) {
        match self.counts.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => {
                self.counts.remove(key);
                let is_old = |(at, ..): &(Instant, K, N)| at.elapsed() > self.lease;
                while self.ended.front().is_some_and(is_old) {
                    self.ended.pop_front();
                }
                let ended = (Instant::now(), key.clone(), note.clone());
                self.ended.push_back(ended);
            }
            None => return,
        }
        self.mark_dirty(key.clone(), note);
    }

    /// Marks a key to be sent.
    pub(crate) fn mark_dirty(&mut self, key: K, note: N) {
        self.dirty.insert(key, note);
    }

    /// Marks all keys to be sent, and those that have come to zero lately.
    pub(crate) fn mark_all_dirty(&mut self, note: &N) {
        for (_, key, note) in &self.ended {
            self.dirty.insert(key.clone(), note.clone());
        }
        for key in self.counts.keys() {
            let dirty = self.dirty.entry(key.clone());
            dirty.or_insert_with(|| note.clone());
        }
    }

    /// Marks a key to be sent that could not be sent.
    pub(crate) fn put_back(&mut self, key: K, note: N) {
        self.dirty.entry(key).or_insert(note);
    }

    /// Takes the keys to be sent. Read their counts right before sending, so that the last command
    /// carries the current count.
    pub(crate) fn take_dirty(&mut self) -> Vec<(K, N)> {
        std::mem::take(&mut self.dirty).into_iter().collect()
    }
}

/// The ID of a used ticket.
pub(crate) type TicketId = [u8; 16];

/// For how long a ticket can be used after its last stream, and when that ended.
pub(crate) type Ended = (Duration, Instant);

/// A count that can be changed from any thread.
#[derive(Debug)]
pub(crate) struct Counts<K, N>(Mutex<NodeCounts<K, N>>);

impl<K: Eq + Hash + Clone, N: Clone> Counts<K, N> {
    fn new(lease: Duration) -> Self {
        Self(Mutex::new(NodeCounts::new(lease)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, NodeCounts<K, N>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name for a lease, and for the counts that hold as long as it does.
pub(crate) fn new_name() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// What this node counts.
#[derive(Debug)]
pub(crate) struct Leased {
    name: Mutex<Arc<str>>,
    pub(crate) tickets: Counts<TicketId, Ended>,
    pub(crate) users: Counts<Arc<str>, ()>,
    attendance: Mutex<Attendance>,
    /// Notified when a count must be sent.
    pub(crate) dirty: Notify,
}

impl Leased {
    pub(crate) fn new(lease: Duration) -> Self {
        Self {
            name: Mutex::new(new_name().into()),
            tickets: Counts::new(lease),
            users: Counts::new(lease),
            attendance: Mutex::default(),
            dirty: Notify::new(),
        }
    }

    /// Who follows topics.
    pub(crate) fn attendance(&self) -> MutexGuard<'_, Attendance> {
        self.attendance
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the lease.
    pub(crate) fn node(&self) -> Arc<str> {
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&name)
    }

    /// Takes another lease.
    pub(crate) fn rename(&self, to: String) {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = to.into();
    }

    /// Has a count sent again if it has changed since it was sent: another one may have come before it, since what
    /// waits for a slot to move, or for the server to which it has moved, is sent again and again.
    pub(crate) fn overtaken<K: Eq + Hash + Clone, N: Clone>(
        &self,
        counts: &Counts<K, N>,
        (key, sent): (K, u32),
        note: N,
    ) {
        let mut counts = counts.lock();
        if counts.count(&key) != sent {
            counts.mark_dirty(key, note);
            self.dirty.notify_one();
        }
    }

    /// Marks all counts to be sent again after the lease had expired: while it has, the node's streams
    /// are not counted. That happens to a process that was stopped, and after Redis lost its data.
    pub(crate) fn resend_unless(&self, was_alive: bool) {
        if !was_alive {
            let now = Instant::now();
            self.tickets.lock().mark_all_dirty(&(Duration::ZERO, now));
            self.users.lock().mark_all_dirty(&());
            self.attendance().doubt();
            self.dirty.notify_one();
        }
    }

    /// A stream of a ticket has ended.
    pub(crate) fn release(&self, id: &TicketId, ttl: Duration) {
        self.tickets.lock().remove(id, (ttl, Instant::now()));
        self.dirty.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    #[test]
    fn what_is_only_asked_for_is_not_there() {
        let mut counts = NodeCounts::<_, ()>::new(LEASE);
        assert_eq!(counts.claim("a"), (1, false));
        assert_eq!(counts.claim("a"), (2, false));
        counts.settle(&"a");
        assert_eq!(counts.claim("a"), (3, true));
        counts.settle(&"a");
        counts.settle(&"a");
        assert!(counts.claims.is_empty(), "nothing is left behind");
    }

    #[test]
    fn what_has_ended_within_a_lease_is_sent_again_with_the_rest() {
        for (lease, again) in [
            (LEASE, vec![("a", 'x'), ("b", 'y')]),
            (Duration::ZERO, vec![("b", 'y')]),
        ] {
            let mut counts = NodeCounts::new(lease);
            for key in ["a", "b"] {
                counts.add(key);
            }
            counts.remove(&"a", 'x');
            std::thread::sleep(Duration::from_millis(1));
            counts.remove(&"b", 'y');
            counts.take_dirty();
            counts.mark_all_dirty(&'z');
            let mut dirty = counts.take_dirty();
            dirty.sort_unstable();
            assert_eq!(dirty, again);
        }
    }

    #[test]
    fn a_lower_count_is_sent_once() {
        let mut counts = NodeCounts::new(LEASE);
        assert_eq!(counts.add("a"), 1);
        assert_eq!(counts.add("a"), 2);
        counts.add("b");
        counts.remove(&"a", 'x');
        counts.remove(&"a", 'y');
        counts.add("a");
        counts.add("a");
        assert_eq!(counts.take_dirty(), [("a", 'y')]);
        assert_eq!((counts.count(&"a"), counts.count(&"b")), (2, 1));
        assert_eq!(counts.take_dirty(), []);
    }

    #[test]
    fn a_count_never_falls_below_zero() {
        let mut counts = NodeCounts::new(LEASE);
        counts.remove(&"a", ());
        assert_eq!(counts.take_dirty(), []);
        counts.add("a");
        counts.remove(&"a", ());
        counts.remove(&"a", ());
        assert_eq!(counts.take_dirty(), [("a", ())]);
        assert!(counts.counts.is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_key_that_could_not_be_sent_is_sent_with_its_newest_note() {
        let mut counts = NodeCounts::new(LEASE);
        counts.add("a");
        counts.add("b");
        counts.mark_all_dirty(&0);
        let unsent = counts.take_dirty();
        counts.remove(&"a", 1);
        for (key, note) in unsent {
            counts.put_back(key, note);
        }
        let mut dirty = counts.take_dirty();
        dirty.sort_unstable();
        assert_eq!(dirty, [("a", 1), ("b", 0)]);
    }
}
