//! What must be so at this target: the user's expectations, and what the server's own configuration allows.

use std::{fs, path::Path, str::FromStr, time::Duration};

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::{TargetError, parse_header};
use crate::browser::Origin;

/// Which findings fail a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// What a browser cannot use, what is insecure, and expectations that are not met.
    #[default]
    Browser,
    /// Every finding, advice included.
    Strict,
}

/// Something that must be so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expectation {
    /// No longer silence than this.
    Heartbeat(Duration),
    /// The first byte of the body within this time.
    FirstByte(Duration),
    /// The first event within this time.
    FirstEvent(Duration),
    /// At least one event while the stream is held.
    Event,
    /// HTTP/2.
    Http2,
    /// Replay after `Last-Event-ID`.
    Resume,
    /// 401 without credentials.
    Auth,
    /// Every origin may read: `*`.
    Public,
    /// The certificate is valid for at least this long.
    Certificate(Duration),
    /// A header with exactly this value.
    Header(HeaderName, HeaderValue),
}

impl FromStr for Expectation {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim())),
            None => (text.trim(), None),
        };
        let time = value.and_then(|v| humantime::parse_duration(v).ok());
        Ok(match (key, value, time) {
            ("heartbeat", _, Some(time)) => Self::Heartbeat(time),
            ("first-byte", _, Some(time)) => Self::FirstByte(time),
            ("first-event", _, Some(time)) => Self::FirstEvent(time),
            ("certificate", _, Some(time)) => Self::Certificate(time),
            ("event", None, _) => Self::Event,
            ("http2", None, _) => Self::Http2,
            ("resume", None, _) => Self::Resume,
            ("auth", None, _) => Self::Auth,
            ("public", None, _) => Self::Public,
            ("header", Some(line), _) => {
                let (name, value) = parse_header(line)?;
                Self::Header(name, value)
            }
            _ => return Err(TargetError::Expectation(text.to_owned())),
        })
    }
}

/// What stands for `*` in an origin that is made from a pattern.
const SAMPLE_LABEL: &str = "sse-probe";
const SAMPLE_PORT: &str = "5173";

/// The origins that a server says it allows: `[policy.origins]` of `actix-web-sse`'s configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ServerPolicy {
    /// The entries as they are written; `*` in one stands for labels or for a port, alone for every origin.
    pub allow: Vec<String>,
    /// Whether pages may send cookies.
    pub credentials: bool,
    /// The request headers that pages may send. In a file: by default those of `actix-web-sse`, which are `authorization`,
    /// `last-event-id` and `cache-control`; an empty list says that there is no preflight.
    #[serde(default = "usual_headers")]
    pub request_headers: Vec<String>,
}

fn usual_headers() -> Vec<String> {
    ["authorization", "last-event-id", "cache-control"]
        .map(str::to_owned)
        .into()
}

impl ServerPolicy {
    /// Reads TOML or JSON with a table `policy.origins`, as servers with `actix-web-sse` have it: `allow`, `credentials`,
    /// `request_headers`. Other tables are not looked at.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has no such table.
    pub fn read(path: &Path) -> Result<Self, TargetError> {
        let wrong = |why: String| TargetError::Policy(format!("{}: {why}", path.display()));
        let text = fs::read_to_string(path).map_err(|why| wrong(why.to_string()))?;
        Self::parse(&text).map_err(wrong)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let value: toml::Value = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(|why| why.to_string())?,
            false => toml::from_str(text).map_err(|why| why.to_string())?,
        };
        let policy = value.get("policy").unwrap_or(&value);
        let table = policy.get("origins").or_else(|| value.get("origins"));
        let table =
            table.ok_or("it has no table `policy.origins` with `allow = [\"https://…\"]`")?;
        let policy = Self::deserialize(table.clone());
        let policy = policy.map_err(|why| format!("policy.origins: {why}"))?;
        for entry in policy.allow.iter().filter(|entry| *entry != "*") {
            let origin = sample(entry).parse::<Origin>();
            origin.map_err(|why| format!("policy.origins.allow, `{entry}`: {why}"))?;
        }
        Ok(policy)
    }

    /// Whether every origin is allowed.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.allow.iter().any(|entry| entry == "*")
    }

    /// Each allowed origin; for a pattern, one that it matches.
    #[must_use]
    pub fn origins(&self) -> Vec<Origin> {
        let entries = self.allow.iter().filter(|entry| *entry != "*");
        entries.flat_map(|entry| sample(entry).parse()).collect()
    }

    /// Whether an entry matches the origin.
    #[must_use]
    pub fn allows(&self, origin: &Origin) -> bool {
        let mut entries = self.allow.iter();
        entries.any(|entry| matches(entry, origin.as_str()))
    }
}

