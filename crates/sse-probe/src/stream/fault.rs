//! What may be wrong with a stream's bytes, and where.

use std::fmt;

use crate::browser::headers::printable;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A byte that is not UTF-8: browsers show U+FFFD.
    BadUtf8,
    /// A byte order mark at the start.
    ByteOrderMark,
    /// A field name that clients ignore; its value is lost.
    UnknownField(String),
    /// `retry` with anything but digits: ignored.
    RetryNotANumber(String),
    /// `retry` of 2^31 ms or more: some clients overflow and reconnect at once.
    RetryTooLarge(u64),
    /// `id` with a NUL: ignored.
    IdWithNul,
    /// An id that comes back changed, or not at all, as a header: too long, or with bytes that are not ASCII.
    IdUnsafe(String),
    /// An id in a block without data: WebKit does not move the last event ID for it.
    IdWithoutData,
    /// `event` in a block without data: never dispatched.
    EventWithoutData(String),
    /// A comment followed by a blank line where nothing else stands: some clients make an empty message of it.
    BlankAfterComment,
    /// A line of more than 1 MiB.
    LineTooLong,
    /// An event of more than 1 MiB.
    EventTooLarge,
    /// A NUL byte in data.
    NulInData,
    /// A lone CR as line end: legal, but line-based proxies and parsers miss it.
    LoneCr,
    /// The body ended within a block: that event is lost.
    Unfinished,
}

/// Something wrong, with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// The line, from 1.
    pub line: u64,
    /// The byte in the body, from 0.
    pub offset: u64,
}

impl FaultKind {
    /// Two faults of one kind, whatever their values.
    pub(crate) fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |text: &str| printable(text.as_bytes());
        match self {
            Self::BadUtf8 => f.write_str("a byte that is not UTF-8"),
            Self::ByteOrderMark => f.write_str("a byte order mark"),
            Self::UnknownField(name) => {
                write!(f, "unknown field `{}`, which clients ignore", show(name))
            }
            Self::RetryNotANumber(value) => {
                write!(f, "`retry: {}` is not a number and is ignored", show(value))
            }
            Self::RetryTooLarge(ms) => write!(f, "`retry: {ms}` is 2^31 ms or more"),
            Self::IdWithNul => f.write_str("an id with a NUL byte, which is ignored"),
            Self::IdUnsafe(id) => write!(f, "id `{}` is not safe as a header value", show(id)),
            Self::IdWithoutData => f.write_str("an id in a block without data"),
            Self::EventWithoutData(name) => {
                write!(
                    f,
                    "event `{}` without data, which is never dispatched",
                    show(name)
                )
            }
            Self::BlankAfterComment => f.write_str("a comment with a blank line after it"),
            Self::LineTooLong => f.write_str("a line of more than 1 MiB"),
            Self::EventTooLarge => f.write_str("an event of more than 1 MiB"),
            Self::NulInData => f.write_str("a NUL byte in data"),
            Self::LoneCr => f.write_str("a lone CR as line end"),
            Self::Unfinished => f.write_str("the body ends inside an event, which is lost"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, byte {}: {}", self.line, self.offset, self.kind)
    }
}
