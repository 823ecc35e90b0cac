//! Errors of the start.

use std::{error::Error, fmt};

/// The backplane cannot start. The messages contain no secret: never a URL with its password.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is invalid.
    #[non_exhaustive]
    Setting {
        /// Its name in the configuration.
        key: &'static str,
        /// The reason.
        why: String,
    },
    /// Redis cannot be reached, or refuses the connection.
    #[non_exhaustive]
    Redis {
        /// The addresses that were tried.
        at: String,
        /// The errors.
        why: String,
    },
    /// The thread or its runtime cannot be created, or has ended.
    #[non_exhaustive]
    Thread(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { key, why } => write!(f, "backplane.{key}: {why}"),
            Self::Redis { at, why } => write!(
                f,
                "no Redis at {at}: {why} (to start without it, set start_degraded = true)"
            ),
            Self::Thread(why) => write!(f, "no thread for the backplane: {why}"),
        }
    }
}

impl Error for StartError {}
