//! Durations that differ from stream to stream, so that clients do not act together.

use std::time::Duration;

/// From 90 to 100 % of a duration, so that streams that were opened together do not beat
/// together.
pub(super) fn spread(duration: Duration) -> Duration {
    duration.mul_f64(0.9 + 0.1 * fastrand::f64())
}

/// From `1 - share` to `1 + share` of a duration.
pub(crate) fn jitter(duration: Duration, share: f64) -> Duration {
    duration.mul_f64((1.0 + share * (2.0 * fastrand::f64() - 1.0)).max(0.0))
}
