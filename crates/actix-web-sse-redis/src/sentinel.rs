//! Sentinels: they know the address of the primary.

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisConnectionInfo,
    RedisError,
};

/// A service of Sentinels: `redis+sentinel://user:password@sentinel:26379/service/db`. User, password
/// and database are those of Redis.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    name: String,
    /// The address of the Sentinel, with the settings for Redis.
    info: ConnectionInfo,
}

/// Splits a Sentinel's URL into a Redis URL and the name of the service.
pub(crate) fn parts(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = match url.split_once("+sentinel://")? {
        ("redis", rest) => ("redis", rest),
        ("rediss", rest) => ("rediss", rest),
        _ => return None,
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (service, database) = path.split_once('/').unwrap_or((path, ""));
    let has_port = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if has_port { "" } else { ":26379" };
    (!service.is_empty()).then(|| (format!("{scheme}://{authority}{port}/{database}"), service))
}

impl Service {
    pub(crate) fn new(name: &str, info: ConnectionInfo) -> Self {
        Self {
            name: name.to_owned(),
            info,
        }
    }

    pub(crate) const fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// The address of the Sentinel and the name of the service, for messages.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.info.addr(), self.name)
    }

    /// Asks the Sentinel for the address of the primary.
    pub(crate) async fn primary(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<ConnectionInfo, RedisError> {
        let plain = self
            .info
            .clone()
            .set_redis_settings(RedisConnectionInfo::default());
        let mut sentinel = Client::open(plain)?
            .get_multiplexed_async_connection_with_config(config)
            .await?;
        let answer: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.name)
            .query_async(&mut sentinel)
            .await?;
        let (host, port) = answer.ok_or_else(|| {
            let kind = ErrorKind::MasterNameNotFoundBySentinel;
            RedisError::from((
                kind,
                "the Sentinel knows no such service",
                self.name.clone(),
            ))
        })?;
        let addr = with_host(self.info.addr(), host, port);
        Ok(self.info.clone().set_addr(addr))
    }
}

/// Another host with the same protocol settings.
pub(crate) fn with_host(known: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinels_url_is_one_of_redis_and_a_service() {
        let known = [
            ("redis+sentinel://a/s", "redis://a:26379/"),
            ("redis+sentinel://a:7/s/3", "redis://a:7/3"),
            ("redis+sentinel://me:x@a/s", "redis://me:x@a:26379/"),
            ("rediss+sentinel://[::1]/s", "rediss://[::1]:26379/"),
            ("rediss+sentinel://[::1]:7/s", "rediss://[::1]:7/"),
        ];
        for (url, expected) in known {
            assert_eq!(parts(url), Some((expected.to_owned(), "s")), "{url}");
        }
        for url in ["redis+sentinel://a", "redis://a/s", "http+sentinel://a/s"] {
            assert_eq!(parts(url), None, "{url}");
        }
    }
}
