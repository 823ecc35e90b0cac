//! Counts of this node, and which of them Redis does not have yet.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// A count for each key, with the keys whose count must be sent. `N` is sent with the count.
#[derive(Debug)]
pub(crate) struct NodeCounts<K, N> {
    counts: HashMap<K, u32>,
    dirty: HashMap<K, N>,
}

impl<K, N> Default for NodeCounts<K, N> {
    fn default() -> Self {
        Self {
            counts: HashMap::new(),
            dirty: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash + Clone, N> NodeCounts<K, N> {
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

    /// Removes one and marks the key to be sent.
    pub(crate) fn remove(&mut self, key: &K, note: N) {
        match self.counts.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => drop(self.counts.remove(key)),
            None => return,
        }
        self.mark_dirty(key.clone(), note);
    }

    /// Marks a key to be sent.
    pub(crate) fn mark_dirty(&mut self, key: K, note: N) {
        self.dirty.insert(key, note);
    }

    /// Marks all keys to be sent.
    pub(crate) fn mark_all_dirty(&mut self, note: impl Fn(&K) -> N) {
        for key in self.counts.keys() {
            self.dirty.entry(key.clone()).or_insert_with(|| note(key));
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

impl<K, N> Default for Counts<K, N> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, N> Counts<K, N> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, NodeCounts<K, N>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this node counts.
#[derive(Debug, Default)]
pub(crate) struct Leased {
    pub(crate) tickets: Counts<TicketId, Ended>,
    pub(crate) users: Counts<Arc<str>, ()>,
    /// Notified when a count must be sent.
    pub(crate) dirty: Notify,
}

impl Leased {
    /// Marks all counts to be sent again after the lease had expired: while it has, the node's streams
    /// are not counted. That happens to a process that was stopped, and after Redis lost its data.
    pub(crate) fn resend_unless(&self, was_alive: bool) {
        if !was_alive {
            let now = Instant::now();
            self.tickets
                .lock()
                .mark_all_dirty(|_| (Duration::ZERO, now));
            self.users.lock().mark_all_dirty(|_| ());
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

    #[test]
    fn a_lower_count_is_sent_once() {
        let mut counts = NodeCounts::default();
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
        let mut counts = NodeCounts::default();
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
        let mut counts = NodeCounts::default();
        counts.add("a");
        counts.add("b");
        counts.mark_all_dirty(|_| 0);
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
