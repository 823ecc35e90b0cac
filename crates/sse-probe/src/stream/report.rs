//! What a stream held.

use std::time::Duration;

use super::fault::Fault;

/// Items that are kept; later ones are only counted.
const ITEMS: usize = 10_000;

/// Faults that are kept; later ones are only counted.
const FAULTS: usize = 200;

/// An event that a browser would dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenEvent {
    /// The `event` field; empty means `message`.
    pub name: String,
    /// The last event ID after it, if there is one.
    pub id: Option<String>,
    /// Whether this event itself carried the id.
    pub own_id: bool,
    /// The data, at most its first 64 KiB.
    pub data: String,
    /// The true length of the data.
    pub data_len: u64,
}

impl SeenEvent {
    /// Whether it is there for its id alone.
    pub(super) fn is_anchor(&self) -> bool {
        self.own_id && self.name == "anchor" && self.data == "{}"
    }
}

/// A part of a stream, with the time at which it was complete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A dispatched event.
    Event(Duration, SeenEvent),
    /// An event that a server sends for its id alone: `event: anchor`, with the data `{}`. No page
    /// waits for it, so that it says nothing about events; a reconnect goes by its id as by any other.
    Anchor(Duration, SeenEvent),
    /// A comment: a heartbeat, mostly.
    Comment(Duration, String),
    /// A new reconnection time.
    Retry(Duration, Duration),
}

impl Item {
    /// When it was complete, counted from the request.
    #[must_use]
    pub fn at(&self) -> Duration {
        match self {
            Self::Event(at, _)
            | Self::Anchor(at, _)
            | Self::Comment(at, _)
            | Self::Retry(at, _) => *at,
        }
    }
}

/// How often each kind of line end was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineEnds {
    /// `\n`
    pub lf: u64,
    /// `\r`
    pub cr: u64,
    /// `\r\n`
    pub crlf: u64,
}

/// Everything that was read.
#[derive(Debug, Clone, Default)]
pub struct Report {
    items: Vec<Item>,
    faults: Vec<Fault>,
    fault_count: u64,
    events: u64,
    comments: u64,
    retry: Option<Duration>,
    retry_before_event: bool,
    last_id: Option<String>,
    largest: u64,
    pub(super) ends: LineEnds,
}

impl Report {
    /// The parts, in their order; at most 10 000.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The events among the parts.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = (Duration, &SeenEvent)> {
        self.items.iter().filter_map(|item| match item {
            Item::Event(at, event) => Some((*at, event)),
            _ => None,
        })
    }

    /// The events, and what is sent for its id alone.
    pub fn with_anchors(&self) -> impl DoubleEndedIterator<Item = &SeenEvent> {
        self.items.iter().filter_map(|item| match item {
            Item::Event(_, event) | Item::Anchor(_, event) => Some(event),
            _ => None,
        })
    }

    /// When comments came.
    pub fn comments(&self) -> impl Iterator<Item = Duration> {
        self.items.iter().filter_map(|item| match item {
            Item::Comment(at, _) => Some(*at),
            _ => None,
        })
    }

    /// The faults, at most 200.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// All faults, the ones not kept included.
    #[must_use]
    pub fn fault_count(&self) -> u64 {
        self.fault_count
    }

    /// All events, the ones not kept included.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        self.events
    }

    /// All comments, the ones not kept included.
    #[must_use]
    pub fn comment_count(&self) -> u64 {
        self.comments
    }

    /// The last reconnection time that was set.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Whether it was set before the first event.
    #[must_use]
    pub fn retry_comes_first(&self) -> bool {
        self.retry_before_event
    }

    /// The last event ID, as a browser would send it on reconnect.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref().filter(|id| !id.is_empty())
    }

    /// What the body did to the last event ID: nothing, or set it to this; an empty text clears it.
    #[must_use]
    pub fn last_id_change(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The length of the largest event's data.
    #[must_use]
    pub fn largest_event(&self) -> u64 {
        self.largest
    }

    /// The line ends.
    #[must_use]
    pub fn line_ends(&self) -> LineEnds {
        self.ends
    }

    /// Takes the parts out, for a reader that follows a stream without end.
    pub fn take_items(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.items)
    }

    /// Takes the faults out, likewise.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    pub(super) fn push(&mut self, item: Item) {
        match &item {
            Item::Event(_, event) => {
                self.events += 1;
                self.largest = self.largest.max(event.data_len);
            }
            Item::Anchor(..) => {}
            Item::Comment(..) => self.comments += 1,
            Item::Retry(_, time) => {
                self.retry_before_event |= self.events == 0;
                self.retry = Some(*time);
            }
        }
        if self.items.len() < ITEMS {
            self.items.push(item);
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS {
            self.faults.push(fault);
        }
    }

    pub(super) fn set_last_id(&mut self, id: Option<&str>) {
        self.last_id = id.map(str::to_owned);
    }
}
