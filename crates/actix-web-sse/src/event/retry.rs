//! Reconnection times.

use std::time::Duration;

use super::EventError;

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
