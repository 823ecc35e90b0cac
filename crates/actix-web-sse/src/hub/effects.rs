//! What is to be called after a worker's decisions: observers, wakers, the backplane (rule 3 of the
//! [hub](super)).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Shared, stream::Departure};

use crate::stream::Wakes;

/// Calls to be made when nothing is borrowed. One that is dropped instead still reports the ends
/// in it.
#[must_use = "observers and wakers are not called before run()"]
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Bodies to be polled.
    pub(super) wakes: Wakes,
    ends: Vec<Departure>,
    /// The set of topics may have changed.
    interest: bool,
}

impl Effects {
    /// A stream has ended.
    pub(super) fn end(&mut self, ended: Option<Departure>) {
        self.ends.extend(ended);
    }

    /// Topics may have been removed.
    pub(super) const fn interest(&mut self) {
        self.interest = true;
    }

    pub(super) fn wakes_anybody(&self) -> bool {
        !self.wakes.is_empty()
    }

    /// Does it all. If an observer panics, the others are called nevertheless, and the panic goes on
    /// when they have been.
    pub(super) fn run(self, hub: &Shared) {
        let Self {
            wakes,
            ends,
            interest,
        } = self;
        let mut panicked = None;
        for ended in ends {
            let report = AssertUnwindSafe(|| ended.report());
            panicked = panicked.or(catch_unwind(report).err());
        }
        wakes.wake();
        if interest {
            hub.report_interest();
        }
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }
}
