//! Wakers that are to be called later.

use std::task::Waker;

/// Wakers to be called when nothing is borrowed and no lock is taken: a waker may run anything.
#[must_use = "a waker that is dropped is a wake-up that is lost; call wake()"]
#[derive(Debug, Default)]
pub(crate) struct Wakes(Vec<Waker>);

impl Wakes {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one, if there is one.
    pub(crate) fn add(&mut self, waker: Option<Waker>) {
        self.0.extend(waker);
    }

    /// Adds those of another.
    pub(crate) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Calls them all.
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

impl From<Vec<Waker>> for Wakes {
    fn from(wakers: Vec<Waker>) -> Self {
        Self(wakers)
    }
}