fn sample(entry: &str) -> String {
    match entry.strip_suffix(":*") {
        Some(host) => format!("{host}:{SAMPLE_PORT}"),
        None => entry.replace('*', SAMPLE_LABEL),
    }
}

fn matches(entry: &str, origin: &str) -> bool {
    let Some((before, after)) = entry.split_once('*') else {
        return entry == origin;
    };
    let any_port = before.ends_with(':') && after.is_empty();
    if any_port && before.strip_suffix(':') == Some(origin) {
        return true;
    }
    let fits = |b: u8| match b {
        b'0'..=b'9' => true,
        b'.' => !any_port && after.starts_with('.'),
        _ => !any_port && (b.is_ascii_alphanumeric() || b == b'-'),
    };
    let middle = origin.strip_prefix(before);
    let middle = middle.and_then(|rest| rest.strip_suffix(after));
    middle.is_some_and(|text| !text.is_empty() && text.bytes().all(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_read() {
        let parse = str::parse::<Expectation>;
        let heartbeat = Expectation::Heartbeat(Duration::from_secs(20));
        assert_eq!(parse("heartbeat=20s"), Ok(heartbeat));
        assert_eq!(parse("resume"), Ok(Expectation::Resume));
        assert!(matches!(
            parse("header=X-A: b"),
            Ok(Expectation::Header(..))
        ));
        let bad = [
            "",
            "heartbeat",
            "heartbeat=soon",
            "resume=yes",
            "header=x",
            "colour=red",
        ];
        for text in bad {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    const FILE: &str = "[server]\nlisten = \"x\"\n[policy.origins]\ncredentials = true\n\
        allow = [\"https://app.example.com\", \"https://*.tenant.example.net\", \"http://localhost:*\"]\n";

    #[test]
    fn every_entry_gives_an_origin_that_it_matches() {
        let policy = ServerPolicy::parse(FILE).unwrap();
        assert!(policy.credentials && !policy.is_public());
        // As the server, which does not say in its file what is so by default.
        assert_eq!(policy.request_headers, usual_headers());
        let origins = policy.origins();
        let shown: Vec<_> = origins.iter().map(Origin::as_str).collect();
        assert_eq!(
            shown,
            [
                "https://app.example.com",
                "https://sse-probe.tenant.example.net",
                "http://localhost:5173"
            ]
        );
        assert!(origins.iter().all(|origin| policy.allows(origin)));
    }

    #[test]
    fn what_no_entry_matches_is_not_allowed() {
        let policy = ServerPolicy::parse(FILE).unwrap();
        for (text, allowed) in [
            ("https://a.b.tenant.example.net", true),
            ("http://localhost", true),
            ("https://tenant.example.net", false),
            ("https://eviltenant.example.net", false),
            ("http://localhost.evil.example:8080", false),
            ("https://a.tenant.example.net.evil.example", false),
            ("http://a.tenant.example.net", false),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(policy.allows(&origin), allowed, "{text}");
        }
    }

    #[test]
    fn json_is_read_as_well_and_what_is_missing_is_named() {
        let json = "{\"origins\": {\"allow\": [\"*\"]}}";
        assert!(ServerPolicy::parse(json).unwrap().is_public());
        let error = ServerPolicy::parse("[policy]\n").unwrap_err();
        assert!(error.contains("policy.origins"), "{error}");
        let error = ServerPolicy::parse("[origins]\nallow = [\"app\"]").unwrap_err();
        assert!(error.contains("`app`"), "{error}");
    }
}
