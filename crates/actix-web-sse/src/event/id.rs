//! Event IDs.

use std::{fmt, sync::Arc};

use super::EventError;

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

macro_rules! from_text {
    ($($text:ty),+) => {$(
        impl TryFrom<$text> for EventId {
            type Error = EventError;

            fn try_from(text: $text) -> Result<Self, EventError> {
                Self::new(text)
            }
        }
    )+};
}
from_text!(&str, String, &String);
