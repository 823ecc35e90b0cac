//! What becomes of an event that is published.

use std::{error::Error, fmt};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use tokio::time::Instant;

use super::{BackplaneError, Hub, core::Outgoing, topics::NoRoom};
use crate::{
    config::TopicAccess,
    event::{Event, EventError, InvalidTopic, error_body, topic},
    identity::Identity,
    observe::Publication,
};

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
    /// There are as many topics as the settings of these allow
    /// ([`TopicConfig::max_topics`](crate::config::TopicConfig::max_topics)).
    TooManyTopicsOf {
        /// The pattern of the settings.
        pattern: String,
        /// How many topics may match it.
        max: usize,
    },
    /// The client may not publish there ([`Hub::publish_as`](super::Hub::publish_as)).
    Forbidden,
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
            Self::TooManyTopicsOf { pattern, max } => write!(
                f,
                "there are {max} topics that match {pattern:?}, and all are in use: raise max_topics of this entry \
                 of hub.topics, or use fewer"
            ),
            Self::Forbidden => f.write_str(
                "the credentials give no right to publish to this topic, or have ended: see TopicConfig::publish",
            ),
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
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooManyTopics(_) | Self::TooManyTopicsOf { .. } | Self::Backplane(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
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
            Self::Forbidden => "insufficient_scope",
            Self::Reserved(_) => "reserved_topic",
            Self::TooManyTopics(_) | Self::TooManyTopicsOf { .. } => "capacity",
            Self::Backplane(_) => "backplane_unavailable",
            Self::HasId | Self::NoData | Self::Event(_) | Self::Shared => "internal",
        };
        error_body::response(self.status_code(), code, None)
    }
}

impl Hub {
    /// Publishes an event to everybody who follows the topic. From any thread; never waits for a
    /// subscriber.
    ///
    /// # Errors
    /// [`PublishError`]; nothing was sent then.
    pub fn publish(&self, topic: &str, event: Event) -> Result<Published, PublishError> {
        let class = self.shared.topics.class(topic);
        if self.shared.backplane.is_some() && class.shared {
            return Err(PublishError::Shared);
        }
        self.check(topic, &event)?;
        self.put(topic, event)
    }

    /// Publishes an event of this hub's own numbering that has been checked.
    pub(super) fn put(&self, topic: &str, event: Event) -> Result<Published, PublishError> {
        let event = Outgoing::new(topic, self.shared.topics.class(topic), event);
        let accepted =
            self.shared
                .core()
                .publish(event, Instant::now())
                .map_err(|full| match full {
                    NoRoom::Class(class) => PublishError::TooManyTopicsOf {
                        pattern: class.name.as_deref().unwrap_or_default().to_owned(),
                        max: class.max_topics,
                    },
                    NoRoom::Hub | NoRoom::Streams => {
                        PublishError::TooManyTopics(self.shared.config.max_topics)
                    }
                })?;
        accepted.wakes.wake();
        self.report(topic, accepted.bytes);
        Ok(Published { id: accepted.id })
    }

    /// Publishes a join or leave to whoever follows it, by name or by a pattern.
    pub(super) fn announce(&self, topic: &str, event: Event) {
        let event = Outgoing::new(topic, self.shared.topics.class(topic), event);
        let accepted = self.shared.core().announce(event, Instant::now());
        accepted.wakes.wake();
        self.report(topic, accepted.bytes);
    }

    /// Publishes to every node of a hub with a [`Backplane`](super::Backplane); without one it is
    /// [`publish`](Self::publish) and ready at once.
    ///
    /// # Errors
    /// As `publish`, and [`PublishError::Backplane`] when the engine did not take the event: then
    /// nobody can count on it, although the engine may have it.
    pub async fn publish_shared(
        &self,
        topic: &str,
        event: Event,
    ) -> Result<Published, PublishError> {
        let shared = self.shared.topics.class(topic).shared;
        let Some(backplane) = self.shared.backplane.as_ref().filter(|_| shared) else {
            return self.publish(topic, event);
        };
        self.check(topic, &event)?;
        let (bytes, transient) = (event.weight(), event.transient);
        let number = backplane
            .publish(topic, event)
            .await
            .map_err(PublishError::Backplane)?;
        self.report(topic, bytes);
        let id = (!transient).then(|| self.shared.core().id(number));
        Ok(Published { id })
    }

    /// Publishes for a client, as [`publish_shared`](Self::publish_shared) does for the application: if its
    /// credentials still hold, and give the right to. That is [`Identity::publish`] and the right to the topic,
    /// unless the topic's settings say otherwise ([`TopicConfig::publish`](crate::config::TopicConfig::publish)).
    ///
    /// A handler that has waited for the body of its request need not ask
    /// [`still_holds`](Identity::still_holds):
    ///
    /// ```
    /// use actix_web::{HttpResponse, Result, post, web::Path};
    /// use actix_web_sse::{Event, Hub, Identity};
    ///
    /// #[post("/rooms/{room}")]
    /// async fn say(hub: Hub, who: Identity, room: Path<String>, text: String) -> Result<HttpResponse> {
    ///     hub.publish_as(&who, &format!("rooms/{room}"), Event::data(text)).await?;
    ///     Ok(HttpResponse::NoContent().finish())
    /// }
    /// # let _ = say;
    /// ```
    ///
    /// # Errors
    /// [`PublishError::Forbidden`], and as `publish_shared`.
    pub async fn publish_as(
        &self,
        who: &Identity,
        topic: &str,
        event: Event,
    ) -> Result<Published, PublishError> {
        let allowed = match self.shared.topics.class(topic).publish {
            TopicAccess::Rights => who.publish && who.topics.allow(topic),
            TopicAccess::Anyone => true,
            TopicAccess::Nobody => false,
        };
        if !allowed || !who.still_holds() {
            return Err(PublishError::Forbidden);
        }
        self.publish_shared(topic, event).await
    }

    fn report(&self, topic: &str, bytes: usize) {
        let class = self.shared.topics.class(topic).name.as_deref();
        self.shared.observer.published(&Publication {
            topic,
            class,
            bytes,
        });
    }

    fn check(&self, topic: &str, event: &Event) -> Result<(), PublishError> {
        let max = self.shared.config.max_event_bytes;
        let len = event.weight();
        if len > max {
            return Err(PublishError::TooLarge { len, max });
        }
        if event.id.is_some() {
            return Err(PublishError::HasId);
        }
        if event.data.is_none() {
            return Err(PublishError::NoData);
        }
        topic::check(topic, self.shared.config.max_topic_bytes)
            .map_err(PublishError::InvalidTopic)?;
        if !self.knows(topic) {
            return Err(PublishError::UnknownTopic(topic.to_owned()));
        }
        if self.announced(topic).is_some() {
            return Err(PublishError::Reserved(topic.to_owned()));
        }
        Ok(())
    }
}
