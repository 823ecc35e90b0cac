//! The body of an event stream, read as browsers read it, with every departure from the format and its position.
//!
//! Parser crates hide what a probe must see: where a line began, what was ignored and why, when each part came. This reader
//! keeps that, and holds bounded memory whatever the server sends.

mod reader;
pub(crate) mod timing;

use std::time::Duration;

use thiserror::Error;

pub use self::{reader::Reader, timing::Arrival};
use crate::browser::headers::printable;

/// Items that are kept; later ones are only counted.
const ITEMS: usize = 10_000;

/// Faults that are kept; later ones are only counted.
const FAULTS: usize = 200;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultKind {
    /// Browsers show U+FFFD.
    #[error("a byte that is not UTF-8")]
    BadUtf8,
    /// At the start.
    #[error("a byte order mark")]
    ByteOrderMark,
    /// Its value is lost.
    #[error("unknown field `{}`, which clients ignore", shown(.0))]
    UnknownField(String),
    /// Anything but digits.
    #[error("`retry: {}` is not a number and is ignored", shown(.0))]
    RetryNotANumber(String),
    /// Some clients overflow and reconnect at once.
    #[error("`retry: {0}` is 2^31 ms or more")]
    RetryTooLarge(u64),
    /// Clients keep the ID before it.
    #[error("an id with a NUL byte, which is ignored")]
    IdWithNul,
    /// It comes back changed, or not at all, as a header: too long, or with bytes that are not ASCII.
    #[error("id `{}` is not safe as a header value", shown(.0))]
    IdUnsafe(String),
    /// WebKit does not move the last event ID for it.
    #[error("an id in a block without data")]
    IdWithoutData,
    /// `event` in a block without data.
    #[error("event `{}` without data, which is never dispatched", shown(.0))]
    EventWithoutData(String),
    /// Nothing else stands in the block: some clients make an empty message of it.
    #[error("a comment with a blank line after it")]
    BlankAfterComment,
    /// Proxies and parsers have limits.
    #[error("a line of more than 1 MiB")]
    LineTooLong,
    /// The data of all its lines.
    #[error("an event of more than 1 MiB")]
    EventTooLarge,
    /// C libraries cut the text there.
    #[error("a NUL byte in data")]
    NulInData,
    /// Legal, but line-based proxies and parsers miss it.
    #[error("a lone CR as line end")]
    LoneCr,
    /// Line after line of data for seconds, and no blank line: nothing is ever dispatched.
    #[error("lines of data for {} s without a blank line, so that no event ends", .0.as_secs())]
    NoBlankLine(Duration),
    /// The body ended within a block.
    #[error("the body ends inside an event, which is lost")]
    Unfinished,
}

fn shown(text: &str) -> String {
    printable(text.as_bytes())
}

/// Something wrong, with its position.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {}, byte {}: {kind}", place.line, place.offset)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// Where.
    pub place: Place,
}

/// A position in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The byte in the body, from 0.
    pub offset: u64,
}

/// An event that a browser would dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The id that this event itself carried.
    pub fn carried_id(&self) -> Option<&str> {
        self.id.as_deref().filter(|_| self.own_id)
    }

    /// Whether it is there for its id alone.
    fn is_anchor(&self) -> bool {
        self.own_id && self.name == "anchor" && self.data == "{}"
    }
}

/// A part of a stream, with the time at which it was complete.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub fn at(&self) -> Duration {
        match self {
            Self::Event(at, _)
            | Self::Anchor(at, _)
            | Self::Comment(at, _)
            | Self::Retry(at, _) => *at,
        }
    }
}

/// Everything that was read.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The parts, in their order; at most 10 000.
    pub items: Vec<Item>,
    /// The faults, at most 200.
    pub faults: Vec<Fault>,
    /// All faults, the ones not kept included.
    pub fault_count: u64,
    /// All events, the ones not kept included.
    pub event_count: u64,
    /// All comments, the ones not kept included.
    pub comment_count: u64,
    /// The last reconnection time that was set.
    pub retry: Option<Duration>,
    /// What the body did to the last event ID: nothing, or set it to this; an empty text clears it.
    pub last_id: Option<String>,
}

impl Report {
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

    fn push(&mut self, item: Item) {
        match &item {
            Item::Event(..) => self.event_count += 1,
            Item::Anchor(..) => {}
            Item::Comment(..) => self.comment_count += 1,
            Item::Retry(_, time) => self.retry = Some(*time),
        }
        if self.items.len() < ITEMS {
            self.items.push(item);
        }
    }

    fn fault(&mut self, kind: FaultKind, place: Place) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS {
            self.faults.push(Fault { kind, place });
        }
    }
}
