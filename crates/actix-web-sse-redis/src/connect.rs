//! Where Redis is: its addresses, Sentinels, TLS; and how that appears in messages, without a password.

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisConnectionInfo, RedisError,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::time::timeout;

use crate::{
    config::{RedisConfig, RedisTls},
    error::StartError,
};

impl RedisTls {
    /// Adds the certificates to an address.
    #[cfg(feature = "rustls")]
    fn apply(&self, info: ConnectionInfo) -> Result<ConnectionInfo, StartError> {
        let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        // The client uses rustls's default provider, which only the application can choose. Where it has
        // not, and several are compiled in, rustls panics.
        if is_tls && std::panic::catch_unwind(rustls::ClientConfig::builder).is_err() {
            let why =
                "no default provider of rustls: call CryptoProvider::install_default() in main()";
            return Err(wrong("tls", why.to_owned()));
        }
        let Some(certificates) = self.read()? else {
            return Ok(info);
        };
        if !is_tls {
            return Err(wrong("tls", "needs a rediss:// URL".to_owned()));
        }
        Client::build_with_tls(info, certificates)
            .map(|client| client.get_connection_info().clone())
            .map_err(|error| wrong("tls", error.to_string()))
    }

    /// The certificates, if there are any.
    #[cfg(feature = "rustls")]
    fn read(&self) -> Result<Option<redis::TlsCertificates>, StartError> {
        if *self == Self::default() {
            return Ok(None);
        }
        let client_tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(redis::ClientTlsConfig {
                client_cert: read("tls.certificate", certificate, "CERTIFICATE-----")?,
                client_key: read("tls.key", key, "PRIVATE KEY-----")?,
            }),
            (None, None) => None,
            (Some(_), None) => return Err(wrong("tls.key", "is missing".to_owned())),
            (None, Some(_)) => return Err(wrong("tls.certificate", "is missing".to_owned())),
        };
        let ca = self.ca.as_ref();
        Ok(Some(redis::TlsCertificates {
            client_tls,
            root_cert: ca
                .map(|ca| read("tls.ca", ca, "CERTIFICATE-----"))
                .transpose()?,
        }))
    }

    /// Without the feature `rustls`, certificates are an error.
    #[cfg(not(feature = "rustls"))]
    fn apply(&self, info: ConnectionInfo) -> Result<ConnectionInfo, StartError> {
        match *self == Self::default() {
            true => Ok(info),
            false => Err(wrong(
                "tls",
                "needs a feature of the crate: rustls".to_owned(),
            )),
        }
    }
}

fn wrong(key: &'static str, why: String) -> StartError {
    StartError::Setting { key, why }
}

/// Reads a PEM file. An empty file is an error here, because every connection would fail with it.
#[cfg(feature = "rustls")]
fn read(key: &'static str, path: &std::path::Path, holds: &str) -> Result<Vec<u8>, StartError> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|why| wrong(key, format!("{name}: {why}")))?;
    match text.contains(holds) {
        true => Ok(text.into_bytes()),
        false => Err(wrong(
            key,
            format!("{name}: contains no \"{holds}\"; it must be a PEM file"),
        )),
    }
}

/// Where to connect: a Redis, or Sentinels that know the address of the primary.
#[derive(Debug, Clone)]
struct Target {
    /// With Sentinels only what holds for Redis: user, password, database, TLS.
    redis: ConnectionInfo,
    service: Option<String>,
    sentinels: Vec<ConnectionInfo>,
    /// For Redis, behind Sentinels.
    #[cfg(feature = "rustls")]
    tls: RedisTls,
}

impl Target {
    fn name(&self) -> String {
        match &self.service {
            Some(service) => {
                let sentinels = self.sentinels.iter().map(|info| info.addr().to_string());
                format!("{}/{service}", sentinels.collect::<Vec<_>>().join(","))
            }
            None => self.redis.addr().to_string(),
        }
    }

    /// The address of the primary at this moment.
    async fn resolve(&self) -> Result<ConnectionInfo, RedisError> {
        let Some(service) = &self.service else {
            return Ok(self.redis.clone());
        };
        let client = self.sentinels(service)?.async_get_client().await?;
        let primary = client.get_connection_info().addr().clone();
        Ok(match primary {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => self
                .redis
                .clone()
                .set_addr(with_host(self.redis.addr(), host, port)),
            _ => client.get_connection_info().clone(),
        })
    }

