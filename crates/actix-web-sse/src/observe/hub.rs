//! The settings of a hub, and how its workers are: read by a scrape.

use std::{fmt, sync::Weak, time::Duration};

/// The settings of a hub that say what is to be expected of its streams.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubInfo {
    /// After how much silence a heartbeat goes out.
    pub heartbeat: Duration,
    /// How long a stream lives at most; `None`: as long as its client stays.
    pub max_lifetime: Option<Duration>,
    /// How many events of a topic are kept for those who come back; 0 if none are.
    pub replay_events: usize,
    /// Whether the hub shares its topics with those of other processes.
    pub backplane: bool,
}

/// What is asked: a hub.
pub(crate) trait HubLevels: Send + Sync {
    /// The settings.
    fn info(&self) -> HubInfo;

    /// How long ago each worker last ran.
    fn worker_ages(&self) -> Vec<(u64, Duration)>;
}

/// Asks a hub for its settings and how its workers are, for as long as there is the hub. What an
/// observer is given when a hub is built, for its scrapes.
#[derive(Clone)]
pub struct HubWatch {
    hub: Weak<dyn HubLevels>,
}

impl HubWatch {
    pub(crate) const fn new(hub: Weak<dyn HubLevels>) -> Self {
        Self { hub }
    }

    /// The settings; `None` when the hub is gone.
    #[must_use]
    pub fn info(&self) -> Option<HubInfo> {
        Some(self.hub.upgrade()?.info())
    }

    /// How long ago each worker that has streams of the hub last ran, by a number of the worker's.
    /// More than a few seconds mean that something blocks its thread. Empty when the hub is gone.
    #[must_use]
    pub fn worker_ages(&self) -> Vec<(u64, Duration)> {
        let hub = self.hub.upgrade();
        hub.map(|hub| hub.worker_ages()).unwrap_or_default()
    }
}

impl fmt::Debug for HubWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubWatch").finish_non_exhaustive()
    }
}
