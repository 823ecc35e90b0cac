use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{ConfigError, Faults};

/// How one stream behaves, whatever its source. Section `[stream]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StreamConfig {
    /// After how much silence a heartbeat comment goes out. Default 15 s: below every usual
    /// idle time-out of a proxy (60 s at nginx and AWS). Above zero, at most 55 s.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// The `retry:` of the first block (WHATWG HTML § 9.2.6). Default 30 s, 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub retry: Duration,
    /// Each stream's `retry` is spread by up to this share, up and down, so that clients do not
    /// come back together. Default 0.2, from 0 to 1.
    pub retry_jitter: f64,
    /// How long a peer may take nothing while bytes are ready. Default 30 s, not below the
    /// heartbeat.
    #[serde(with = "humantime_serde")]
    pub stall: Duration,
    /// A stream ends after 80 to 100 % of this, so that load balances anew and credentials are
    /// looked at again. Default 1 h; `None`: never.
    #[serde(with = "humantime_serde")]
    pub max_lifetime: Option<Duration>,
    /// Within this time after the drain began every stream has ended. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            retry: Duration::from_secs(30),
            retry_jitter: 0.2,
            stall: Duration::from_secs(30),
            max_lifetime: Some(Duration::from_secs(3600)),
            drain: Duration::from_secs(10),
        }
    }
}

impl StreamConfig {
    /// Checks it alone, for a stream with a configuration of its own.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let mut faults = Faults::default();
        self.check(&mut faults);
        faults.into_result(())
    }

    pub(crate) fn check(&self, faults: &mut Faults) {
        if self.heartbeat.is_zero() || self.heartbeat > Duration::from_secs(55) {
            faults.add(
                "stream.heartbeat",
                self.heartbeat,
                "must be above 0 and at most 55s: proxies cut a stream that is silent for 60s",
            );
        }
        if self.retry < Duration::from_millis(100) || self.retry > Duration::from_secs(3600) {
            faults.add("stream.retry", self.retry, "must be from 100ms to 1h");
        }
        if !(0.0..=1.0).contains(&self.retry_jitter) {
            faults.add(
                "stream.retry_jitter",
                self.retry_jitter,
                "must be from 0 to 1",
            );
        }
        if self.stall < self.heartbeat {
            faults.add(
                "stream.stall",
                self.stall,
                "must not be shorter than the heartbeat: a silent stream would count as stalled",
            );
        }
        if self
            .max_lifetime
            .is_some_and(|life| life < Duration::from_secs(1))
        {
            faults.add(
                "stream.max_lifetime",
                self.max_lifetime,
                "must be at least 1s",
            );
        }
        if self.drain.is_zero() {
            faults.add("stream.drain", self.drain, "must be above 0");
        }
    }
}
