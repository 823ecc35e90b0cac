//! The seam for a hub that spans several processes.
//!
//! Without a backplane a hub is complete in itself and pays nothing for this. With one, the engine
//! behind it numbers the events, in one order over all topics, and keeps their history; every node's
//! hub is then a cache of what its own streams follow, with the same epoch and the same numbers, so
//! that a `Last-Event-ID` holds on every node.
//!
//! The hub always knows up to which number everything has passed it. A topic that a stream is the first
//! to follow is complete from there on: what is published after the stream was opened has a higher
//! number, and reaches it.

use std::{
    any::Any,
    error::Error,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Shared,
    core::Outgoing,
    mailbox::Command,
    presence::{Presence, ReaderCount},
};
use crate::{
    event::Event,
    observe::{BackplaneStats, CloseReason, Relayed},
};

/// A boxed future of a backplane's.
pub type BackplaneFuture<T> = Pin<Box<dyn Future<Output = Result<T, BackplaneError>> + Send>>;

/// Why the engine did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackplaneError(String);

impl BackplaneError {
    /// An error with a sentence for the log. It must hold no secret: not the engine's URL with
    /// its password.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for BackplaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BackplaneError {}

/// What a node asks all nodes to end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// The streams of a user.
    User(Arc<str>),
    /// The streams that follow a topic.
    Topic(Arc<str>),
}

/// What a client missed, as the engine has kept it. Clones share it: it may be the answer to several clients, and is
/// dropped when the last of them has taken what it lacks. Default: [`gap`](Self::gap).
#[derive(Clone, Default)]
pub struct History(Option<Arc<Kept>>);

struct Kept {
    events: Vec<(Arc<str>, u64, Event)>,
    _until_taken: Option<Box<dyn Any + Send + Sync>>,
}

impl History {
    /// Something after the asked-for number is missing: the client learns of a gap.
    #[must_use]
    pub const fn gap() -> Self {
        Self(None)
    }

    /// Topic, number and event, in the order of the numbers: everything after the asked-for number. What is
    /// not after it is passed over.
    #[must_use]
    pub fn complete(events: Vec<(Arc<str>, u64, Event)>) -> Self {
        Self(Some(Arc::new(Kept {
            events,
            _until_taken: None,
        })))
    }

    /// [`complete`](Self::complete), with something that is dropped when no client has any of the events to take any
    /// more: by that an engine can bound what waits in the streams of clients that take it slowly.
    #[must_use]
    pub fn complete_with(
        events: Vec<(Arc<str>, u64, Event)>,
        until_taken: impl Any + Send + Sync,
    ) -> Self {
        Self(Some(Arc::new(Kept {
            events,
            _until_taken: Some(Box::new(until_taken)),
        })))
    }

    /// The events; `None`: something is missing.
    #[must_use]
    pub fn events(&self) -> Option<&[(Arc<str>, u64, Event)]> {
        self.0.as_ref().map(|kept| &*kept.events)
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("History").field(&self.events()).finish()
    }
}

/// An engine that numbers events and keeps them, shared by several hubs.
pub trait Backplane: Send + Sync + 'static {
    /// Called once, when the hub is built: the way back into it.
    fn start(&self, sink: Sink);

    /// Publishes an event; resolves to its number when the engine has taken it. The event comes
    /// back to every node, to this one too, through [`Sink::deliver`].
    fn publish(&self, topic: &str, event: Event) -> BackplaneFuture<u64>;

    /// What came after this number in these topics. Whatever is not in the answer has to reach
    /// [`Sink::deliver`] later. The stream waits for the answer, and drops the future if it ends
    /// before. Its client then takes the events a piece at a time, and each piece is encoded when it does; if it has not
    /// taken them within ten times `stall`, the stream ends with `slow_consumer`.
    fn history(&self, topics: Vec<Arc<str>>, after: u64) -> BackplaneFuture<History>;

    /// Asks every node, this one excepted, to end streams ([`Sink::revoke`]).
    fn revoke(&self, revocation: Revocation);

    /// Whether it counts who follows topics over all nodes: [`counted`](Self::counted) and [`presence`](Self::presence).
    /// Default false: each node knows its own streams only, and a hub whose joins and leaves are to be published
    /// cannot be built with it.
    fn shares_presence(&self) -> bool {
        false
    }

    /// How many streams of a topic with presence a reader has on this node, whenever that changes. Each count is the
    /// current one, and the changes of a node come in their order. A user who is on no other node joins with its first
    /// count, and leaves with `None`. Must not block.
    fn counted(&self, count: &ReaderCount<'_>) {
        let _ = count;
    }

    /// Who follows a topic on all nodes.
    fn presence(&self, topic: &str) -> BackplaneFuture<Presence> {
        let _ = topic;
        Box::pin(async { Err(BackplaneError::new("this backplane does not count readers")) })
    }

    /// How it is, now. Asked at every scrape: must not block.
    fn stats(&self) -> BackplaneStats;
}

