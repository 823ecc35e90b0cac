//! What is to be called after a worker's decisions: observers and wakers (rule 3 of the
//! [hub](super)).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{mailbox::Command, stream::Departure};

use crate::stream::Wakes;

/// Calls to be made when nothing is borrowed. One that is dropped instead still reports the ends
/// in it.
#[must_use = "observers and wakers are not called before run()"]
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Bodies to be polled.
    pub(super) wakes: Wakes,
    ends: Vec<Departure>,
    /// Dropping one may wake somebody.
    commands: Vec<Command>,
}

impl Effects {
    /// A stream has ended.
    pub(super) fn end(&mut self, ended: Option<Departure>) {
        self.ends.extend(ended);
    }

    /// A command was carried out.
    pub(super) fn carried_out(&mut self, command: Command) {
        self.commands.push(command);
    }

    pub(super) fn wakes_anybody(&self) -> bool {
        !self.wakes.is_empty()
    }

    /// Does it all. If an observer panics, the others are called nevertheless, and the panic goes on
    /// when they have been.
    pub(super) fn run(self) {
        let Self {
            wakes,
            ends,
            commands,
        } = self;
        let mut panicked = None;
        for ended in ends {
            let report = AssertUnwindSafe(|| ended.report());
            panicked = panicked.or(catch_unwind(report).err());
        }
        wakes.wake();
        drop(commands);
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }
}
