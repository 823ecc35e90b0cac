//! The configuration file: its sections, read one by one so that all faults are reported at once.

mod sections;

use actix_web_sse::config::{AuthConfig, HubConfig, PolicyConfig, StreamConfig};
use actix_web_sse_redis::RedisConfig;
use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

pub(crate) use self::sections::{MetricsSection, Operators, ServerSection, Tls};
use crate::failure::Failure;

/// The configuration of a demo that was given none.
pub(crate) const DEFAULTS: &str = include_str!("defaults.toml");

/// Everything that a file can say. Whether the hub, the stream and the policy can be built from
/// it is for them to say.
#[derive(Default)]
pub(crate) struct Config {
    pub(crate) server: ServerSection,
    pub(crate) metrics: MetricsSection,
    pub(crate) hub: HubConfig,
    pub(crate) stream: StreamConfig,
    pub(crate) policy: PolicyConfig,
    pub(crate) auth: AuthConfig,
    /// Absent: the hub is this process's alone.
    pub(crate) backplane: Option<RedisConfig>,
    /// `auth.jwt_hs256_secret` once more, for who signs tokens: the section itself shows it to
    /// nobody.
    pub(crate) jwt_secret: Option<String>,
}

impl Config {
    const SECTIONS: &str = "server, metrics, hub, stream, policy, auth, backplane";

    /// Reads a file's text; `source` is its name in messages.
    ///
    /// # Errors
    /// Every unknown section, and the first fault of each known one.
    pub(crate) fn parse(source: &str, text: &str) -> Result<Self, Failure> {
        let mut reader = Reader {
            source,
            text,
            faults: Vec::new(),
        };
        let mut config = Self::default();
        let root = DeTable::parse(text)
            .map_err(|error| Failure::one(reader.located(error.span(), error.message())))?;
        for (name, value) in root.into_inner() {
            match name.get_ref().as_ref() {
                "server" => reader.section("server", value, &mut config.server),
                "metrics" => reader.section("metrics", value, &mut config.metrics),
                "hub" => reader.section("hub", value, &mut config.hub),
                "stream" => reader.section("stream", value, &mut config.stream),
                "policy" => reader.section("policy", value, &mut config.policy),
                "backplane" => reader.section("backplane", value, &mut config.backplane),
                "auth" => {
                    let secret = value.get_ref().get("jwt_hs256_secret");
                    let secret = secret.and_then(|secret| secret.get_ref().as_str());
                    config.jwt_secret = secret.map(str::to_owned);
                    reader.section("auth", value, &mut config.auth);
                }
                unknown => {
                    let message = format!(
                        "unknown section or key `{unknown}`; there are {}",
                        Self::SECTIONS
                    );
                    reader.fault(Some(name.span()), &message);
                }
            }
        }
        if reader.faults.is_empty() {
            Ok(config)
        } else {
            Err(Failure::of(reader.faults))
        }
    }
}

struct Reader<'a> {
    source: &'a str,
    text: &'a str,
    faults: Vec<String>,
}

impl Reader<'_> {
    /// Fills one section, or notes why it cannot be.
    fn section<T: DeserializeOwned>(
        &mut self,
        name: &str,
        value: Spanned<DeValue<'_>>,
        section: &mut T,
    ) {
        match serde_path_to_error::deserialize(ValueDeserializer::from(value)) {
            Ok(filled) => *section = filled,
            Err(error) => {
                let path = match error.path().to_string() {
                    root if root == "." => name.to_owned(),
                    path => format!("{name}.{path}"),
                };
                let inner = error.inner();
                let mut message = in_plain_words(inner.message());
                if ["auth", "backplane"].contains(&name) || path.starts_with("metrics.operators") {
                    message = without_values(&message);
                }
                self.fault(inner.span(), &format!("{path}: {message}"));
            }
        }
    }

    fn fault(&mut self, at: Option<std::ops::Range<usize>>, message: &str) {
        self.faults.push(self.located(at, message));
    }

    /// `FILE:LINE: message`.
    fn located(&self, at: Option<std::ops::Range<usize>>, message: &str) -> String {
        match at.and_then(|span| self.text.get(..span.start)) {
            Some(before) => {
                let line = before.matches('\n').count() + 1;
                format!("{}:{line}: {message}", self.source)
            }
            None => format!("{}: {message}", self.source),
        }
    }
}

