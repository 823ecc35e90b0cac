//! What publishers leave for each worker: plain data under the core's lock (rules 4 and 5 of the
//! [hub](super)).

use std::{collections::BTreeMap, sync::Arc, task::Waker};

use tokio::time::Instant;

use super::inspect::Inquiry;
use crate::{identity::PagesOf, observe::CloseReason, stream::Wakes};

/// Which of its streams a worker is to end.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Those of this user.
    User(Arc<str>),
    /// Those that this policy let in for pages which it does not let in any more.
    Pages(PagesOf),
    /// Those that follow this topic: its index, and when it was made, since an index is used
    /// again.
    Topic(usize, u64, CloseReason),
    /// Those that follow this topic, because events up to this number are lost.
    Lost(usize, u64, u64),
    /// All, spread until this instant.
    All(CloseReason, Instant),
    /// Those that are asked for.
    Connections(Inquiry),
    /// None: only to say what is known of some.
    Inspect(Inquiry),
}

impl Command {
    /// The question that it is.
    pub(super) const fn inquiry(&self) -> Option<&Inquiry> {
        match self {
            Self::Connections(inquiry) | Self::Inspect(inquiry) => Some(inquiry),
            _ => None,
        }
    }
}

/// What a worker finds when it looks.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// Topics with new frames.
    pub(super) topics: Vec<usize>,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mail: Mail,
    signalled: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    fn signal(&mut self, wakes: &mut Wakes) {
        if !self.signalled {
            self.signalled = true;
            wakes.add(self.waker.take());
        }
    }
}

/// A mailbox per worker.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    boxes: BTreeMap<u64, Mailbox>,
    next: u64,
}

impl Mailboxes {
    /// Opens one; its key is the worker's name.
    pub(super) fn open(&mut self) -> u64 {
        let worker = self.next;
        self.next += 1;
        self.boxes.insert(worker, Mailbox::default());
        worker
    }

    /// Closes one. What was in it is to be dropped when the lock is released.
    pub(super) fn close(&mut self, worker: u64) -> Option<Mailbox> {
        self.boxes.remove(&worker)
    }

    /// Lets a worker know that a topic has new frames; says whether there is such a worker.
    pub(super) fn notify(&mut self, worker: u64, topic: usize, wakes: &mut Wakes) -> bool {
        let Some(mailbox) = self.boxes.get_mut(&worker) else {
            return false;
        };
        mailbox.mail.topics.push(topic);
        mailbox.signal(wakes);
        true
    }

    /// Puts a command into every mailbox.
    pub(super) fn command(&mut self, command: &Command) -> Wakes {
        let mut wakes = Wakes::new();
        for mailbox in self.boxes.values_mut() {
            // Streams of a revoked user may be ended by policy, store and backplane at once.
            let same = match (mailbox.mail.commands.last(), command) {
                (Some(Command::User(known)), Command::User(user)) => known == user,
                // Which pages are meant is seen when it is carried out.
                (Some(Command::Pages(known)), Command::Pages(policy)) => known.is(policy),
                _ => false,
            };
            // A worker that something blocks does not collect the questions of all who have given up. Nobody is woken
            // by their end.
            if command.inquiry().is_some() {
                let commands = &mut mailbox.mail.commands;
                commands.retain(|known| known.inquiry().is_none_or(|asked| !asked.is_abandoned()));
            }
            if !same {
                mailbox.mail.commands.push(command.clone());
            }
            mailbox.signal(&mut wakes);
        }
        wakes
    }

    /// Whether a worker has commands that it has not looked at.
    pub(super) fn has_commands(&self, worker: u64) -> bool {
        let mailbox = self.boxes.get(&worker);
        mailbox.is_some_and(|mailbox| !mailbox.mail.commands.is_empty())
    }

    /// Empties a worker's mailbox, or leaves its waker there.
    pub(super) fn empty(&mut self, worker: u64, waker: &Waker) -> Option<Mail> {
        let mailbox = self.boxes.get_mut(&worker)?;
        if std::mem::take(&mut mailbox.signalled) {
            return Some(std::mem::take(&mut mailbox.mail));
        }
        match &mut mailbox.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        None
    }
}
