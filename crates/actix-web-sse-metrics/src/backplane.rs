//! The state of the backplanes of this process's hubs. Without a backplane no family is exported.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web_sse::{BackplaneStats, BackplaneWatch};

use prometheus::{Histogram, core::Collector};

use crate::{
    catalogue::{self as c, BACKPLANE_LAG},
    counters::histogram,
    families::Families,
};

/// The most hubs of one process that are read. A process has one; tests have a few.
const MAX_HUBS: usize = 64;

/// The backplanes that report to these metrics.
#[derive(Debug)]
pub(crate) struct Backplanes {
    watches: Mutex<Vec<BackplaneWatch>>,
    lag: Histogram,
}

impl Backplanes {
    pub(crate) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            watches: Mutex::default(),
            lag: histogram(&BACKPLANE_LAG)?,
        })
    }

    /// Adds a hub with a backplane, and removes hubs that are gone.
    pub(crate) fn watch(&self, watch: &BackplaneWatch) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watch| watch.stats().is_some());
        if watches.len() < MAX_HUBS {
            watches.push(watch.clone());
        }
    }

    /// Counts an event that arrived from the backplane.
    pub(crate) fn relayed(&self, lag: Duration) {
        self.lag.observe(lag.as_secs_f64());
    }

    /// All backplanes combined: counts and levels are summed, of states the worst is taken. `None` if
    /// there are none.
    fn stats(&self) -> Option<BackplaneStats> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let all = watches.iter().filter_map(BackplaneWatch::stats);
        all.reduce(|mut sum, one| {
            sum.connected &= one.connected;
            sum.silent = sum.silent.max(one.silent);
            sum.pending += one.pending;
            sum.topics += one.topics;
            sum.failures += one.failures;
            sum.published += one.published;
            sum.unpublished += one.unpublished;
            sum.delivered += one.delivered;
            sum.holes += one.holes;
            sum.resets += one.resets;
            sum.revocations_lost += one.revocations_lost;
            sum.uncounted += one.uncounted;
            sum
        })
    }

    pub(crate) fn collect(&self, families: &mut Families) {
        let Some(stats) = self.stats() else { return };
        let connected = f64::from(u8::from(stats.connected));
        families.single(&c::BACKPLANE_CONNECTED, connected);
        families.single(&c::BACKPLANE_SILENT, stats.silent.as_secs_f64());
        families.add(self.lag.collect());
        for (row, count) in [
            (&c::BACKPLANE_BACKLOG, stats.pending),
            (&c::BACKPLANE_TOPICS, stats.topics),
            (&c::BACKPLANE_FAILURES, stats.failures),
            (&c::BACKPLANE_PUBLISHED, stats.published),
            (&c::BACKPLANE_UNPUBLISHED, stats.unpublished),
            (&c::BACKPLANE_DELIVERED, stats.delivered),
            (&c::BACKPLANE_HOLES, stats.holes),
            (&c::BACKPLANE_RESETS, stats.resets),
            (&c::BACKPLANE_REVOCATIONS_LOST, stats.revocations_lost),
            (&c::BACKPLANE_UNCOUNTED, stats.uncounted),
        ] {
            families.single(row, count as f64);
        }
    }
}
