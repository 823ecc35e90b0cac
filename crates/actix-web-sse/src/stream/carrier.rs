//! What carries a stream to its client.

use std::time::Duration;

use tokio::time::Instant;

use super::Wakes;

/// The connection that a stream is on, where the stream can close it.
pub(crate) trait Carrier {
    /// A stream has ended, its body is still there. `spent`: it did not take its bytes in time.
    /// The wakers are to be called when nothing is borrowed.
    fn over(&self, spent: bool, stall: Duration, now: Instant, wakes: &mut Wakes);
}
