//! A table whose entries are of no use after some time: used tickets, revocations.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, time::Duration};

use tokio::time::Instant;

/// How many entries there are at most.
const MAX: usize = 1_000_000;

/// Below this many entries nobody looks for stale ones.
pub(super) const SMALL: usize = 1024;

/// How often a full table is looked through.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// An entry that is of no use after some time.
pub(super) trait Expires {
    fn is_stale(&self, now: Instant) -> bool;
}

/// Stale entries are looked for whenever the table has doubled, so that an insertion costs the same
/// on average, and once a second when the table is full.
#[derive(Debug)]
pub(super) struct ExpiringTable<K, V> {
    entries: HashMap<K, V>,
    max: usize,
    /// At how many entries stale ones are looked for next.
    sweep_at: usize,
    swept: Option<Instant>,
}

impl<K, V> Default for ExpiringTable<K, V> {
    fn default() -> Self {
        Self::bounded(MAX)
    }
}

impl<K, V> ExpiringTable<K, V> {
    fn bounded(max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            max,
            sweep_at: SMALL.min(max),
            swept: None,
        }
    }
}

impl<K: Eq + Hash, V: Expires> ExpiringTable<K, V> {
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// Inserts an entry, whether or not the table is full.
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.entries.insert(key, value);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Makes room: removes stale entries, if it is time to look for them. Whether there is room for
    /// one more.
    pub(super) fn make_room(&mut self, now: Instant) -> bool {
        let full = self.entries.len() >= self.max;
        let rests = |swept: Instant| now.saturating_duration_since(swept) < FULL_PAUSE;
        if self.entries.len() >= self.sweep_at && !(full && self.swept.is_some_and(rests)) {
            self.swept = Some(now);
            self.entries.retain(|_, entry| !entry.is_stale(now));
            self.sweep_at = (self.entries.len() * 2).clamp(SMALL.min(self.max), self.max);
            self.entries.shrink_to(self.sweep_at);
        }
        self.entries.len() < self.max
    }

    /// Removes the entry for which this is the least.
    pub(super) fn evict<T: Ord>(&mut self, rank: impl Fn(&V) -> T)
    where
        K: Clone,
    {
        let least = self.entries.iter().min_by_key(|(_, entry)| rank(entry));
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Expires for Instant {
        fn is_stale(&self, now: Instant) -> bool {
            *self <= now
        }
    }

    #[test]
    fn a_full_table_has_room_again_when_its_entries_are_stale() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut table = ExpiringTable::bounded(100);
        // More than half of the table is in use when it is looked through.
        for key in 0..100 {
            assert!(table.make_room(after(0)));
            table.insert(key, after(if key < 60 { 5000 } else { 100 }));
        }
        assert!(!table.make_room(after(0)), "nothing is stale");
        assert!(
            !table.make_room(after(500)),
            "it is not looked through again at once"
        );
        assert!(table.make_room(after(1500)));
        assert_eq!(table.len(), 60);
        for key in 100..140 {
            assert!(table.make_room(after(1500)));
            table.insert(key, after(9000));
        }
        assert!(!table.make_room(after(3000)));
        assert!(table.make_room(after(6000)));
        assert_eq!(table.len(), 40);
    }

    #[test]
    fn the_entry_with_the_least_rank_goes_first() {
        let start = Instant::now();
        let mut table = ExpiringTable::default();
        for key in [3, 1, 2] {
            table.insert(key, start + Duration::from_secs(key));
        }
        table.evict(|until| *until);
        assert!(table.get(&1).is_none() && table.len() == 2);
    }
}
