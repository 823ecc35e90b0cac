use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer};

use crate::error::StartError;

/// The URL of Redis: `redis://user:password@host:port/db`, `rediss://…` for TLS (feature
/// `rustls`) or `unix:///path`; or a Sentinel and the name of its service:
/// `redis+sentinel://user:password@sentinel:26379/service/db`, with the user and password of Redis.
/// Several URLs, separated by commas, are tried in turn. `Debug` hides it, because it can contain a
/// password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(Box<str>);

impl RedisUrl {
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty())
    }
}

impl From<&str> for RedisUrl {
    fn from(url: &str) -> Self {
        Self(url.into())
    }
}

impl From<String> for RedisUrl {
    fn from(url: String) -> Self {
        Self(url.into())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl(…)")
    }
}

impl<'de> Deserialize<'de> for RedisUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// How nodes share a hub through Redis. Section `[backplane]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    /// Where Redis is. Default `redis://127.0.0.1:6379`.
    pub redis: RedisUrl,
    /// Certificates for `rediss://`. Default: the authorities of the operating system are trusted,
    /// and no client certificate is sent.
    pub tls: RedisTls,
    /// How to sign in to the Sentinels themselves. Default: no password, and TLS as the URL says.
    pub sentinel: SentinelConfig,
    /// The prefix of all keys. Nodes with the same namespace share a hub. Default `sse`.
    pub namespace: String,
    /// The minimum number of events of a topic that Redis keeps; trimming is approximate and leaves
    /// up to a hundred more. Default 10 000.
    pub keep_events: usize,
    /// How long Redis keeps a topic after its last event. Default 10 min.
    #[serde(with = "humantime_serde")]
    pub keep_age: Duration,
    /// The minimum number of announcements that Redis keeps: one for each event of the namespace, about
    /// 100 bytes and small events themselves. A node that was away for longer ends its streams, and
    /// their clients get what they lack from the topics. Default 50 000.
    pub log_events: usize,
    /// The most events that are replayed to a client from Redis. A client that needs more gets a
    /// `reset` with the reason `gap`. Default 10 000.
    pub history_events: usize,
    /// The most bytes that are replayed to a client from Redis, in the same way. Eight questions are under
    /// way at a time, so a node reads no more than eight times as much at once. Default 8 MiB.
    pub history_bytes: usize,
    /// The most bytes of what clients have missed that a node holds, about, of all clients together: they take it at
    /// their own pace, up to ten times `stall`. Beyond it, clients that come back wait. At least `history_bytes`.
    /// Default 128 MiB.
    pub history_total_bytes: usize,
    /// Whether to start when Redis cannot be reached. Default false.
    pub start_degraded: bool,
    /// Whether to use a Redis whose `maxmemory-policy` removes what it should keep. What it removes is
    /// a gap to the clients as far as it can be known; revocations, tickets and counts may be lost
    /// unnoticed. Default false: [`connect`](crate::RedisBackplane::connect) fails.
    pub allow_eviction: bool,
    /// The time limit for making a connection. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// The time limit for an answer. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub answer_timeout: Duration,
    /// The wait before the second attempt to connect; it doubles from there. Default 100 ms.
    #[serde(with = "humantime_serde")]
    pub backoff_least: Duration,
    /// The longest wait between attempts to connect. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub backoff_most: Duration,
    /// The most publications that wait for Redis; further ones fail. Default 10 000.
    pub max_pending: usize,
    /// The most bytes of events that wait for Redis; further publications fail. Default 64 MiB.
    pub max_pending_bytes: usize,
    /// How many replicas must have an event before it counts as published (`WAIT`). A publication that
    /// has not reached them within `answer_timeout` is an error. The price: each publication takes a
    /// round trip to the replicas longer, and fails when they are away. After a revocation the node
    /// sends no further control message until they have it, or that time is over; then the stats'
    /// `last_error` says so, and the revocation is not sent again. For nothing else replicas are waited
    /// for. Two more connections are made for this. Default 0.
    pub wait_replicas: u32,
    /// The most control messages (revocations and ended streams) that wait for Redis. Further ones
    /// do not reach the other nodes and are counted as lost. Default 100 000.
    pub max_pending_revocations: usize,
    /// How long a node without an answer from Redis relies on the revocations that it knows. After
    /// that it refuses credentials that could have been revoked (503). Default: no limit.
    #[serde(with = "humantime_serde")]
    pub revocation_grace: Option<Duration>,
    /// The lifetime of a node's lease, which the node renews every third of it. When the lease of a
    /// node has expired, the streams of its resumable tickets and of its users are no longer
    /// counted. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How the streams of a user are counted
    /// ([`user_limits`](crate::RedisBackplane::user_limits)). Default `per-node`.
    pub user_limits: UserLimits,
}

/// Certificates for `rediss://`. Section `[backplane.tls]`; all files are PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisTls {
    /// The authorities that are trusted to sign Redis's certificate. Default: those of the operating
    /// system.
    pub ca: Option<PathBuf>,
    /// The client certificate with its chain, for a Redis that asks for one. Default: none.
    pub certificate: Option<PathBuf>,
    /// The key of that certificate.
    pub key: Option<PathBuf>,
}

