//! Durations that differ from stream to stream, so that clients do not act together.

use std::time::Duration;

/// A random duration from `least` to `most` times this one.
pub(crate) fn between(duration: Duration, least: f64, most: f64) -> Duration {
    duration.mul_f64((least + (most - least) * fastrand::f64()).max(0.0))
}

/// From `1 - share` to `1 + share` of a duration.
pub(crate) fn jitter(duration: Duration, share: f64) -> Duration {
    between(duration, 1.0 - share, 1.0 + share)
}
