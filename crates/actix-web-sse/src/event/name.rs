//! Event types.

use std::{borrow::Cow, fmt};

use super::EventError;

/// An event type: what `addEventListener` listens for. At most 128 bytes, without CR, LF or NUL.
///
/// The empty name and `message` both reach `onmessage`.
///
/// `error` and `open` are carried like other names, for answers to a `POST` use them. A browser's
/// `EventSource` dispatches them as `MessageEvent`s to `onerror` and `onopen`, beside its own events
/// of these names: where pages use it, choose other names, or look for `data` in the handler. The
/// clients in `clients/` dispatch them as `event:error` and `event:open`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    /// They are carried: what a client makes of them is in the docs of the type.
    #[test]
    fn w15_error_and_open_are_names_like_others() {
        for name in ["error", "open"] {
            assert_eq!(EventName::new(name).unwrap().as_str(), name);
            assert!(Event::data("x").name(name).is_ok());
        }
    }
}
