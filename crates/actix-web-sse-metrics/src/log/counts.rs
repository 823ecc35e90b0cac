//! How many records were written and left out.

use std::sync::{Mutex, PoisonError};

use super::queue::DroppedLines;
use crate::{cells::Counter, mistakes::Mistakes};

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
    written: [Counter; 3],
    suppressed: [Counter; 3],
    queues: Mutex<Vec<DroppedLines>>,
    /// Of each kind one line, however many logs share these counts.
    pub(super) mistakes: Mistakes,
}

impl LogCounts {
    pub(crate) fn write(&self, event: LogEvent) {
        if let Some(counter) = at(&self.written, event) {
            counter.inc();
        }
    }

    pub(crate) fn suppress(&self, event: LogEvent) {
        if let Some(counter) = at(&self.suppressed, event) {
            counter.inc();
        }
    }

    pub(crate) fn written(&self, event: LogEvent) -> u64 {
        at(&self.written, event).map_or(0, Counter::get)
    }

    /// Counts what this queue drops.
    pub(crate) fn queue(&self, dropped: DroppedLines) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push(dropped);
    }

    /// Lines that were lost on their way out.
    pub(crate) fn dropped(&self) -> u64 {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.iter().map(DroppedLines::get).sum()
    }

    pub(crate) fn suppressed(&self, event: LogEvent) -> u64 {
        at(&self.suppressed, event).map_or(0, Counter::get)
    }
}

fn at(counters: &[Counter; 3], event: LogEvent) -> Option<&Counter> {
    let index = LogEvent::ALL.iter().position(|known| *known == event)?;
    counters.get(index)
}
