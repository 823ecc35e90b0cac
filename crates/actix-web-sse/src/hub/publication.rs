//! What becomes of an event that is published.

use std::{error::Error, fmt};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};

use super::BackplaneError;
use crate::event::{EventError, InvalidTopic, error_body};

/// An event that the hub has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Its ID; `None` for a transient event.
    pub id: Option<String>,
}

/// Why an event was not published. Nothing was sent to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// Larger than `max_event_bytes`.
    TooLarge {
        /// Bytes of data and name.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The event has an ID of its own, and the hub's own are what replay rests on.
    HasId,
    /// A comment: it has nothing to deliver.
    NoData,
    /// The value of a [`Topic`](super::Topic) has no form as an event.
    Event(EventError),
    /// Nothing can be called so.
    InvalidTopic(InvalidTopic),
    /// Not a topic of this hub ([`HubBuilder::topics`](super::HubBuilder::topics)).
    UnknownTopic(String),
    /// The joins and leaves of a topic with [presence](crate::config::PresenceMode::Events): only the hub publishes there.
    Reserved(String),
    /// There are `max_topics` topics, and all are in use.
    TooManyTopics(usize),
    /// The hub has a backplane: only [`Hub::publish_shared`](super::Hub::publish_shared) reaches all nodes.
    Shared,
    /// The backplane's engine did not take it.
    Backplane(BackplaneError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { len, max } => write!(
                f,
                "the event has {len} bytes; max_event_bytes is {max}: send a reference, or raise it"
            ),
            Self::HasId => {
                f.write_str("the event has an ID; leave it out, the hub numbers its events")
            }
            Self::NoData => f.write_str("the event is a comment; publish data"),
            Self::Event(error) => write!(f, "the value has no form as an event: {error}"),
            Self::InvalidTopic(invalid) => invalid.fmt(f),
            Self::UnknownTopic(topic) => write!(f, "{topic:?} is not a topic of this hub"),
            Self::Reserved(topic) => write!(
                f,
                "{topic:?} has the joins and leaves of a topic, and only the hub publishes there"
            ),
            Self::Shared => f.write_str("the hub has a backplane; call publish_shared"),
            Self::Backplane(error) => write!(f, "the backplane did not take the event: {error}"),
            Self::TooManyTopics(max) => write!(
                f,
                "there are {max} topics, and all are in use: raise max_topics, or use fewer"
            ),
        }
    }
}

impl Error for PublishError {}

/// A status and a code that a publishing client can act on; the text stays in the log.
impl ResponseError for PublishError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::InvalidTopic(_) => StatusCode::BAD_REQUEST,
            Self::Reserved(_) => StatusCode::FORBIDDEN,
            Self::UnknownTopic(_) => StatusCode::NOT_FOUND,
            Self::TooManyTopics(_) | Self::Backplane(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::HasId | Self::NoData | Self::Event(_) | Self::Shared => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    fn error_response(&self) -> HttpResponse {
        let code = match self {
            Self::TooLarge { .. } => "event_too_large",
            Self::InvalidTopic(invalid) => {
                let message = invalid.to_string();
                return error_body::response(self.status_code(), "invalid_request", Some(&message));
            }
            Self::UnknownTopic(_) => "not_found",
            Self::Reserved(_) => "reserved_topic",
            Self::TooManyTopics(_) => "capacity",
            Self::Backplane(_) => "backplane_unavailable",
            Self::HasId | Self::NoData | Self::Event(_) | Self::Shared => "internal",
        };
        error_body::response(self.status_code(), code, None)
    }
}
