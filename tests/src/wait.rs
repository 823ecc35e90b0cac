//! Waiting for a condition, with a limit.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Long enough for anything that ought to happen soon, on a machine that is busy with other work.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Asks until there is an answer, every 20 ms.
///
/// # Panics
/// When there is none within the limit; `what` is named.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(
            start.elapsed() < limit,
            "waited {limit:?} in vain until {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
