//! Events whose parts are checked when they are made, so that encoding cannot fail.

pub(crate) mod encode;
mod error;
pub(crate) mod error_body;
mod id;
mod name;
mod retry;
pub(crate) mod topic;

use std::{borrow::Cow, sync::Arc};

use serde::Serialize;

pub use self::{
    error::EventError, id::EventId, name::EventName, retry::Retry, topic::InvalidTopic,
};

/// One event, or one comment, of an event stream (WHATWG HTML § 9.2).
///
/// ```
/// # use actix_web_sse::{Event, EventError};
/// let plain = Event::data("two\nlines");
/// let price = Event::json(&[1.5, 2.5])?.name("price")?;
/// # let _ = (plain, price);
/// # Ok::<(), EventError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub(crate) id: Option<EventId>,
    pub(crate) name: Option<EventName>,
    pub(crate) data: Option<Cow<'static, str>>,
    pub(crate) retry: Option<Retry>,
    pub(crate) comment: Option<Cow<'static, str>>,
    pub(crate) transient: bool,
    pub(crate) tag: Option<Arc<str>>,
}

/// What an event that is published is made of ([`Event::parts`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventParts<'a> {
    /// The event type.
    pub name: Option<&'a str>,
    /// The data; a comment has none.
    pub data: Option<&'a str>,
    /// The reconnection time.
    pub retry: Option<Retry>,
    /// Not to be replayed.
    pub transient: bool,
    /// The label for filters.
    pub tag: Option<&'a str>,
}

impl Event {
    /// Not public: a block without any line would end a chunked body.
    const EMPTY: Self = Self {
        id: None,
        name: None,
        data: None,
        retry: None,
        comment: None,
        transient: false,
        tag: None,
    };

    /// An event with this data. CR LF, CR and LF all become line ends; nothing else changes on
    /// the way to the client.
    #[must_use]
    pub fn data(data: impl Into<Cow<'static, str>>) -> Self {
        Self {
            data: Some(data.into()),
            ..Self::EMPTY
        }
    }

    /// An event whose data is JSON.
    ///
    /// # Errors
    /// [`EventError::Json`] when the value has no JSON form (a map with keys that are no strings).
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, EventError> {
        serde_json::to_string(value)
            .map(Self::data)
            .map_err(|why| EventError::Json(why.to_string()))
    }

    /// A comment: seen on the wire, ignored by every client.
    #[must_use]
    pub fn comment(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            comment: Some(text.into()),
            ..Self::EMPTY
        }
    }

    /// Sets the ID. A [`Hub`](crate::Hub) numbers its events itself and refuses one with an ID.
    ///
    /// # Errors
    /// As [`EventId::new`]; [`EventError::NoData`] on a comment, for WebKit does not move the last
    /// event ID on a block without data.
    pub fn id<I>(mut self, id: I) -> Result<Self, EventError>
    where
        I: TryInto<EventId>,
        EventError: From<I::Error>,
    {
        self.id = Some(id.try_into()?);
        self.must_have_data("id")
    }

    /// Sets the event type.
    ///
    /// # Errors
    /// As [`EventName::new`]; [`EventError::NoData`] on a comment.
    pub fn name<N>(mut self, name: N) -> Result<Self, EventError>
    where
        N: TryInto<EventName>,
        EventError: From<N::Error>,
    {
        self.name = Some(name.try_into()?);
        self.must_have_data("event")
    }

    /// Sets the client's reconnection time from here on.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// For a hub: delivered to who is there, without an ID, and never replayed. Right for what
    /// is worthless a moment later (a cursor, "is typing").
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// A label for the filters of a hub's subscriptions; never on the wire.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// What it is made of, for a [`Backplane`](crate::Backplane) that carries it to other nodes.
    #[must_use]
    pub fn parts(&self) -> EventParts<'_> {
        EventParts {
            name: self.name.as_ref().map(EventName::as_str),
            data: self.data.as_deref(),
            retry: self.retry,
            transient: self.transient,
            tag: self.tag.as_deref(),
        }
    }

    /// The length in bytes that the limits of a [`Hub`](crate::Hub) look at: the data as it
    /// stands on the wire, less the `data: ` of its first line, and the name.
    pub(crate) fn weight(&self) -> usize {
        let data = self.data.as_deref().unwrap_or_default();
        let lines = encode::lines(data).count();
        data.len()
            + (lines - 1) * "data: ".len()
            + self.name.as_ref().map_or(0, |n| n.as_str().len())
    }

    pub(crate) fn with_name(mut self, name: EventName) -> Self {
        self.name = Some(name);
        self
    }

    fn must_have_data(self, field: &'static str) -> Result<Self, EventError> {
        if self.data.is_some() {
            Ok(self)
        } else {
            Err(EventError::NoData { field })
        }
    }
}
