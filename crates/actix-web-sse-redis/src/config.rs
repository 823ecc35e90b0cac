use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer};

use crate::error::StartError;

/// Where Redis is: `redis://user:password@host:port/db`, `rediss://…` for TLS (the feature
/// `rustls`), `unix:///path`. Several, parted by commas, are tried in turn. Shown nowhere, for
/// there may be a password in it.
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
    /// Begins the names of all keys: nodes with the same one share a hub. Default `sse`.
    pub namespace: String,
    /// How many events of a topic Redis keeps, at the least; up to a hundred more may stay.
    /// Default 10 000.
    pub keep_events: usize,
    /// How long Redis keeps a topic after its last event. Default 10 min.
    #[serde(with = "humantime_serde")]
    pub keep_age: Duration,
    /// How many events a client may have missed and still be served from Redis; above, it is told
    /// of a gap. Default 10 000.
    pub history_events: usize,
    /// Start although Redis cannot be reached. Default false.
    pub start_degraded: bool,
    /// How long a connection may take. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long an answer may take. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub answer_timeout: Duration,
    /// The wait before the second attempt to connect; it doubles from there. Default 100 ms.
    #[serde(with = "humantime_serde")]
    pub backoff_least: Duration,
    /// The longest wait between attempts to connect. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub backoff_most: Duration,
    /// How many publications may wait for Redis; further ones are refused. Default 10 000.
    pub max_pending: usize,
    /// How many revocations may wait for Redis; further ones never reach the other nodes, which is
    /// counted. Default 100 000.
    pub max_pending_revocations: usize,
    /// For how long a node that hears nothing from Redis goes by the revocations that it knows.
    /// After that it refuses credentials that could have been revoked. Default: without limit.
    #[serde(with = "humantime_serde")]
    pub revocation_grace: Option<Duration>,
    /// For how long a node is believed to be alive after its last word, which it says three times
    /// as often. If it dies, the streams of its resumable tickets and of its users count no more
    /// after that. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How the streams of a user are counted
    /// ([`user_limits`](crate::RedisBackplane::user_limits)). Default `per-node`.
    pub user_limits: UserLimits,
}

/// How the streams of a user are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UserLimits {
    /// Each node counts its own: a user can have the limit on each of them.
    #[default]
    PerNode,
    /// All nodes together; while Redis cannot be asked, each node its own.
    Shared,
    /// All nodes together; while Redis cannot be asked, no user is let in (503).
    SharedOrRefuse,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            redis: "redis://127.0.0.1:6379".into(),
            namespace: "sse".to_owned(),
            keep_events: 10_000,
            keep_age: Duration::from_secs(600),
            history_events: 10_000,
            start_degraded: false,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(5),
            backoff_least: Duration::from_millis(100),
            backoff_most: Duration::from_secs(10),
            max_pending: 10_000,
            max_pending_revocations: 100_000,
            revocation_grace: None,
            lease: Duration::from_secs(30),
            user_limits: UserLimits::PerNode,
        }
    }
}

impl RedisConfig {
    /// The defaults, with a Redis of one's own.
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
            return wrong("namespace", "must be there, without { and }");
        }
        for (key, value) in [
            ("keep_events", self.keep_events),
            ("history_events", self.history_events),
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
        if self.backoff_most < self.backoff_least {
            return wrong("backoff_most", "must not be below backoff_least");
        }
        if self.lease < Duration::from_secs(1) {
            return wrong("lease", "must be at least 1 s");
        }
        // It asks every second, and an answer may take a while.
        if self
            .revocation_grace
            .is_some_and(|grace| grace < Duration::from_secs(2))
        {
            return wrong("revocation_grace", "must be at least 2 s, or left out");
        }
        // Half of it is what an outage may last before a node has to suppose that it missed
        // something: it should be longer than a restart.
        if self.keep_age < Duration::from_secs(10) {
            return wrong("keep_age", "must be at least 10 s");
        }
        Ok(())
    }

    /// `keep_age` for a command.
    pub(crate) fn keep_millis(&self) -> u64 {
        u64::try_from(self.keep_age.as_millis()).unwrap_or(u64::MAX / 2000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(RedisConfig::default().check(), Ok(()));
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let config = RedisConfig::at("redis://:hunter2@localhost");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_section_names_what_it_changes() {
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
    fn what_cannot_be_is_told_by_its_key() {
        let config = RedisConfig {
            keep_events: 0,
            ..RedisConfig::default()
        };
        let told = config.check().unwrap_err().to_string();
        assert_eq!(told, "backplane.keep_events: must be at least 1");
    }
}
