//! What this node holds a part of, and what of that Redis has not been told yet. Pure.

use std::{collections::HashMap, hash::Hash};

/// How many this node has of each key. `N` is what has to be known to tell of it.
#[derive(Debug)]
pub(crate) struct Holdings<K, N> {
    held: HashMap<K, u32>,
    owed: HashMap<K, N>,
    /// What Redis refused to be told, for another time.
    later: HashMap<K, N>,
}

impl<K, N> Default for Holdings<K, N> {
    fn default() -> Self {
        Self {
            held: HashMap::new(),
            owed: HashMap::new(),
            later: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash + Clone, N> Holdings<K, N> {
    /// How many there are.
    pub(crate) fn count(&self, key: &K) -> u32 {
        self.held.get(key).copied().unwrap_or_default()
    }

    /// One more; how many there are now.
    pub(crate) fn add(&mut self, key: K) -> u32 {
        let count = self.held.entry(key).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// One less, of which Redis is to be told.
    pub(crate) fn remove(&mut self, key: &K, note: N) {
        match self.held.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => drop(self.held.remove(key)),
            None => return,
        }
        self.owe(key.clone(), note);
    }

    /// Redis is to be told how many there are.
    pub(crate) fn owe(&mut self, key: K, note: N) {
        self.owed.insert(key, note);
    }

    /// The same of all that there is.
    pub(crate) fn owe_all(&mut self, note: impl Fn(&K) -> N) {
        for key in self.held.keys() {
            self.owed.entry(key.clone()).or_insert_with(|| note(key));
        }
    }

    /// Redis would not be told.
    pub(crate) fn postpone(&mut self, key: K, note: N) {
        self.later.insert(key, note);
    }

    /// It is time to try that again.
    pub(crate) fn resume(&mut self) {
        self.owed.extend(self.later.drain());
    }

    /// What Redis is to be told. How many there are is to be read in the moment in which it is
    /// told, for the last word is to be the true one.
    pub(crate) fn take_owed(&mut self) -> Vec<(K, N)> {
        std::mem::take(&mut self.owed).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_become_less_is_told_once() {
        let mut holdings = Holdings::default();
        assert_eq!(holdings.add("a"), 1);
        assert_eq!(holdings.add("a"), 2);
        holdings.add("b");
        holdings.remove(&"a", 'x');
        holdings.remove(&"a", 'y');
        holdings.add("a");
        holdings.add("a");
        assert_eq!(holdings.take_owed(), [("a", 'y')]);
        assert_eq!((holdings.count(&"a"), holdings.count(&"b")), (2, 1));
        assert_eq!(holdings.take_owed(), []);
    }

    #[test]
    fn what_there_is_none_of_cannot_be_taken_away() {
        let mut holdings = Holdings::default();
        holdings.remove(&"a", ());
        assert_eq!(holdings.take_owed(), []);
        holdings.add("a");
        holdings.remove(&"a", ());
        holdings.remove(&"a", ());
        assert_eq!(holdings.take_owed(), [("a", ())]);
        assert!(holdings.held.is_empty(), "nothing is left behind");
    }

    #[test]
    fn what_was_postponed_is_told_when_it_is_time() {
        let mut holdings = Holdings::default();
        holdings.add("a");
        holdings.add("b");
        holdings.owe_all(|_| 0);
        for (key, note) in holdings.take_owed() {
            holdings.postpone(key, note);
        }
        assert_eq!(holdings.take_owed(), []);
        holdings.resume();
        assert_eq!(holdings.take_owed().len(), 2);
    }
}
