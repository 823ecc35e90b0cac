//! What a hub was told to do, and how its workers are: read by a scrape.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use super::Shared;

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

/// Asks a hub for what it was told to do and how its workers are, for as long as there is the hub.
/// What an observer is given when a hub is built, for its scrapes.
#[derive(Clone)]
pub struct HubWatch {
    hub: Weak<Shared>,
}

impl HubWatch {
    pub(super) fn new(hub: &Arc<Shared>) -> Self {
        Self {
            hub: Arc::downgrade(hub),
        }
    }

    /// The settings; `None` when the hub is gone.
    #[must_use]
    pub fn info(&self) -> Option<HubInfo> {
        let hub = self.hub.upgrade()?;
        Some(HubInfo {
            heartbeat: hub.stream.heartbeat,
            max_lifetime: hub.stream.max_lifetime,
            replay_events: if hub.config.resume {
                hub.config.replay_events
            } else {
                0
            },
            backplane: hub.backplane.is_some(),
        })
    }

    /// How long ago each worker that has streams of the hub last ran, by a number of the worker's. More than a
    /// few seconds mean that something blocks its thread. Empty when the hub is gone.
    #[must_use]
    pub fn worker_ages(&self) -> Vec<(u64, Duration)> {
        let hub = self.hub.upgrade();
        hub.map(|hub| hub.ticks.ages()).unwrap_or_default()
    }
}

impl fmt::Debug for HubWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubWatch").finish_non_exhaustive()
    }
}
