//! How many records were written and left out.

use crate::cells::Counter;

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

    pub(crate) fn suppressed(&self, event: LogEvent) -> u64 {
        at(&self.suppressed, event).map_or(0, Counter::get)
    }
}

fn at(counters: &[Counter; 3], event: LogEvent) -> Option<&Counter> {
    let index = LogEvent::ALL.iter().position(|known| *known == event)?;
    counters.get(index)
}
