//! The logs of patterns, found by the topics that they match.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// By what the names of their topics begin with.
    by_prefix: HashMap<Arc<str>, usize>,
    /// How many prefixes there are of each length: a name may have hundreds of slashes, and only these are looked up.
    lengths: BTreeMap<usize, usize>,
}

impl Patterns {
    pub(super) fn is_empty(&self) -> bool {
        self.by_prefix.is_empty()
    }

    pub(super) fn get(&self, prefix: &str) -> Option<usize> {
        self.by_prefix.get(prefix).copied()
    }

    /// The indexes of all.
    pub(super) fn all(&self) -> impl Iterator<Item = usize> {
        self.by_prefix.values().copied()
    }

    pub(super) fn insert(&mut self, prefix: Arc<str>, index: usize) {
        *self.lengths.entry(prefix.len()).or_default() += 1;
        self.by_prefix.insert(prefix, index);
    }

    pub(super) fn remove(&mut self, prefix: &str) {
        if self.by_prefix.remove(prefix).is_none() {
            return;
        }
        if let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// The indexes of those that match a topic.
    pub(super) fn matching(&self, name: &str) -> impl Iterator<Item = usize> {
        let lengths = self.lengths.range(..name.len()).map(|(length, _)| *length);
        let is_prefix = move |length: &usize| match length.checked_sub(1) {
            Some(last) => name.as_bytes().get(last) == Some(&b'/'),
            None => true,
        };
        lengths
            .filter(is_prefix)
            .filter_map(move |length| self.get(name.get(..length)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_found_by_each_prefix_that_is_there() {
        let mut patterns = Patterns::default();
        assert!(patterns.is_empty());
        for (index, prefix) in ["", "a/", "a/b/", "é/", "x/"].into_iter().enumerate() {
            patterns.insert(prefix.into(), index);
        }
        let found = |patterns: &Patterns, name| patterns.matching(name).collect::<Vec<_>>();
        assert_eq!(found(&patterns, "a/b/c"), [0, 1, 2]);
        assert_eq!(found(&patterns, "a/b/"), [0, 1]);
        assert_eq!(found(&patterns, "a/"), [0]);
        assert_eq!(found(&patterns, "é/1"), [0, 3]);
        assert_eq!(found(&patterns, "日本/1"), [0]);
        patterns.remove("");
        patterns.remove("a/");
        patterns.remove("a/");
        assert_eq!(found(&patterns, "a/b/c"), [2]);
        assert_eq!(found(&patterns, "x/1"), [4]);
        for prefix in ["a/b/", "é/", "x/"] {
            patterns.remove(prefix);
        }
        assert!(patterns.is_empty() && patterns.lengths.is_empty());
    }
}
