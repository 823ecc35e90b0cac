//! Panics as log records.

use std::panic;

/// Writes panics to the log, as an event at level `ERROR` with the message and the place, instead
/// of to standard error. The standard hook writes there on the worker's thread and blocks until it is
/// read; the log's queue never blocks.
///
/// Replaces the process's panic hook: call it once, when the subscriber is installed. Without a
/// subscriber panics would be silent.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or(payload.downcast_ref::<String>().map(String::as_str));
        let place = info.location().map(ToString::to_string);
        let thread = std::thread::current();
        tracing::error!(
            event = "panic",
            message = message.unwrap_or("no message"),
            location = place.as_deref(),
            thread = thread.name(),
        );
    }));
}