    fn sentinels(&self, service: &str) -> Result<SentinelClient, RedisError> {
        use redis::TlsMode::Secure;

        let addresses = self.sentinels.iter().map(|info| info.addr().clone());
        let role = SentinelServerType::Master;
        let mut builder = SentinelClientBuilder::new(addresses, service, role)?
            .set_client_to_redis_protocol(ProtocolVersion::RESP2)
            .set_client_to_sentinel_protocol(ProtocolVersion::RESP2)
            .set_client_to_redis_db(self.redis.redis_settings().db());
        if matches!(self.redis.addr(), ConnectionAddr::TcpTls { .. }) {
            builder = builder.set_client_to_redis_tls_mode(Secure);
        }
        if let Some(user) = self.redis.redis_settings().username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = self.redis.redis_settings().password() {
            builder = builder.set_client_to_redis_password(password);
        }
        let own = self.sentinels.first().map(ConnectionInfo::redis_settings);
        if let Some(user) = own.and_then(RedisConnectionInfo::username) {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = own.and_then(RedisConnectionInfo::password) {
            builder = builder.set_client_to_sentinel_password(password);
        }
        #[cfg(feature = "rustls")]
        if let Ok(Some(certificates)) = self.tls.read() {
            builder = builder.set_client_to_redis_certificates(certificates);
        }
        builder.build()
    }
}

/// The configured addresses of one Redis, tried in turn, and the target of a cluster's redirection.
pub(crate) struct Addresses {
    listed: Vec<Target>,
    current: usize,
    redirected: Option<ConnectionInfo>,
}

impl Addresses {
    pub(crate) fn parse(config: &RedisConfig) -> Result<Self, StartError> {
        let mut listed: Vec<Target> = Vec::new();
        for url in config.redis.parts() {
            let target = target(url, config)?;
            // Sentinels of one service are one target: the client asks all of them.
            let same = listed
                .iter_mut()
                .find(|known| known.service.is_some() && known.service == target.service);
            match same {
                Some(known) => known.sentinels.extend(target.sentinels),
                None => listed.push(target),
            }
        }
        if listed.is_empty() {
            return Err(wrong(
                "redis",
                "no URL; it looks like \"redis://host:6379\"".to_owned(),
            ));
        }
        Ok(Self {
            listed,
            current: 0,
            redirected: None,
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

    /// Selects the next address after a connection failed or ended. True for a redirection, which
    /// is followed without a wait.
    pub(crate) fn failed(&mut self, error: &RedisError) -> bool {
        let moved_to = error
            .redirect_node()
            .and_then(|(address, _)| address.rsplit_once(':'))
            .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
        if let Some((host, port)) = moved_to
            && !host.is_empty()
            && self.redirected.is_none()
            && let Some(target) = self.target()
        {
            let info = target.redis.clone();
            let addr = with_host(info.addr(), host, port);
            self.redirected = Some(info.set_addr(addr));
            return true;
        }
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
        let mut text = error.to_string();
        let infos = self.listed.iter().flat_map(|target| {
            target
                .sentinels
                .iter()
                .chain(std::iter::once(&target.redis))
        });
        let passwords = infos.filter_map(|info| info.redis_settings().password());
        for password in passwords.filter(|password| !password.is_empty()) {
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

/// Splits a Sentinel's URL into a Redis URL, the name of the service, and the address of the Sentinel.
fn sentinel_parts(url: &str) -> Option<(String, &str, String)> {
    let (scheme @ ("redis" | "rediss"), rest) = url.split_once("+sentinel://")? else {
        return None;
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (service, database) = path.split_once('/').unwrap_or((path, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if has_port { "" } else { ":26379" };
    let redis = format!("{scheme}://{authority}{port}/{database}");
    (!service.is_empty()).then(|| (redis, service, format!("{host}{port}")))
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
            redis: config.tls.apply(info(url)?)?,
            service: None,
            sentinels: Vec::new(),
            #[cfg(feature = "rustls")]
            tls: RedisTls::default(),
        });
    };
    let own = &config.sentinel;
    let with_tls = own.with_tls.unwrap_or_else(|| redis.starts_with("rediss"));
    let scheme = if with_tls { "rediss" } else { "redis" };
    let mut sentinel = info(&format!("{scheme}://{address}"))?;
    let mut settings = sentinel.redis_settings().clone();
    if let Some(user) = &own.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &own.password {
        settings = settings.set_password(password);
    }
    sentinel = sentinel.set_redis_settings(settings);
    if with_tls {
        let certificates = if own.tls == RedisTls::default() {
            &config.tls
        } else {
            &own.tls
        };
        sentinel = certificates.apply(sentinel)?;
    }
    Ok(Target {
        redis: config.tls.apply(info(&redis)?)?,
        service: Some(service.to_owned()),
        sentinels: vec![sentinel],
        #[cfg(feature = "rustls")]
        tls: config.tls.clone(),
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
        let own = |info: &ConnectionInfo| info.redis_settings().password().map(str::to_owned);
        assert_eq!(
            target.sentinels.iter().map(own).collect::<Vec<_>>(),
            [None, None]
        );
    }

    #[test]
    fn sentinels_have_a_user_and_a_password_of_their_own() {
        let mut config = RedisConfig::at("redis+sentinel://me:hunter2@a/main");
        config.sentinel.user = Some("watch".to_owned());
        config.sentinel.password = Some("dog".to_owned());
        assert!(!format!("{config:?}").contains("dog"));
        let addresses = Addresses::parse(&config).unwrap();
        let target = addresses.target().unwrap();
        let settings = target.sentinels[0].redis_settings();
        assert_eq!(settings.username(), Some("watch"));
        assert_eq!(settings.password(), Some("dog"));
        let error = make_extension_error("X".to_owned(), Some("for dog, hunter2".to_owned()));
        assert_eq!(addresses.describe(&error).matches('…').count(), 2);
    }

    #[test]
    fn a_sentinels_url_is_one_of_redis_and_a_service() {
        let known = [
            ("redis+sentinel://a/s", "redis://a:26379/", "a:26379"),
            ("redis+sentinel://a:7/s/3", "redis://a:7/3", "a:7"),
            (
                "redis+sentinel://me:x@a/s",
                "redis://me:x@a:26379/",
                "a:26379",
            ),
            (
                "rediss+sentinel://[::1]/s",
                "rediss://[::1]:26379/",
                "[::1]:26379",
            ),
            (
                "rediss+sentinel://[::1]:7/s",
                "rediss://[::1]:7/",
                "[::1]:7",
            ),
        ];
        for (url, redis, sentinel) in known {
            let parts = (redis.to_owned(), "s", sentinel.to_owned());
            assert_eq!(sentinel_parts(url), Some(parts), "{url}");
        }
        for url in ["redis+sentinel://a", "redis://a/s", "http+sentinel://a/s"] {
            assert_eq!(sentinel_parts(url), None, "{url}");
        }
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
