//! Counting what is held, by key; a slot frees itself.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Below this many entries the table is not worth shrinking.
const SMALL: usize = 32;

/// How many slots each key holds. Only keys that hold some have an entry.
#[derive(Debug)]
pub(super) struct Slots<K> {
    held: Mutex<HashMap<K, u32>>,
    max_keys: usize,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The key holds as many as it may.
    Key,
    /// As many keys hold some as may.
    Table,
}

/// One slot of a key.
#[derive(Debug)]
pub(super) struct Slot<K: Eq + Hash> {
    slots: Arc<Slots<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Slots<K> {
    pub(super) fn new(max_keys: usize) -> Arc<Self> {
        Arc::new(Self {
            held: Mutex::new(HashMap::new()),
            max_keys,
        })
    }

    pub(super) fn take(self: &Arc<Self>, key: K, limit: u32) -> Result<Slot<K>, Full> {
        let mut held = self.lock();
        let keys = held.len();
        match held.get_mut(&key) {
            Some(count) if *count >= limit => return Err(Full::Key),
            Some(count) => *count += 1,
            None if keys >= self.max_keys => return Err(Full::Table),
            None => {
                held.insert(key.clone(), 1);
            }
        }
        drop(held);
        Ok(Slot {
            slots: Arc::clone(self),
            key,
        })
    }
}

impl<K> Slots<K> {
    /// A count is whole between any two statements, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl<K> Slots<K> {
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.lock().capacity()
    }
}

impl<K: Eq + Hash> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut held = self.slots.lock();
        let Some(count) = held.get_mut(&self.key) else {
            return;
        };
        if *count > 1 {
            *count -= 1;
            return;
        }
        held.remove(&self.key);
        // A storm leaves a large table behind, which would stay for good.
        if held.capacity() > SMALL && held.len() < held.capacity() / 8 {
            let wanted = held.len() * 2;
            held.shrink_to(wanted);
        }
    }
}
