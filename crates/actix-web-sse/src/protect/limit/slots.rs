//! Slots counted by key; a slot frees itself.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use dashmap::{DashMap, Entry};

/// Below this many entries the table is not worth shrinking.
const SMALL: usize = 32;

/// How many slots each key holds. Only keys that hold some have an entry.
#[derive(Debug)]
pub(crate) struct Slots<K: Eq + Hash> {
    counts: DashMap<K, u32>,
    keys: AtomicUsize,
    /// The most keys since the table was last made smaller.
    peak: AtomicUsize,
    max_keys: AtomicUsize,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The key holds as many as it may.
    Key,
    /// As many keys hold some as may.
    Table,
}

/// One slot of a key.
#[derive(Debug)]
pub(crate) struct Slot<K: Eq + Hash> {
    slots: Arc<Slots<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Slots<K> {
    pub(crate) fn new(max_keys: usize) -> Arc<Self> {
        Arc::new(Self {
            counts: DashMap::new(),
            keys: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            max_keys: AtomicUsize::new(max_keys),
        })
    }

    /// From now on so many keys may hold some; those that do keep them.
    pub(super) fn resize(&self, max_keys: usize) {
        self.max_keys.store(max_keys, Relaxed);
    }

    pub(crate) fn take(self: &Arc<Self>, key: K, limit: u32) -> Result<Slot<K>, Full> {
        match self.counts.entry(key.clone()) {
            Entry::Occupied(entry) if *entry.get() >= limit => return Err(Full::Key),
            Entry::Occupied(mut entry) => *entry.get_mut() += 1,
            Entry::Vacant(_) if limit == 0 => return Err(Full::Key),
            Entry::Vacant(entry) => {
                // The count first: of two threads that see the last place, one gets it.
                let keys = self.keys.fetch_add(1, Relaxed) + 1;
                if keys > self.max_keys.load(Relaxed) {
                    self.keys.fetch_sub(1, Relaxed);
                    return Err(Full::Table);
                }
                self.peak.fetch_max(keys, Relaxed);
                entry.insert(1);
            }
        }
        Ok(Slot {
            slots: Arc::clone(self),
            key,
        })
    }
}

impl<K: Eq + Hash> Slots<K> {
    fn give_back(&self, key: &K) {
        let removed = self.counts.remove_if_mut(key, |_, count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
        if removed.is_none() {
            return;
        }
        let keys = self.keys.fetch_sub(1, Relaxed) - 1;
        let peak = self.peak.load(Relaxed);
        // A storm leaves a large table behind, which would stay for good. One thread makes it
        // smaller, the others find the new peak.
        if peak > SMALL
            && keys < peak / 8
            && self
                .peak
                .compare_exchange(peak, keys, Relaxed, Relaxed)
                .is_ok()
        {
            self.counts.shrink_to_fit();
        }
    }
}

#[cfg(test)]
impl<K: Eq + Hash> Slots<K> {
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.counts.len(), self.keys.load(Relaxed));
        self.counts.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.counts.capacity()
    }
}

impl<K: Eq + Hash> Drop for Slot<K> {
    fn drop(&mut self) {
        self.slots.give_back(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_never_take_more_than_there_is() {
        let slots = Slots::new(10);
        let most = AtomicUsize::new(0);
        let held = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..4 {
                let (slots, most, held) = (&slots, &most, &held);
                scope.spawn(move || {
                    for n in 0..20_000_u32 {
                        let taken = slots.take((n + thread) % 16, 2);
                        if taken.is_ok() {
                            let now = held.fetch_add(1, Relaxed) + 1;
                            most.fetch_max(now, Relaxed);
                            held.fetch_sub(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert!(most.into_inner() <= 20);
        assert_eq!(slots.len(), 0);
    }

    #[test]
    fn a_full_table_serves_the_keys_that_it_has() {
        let slots = Slots::new(2);
        let _first = slots.take("a", 2).unwrap();
        let second = slots.take("b", 2).unwrap();
        assert_eq!(slots.take("c", 2).unwrap_err(), Full::Table);
        let _third = slots.take("a", 2).unwrap();
        assert_eq!(slots.take("a", 2).unwrap_err(), Full::Key);
        drop(second);
        assert!(slots.take("c", 2).is_ok());
    }
}
