//! Where an observer's reports go, as far as it says.

/// Where an observer's reports go: for telling whether a hub and its policy report to the same
/// place. An observer that says nothing of it is [`unknown`](Self::unknown), and is compared with
/// nothing but the observer that observes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(Option<Vec<usize>>);

impl Destination {
    /// The observer does not say.
    #[must_use]
    pub const fn unknown() -> Self {
        Self(None)
    }

    /// The observer drops every report.
    #[must_use]
    pub const fn nowhere() -> Self {
        Self(Some(Vec::new()))
    }

    /// The observer writes to this value, which all observers of the same destination share. Only
    /// the address is kept: pass what an `Arc` points to.
    #[must_use]
    pub fn of<T>(shared: &T) -> Self {
        Self(Some(vec![std::ptr::from_ref(shared).addr()]))
    }

    /// This place and that one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0.zip(other.0).map(|(mut places, others)| {
            places.extend(others);
            places.sort_unstable();
            places.dedup();
            places
        }))
    }

    /// Whether reports go nowhere.
    pub(crate) fn is_nowhere(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether it is certain that one of the two gets reports that the other does not.
    pub(crate) fn differs_from(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(these), Some(those)) => these != those,
            _ => self.is_nowhere() != other.is_nowhere(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_is_called_different() {
        let (a, b) = (1_u64, 2_u64);
        let (a, b) = (|| Destination::of(&a), || Destination::of(&b));
        let differ = |one: Destination, other: Destination| one.differs_from(&other);
        assert!(!differ(a(), a()));
        assert!(differ(a(), b()));
        assert!(!differ(a().and(b()), b().and(a())));
        assert!(differ(a().and(b()), a()));
        assert!(!differ(a().and(Destination::nowhere()), a()));
        assert!(!differ(Destination::unknown(), a()));
        assert!(!differ(Destination::unknown(), Destination::unknown()));
        assert!(differ(Destination::unknown(), Destination::nowhere()));
        assert!(differ(a(), Destination::nowhere()));
    }
}