/// How to sign in to Sentinels. Section `[backplane.sentinel]`. User and password of Redis itself stand in
/// the URL.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SentinelConfig {
    /// Their user (`ACL`). Default: none.
    pub user: Option<String>,
    /// Their password (`requirepass`). Default: none.
    pub password: Option<String>,
    /// Whether they speak TLS. Default: as the URL says (`rediss+sentinel://`).
    pub with_tls: Option<bool>,
    /// Certificates for them. Default: those for Redis.
    pub tls: RedisTls,
}

impl fmt::Debug for SentinelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentinelConfig")
            .field("with_tls", &self.with_tls)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// How the streams of a user are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UserLimits {
    /// Each node counts its own streams: a user can reach the limit on each of them.
    #[default]
    PerNode,
    /// All nodes count together; while Redis does not answer, each node counts its own streams.
    Shared,
    /// All nodes count together; while Redis does not answer, streams of users are refused (503).
    SharedOrRefuse,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            redis: "redis://127.0.0.1:6379".into(),
            tls: RedisTls::default(),
            sentinel: SentinelConfig::default(),
            namespace: "sse".to_owned(),
            keep_events: 10_000,
            keep_age: Duration::from_secs(600),
            log_events: 50_000,
            history_events: 10_000,
            history_bytes: 8 << 20,
            history_total_bytes: 128 << 20,
            start_degraded: false,
            allow_eviction: false,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(5),
            backoff_least: Duration::from_millis(100),
            backoff_most: Duration::from_secs(10),
            max_pending: 10_000,
            max_pending_bytes: 64 << 20,
            wait_replicas: 0,
            max_pending_revocations: 100_000,
            revocation_grace: None,
            lease: Duration::from_secs(30),
            user_limits: UserLimits::PerNode,
        }
    }
}

impl RedisConfig {
    /// The defaults with this URL.
    #[must_use]
    pub fn at(redis: impl Into<RedisUrl>) -> Self {
        Self {
            redis: redis.into(),
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        let wrong = |key, why: &str| {
            let why = why.to_owned();
            Err(StartError::Setting { key, why })
        };
        if self.namespace.is_empty() || self.namespace.contains(['{', '}']) {
            return wrong("namespace", "must not be empty or contain { or }");
        }
        for (key, value) in [
            ("keep_events", self.keep_events),
            ("log_events", self.log_events),
            ("history_events", self.history_events),
            ("history_bytes", self.history_bytes),
            ("max_pending_bytes", self.max_pending_bytes),
            ("max_pending", self.max_pending),
            ("max_pending_revocations", self.max_pending_revocations),
        ] {
            if value == 0 {
                return wrong(key, "must be at least 1");
            }
        }
        for (key, value) in [
            ("connect_timeout", self.connect_timeout),
            ("answer_timeout", self.answer_timeout),
            ("backoff_least", self.backoff_least),
            ("keep_age", self.keep_age),
        ] {
            if value < Duration::from_millis(1) {
                return wrong(key, "must be at least 1 ms");
            }
        }
        if self.history_total_bytes < self.history_bytes {
            return wrong("history_total_bytes", "must not be below history_bytes");
        }
        if self.backoff_most < self.backoff_least {
            return wrong("backoff_most", "must not be below backoff_least");
        }
        if self.lease < Duration::from_secs(1) {
            return wrong("lease", "must be at least 1 s");
        }
        // The reader asks every second, and an answer takes some time.
        if self
            .revocation_grace
            .is_some_and(|grace| grace < Duration::from_secs(2))
        {
            return wrong("revocation_grace", "must be at least 2 s, or left out");
        }
        // It should be longer than a restart of Redis.
        if self.keep_age < Duration::from_secs(10) {
            return wrong("keep_age", "must be at least 10 s");
        }
        Ok(())
    }

    /// `keep_age` in milliseconds, for a command.
    pub(crate) fn keep_millis(&self) -> u64 {
        millis(self.keep_age)
    }
}

/// Milliseconds for a command.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(RedisConfig::default().check(), Ok(()));
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let config = RedisConfig::at("redis://:hunter2@localhost");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_section_overrides_only_its_settings() {
        let config: RedisConfig =
            toml::from_str("redis = \"redis://a, redis://b\"\nkeep_age = \"1h\"\n").unwrap();
        assert_eq!(config.keep_age, Duration::from_secs(3600));
        assert_eq!(
            config.redis.parts().collect::<Vec<_>>(),
            ["redis://a", "redis://b"]
        );
        assert!(toml::from_str::<RedisConfig>("keepage = \"1h\"").is_err());
    }

    #[test]
    fn an_invalid_setting_is_named_by_its_key() {
        let config = RedisConfig {
            keep_events: 0,
            ..RedisConfig::default()
        };
        let message = config.check().unwrap_err().to_string();
        assert_eq!(message, "backplane.keep_events: must be at least 1");
    }
}
