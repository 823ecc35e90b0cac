//! Sentinels, which know the address of the primary. They have a user, a password and TLS of their own.

use std::time::{Duration, Instant};

use redis::{
    ConnectionAddr, ConnectionInfo, ErrorKind, ProtocolVersion, RedisError, ServerErrorKind,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use crate::config::{RedisConfig, SentinelConfig};
#[cfg(feature = "rustls")]
use crate::{config::RedisTls, tls::OF_REDIS};

/// The Sentinels of a service.
#[derive(Debug, Clone)]
pub(crate) struct Sentinels {
    service: String,
    addresses: Vec<ConnectionAddr>,
    own: SentinelConfig,
    patience: Duration,
    /// For Redis, behind them.
    #[cfg(feature = "rustls")]
    tls: RedisTls,
}

impl Sentinels {
    /// One of them.
    pub(crate) fn new(service: &str, address: ConnectionAddr, config: &RedisConfig) -> Self {
        Self {
            service: service.to_owned(),
            addresses: vec![address],
            own: config.sentinel.clone(),
            patience: config.connect_timeout,
            #[cfg(feature = "rustls")]
            tls: config.tls.clone(),
        }
    }

    /// Adds others of the same service; whether they are.
    pub(crate) fn join(&mut self, others: &Self) -> bool {
        let same = self.service == others.service;
        if same {
            self.addresses.extend_from_slice(&others.addresses);
        }
        same
    }

    pub(crate) fn name(&self) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        format!("{}/{}", addresses.join(","), self.service)
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.own.password.as_deref()
    }

    /// The address of the primary at this moment; it has been asked whether it is one.
    pub(crate) async fn primary(
        &self,
        redis: &ConnectionInfo,
    ) -> Result<ConnectionAddr, RedisError> {
        let mut client = self.client(redis)?;
        let start = Instant::now();
        let error = loop {
            match client.async_get_client().await {
                Ok(primary) => return Ok(primary.get_connection_info().addr().clone()),
                // The client waits for a connection for a second, whatever is configured.
                Err(error) if error.is_timeout() && start.elapsed() < self.patience => {}
                Err(error) => break error,
            }
        };
        let asked = client.async_get_sentinel_client().await;
        Err(explained(&error, asked.is_err()))
    }

    fn client(&self, redis: &ConnectionInfo) -> Result<SentinelClient, RedisError> {
        let addresses = self.addresses.iter().cloned();
        let role = SentinelServerType::Master;
        let mut builder = SentinelClientBuilder::new(addresses, &self.service, role)?
            .set_client_to_redis_protocol(ProtocolVersion::RESP2)
            .set_client_to_sentinel_protocol(ProtocolVersion::RESP2)
            .set_client_to_redis_db(redis.redis_settings().db());
        if let Some(user) = redis.redis_settings().username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = redis.redis_settings().password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(user) = &self.own.user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &self.own.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        #[cfg(feature = "rustls")]
        if matches!(redis.addr(), ConnectionAddr::TcpTls { .. }) {
            builder = builder.set_client_to_redis_tls_mode(redis::TlsMode::Secure);
            if let Ok(Some(certificates)) = self.tls.read(OF_REDIS) {
                builder = builder.set_client_to_redis_certificates(certificates);
            }
        }
        builder.build()
    }
}

/// An error with what to do, where that is known: it is `of_sentinels`, or of the Redis that they name.
fn explained(error: &RedisError, of_sentinels: bool) -> RedisError {
    let text = error.to_string();
    // They answer, and say that this is not for everybody.
    let of_sentinels = of_sentinels || text.contains("sentinel|masters");
    let (who, section) = match of_sentinels {
        true => ("the Sentinels", "backplane.sentinel"),
        false => ("Redis behind the Sentinels", "backplane"),
    };
    let is_refused =
        error.kind() == ErrorKind::AuthenticationFailed || error.code() == Some("NOAUTH");
    let remedy = if is_refused && of_sentinels {
        "set backplane.sentinel.user and backplane.sentinel.password".to_owned()
    } else if is_refused {
        "set user and password of Redis in the URL, backplane.redis".to_owned()
    } else if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) {
        match of_sentinels {
            true => "backplane.sentinel.user needs +role and +sentinel|masters".to_owned(),
            false => "the user of Redis needs +role".to_owned(),
        }
    } else if text.contains("CertificateRequired") {
        format!("set {section}.tls.certificate and {section}.tls.key")
    } else if text.contains("invalid peer certificate") {
        format!("set {section}.tls.ca to its authority; the certificate has to be for the address")
    } else if error.is_io_error() && !error.is_connection_refusal() {
        match of_sentinels {
            true => "set backplane.sentinel.with_tls if they speak TLS, and only then".to_owned(),
            false => {
                "the URL begins with rediss+sentinel:// if it speaks TLS, and only then".to_owned()
            }
        }
    } else {
        return error.clone();
    };
    RedisError::from((error.kind(), who, format!("{text}; {remedy}")))
}

/// Splits a Sentinel's URL into a Redis URL, the name of the service, and the address of the Sentinel.
pub(crate) fn sentinel_parts(url: &str) -> Option<(String, &str, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
