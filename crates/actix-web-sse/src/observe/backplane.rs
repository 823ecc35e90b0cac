//! How a backplane is: read by a scrape, a readiness check or a person.

use std::{fmt, sync::Weak, time::Duration};

/// How a backplane is, read when asked for. Counts begin with the process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BackplaneStats {
    /// The engine answers.
    pub connected: bool,
    /// For how long this node has heard nothing from the engine. A backplane asks of its own
    /// accord, so that this stays small while all is well, whether events come or not.
    pub silent: Duration,
    /// How old the newest event was when it was delivered here, by the engine's clock.
    pub lag: Duration,
    /// Publications that wait for the engine.
    pub pending: u64,
    /// Topics that this node follows.
    pub topics: u64,
    /// Connections that ended, and attempts that failed.
    pub failures: u64,
    /// Events that the engine acknowledged.
    pub published: u64,
    /// Events that the engine did not acknowledge; each of them was an error of its publisher's.
    pub unpublished: u64,
    /// Events that came from the engine and went to the hub.
    pub delivered: u64,
    /// How often streams of a topic ended because the engine no longer had all that they lacked.
    pub holes: u64,
    /// How often the numbering began anew, because the engine had lost its history.
    pub resets: u64,
    /// Revocations that did not reach the other nodes: there were too many in an outage.
    pub revocations_lost: u64,
    /// Streams that were let in by this node's own count, because the engine could not be asked
    /// how many their user has on all nodes.
    pub uncounted: u64,
    /// Why the engine was last lost.
    pub last_error: Option<String>,
}

/// What has a backplane: a hub.
pub(crate) trait BackplaneLevels: Send + Sync {
    /// How the backplane is now; `None` without one.
    fn backplane_stats(&self) -> Option<BackplaneStats>;
}

/// Asks a hub's backplane how it is, for as long as there is the hub. What an observer is given
/// when a hub with a backplane is built, for its scrapes.
#[derive(Clone)]
pub struct BackplaneWatch {
    hub: Weak<dyn BackplaneLevels>,
}

impl BackplaneWatch {
    pub(crate) const fn new(hub: Weak<dyn BackplaneLevels>) -> Self {
        Self { hub }
    }

    /// How the backplane is now; `None` when its hub is gone.
    #[must_use]
    pub fn stats(&self) -> Option<BackplaneStats> {
        self.hub.upgrade()?.backplane_stats()
    }
}

impl fmt::Debug for BackplaneWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackplaneWatch").finish_non_exhaustive()
    }
}
