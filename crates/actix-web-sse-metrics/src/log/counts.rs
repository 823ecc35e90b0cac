//! Counts of written, suppressed and dropped records.

use std::sync::{Mutex, PoisonError};

use super::queue::DroppedLines;
use crate::{catalogue as c, counters::Counter, families::Families, mistakes::Mistakes};

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogEvent {
    /// A stream opened.
    Connect,
    /// A stream ended.
    Close,
    /// A request was refused.
    Reject,
}

impl LogEvent {
    /// Every kind, in label order.
    pub const ALL: &'static [Self] = &[Self::Connect, Self::Close, Self::Reject];

    /// The record's `event` field, and the value of the `event` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "sse_connect",
            Self::Close => "sse_close",
            Self::Reject => "sse_reject",
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct LogCounts {
    /// `None` for a log without metrics.
    counters: Option<Counters>,
    queues: Mutex<Vec<DroppedLines>>,
    /// Of each kind one line, however many logs share these counts.
    pub(super) mistakes: Mistakes,
}

#[derive(Debug)]
struct Counters {
    written: Counter,
    suppressed: Counter,
}

impl LogCounts {
    /// Counts that are exported.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let counters = Counters {
            written: Counter::new(&c::LOG_RECORDS)?,
            suppressed: Counter::new(&c::LOG_SUPPRESSED)?,
        };
        for event in LogEvent::ALL {
            counters.written.series(&[event.as_str()])?;
            counters.suppressed.series(&[event.as_str()])?;
        }
        Ok(Self {
            counters: Some(counters),
            ..Self::default()
        })
    }

    pub(crate) fn write(&self, event: LogEvent) {
        if let Some(counters) = &self.counters {
            counters.written.inc(&[event.as_str()]);
        }
    }

    pub(crate) fn suppress(&self, event: LogEvent) {
        if let Some(counters) = &self.counters {
            counters.suppressed.inc(&[event.as_str()]);
        }
    }

    /// Counts the lines that this queue drops.
    pub(crate) fn queue(&self, dropped: DroppedLines) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push(dropped);
    }

    pub(crate) fn collect(&self, families: &mut Families) {
        if let Some(counters) = &self.counters {
            counters.written.collect(families);
            counters.suppressed.collect(families);
        }
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped: u64 = queues.iter().map(DroppedLines::get).sum();
        families.single(&c::LOG_DROPPED, dropped as f64);
    }
}
