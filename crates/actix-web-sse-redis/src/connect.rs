//! Where Redis is: its addresses; and how that appears in messages, without a password.

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisError,
};
use tokio::time::timeout;

use crate::{
    config::{RedisConfig, RedisTls, SentinelConfig},
    error::StartError,
    link::{is_moved, moving},
    sentinels::{Sentinels, sentinel_parts},
    tls::{OF_REDIS, OF_SENTINELS, wrong},
};

/// Where to connect: a Redis, or Sentinels that know the address of the primary.
#[derive(Debug, Clone)]
struct Target {
    /// With Sentinels only what holds for Redis: user, password, database, TLS.
    redis: ConnectionInfo,
    sentinels: Option<Sentinels>,
}

impl Target {
    fn name(&self) -> String {
        match &self.sentinels {
            Some(sentinels) => sentinels.name(),
            None => self.redis.addr().to_string(),
        }
    }

    /// The address of the primary at this moment.
    async fn resolve(&self) -> Result<ConnectionInfo, RedisError> {
        let Some(sentinels) = &self.sentinels else {
            return Ok(self.redis.clone());
        };
        let primary = sentinels.primary(&self.redis).await?;
        Ok(match primary {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                let addr = with_host(self.redis.addr(), host, port);
                self.redis.clone().set_addr(addr)
            }
            other => self.redis.clone().set_addr(other),
        })
    }
}

/// The configured addresses of one Redis, tried in turn, and the target of a cluster's redirection.
pub(crate) struct Addresses {
    listed: Vec<Target>,
    current: usize,
    redirected: Option<ConnectionInfo>,
    /// How many redirections have been followed since the last session.
    hops: u8,
}

/// How many redirections are followed one after the other: servers that disagree must not be hammered.
const HOPS: u8 = 3;

impl Addresses {
    pub(crate) fn parse(config: &RedisConfig) -> Result<Self, StartError> {
        let mut listed: Vec<Target> = Vec::new();
        for url in config.redis.parts() {
            let target = target(url, config)?;
            // Sentinels of one service are one target: the client asks all of them.
            let mut known = listed
                .iter_mut()
                .filter_map(|known| known.sentinels.as_mut());
            let is_new = match &target.sentinels {
                Some(sentinels) => !known.any(|known| known.join(sentinels)),
                None => true,
            };
            if is_new {
                listed.push(target);
            }
        }
        if listed.is_empty() {
            return Err(wrong(
                "redis",
                "no URL; it looks like \"redis://host:6379\"".to_owned(),
            ));
        }
        let has_sentinels = listed.iter().any(|target| target.sentinels.is_some());
        if !has_sentinels && config.sentinel != SentinelConfig::default() {
            let why = "needs a URL like \"redis+sentinel://sentinel:26379/service\"";
            return Err(wrong("sentinel", why.to_owned()));
        }
        Ok(Self {
            listed,
            current: 0,
            redirected: None,
            hops: 0,
        })
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.listed.len()
    }

    fn target(&self) -> Option<&Target> {
        self.listed.get(self.current % self.listed.len())
    }

    /// Where to connect next.
    pub(crate) async fn resolve(&self, config: &RedisConfig) -> Result<Client, RedisError> {
        let info = match (&self.redirected, self.target()) {
            (Some(redirected), _) => redirected.clone(),
            (None, Some(target)) => {
                let limit = config.connect_timeout + config.answer_timeout;
                timeout(limit, target.resolve()).await.map_err(|_| {
                    let why = "no Sentinel answers in time";
                    RedisError::from((ErrorKind::Io, why))
                })??
            }
            (None, None) => {
                return Err(RedisError::from((ErrorKind::InvalidClientConfig, "no URL")));
            }
        };
        Client::open(info)
    }

    /// There is a session at the current address.
    pub(crate) const fn arrived(&mut self) {
        self.hops = 0;
    }

