//! Label values that are learned, up to a bound.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dashmap::{DashMap, mapref::entry::Entry};
use prometheus::IntCounter;

/// The label value that stands for every value beyond the bound.
pub(crate) const OTHER: &str = "other";

/// A bounded set of label values, with what belongs to each. It never shrinks: a series that
/// disappears would break rates.
#[derive(Debug)]
pub(crate) struct LabelSet {
    known: DashMap<Arc<str>, ()>,
    other: Arc<str>,
    /// The number of values in `known`.
    learned: AtomicUsize,
    max: usize,
    overflow: IntCounter,
}

/// A value of a [`LabelSet`].
#[derive(Debug)]
pub(crate) struct Label {
    pub(crate) value: Arc<str>,
    /// Whether this call learned it.
    pub(crate) is_new: bool,
}

impl LabelSet {
    /// A set with `other` and these values, with room for `more`.
    pub(crate) fn new<'a>(
        values: impl IntoIterator<Item = &'a str>,
        more: usize,
        overflow: IntCounter,
    ) -> Self {
        let known = DashMap::new();
        for value in std::iter::once(OTHER).chain(values) {
            known.insert(Arc::from(value), ());
        }
        Self {
            other: OTHER.into(),
            learned: AtomicUsize::new(known.len()),
            max: known.len() + more,
            known,
            overflow,
        }
    }

    /// This value, learned if there is room; `other` if there is not.
    pub(crate) fn label(&self, value: &str) -> Label {
        let known = |value: &Arc<str>| Label {
            value: Arc::clone(value),
            is_new: false,
        };
        if let Some(found) = self.known.get(value) {
            return known(found.key());
        }
        if self.learned.load(Ordering::Relaxed) < self.max {
            match self.known.entry(value.into()) {
                // Another thread has learned it in between.
                Entry::Occupied(found) => return known(found.key()),
                Entry::Vacant(place) if self.reserve() => {
                    let value = Arc::clone(place.key());
                    place.insert(());
                    return Label {
                        value,
                        is_new: true,
                    };
                }
                Entry::Vacant(_) => {}
            }
        }
        self.overflow.inc();
        known(&self.other)
    }

    /// Takes one of the places that are left.
    fn reserve(&self) -> bool {
        let next = |learned: usize| (learned < self.max).then_some(learned + 1);
        self.learned
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok()
    }

    /// All values so far.
    pub(crate) fn values(&self) -> Vec<Arc<str>> {
        let known = self.known.iter();
        known.map(|known| Arc::clone(known.key())).collect()
    }

    /// The most values that there can be.
    pub(crate) const fn max(&self) -> usize {
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(more: usize) -> LabelSet {
        let overflow = IntCounter::new("overflow", "Values that became other.").unwrap();
        LabelSet::new(["/events"], more, overflow)
    }

    #[test]
    fn values_beyond_the_bound_are_other_and_counted() {
        let labels = labels(1);
        let label = |value: &str| {
            let label = labels.label(value);
            (label.value.to_string(), label.is_new)
        };
        assert_eq!(label("/events"), ("/events".to_owned(), false));
        assert_eq!(label("/learned"), ("/learned".to_owned(), true));
        assert_eq!(label("/one-too-many"), (OTHER.to_owned(), false));
        assert_eq!(label(OTHER), (OTHER.to_owned(), false));
        assert_eq!(label("/learned"), ("/learned".to_owned(), false));
        assert_eq!(labels.overflow.get(), 1);
        assert_eq!(labels.values().len(), labels.max());
    }

    #[test]
    fn threads_that_learn_at_once_keep_the_bound() {
        let labels = labels(5);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let labels = &labels;
                scope.spawn(move || {
                    for n in 0..1000 {
                        labels.label(&format!("/{}", (n + thread) % 100));
                    }
                });
            }
        });
        assert_eq!(labels.values().len(), labels.max());
        assert_eq!(labels.learned.load(Ordering::Relaxed), labels.max());
    }
}