/// The way from a backplane into this node's hub.
#[derive(Clone)]
pub struct Sink {
    hub: Weak<Shared>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

impl Sink {
    pub(super) fn new(hub: &Arc<Shared>) -> Self {
        Self {
            hub: Arc::downgrade(hub),
        }
    }

    /// Whether the hub is still there; if not, the backplane's tasks may end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.hub.strong_count() > 0
    }

    /// Names the numbering: eight visible characters of the engine's, the same on all nodes, new
    /// when the engine has lost its history; and the number after which everything will be delivered.
    /// A new name ends all streams of topics: every client learns of the gap, now or when it comes
    /// back.
    ///
    /// # Errors
    /// [`BackplaneError`] if the name cannot stand in an event ID of this crate.
    pub fn epoch(&self, epoch: &str, number: u64) -> Result<(), BackplaneError> {
        let Some(hub) = self.hub.upgrade() else {
            return Ok(());
        };
        let wakes = hub.core().set_epoch(epoch, number).ok_or_else(|| {
            BackplaneError::new(format!("{epoch:?} is no epoch: 8 of 0-9 and a-z"))
        })?;
        wakes.wake();
        Ok(())
    }

    /// Whether a stream of this node follows the topic, or one may come back to it. If not, its event
    /// with this number has passed, and need not be delivered.
    #[must_use]
    pub fn wants(&self, topic: &str, number: u64) -> bool {
        let hub = self.hub.upgrade();
        hub.is_some_and(|hub| hub.core().wants(topic, hub.topics.class(topic), number))
    }

    /// Delivers an event to this node's streams; whether the topic is followed. Events of all topics
    /// come in the order of their numbers. A number that is not above the topic's newest is passed
    /// over, so that an engine may repeat itself.
    pub fn deliver(&self, topic: &str, number: u64, event: Event) -> bool {
        let Some(hub) = self.hub.upgrade() else {
            return false;
        };
        let class = hub.topics.class(topic);
        if !hub.core().wants(topic, class, number) {
            return false;
        }
        let event = Outgoing::new(topic, class, event);
        let wakes = hub.core().deliver(event, number, Instant::now());
        wakes.wake();
        true
    }

    /// Tells the observer how long ago an event was published, on whichever node, that comes now. An
    /// observer that panics stops nothing.
    pub fn relayed(&self, topic: &str, lag: Duration) {
        if let Some(hub) = self.hub.upgrade() {
            let report = AssertUnwindSafe(|| hub.observer.relayed(&Relayed { topic, lag }));
            let _ = catch_unwind(report);
        }
    }

    /// Some events of a topic, or of all topics, up to this number are lost to this node: their
    /// streams end. A client with a `Last-Event-ID` comes back with it, and the engine says whether
    /// it has missed something; one without is told at once.
    pub fn lost(&self, topic: Option<&str>, number: u64) {
        let Some(hub) = self.hub.upgrade() else {
            return;
        };
        let topic = topic.map(|topic| (topic, &**hub.topics.class(topic)));
        let wakes = hub.core().lost(topic, number);
        wakes.wake();
    }

    /// Whether the hub is to know who follows some of its topics.
    #[must_use]
    pub fn has_presence(&self) -> bool {
        let hub = self.hub.upgrade();
        hub.is_some_and(|hub| hub.presence.is_some())
    }

    /// How many topics this node has.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.hub.upgrade().map_or(0, |hub| hub.core().topics())
    }

    /// Ends streams of this node, as another one asked.
    pub fn revoke(&self, revocation: &Revocation) {
        if let Some(hub) = self.hub.upgrade() {
            hub.revoke(revocation);
        }
    }
}

impl Shared {
    /// Ends streams of this node.
    pub(crate) fn revoke(&self, revocation: &Revocation) {
        match revocation {
            Revocation::User(user) => self.command(&Command::User(Arc::clone(user))),
            Revocation::Topic(topic) => {
                let class = self.topics.class(topic);
                // No topic has a longer name: nobody looks at it under the lock.
                if topic.len() <= self.config.max_topic_bytes {
                    let wakes = self.core().end_topic(topic, class, CloseReason::Revoked);
                    wakes.wake();
                }
            }
        }
    }
}
