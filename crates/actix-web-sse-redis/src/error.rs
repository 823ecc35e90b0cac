//! What can be wrong at the start.

use std::{error::Error, fmt};

/// The backplane cannot start. It holds no secret: not the URL with its password.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be.
    Setting {
        /// Its name in the configuration.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Redis cannot be reached, or refuses.
    Redis {
        /// Where it was sought.
        at: String,
        /// What happened.
        why: String,
    },
    /// There is no thread to be had.
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