    /// Selects the next address after a connection failed or ended. True for a redirection, which
    /// is followed without a wait.
    pub(crate) fn failed(&mut self, error: &RedisError) -> bool {
        let moved_to = error
            .redirect_node()
            // Where keys are on their way to, they cannot be asked for yet.
            .filter(|_| is_moved(error))
            .and_then(|(address, _)| address.rsplit_once(':'))
            .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
        if let Some((host, port)) = moved_to
            && !host.is_empty()
            && self.hops < HOPS
            && let Some(target) = self.target()
        {
            let info = target.redis.clone();
            let addr = with_host(info.addr(), host, port);
            self.redirected = Some(info.set_addr(addr));
            self.hops += 1;
            return true;
        }
        self.hops = 0;
        if self.redirected.take().is_none() {
            self.current = (self.current + 1) % self.listed.len();
        }
        false
    }

    /// The current address for a message: host and port only.
    pub(crate) fn name(&self) -> String {
        let redirected = self.redirected.as_ref().map(|info| info.addr().to_string());
        redirected.unwrap_or_else(|| self.target().map(Target::name).unwrap_or_default())
    }

    /// An error for a message. The client does not put passwords into its errors; if it did, they
    /// would be replaced here.
    pub(crate) fn describe(&self, error: &RedisError) -> String {
        let mut text = moving(error).unwrap_or_else(|| error.to_string());
        let passwords = self.listed.iter().flat_map(|target| {
            let own = target.sentinels.as_ref().and_then(Sentinels::password);
            [target.redis.redis_settings().password(), own]
        });
        for password in passwords.flatten().filter(|password| !password.is_empty()) {
            text = text.replace(password, "…");
        }
        text
    }
}

/// The settings of every connection.
pub(crate) fn connection_config(config: &RedisConfig) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(config.connect_timeout))
        .set_response_timeout(Some(config.answer_timeout))
}

/// Another host with the same protocol settings.
fn with_host(known: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    match known.clone() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure,
            tls_params,
        },
        _ => ConnectionAddr::Tcp(host, port),
    }
}

