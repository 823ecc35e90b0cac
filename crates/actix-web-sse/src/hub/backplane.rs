//! The seam for a hub that spans several processes.
//!
//! Without a backplane a hub is complete in itself and pays nothing for this. With one, the engine
//! behind it numbers the events and keeps their history; every node's hub is then a cache of what
//! its own streams follow, with the same epoch and the same numbers, so that a `Last-Event-ID`
//! holds on every node.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{Shared, log::labels, mailbox::Command};
use crate::{
    event::{Event, encode::Unnumbered},
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

/// What a client missed, as the engine has kept it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Topic, number and event, in the order of the numbers.
    pub events: Vec<(Arc<str>, u64, Event)>,
    /// Nothing after the asked-for number is missing. If false, the client learns of a gap, and
    /// the events are not sent.
    pub complete: bool,
}

/// An engine that numbers events and keeps them, shared by several hubs.
pub trait Backplane: Send + Sync + 'static {
    /// Called once, when the hub is built: the way back into it.
    fn start(&self, sink: Sink);

    /// Publishes an event; resolves to its number when the engine has taken it. The event comes
    /// back to every node that follows the topic, to this one too, through [`Sink::deliver`].
    fn publish(&self, topic: &str, event: Event) -> BackplaneFuture<u64>;

    /// The set of topics that this node follows has changed: see [`Sink::changes`].
    fn interest(&self);

    /// What came after this number in these topics. Resolves only once all of them are followed,
    /// so that whatever is not in the answer reaches [`Sink::deliver`] later.
    fn history(&self, topics: Vec<Arc<str>>, after: u64) -> BackplaneFuture<History>;

    /// Asks every node, this one excepted, to end streams ([`Sink::revoke`]).
    fn revoke(&self, revocation: Revocation);

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
    /// when the engine has lost its history. A change ends all streams of topics, so that every
    /// client comes back and learns of the gap.
    ///
    /// # Errors
    /// [`BackplaneError`] if the name cannot stand in an event ID of this crate.
    pub fn epoch(&self, epoch: &str) -> Result<(), BackplaneError> {
        let Some(hub) = self.hub.upgrade() else {
            return Ok(());
        };
        let wakes = hub.core().set_epoch(epoch).ok_or_else(|| {
            BackplaneError::new(format!("{epoch:?} is no epoch: 8 of 0-9 and a-z"))
        })?;
        wakes.wake();
        Ok(())
    }

    /// Delivers an event to this node's streams. A number that is not above the topic's newest is
    /// passed over, so that an engine may repeat itself.
    pub fn deliver(&self, topic: &str, number: u64, event: Event) {
        let Some(hub) = self.hub.upgrade() else {
            return;
        };
        let encoded = Unnumbered::new(&event);
        let (labels, transient) = labels(event);
        let wakes = hub
            .core()
            .deliver(topic, number, encoded, labels, transient, Instant::now());
        wakes.wake();
    }

    /// Tells the observer how long ago an event was published, on whichever node, that comes now.
    pub fn relayed(&self, topic: &str, lag: Duration) {
        if let Some(hub) = self.hub.upgrade() {
            hub.observer.relayed(&Relayed { topic, lag });
        }
    }

    /// A topic is followed: every event of it above this number will be delivered. To be called
    /// for each topic that [`changes`](Self::changes) has named, and again after
    /// [`lost`](Self::lost).
    pub fn followed(&self, topic: &str, number: u64) {
        if let Some(hub) = self.hub.upgrade() {
            let wakes = hub.core().followed(topic, number);
            wakes.wake();
        }
    }

    /// Some events of a topic are lost to this node: its streams end, and their clients come back
    /// and learn of the gap.
    pub fn lost(&self, topic: &str) {
        let Some(hub) = self.hub.upgrade() else {
            return;
        };
        let wakes = hub.core().forget(topic);
        wakes.wake();
    }

    /// Ends streams of this node, as another one asked.
    pub fn revoke(&self, revocation: &Revocation) {
        if let Some(hub) = self.hub.upgrade() {
            hub.revoke(revocation);
        }
    }

    /// What has changed since the last call, in order: topics that this node follows from now on
    /// (`true`) or no more.
    #[must_use]
    pub fn changes(&self) -> Vec<(Arc<str>, bool)> {
        self.hub
            .upgrade()
            .map(|hub| hub.core().take_changes())
            .unwrap_or_default()
    }
}

impl Shared {
    /// Ends streams of this node.
    pub(crate) fn revoke(&self, revocation: &Revocation) {
        match revocation {
            Revocation::User(user) => self.command(&Command::User(Arc::clone(user))),
            Revocation::Topic(topic) => {
                let wakes = self.core().end_topic(topic, CloseReason::Revoked);
                wakes.wake();
            }
        }
    }
}
