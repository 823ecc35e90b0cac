//! What the hubs of this process say about their backplanes. Without a backplane there is nothing
//! to show, and nothing is shown.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web_sse::{BackplaneStats, BackplaneWatch};

use crate::{
    catalogue::{self as c, BACKPLANE_LAG},
    cells::{Histogram, micros},
    families::Families,
    worker::bounds,
};

/// How many hubs of one process are asked. A process has one, a test perhaps a few.
const MAX_HUBS: usize = 64;

/// The backplanes that report to these metrics.
#[derive(Debug)]
pub(crate) struct Backplanes {
    watches: Mutex<Vec<BackplaneWatch>>,
    lag: Histogram,
}

impl Default for Backplanes {
    fn default() -> Self {
        Self {
            watches: Mutex::default(),
            lag: Histogram::new(bounds(&BACKPLANE_LAG)),
        }
    }
}

impl Backplanes {
    /// A hub with a backplane was built. Those that are gone make room.
    pub(crate) fn watch(&self, watch: &BackplaneWatch) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watch| watch.stats().is_some());
        if watches.len() < MAX_HUBS {
            watches.push(watch.clone());
        }
    }

    /// An event came.
    pub(crate) fn relayed(&self, lag: Duration) {
        self.lag.observe(micros(lag));
    }

    /// All backplanes as one: counts and levels are added up, and of what is good or bad the worst
    /// is told. `None` without any.
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
        families.family(&c::BACKPLANE_LAG, |family| {
            family.histogram(&[], &self.lag.snapshot());
        });
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
