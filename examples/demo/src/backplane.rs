//! The hub shared by several demos through Redis.

use actix_web_sse_redis::{LinkChange, RedisBackplane, RedisConfig};

/// Connects as the configuration says; the connection's changes go to the log.
///
/// # Errors
/// One line: a setting that cannot be, or no Redis.
pub(crate) fn connect(config: RedisConfig) -> Result<RedisBackplane, String> {
    RedisBackplane::connect_observed(config, log).map_err(|error| error.to_string())
}

fn log(change: &LinkChange) {
    match change {
        LinkChange::Connected { at, .. } => tracing::info!(at, "backplane connected"),
        LinkChange::Lost {
            at, why, retry_in, ..
        } => {
            tracing::warn!(at, why, ?retry_in, "backplane lost");
        }
        LinkChange::Unsafe { at, why, .. } => tracing::error!(at, why, "backplane unsafe"),
        _ => {}
    }
}
