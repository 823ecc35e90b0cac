//! Where Redis is, and how that is told without its password.

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
    /// Where Redis is, now.
    pub(crate) async fn resolve(
        &self,
        patient: &AsyncConnectionConfig,
    ) -> Result<ConnectionInfo, RedisError> {
        match self {
            Self::Redis(info) => Ok(info.clone()),
            Self::Sentinel(service) => service.primary(patient).await,
        }
    }

    const fn info(&self) -> &ConnectionInfo {
        match self {
            Self::Redis(info) => info,
            Self::Sentinel(service) => service.info(),
        }
    }
}

/// The addresses of one Redis, tried in turn, and where a cluster's node has sent us instead.
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

    /// A connection failed or ended: what to try now. Says whether that is a redirection, which
    /// needs no wait.
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
            let addr = sentinel::elsewhere(info.addr(), host, port);
            self.redirected = Some(info.clone().set_addr(addr));
            return true;
        }
        if self.redirected.take().is_none() {
            self.current = (self.current + 1) % self.listed.len();
        }
        false
    }

    /// Where, for a person: host and port and no more.
    pub(crate) fn name(&self) -> String {
        match self.target() {
            Some(Target::Redis(info)) => info.addr().to_string(),
            Some(Target::Sentinel(service)) => service.label(),
            None => String::new(),
        }
    }

    /// An error for a person. The client does not put passwords into its messages; should it, they
    /// are taken out.
    pub(crate) fn tell(&self, error: &RedisError) -> String {
        let mut told = error.to_string();
        let passwords = self
            .listed
            .iter()
            .filter_map(|target| target.info().redis_settings().password())
            .filter(|password| !password.is_empty());
        for password in passwords {
            told = told.replace(password, "…");
        }
        told
    }
}

fn fault(why: &str) -> StartError {
    StartError::Setting {
        key: "redis",
        why: why.to_owned(),
    }
}

/// What a URL leads to. The client's own message is left out: nothing of the URL may get into
/// one.
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
    // Scripts in a cluster, and more than one database, exclude each other; Redis says so.
    let info = config.tls.equip(info)?;
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
    fn a_sentinel_is_named_with_what_it_watches_over() {
        let addresses = addresses("redis+sentinel://me:hunter2@a/main");
        assert_eq!(addresses.name(), "a:26379/main");
    }

    #[test]
    fn a_password_is_told_to_nobody() {
        let addresses = addresses("redis://me:hunter2@a:1");
        assert_eq!(addresses.name(), "a:1");
        let error = make_extension_error("X".to_owned(), Some("for hunter2".to_owned()));
        assert!(!addresses.tell(&error).contains("hunter2"));
        let refused = Addresses::parse(&RedisConfig::at("redis//:hunter2@a"))
            .err()
            .unwrap();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }

    #[test]
    #[cfg(not(feature = "rustls"))]
    fn tls_without_the_feature_is_told() {
        let refused = Addresses::parse(&RedisConfig::at("rediss://a"))
            .err()
            .unwrap();
        assert!(refused.to_string().contains("redis"), "{refused}");
    }
}
