//! Event types.

use std::{borrow::Cow, fmt};

use super::EventError;

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

impl TryFrom<&'static str> for EventName {
    type Error = EventError;

    fn try_from(text: &'static str) -> Result<Self, EventError> {
        Self::new(text)
    }
}

impl TryFrom<String> for EventName {
    type Error = EventError;

    fn try_from(text: String) -> Result<Self, EventError> {
        Self::new(text)
    }
}