/// Parses one URL. The client's own message is left out, for it could contain parts of the URL.
fn target(url: &str, config: &RedisConfig) -> Result<Target, StartError> {
    let info = |url: &str| {
        let info = url
            .into_connection_info()
            .map_err(|_| wrong("redis", "not a URL like \"redis://host:6379\"".to_owned()))?;
        if !info.addr().is_supported() {
            let why = "this kind of URL needs a feature of the crate: rustls";
            return Err(wrong("redis", why.to_owned()));
        }
        // What is used here is the same in both versions of the protocol.
        let settings = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP2);
        Ok(info.set_redis_settings(settings))
    };
    let Some((redis, service, address)) = sentinel_parts(url) else {
        return Ok(Target {
            redis: config.tls.apply(info(url)?, OF_REDIS)?,
            sentinels: None,
        });
    };
    let own = &config.sentinel;
    let with_tls = own.with_tls.unwrap_or_else(|| redis.starts_with("rediss"));
    if !with_tls && own.tls != RedisTls::default() {
        let why = "needs backplane.sentinel.with_tls = true, or a rediss+sentinel:// URL";
        return Err(wrong("sentinel.tls", why.to_owned()));
    }
    let scheme = if with_tls { "rediss" } else { "redis" };
    let mut sentinel = info(&format!("{scheme}://{address}"))?;
    if with_tls {
        sentinel = match own.tls == RedisTls::default() {
            true => config.tls.apply(sentinel, OF_REDIS)?,
            false => own.tls.apply(sentinel, OF_SENTINELS)?,
        };
    }
    Ok(Target {
        redis: config.tls.apply(info(&redis)?, OF_REDIS)?,
        sentinels: Some(Sentinels::new(service, sentinel.addr().clone(), config)),
    })
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;

    fn addresses(url: &str) -> Addresses {
        Addresses::parse(&RedisConfig::at(url)).unwrap()
    }

    #[test]
    fn several_are_tried_in_turn() {
        let mut addresses = addresses("redis://a:1,redis://b:2");
        let other = make_extension_error("X".to_owned(), None);
        let mut seen = vec![addresses.name()];
        for _ in 0..2 {
            assert!(!addresses.failed(&other));
            seen.push(addresses.name());
        }
        assert_eq!(seen, ["a:1", "b:2", "a:1"]);
    }

    #[test]
    fn sentinels_of_a_service_are_one_target() {
        let urls = "redis+sentinel://me:hunter2@a/main,redis+sentinel://me:hunter2@b:7/main";
        let addresses = addresses(urls);
        assert_eq!(addresses.name(), "a:26379,b:7/main");
        assert_eq!(addresses.count(), 1);
        let target = addresses.target().unwrap();
        assert_eq!(target.redis.redis_settings().username(), Some("me"));
        assert_eq!(target.sentinels.as_ref().unwrap().password(), None);
    }

    #[test]
    fn sentinels_have_a_user_and_a_password_of_their_own() {
        let mut config = RedisConfig::at("redis+sentinel://me:hunter2@a/main");
        config.sentinel.user = Some("watch".to_owned());
        config.sentinel.password = Some("dog".to_owned());
        assert!(!format!("{config:?}").contains("dog"));
        let addresses = Addresses::parse(&config).unwrap();
        let error = make_extension_error("X".to_owned(), Some("for dog, hunter2".to_owned()));
        assert_eq!(addresses.describe(&error).matches('…').count(), 2);
    }

    #[test]
    fn a_password_is_in_no_name_and_no_message() {
        let addresses = addresses("redis://me:hunter2@a:1");
        assert_eq!(addresses.name(), "a:1");
        let error = make_extension_error("X".to_owned(), Some("for hunter2".to_owned()));
        assert!(!addresses.describe(&error).contains("hunter2"));
        let refused = Addresses::parse(&RedisConfig::at("redis//:hunter2@a"));
        let refused = refused.err().unwrap().to_string();
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn settings_of_sentinels_that_nobody_is_asked_by_are_an_error() {
        let mut config = RedisConfig::at("redis://a");
        config.sentinel.password = Some("dog".to_owned());
        let message = Addresses::parse(&config).err().unwrap().to_string();
        assert!(
            message.starts_with("backplane.sentinel: needs"),
            "{message}"
        );
        config = RedisConfig::at("redis+sentinel://a/s");
        config.sentinel.tls.ca = Some("ca.pem".into());
        let message = Addresses::parse(&config).err().unwrap().to_string();
        assert!(
            message.starts_with("backplane.sentinel.tls: needs"),
            "{message}"
        );
    }

    #[test]
    fn keys_on_their_way_are_not_followed() {
        let mut addresses = addresses("redis://a:1");
        let error = |text: &str| {
            redis::parse_redis_value(text.as_bytes())
                .unwrap()
                .extract_error()
        };
        assert!(!addresses.failed(&error("-ASK 7 b:2\r\n").unwrap_err()));
        assert_eq!(addresses.name(), "a:1");
        for to in ["b:2", "c:3", "b:2"] {
            let moved = error(&format!("-MOVED 7 {to}\r\n")).unwrap_err();
            assert!(addresses.failed(&moved));
            assert_eq!(addresses.name(), to);
        }
        // Servers that disagree.
        assert!(!addresses.failed(&error("-MOVED 7 c:3\r\n").unwrap_err()));
        assert_eq!(addresses.name(), "a:1");
    }

    #[test]
    fn certificates_without_tls_are_an_error() {
        let mut config = RedisConfig::at("redis://a");
        config.tls.ca = Some("ca.pem".into());
        let message = Addresses::parse(&config).err().unwrap().to_string();
        assert!(message.starts_with("backplane.tls"), "{message}");
    }

    #[test]
    #[cfg(not(feature = "rustls"))]
    fn tls_without_the_feature_is_an_error() {
        let refused = Addresses::parse(&RedisConfig::at("rediss://a"));
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains("redis"), "{refused}");
    }

    #[test]
    #[cfg(feature = "rustls")]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        let missing = folder.path().join("missing.pem");
        let refused = |tls: RedisTls| {
            let mut config = RedisConfig::at("rediss://a");
            config.tls = tls;
            Addresses::parse(&config).err().unwrap().to_string()
        };
        for file in [empty, missing] {
            let message = refused(RedisTls {
                ca: Some(file.clone()),
                ..RedisTls::default()
            });
            let named = format!("backplane.tls.ca: {}", file.display());
            assert!(message.starts_with(&named), "{message}");
        }
        let message = refused(RedisTls {
            key: Some("key.pem".into()),
            ..RedisTls::default()
        });
        assert_eq!(message, "backplane.tls.certificate: is missing");
    }
}
