//! Events whose parts are checked when they are made, so that encoding cannot fail.

use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Duration};

use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::protect::refusal;

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
        refusal::json(self.status_code(), "invalid_event", None)
    }
}

impl From<std::convert::Infallible> for EventError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// A last event ID that survives the way back as an HTTP header, in every client.
///
/// Visible ASCII without the bytes that are not CORS-safe in a request header (Fetch § 2.2.2,
/// `"():<>?@[\]{}` and DEL), at most 128 bytes. The empty ID is allowed: it resets the client's
/// last event ID, and the next reconnect sends none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventId(Arc<str>);

impl EventId {
    const MAX: usize = 128;

    /// Checks an ID.
    ///
    /// # Errors
    /// [`EventError::Forbidden`] for a byte outside the set, [`EventError::TooLong`] above 128
    /// bytes.
    pub fn new(id: impl AsRef<str>) -> Result<Self, EventError> {
        let id = id.as_ref();
        if let Some((offset, found)) = id
            .char_indices()
            .find(|(_, c)| !c.is_ascii_graphic() || r#""():<>?@[\]{}"#.contains(*c))
        {
            return Err(EventError::Forbidden {
                field: "id",
                offset,
                found,
                allowed: r#"visible ASCII without "():<>?@[\]{}"#,
            });
        }
        if id.len() > Self::MAX {
            return Err(EventError::TooLong {
                field: "id",
                len: id.len(),
                max: Self::MAX,
            });
        }
        Ok(Self(id.into()))
    }

    /// The ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event type: what `addEventListener` listens for. At most 128 bytes, without CR, LF or NUL.
///
/// The empty name and `message` both reach `onmessage`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventName(Cow<'static, str>);

impl EventName {
    const MAX: usize = 128;

    /// Checks a name.
    ///
    /// # Errors
    /// [`EventError::Forbidden`] for CR, LF or NUL, [`EventError::TooLong`] above 128 bytes.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, EventError> {
        let name = name.into();
        if let Some(offset) = name.find(['\r', '\n', '\0']) {
            return Err(EventError::Forbidden {
                field: "event",
                offset,
                found: name[offset..].chars().next().unwrap_or_default(),
                allowed: "any text without CR, LF and NUL",
            });
        }
        if name.len() > Self::MAX {
            return Err(EventError::TooLong {
                field: "event",
                len: name.len(),
                max: Self::MAX,
            });
        }
        Ok(Self(name))
    }

    /// A name of this crate's own.
    pub(crate) const fn from_static(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! try_from_text {
    ($name:ident: $($text:ty),+) => {$(
        impl TryFrom<$text> for $name {
            type Error = EventError;

            fn try_from(text: $text) -> Result<Self, EventError> {
                Self::new(text)
            }
        }
    )+};
}
try_from_text!(EventId: &str, String, &String);
try_from_text!(EventName: &'static str, String);

/// A reconnection time, 100 ms to 1 h: below, clients hammer the server; npm `eventsource` reads
/// 2^31 ms and more as 1 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retry(u32);

impl Retry {
    /// Checks a reconnection time; fractions of a millisecond are cut.
    ///
    /// # Errors
    /// [`EventError::Retry`] outside 100 ms to 1 h.
    pub fn new(after: Duration) -> Result<Self, EventError> {
        match u32::try_from(after.as_millis()) {
            Ok(millis @ 100..=3_600_000) => Ok(Self(millis)),
            _ => Err(EventError::Retry(after)),
        }
    }

    /// The nearest reconnection time within the bounds.
    #[must_use]
    pub fn clamped(after: Duration) -> Self {
        Self(
            u32::try_from(after.as_millis())
                .unwrap_or(u32::MAX)
                .clamp(100, 3_600_000),
        )
    }

    /// In milliseconds, as it stands on the wire.
    #[must_use]
    pub const fn as_millis(self) -> u32 {
        self.0
    }
}

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
        let lines = crate::encode::lines(data).count();
        data.len() + (lines - 1) * "data: ".len() + self.name.as_ref().map_or(0, |n| n.0.len())
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
