//! Where Redis is, and how that is told without its password.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError};

use crate::{config::RedisUrl, error::StartError};

/// The addresses of one Redis, tried in turn, and where a cluster's node has sent us instead.
pub(crate) struct Addresses {
    listed: Vec<ConnectionInfo>,
    current: usize,
    redirected: Option<ConnectionInfo>,
}

impl Addresses {
    pub(crate) fn parse(url: &RedisUrl) -> Result<Self, StartError> {
        let fault = |why: &str| StartError::Setting {
            key: "redis",
            why: why.to_owned(),
        };
        // The client's own message is left out: nothing of the URL may get into it.
        let listed = url
            .parts()
            .map(|url| url.into_connection_info().map_err(|_| ()))
            .collect::<Result<Vec<_>, ()>>()
            .map_err(|()| fault("not a URL like \"redis://host:6379\""))?;
        if listed.is_empty() {
            return Err(fault("no URL; it looks like \"redis://host:6379\""));
        }
        for info in &listed {
            if !info.addr().is_supported() {
                return Err(fault(
                    "this kind of URL needs a feature of the crate: rustls",
                ));
            }
            // Scripts in a cluster, and more than one database, exclude each other; Redis says so.
        }
        Ok(Self {
            listed,
            current: 0,
            redirected: None,
        })
    }

    /// Where to connect next.
    pub(crate) fn target(&self) -> Option<&ConnectionInfo> {
        let listed = || self.listed.get(self.current % self.listed.len());
        self.redirected.as_ref().or_else(listed)
    }

    /// A connection failed or ended: what to try now. Says whether that is a redirection, which
    /// needs no wait.
    pub(crate) fn failed(&mut self, error: &RedisError) -> bool {
        let moved_to = error
            .redirect_node()
            .and_then(|(address, _)| address.rsplit_once(':'))
            .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
        let target = self.target().cloned();
        if let Some((host, port)) = moved_to
            && !host.is_empty()
            && self.redirected.is_none()
            && let Some(target) = target
        {
            let addr = match target.addr().clone() {
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
            };
            self.redirected = Some(target.set_addr(addr));
            return true;
        }
        if self.redirected.take().is_none() {
            self.current = (self.current + 1) % self.listed.len();
        }
        false
    }

    /// Where, for a person: host and port and no more.
    pub(crate) fn name(&self) -> String {
        self.target()
            .map(|info| info.addr().to_string())
            .unwrap_or_default()
    }

    /// An error for a person. The client does not put passwords into its messages; should it, they
    /// are taken out.
    pub(crate) fn tell(&self, error: &RedisError) -> String {
        let mut told = error.to_string();
        let passwords = self
            .listed
            .iter()
            .filter_map(|info| info.redis_settings().password())
            .filter(|password| !password.is_empty());
        for password in passwords {
            told = told.replace(password, "…");
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;

    fn addresses(url: &str) -> Addresses {
        Addresses::parse(&url.into()).unwrap()
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
    fn a_password_is_told_to_nobody() {
        let addresses = addresses("redis://me:hunter2@a:1");
        assert_eq!(addresses.name(), "a:1");
        let error = make_extension_error("X".to_owned(), Some("for hunter2".to_owned()));
        assert!(!addresses.tell(&error).contains("hunter2"));
        let refused = Addresses::parse(&"redis//:hunter2@a".into()).err().unwrap();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }

    #[test]
    #[cfg(not(feature = "rustls"))]
    fn tls_without_the_feature_is_told() {
        let refused = Addresses::parse(&"rediss://a".into()).err().unwrap();
        assert!(refused.to_string().contains("redis"), "{refused}");
    }
}
