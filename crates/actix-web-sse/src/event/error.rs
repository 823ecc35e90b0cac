//! Faults in the parts of an event.

use std::{error::Error, fmt, time::Duration};

use actix_web::{HttpResponse, ResponseError};

use super::error_body;

/// A fault in a part of an event, found when the part was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventError {
    /// A byte that the field cannot hold.
    Forbidden {
        /// `id` or `event`.
        field: &'static str,
        /// Where, in bytes from the start.
        offset: usize,
        /// The character.
        found: char,
        /// What the field may hold.
        allowed: &'static str,
    },
    /// Longer than the field may be.
    TooLong {
        /// `id` or `event`.
        field: &'static str,
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// `retry` outside 100 ms to 1 h.
    Retry(Duration),
    /// The value has no JSON form.
    Json(String),
    /// An ID or a name on a comment.
    NoData {
        /// `id` or `event`.
        field: &'static str,
    },
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden {
                field,
                offset,
                found,
                allowed,
            } => write!(
                f,
                "`{field}` holds {found:?} at byte {offset}; it may hold {allowed}"
            ),
            Self::TooLong { field, len, max } => {
                write!(f, "`{field}` has {len} bytes; it may have at most {max}")
            }
            Self::Retry(given) => {
                write!(f, "`retry` of {given:?}; it may be from 100 ms to 1 h")
            }
            Self::Json(why) => write!(f, "`data` has no JSON form: {why}"),
            Self::NoData { field } => write!(
                f,
                "a comment cannot have `{field}`: clients disagree on blocks without data"
            ),
        }
    }
}

impl Error for EventError {}

/// 500 `invalid_event`: that a handler makes an event which cannot be sent is its own fault, and
/// the text stays in the log.
impl ResponseError for EventError {
    fn error_response(&self) -> HttpResponse {
        error_body::response(self.status_code(), "invalid_event", None)
    }
}

impl From<std::convert::Infallible> for EventError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
