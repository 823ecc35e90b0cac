//! A way to probe: whose page, with which credentials, judged how.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::{
    exchange::{Limits, Protocol, Trust},
    finding::Level,
    target::{Secret, Target, TicketSource, parse_header, parse_url},
    verdict::Credentials,
};

/// A way to probe.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Module {
    /// The origin of the page.
    pub origin: Option<String>,
    /// Whether the page sends cookies.
    pub credentials: bool,
    /// A file with the bearer token. It is read for each probe, so it may be renewed.
    pub bearer_file: Option<PathBuf>,
    /// A file with the cookie, likewise.
    pub cookie_file: Option<PathBuf>,
    /// Where to POST for tickets.
    pub ticket_url: Option<String>,
    /// The hosts that this module may be used for. Needed with credentials, so that `/probe` cannot send them elsewhere.
    pub hosts: Vec<String>,
    /// Origins to be kept out.
    pub deny_origins: Vec<String>,
    /// Expectations, as for `sse-probe check --expect`.
    pub expect: Vec<String>,
    /// Only these checks.
    pub only: Vec<String>,
    /// All checks but these.
    pub skip: Vec<String>,
    /// Header lines to add.
    pub headers: Vec<String>,
    /// How long each stream is held. 5 s by default.
    #[serde(with = "humantime_serde")]
    pub hold: Option<Duration>,
    /// Certificates to believe as well.
    pub ca_file: Option<PathBuf>,
    /// `1.1` or `2`; as a browser by default.
    pub http: Option<String>,
    /// The least level of findings for which `probe_success` is 0. `fault` by default.
    pub fail_on: Option<FailOn>,
}

/// A level in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FailOn {
    /// Warnings and faults.
    Warning,
    /// Faults.
    Fault,
}

impl Module {
    /// A target of this kind.
    pub(super) fn target(&self, url: &str) -> Result<Target, String> {
        let say = |why: crate::TargetError| why.to_string();
        let limits = Limits {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(5),
            ..Limits::default()
        };
        let trust = match &self.ca_file {
            Some(path) => {
                Trust::also_file(path).map_err(|why| format!("{}: {why}", path.display()))?
            }
            None => Trust::System,
        };
        let mut target = Target::new(url)
            .map_err(say)?
            .connection(limits, trust)
            .hold(self.hold());
        if let Some(origin) = &self.origin {
            target = target.origin(origin).map_err(say)?;
        }
        if self.credentials {
            target = target.credentials(Credentials::Include);
        }
        target = match self.http.as_deref() {
            None => target,
            Some("1.1") => target.protocol(Protocol::Http1),
            Some("2") => target.protocol(Protocol::Http2),
            Some(other) => return Err(format!("http: `{other}` is neither 1.1 nor 2")),
        };
        for origin in &self.deny_origins {
            target = target.deny_origin(origin).map_err(say)?;
        }
        for expectation in &self.expect {
            target = target.expect(expectation.parse().map_err(say)?);
        }
        for check in &self.only {
            target = target.only(check).map_err(say)?;
        }
        for check in &self.skip {
            target = target.skip(check).map_err(say)?;
        }
        for line in &self.headers {
            let (name, value) = parse_header(line).map_err(say)?;
            target = target.header(name, value);
        }
        target = self.authenticate(target)?;
        target.validate().map_err(say)?;
        Ok(target)
    }

    fn authenticate(&self, target: Target) -> Result<Target, String> {
        let bearer = self.bearer_file.as_deref().map(secret).transpose()?;
        let cookie = self.cookie_file.as_deref().map(secret).transpose()?;
        Ok(match (&self.ticket_url, bearer, cookie) {
            (Some(url), bearer, cookie) => {
                let mut source = TicketSource::new(parse_url(url).map_err(|e| e.to_string())?);
                source.bearer = bearer.as_deref().map(Secret::new);
                source.cookie = cookie.as_deref().map(Secret::new);
                target.tickets(source)
            }
            (None, Some(_), Some(_)) => {
                return Err("bearer_file and cookie_file together only with ticket_url".to_owned());
            }
            (None, Some(bearer), None) => target.bearer(&bearer),
            (None, None, Some(cookie)) => target.cookie(&cookie),
            (None, None, None) => target,
        })
    }

    /// Whether this module may be used for that URL.
    pub(super) fn allows(&self, url: &str) -> Result<(), String> {
        let url = parse_url(url).map_err(|why| why.to_string())?;
        let host = url.host_str().unwrap_or_default();
        if self.hosts.is_empty() || self.hosts.iter().any(|h| h.eq_ignore_ascii_case(host)) {
            return Ok(());
        }
        Err(format!("`{host}` is not one of the module's hosts"))
    }

    fn hold(&self) -> Duration {
        self.hold.unwrap_or(Duration::from_secs(5))
    }

    /// How long a probe by itself may take. The held stream is one of some twenty exchanges; a target so slow that they
    /// take a minute more is not well.
    pub(super) fn longest(&self) -> Duration {
        self.hold() + Duration::from_secs(60)
    }

    pub(super) fn fail_on(&self) -> Level {
        match self.fail_on {
            Some(FailOn::Warning) => Level::Warning,
            _ => Level::Fault,
        }
    }

    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let secret =
            self.bearer_file.is_some() || self.cookie_file.is_some() || self.ticket_url.is_some();
        if secret && self.hosts.is_empty() {
            faults.push(
                "credentials without `hosts`: /probe could be made to send them anywhere"
                    .to_owned(),
            );
        }
        if self.headers.iter().any(|line| {
            let name = line
                .split(':')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            matches!(name.as_str(), "authorization" | "cookie") && self.hosts.is_empty()
        }) {
            faults.push("credentials in `headers` without `hosts`".to_owned());
        }
        // Any URL shows the faults that do not depend on it.
        if let Err(fault) = self.target("https://module.invalid/") {
            faults.push(fault);
        }
        faults
    }
}

fn secret(path: &Path) -> Result<String, String> {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|why| format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_keeps_to_its_hosts() {
        let module = Module {
            hosts: vec!["api.example.com".into()],
            ..Module::default()
        };
        assert!(module.allows("https://API.example.com/x").is_ok());
        assert!(
            module
                .allows("https://api.example.com.evil.example/")
                .is_err()
        );
        assert!(
            module
                .allows("https://evil.example/?api.example.com")
                .is_err()
        );
    }
}