/// The parser's messages name Rust's types; these name what to write in the file.
fn in_plain_words(message: &str) -> String {
    const WORDS: [(&str, &str); 7] = [
        ("a duration", "a duration like \"15s\" or \"5m\""),
        ("a nonzero usize", "a whole number from 1"),
        ("usize", "a whole number"),
        ("u32", "a whole number"),
        ("u8", "a whole number from 0 to 255"),
        ("f64", "a number"),
        ("a boolean", "true or false"),
    ];
    let Some((found, expected)) = message.rsplit_once("expected ") else {
        return message.to_owned();
    };
    let plain = WORDS.iter().find(|(rust, _)| *rust == expected);
    let expected = match plain {
        Some((_, plain)) => plain,
        None if expected.starts_with("struct ") => "a section with keys of its own",
        None => expected,
    };
    format!("{found}expected {expected}")
}

/// A value in the wrong place may still be a secret.
fn without_values(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let (_, after) = rest.split_once('`').unwrap_or_default();
        return format!("unknown variant{after}");
    }
    match (message.find('"'), message.rfind('"')) {
        (Some(from), Some(to)) if from < to => {
            let (before, rest) = message.split_at(from);
            let (_, after) = rest.split_at(to + 1 - from);
            format!("{before}(not shown){after}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn faults(text: &str) -> String {
        Config::parse("demo.toml", text)
            .err()
            .expect("the file is wrong")
            .to_string()
    }

    #[test]
    fn the_defaults_can_be_read() {
        let config = Config::parse("the defaults", DEFAULTS).expect("readable");
        assert_eq!(config.server.listen.port(), 8080);
        assert_eq!(config.server.foreign.map(|at| at.port()), Some(8081));
        assert_eq!(config.server.tick, Some(Duration::from_secs(1)));
        assert!(config.metrics.listen.is_none());
    }

    #[test]
    fn an_empty_file_means_the_same_listener_without_extras() {
        let config = Config::parse("demo.toml", "").expect("readable");
        assert_eq!(config.server.listen.port(), 8080);
        assert!(config.server.foreign.is_none());
        assert!(config.server.tick.is_none());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_section_its_line_and_what_there_is() {
        let message = faults("[server]\nlisten = \"127.0.0.1:0\"\nlissen = 1\n");
        assert!(
            message.starts_with("demo: demo.toml:3: server"),
            "{message}"
        );
        assert!(message.contains("unknown field `lissen`"), "{message}");
        assert!(message.contains("`listen`"), "{message}");
    }

    #[test]
    fn a_bad_value_is_named_by_its_key() {
        let message = faults("[stream]\nheartbeat = 5\n");
        assert!(
            message.starts_with("demo: demo.toml:2: stream.heartbeat: "),
            "{message}"
        );
        assert!(
            message.ends_with("expected a duration like \"15s\" or \"5m\"\n"),
            "{message}"
        );
        let message = faults("[server]\nlisten = \"everywhere\"\n");
        assert!(
            message.starts_with("demo: demo.toml:2: server.listen: "),
            "{message}"
        );
        assert!(message.contains("127.0.0.1:8080"), "the remedy: {message}");
    }

    #[test]
    fn each_section_reports_its_fault_on_its_own_line() {
        let message = faults("[server]\nworkers = 0\n[stream]\nretry = \"soon\"\n[hubb]\nx = 1\n");
        assert_eq!(message.lines().count(), 3, "{message}");
        for key in ["server.workers", "stream.retry", "`hubb`"] {
            assert!(message.contains(key), "{key} in {message}");
        }
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        for misplaced in [
            "[auth]\nticket = \"hunter2\"\n",
            "[auth]\nrequired = \"hunter2\"\n",
            "[metrics]\noperators = \"hunter2\"\n",
            "backplane = \"redis://:hunter2@localhost\"\n",
            "[backplane]\nkeep_events = \"redis://:hunter2@localhost\"\n",
        ] {
            let message = faults(misplaced);
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn what_is_no_toml_is_located() {
        let message = faults("[server]\nlisten = \n");
        assert!(message.starts_with("demo: demo.toml:2: "), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}
