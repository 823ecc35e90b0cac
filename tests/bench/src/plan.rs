//! How much is measured.

use std::time::Duration;

/// The size of a run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Each contestant is started this often, in turn with the others.
    pub(crate) rounds: usize,
    /// Streams that receive single events.
    pub(crate) streams: usize,
    /// Single events, each after the one before has reached everybody.
    pub(crate) singles: usize,
    /// Streams that receive batches.
    pub(crate) batch_streams: usize,
    /// Batches, and the events in each.
    pub(crate) batches: usize,
    pub(crate) batch: usize,
    /// Events from a foreign thread, with few streams and with all.
    pub(crate) foreign: usize,
    pub(crate) few_streams: usize,
    /// Streams with guards, metrics and logs around them, and refused requests of each kind.
    pub(crate) guarded: usize,
    pub(crate) refusals: usize,
    /// Streams that are open when the metrics are scraped, and how often that is.
    pub(crate) scraped: usize,
    pub(crate) scrapes: usize,
    /// How often a contestant is put under strain, and how many streams are very many.
    pub(crate) strains: usize,
    pub(crate) crowd: usize,
    /// Idle streams, their heartbeat interval, and how long they are watched.
    pub(crate) heartbeat: Duration,
    pub(crate) idle: Duration,
}

impl Plan {
    pub(crate) const fn full() -> Self {
        Self {
            rounds: 9,
            streams: 5000,
            singles: 20,
            batch_streams: 2000,
            batches: 20,
            batch: 16,
            foreign: 20,
            few_streams: 100,
            guarded: 2000,
            refusals: 500,
            scraped: 19_000,
            scrapes: 20,
            strains: 3,
            crowd: 15_000,
            heartbeat: Duration::from_secs(1),
            idle: Duration::from_secs(3),
        }
    }

    pub(crate) const fn quick() -> Self {
        Self {
            rounds: 1,
            singles: 10,
            batches: 10,
            foreign: 10,
            guarded: 1000,
            refusals: 200,
            scrapes: 10,
            strains: 1,
            idle: Duration::from_secs(2),
            ..Self::full()
        }
    }
}
