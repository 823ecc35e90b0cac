//! The latest refusals, and how many there were.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::SystemTime};

use actix_web_sse::observe::{RefusalMode, RefusalReason};

use crate::{clients::Client, recent::Recent};

/// How many refusals are remembered.
pub(super) const MAX: usize = 200;

/// A refused request.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// Counts the refusals, from 1.
    pub(crate) number: u64,
    pub(crate) at: SystemTime,
    pub(crate) reason: RefusalReason,
    pub(crate) mode: RefusalMode,
    pub(crate) status: u16,
    pub(crate) route: Arc<str>,
    /// What the client sent, escaped, or the class.
    pub(crate) origin: Arc<str>,
    pub(crate) address: Option<IpAddr>,
}

#[derive(Debug)]
pub(super) struct Refusals {
    /// Since the page was mounted, by the name of the reason.
    counts: BTreeMap<&'static str, (RefusalReason, u64)>,
    latest: Recent<Refusal>,
    total: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            counts: BTreeMap::new(),
            latest: Recent::new(MAX),
            total: 0,
        }
    }
}

impl Refusals {
    pub(super) fn add(&mut self, client: Client, make: impl FnOnce(u64) -> Refusal) {
        self.total += 1;
        let refusal = make(self.total);
        let reason = refusal.reason;
        let count = self.counts.entry(reason.as_str()).or_insert((reason, 0));
        count.1 += 1;
        self.latest.push(client, refusal);
    }

    pub(super) fn counts(&self) -> BTreeMap<&'static str, (RefusalReason, u64)> {
        self.counts.clone()
    }

    pub(super) fn latest(&self) -> Vec<Refusal> {
        self.latest.iter().cloned().collect()
    }
}
