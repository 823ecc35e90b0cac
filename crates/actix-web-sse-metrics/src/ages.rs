//! The oldest open stream of a worker.

use std::{collections::BTreeMap, time::Duration};

/// The opening times of a worker's open streams, in the order of opening.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    opened: BTreeMap<u64, Duration>,
    next: u64,
}

impl Ages {
    /// Adds a stream; returns its key for `close`.
    pub(crate) fn open(&mut self, now: Duration) -> u64 {
        let key = self.next;
        self.next += 1;
        self.opened.insert(key, now);
        key
    }

    pub(crate) fn close(&mut self, key: u64) {
        self.opened.remove(&key);
    }

    /// When the oldest stream that is still open opened.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.opened.first_key_value().map(|(_, opened)| *opened)
    }
}
