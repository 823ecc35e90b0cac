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
    /// The `retry:` of a stream that ends although nothing is wrong, by its `max_lifetime`: its page
    /// is without events until the browser is back. Spread from half of it to one and a half, and
    /// never longer than `retry`. Default 1 s, 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub planned_retry: Duration,
    /// The `retry:` of a stream that ends by a drain. Default: `planned_retry` on a hub with a
    /// backplane, for the other nodes take the client at once; else `retry`, for nobody answers
    /// until the process is back, and a connection that is refused is final in Firefox. Set it on
    /// hubs without a backplane that stand behind a balancer with others. 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub drain_retry: Option<Duration>,
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

/// Longer times are slips of the pen, and the longest overflow the clock.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            retry: Duration::from_secs(30),
            planned_retry: Duration::from_secs(1),
            drain_retry: None,
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
        for (key, retry) in [
            ("stream.retry", Some(self.retry)),
            ("stream.planned_retry", Some(self.planned_retry)),
            ("stream.drain_retry", self.drain_retry),
        ] {
            let bounds = Duration::from_millis(100)..=Duration::from_secs(3600);
            if let Some(retry) = retry.filter(|retry| !bounds.contains(retry)) {
                faults.add(key, retry, "must be from 100ms to 1h");
            }
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
        if self.stall > DAY {
            faults.add("stream.stall", self.stall, "must be at most 1 day");
        }
        if self
            .max_lifetime
            .is_some_and(|life| life < Duration::from_secs(1) || life > 365 * DAY)
        {
            faults.add(
                "stream.max_lifetime",
                self.max_lifetime,
                "must be from 1s to 365 days",
            );
        }
        if self.drain.is_zero() || self.drain > DAY {
            faults.add(
                "stream.drain",
                self.drain,
                "must be above 0 and at most 1 day",
            );
        }
    }
}
