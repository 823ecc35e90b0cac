//! Label values that are learned, up to a bound.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::cells::Counter;

/// What stands for every value beyond the bound.
pub(crate) const OTHER: &str = "other";

/// A set of label values, each with a small number. Number 0 is `other`.
#[derive(Debug)]
pub(crate) struct LabelSet {
    known: RwLock<Known>,
    max: usize,
    pub(crate) overflow: Counter,
}

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<Arc<str>, usize>,
    names: Vec<Arc<str>>,
}

impl LabelSet {
    /// A set with `other` and these values, with room for `more` besides.
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a str>, more: usize) -> Self {
        let mut known = Known::default();
        for value in std::iter::once(OTHER).chain(values) {
            known.learn(value);
        }
        Self {
            max: known.names.len() + more,
            known: RwLock::new(known),
            overflow: Counter::default(),
        }
    }

    /// The number of this value, learned if there is room; 0 if there is not.
    pub(crate) fn number(&self, value: &str) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.numbers.get(value) {
            return *number;
        }
        let full = known.names.len() >= self.max;
        drop(known);
        if !full {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have learned it, or taken the last place, in between.
            if known.names.len() < self.max || known.numbers.contains_key(value) {
                return known.learn(value);
            }
        }
        self.overflow.inc();
        0
    }

    /// All values so far, in the order of their numbers.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.names.clone()
    }

    /// How many values there can be.
    pub(crate) const fn max(&self) -> usize {
        self.max
    }
}

impl Known {
    fn learn(&mut self, value: &str) -> usize {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let (name, number) = (Arc::<str>::from(value), self.names.len());
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_bound_are_other_and_counted() {
        let labels = LabelSet::new(["/events"], 1);
        assert_eq!(labels.number("/events"), 1);
        assert_eq!(labels.number("/learned"), 2);
        assert_eq!(labels.number("/one-too-many"), 0);
        assert_eq!(labels.number("other"), 0);
        assert_eq!(labels.number("/learned"), 2);
        assert_eq!(labels.overflow.get(), 1);
        assert_eq!(labels.names().len(), labels.max());
    }
}
