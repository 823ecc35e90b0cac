//! The addresses of Redis, and how they appear in messages: without a password.

use redis::{AsyncConnectionConfig, ConnectionInfo, IntoConnectionInfo, RedisError};

use crate::{
    config::RedisConfig,
    error::StartError,
    sentinel::{self, Service},
};

/// Where to connect.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Redis(ConnectionInfo),
    Sentinel(Service),
}

impl Target {
    /// The address of the primary at this moment.
    pub(crate) async fn resolve(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<ConnectionInfo, RedisError> {
        match self {
            Self::Redis(info) => Ok(info.clone()),
            Self::Sentinel(service) => service.primary(config).await,
        }
    }

    const fn info(&self) -> &ConnectionInfo {
        match self {
            Self::Redis(info) => info,
            Self::Sentinel(service) => service.info(),
        }
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
        let listed = config
            .redis
            .parts()
            .map(|url| target(url, config))
            .collect::<Result<Vec<_>, _>>()?;
        if listed.is_empty() {
            return Err(fault("no URL; it looks like \"redis://host:6379\""));
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

    /// Where to connect next.
    pub(crate) fn target(&self) -> Option<Target> {
        let listed = || self.listed.get(self.current % self.listed.len()).cloned();
        self.redirected.clone().map(Target::Redis).or_else(listed)
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
            let info = target.info();
            let addr = sentinel::with_host(info.addr(), host, port);
            self.redirected = Some(info.clone().set_addr(addr));
            return true;
        }
        if self.redirected.take().is_none() {
            self.current = (self.current + 1) % self.listed.len();
        }
        false
    }

    /// The current address for a message: host and port only.
    pub(crate) fn name(&self) -> String {
        match self.target() {
            Some(Target::Redis(info)) => info.addr().to_string(),
            Some(Target::Sentinel(service)) => service.label(),
            None => String::new(),
        }
    }

    /// An error for a message. The client does not put passwords into its errors; if it did, they
    /// would be replaced here.
    pub(crate) fn describe(&self, error: &RedisError) -> String {
        let mut text = error.to_string();
        let passwords = self
            .listed
            .iter()
            .filter_map(|target| target.info().redis_settings().password())
            .filter(|password| !password.is_empty());
        for password in passwords {
            text = text.replace(password, "…");
        }
        text
    }
}

fn fault(why: &str) -> StartError {
    StartError::Setting {
        key: "redis",
        why: why.to_owned(),
    }
}

/// Parses one URL. The client's own message is left out, for it could contain parts of the URL.
fn target(url: &str, config: &RedisConfig) -> Result<Target, StartError> {
    let split = sentinel::parts(url);
    let (url, service) = match &split {
        Some((url, service)) => (url.as_str(), Some(service)),
        None => (url, None),
    };
    let info = url
        .into_connection_info()
        .map_err(|_| fault("not a URL like \"redis://host:6379\""))?;
    if !info.addr().is_supported() {
        return Err(fault(
            "this kind of URL needs a feature of the crate: rustls",
        ));
    }
    // A cluster has one database; Redis refuses another one itself.
    let info = config.tls.apply(info)?;
    Ok(match service {
        Some(service) => Target::Sentinel(Service::new(service, info)),
        None => Target::Redis(info),
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
    fn a_sentinel_is_named_with_its_service() {
        let addresses = addresses("redis+sentinel://me:hunter2@a/main");
        assert_eq!(addresses.name(), "a:26379/main");
    }

    #[test]
    fn a_password_is_in_no_name_and_no_message() {
        let addresses = addresses("redis://me:hunter2@a:1");
        assert_eq!(addresses.name(), "a:1");
        let error = make_extension_error("X".to_owned(), Some("for hunter2".to_owned()));
        assert!(!addresses.describe(&error).contains("hunter2"));
        let refused = Addresses::parse(&RedisConfig::at("redis//:hunter2@a"))
            .err()
            .unwrap();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }

    #[test]
    #[cfg(not(feature = "rustls"))]
    fn tls_without_the_feature_is_an_error() {
        let refused = Addresses::parse(&RedisConfig::at("rediss://a"))
            .err()
            .unwrap();
        assert!(refused.to_string().contains("redis"), "{refused}");
    }
}
