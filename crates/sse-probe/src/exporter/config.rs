//! The exporter's configuration.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, time::Duration};

use serde::Deserialize;
use thiserror::Error;

use crate::{http::Dialer, options::Options};

/// What connecting, and after it the head of a reply, may take if the module does not say.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// The exporter's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen. `127.0.0.1:9465` by default.
    pub listen: SocketAddr,
    /// How often each target is probed. One minute by default.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// How many targets may be probed at one time in rounds. 8 by default.
    pub concurrency: usize,
    /// How many probes on demand may be under way; further ones wait within the time of their scrape. 64 by default.
    pub probe_concurrency: usize,
    /// Ways to probe.
    pub modules: BTreeMap<String, Options>,
    /// What is probed by itself.
    pub targets: Vec<StaticTarget>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9465)),
            interval: Duration::from_secs(60),
            concurrency: 8,
            probe_concurrency: 64,
            modules: BTreeMap::new(),
            targets: Vec::new(),
        }
    }
}

/// A target that is probed by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticTarget {
    /// The stream's URL.
    pub url: String,
    /// The name of a module. `default` by default.
    #[serde(default = "default_module")]
    pub module: String,
    /// The label `instance`. The URL without its query by default.
    pub name: Option<String>,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    pub(super) fn one(fault: impl Into<String>) -> Self {
        Self(vec![fault.into()])
    }

    /// One sentence for each fault.
    pub fn faults(&self) -> &[String] {
        &self.0
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not TOML of this form, or says something that cannot be done: all faults at once.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let wrong = |why| ConfigError::one(format!("{}: {why}", path.display()));
        Self::parse(&fs::read_to_string(path).map_err(wrong)?)
    }

    /// Reads TOML.
    ///
    /// # Errors
    ///
    /// As for [`Config::read`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config = toml::from_str::<Self>(text);
        let mut config = config.map_err(|why| ConfigError::one(why.to_string().trim()))?;
        config.modules.entry(default_module()).or_default();
        for module in config.modules.values_mut() {
            module.reply_timeout.get_or_insert(REPLY_TIMEOUT);
        }
        let faults = config.faults();
        match faults.is_empty() {
            true => Ok(config),
            false => Err(ConfigError(faults)),
        }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let times = Duration::from_secs(1)..=Duration::from_secs(365 * 86_400);
        let (rounds, on_demand) = (self.concurrency == 0, self.probe_concurrency == 0);
        for (wrong, fault) in [
            (
                rounds,
                "concurrency: 0, so nothing is probed; write 1 or more",
            ),
            (
                on_demand,
                "probe_concurrency: 0, so /probe never answers; write 1 or more",
            ),
            (
                !times.contains(&self.interval),
                "interval: write a time from \"1s\" to \"1year\"",
            ),
        ] {
            faults.extend(wrong.then(|| fault.to_owned()));
        }
        for (name, module) in &self.modules {
            let of_module = module.faults().into_iter();
            faults.extend(of_module.map(|fault| format!("modules.{name}: {fault}")));
        }
        let mut instances: BTreeMap<String, usize> = BTreeMap::new();
        for (number, target) in (1..).zip(&self.targets) {
            let shown = without_query(&target.url);
            let fault = match self.modules.get(&target.module) {
                None => Some(format!("there is no module `{}`", target.module)),
                Some(module) => module.allows(&target.url).err(),
            };
            faults.extend(fault.map(|fault| format!("targets, {shown}: {fault}")));
            // Metrics of two targets with one label would be one.
            let instance = target.instance();
            if let Some(first) = instances.get(&instance) {
                faults.push(format!(
                    "targets: number {first} and number {number} ({shown}) both have the instance `{instance}`, since \
                     queries are left out of it; give each a `name` of its own"
                ));
            }
            instances.entry(instance).or_insert(number);
        }
        faults
    }
}

impl StaticTarget {
    /// The label `instance`.
    pub fn instance(&self) -> String {
        let name = self.name.clone();
        name.unwrap_or_else(|| without_query(&self.url))
    }
}

/// A configuration, and the dialer of each module, which is made once.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Config,
    dialers: BTreeMap<String, Dialer>,
}

/// A module, ready for use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Module<'a> {
    pub(super) name: &'a str,
    pub(super) options: &'a Options,
    pub(super) dialer: &'a Dialer,
}

impl Loaded {
    pub(super) fn new(config: Config) -> Result<Self, ConfigError> {
        let modules = config.modules.iter();
        let dialers = modules.map(|(name, module)| Ok((name.clone(), module.dialer()?)));
        let dialers = dialers
            .collect::<Result<_, _>>()
            .map_err(|why: String| ConfigError::one(why))?;
        Ok(Self { config, dialers })
    }

    pub(super) fn module(&self, name: &str) -> Option<Module<'_>> {
        let (name, options) = self.config.modules.get_key_value(name)?;
        let dialer = self.dialers.get(name)?;
        Some(Module {
            name,
            options,
            dialer,
        })
    }
}

fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

fn default_module() -> String {
    "default".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_configuration_has_defaults() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.listen.port(), 9465);
        assert!(config.modules.contains_key("default"));
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let long = "18446744073709551615s";
        let times = format!(
            "interval = \"{long}\"\n[modules.a]\nhold = \"{long}\"\n\
             [modules.b]\ntimeout = \"0s\"\n[modules.c]\nreply_timeout = \"0s\"\n"
        );
        let two =
            "[[targets]]\nurl = \"http://x/?topic=a\"\n[[targets]]\nurl = \"http://x/?topic=b\"\n";
        let cases: &[(&str, &[&str])] = &[
            (
                "concurrency = 0\n\
                 [modules.a]\norigin = \"app.example.com\"\n\
                 [modules.b]\nbearer_file = \"/nowhere\"\n\
                 [modules.d]\nhosts = [\"x\"]\n\
                 [[targets]]\nurl = \"https://x/\"\nmodule = \"c\"\n\
                 [[targets]]\nurl = \"x\"\n",
                &[
                    "concurrency",
                    "modules.a",
                    "without `target_origins`",
                    "/nowhere",
                    "modules.d: `hosts` is not read any more",
                    "no module `c`",
                    "`x` cannot be probed",
                ],
            ),
            // Times that no clock holds.
            (
                &times,
                &[
                    "interval: ",
                    "modules.a: --hold",
                    "modules.b: ",
                    "modules.c: ",
                ],
            ),
            (
                "[modules.a]\nbearer = \"secret\"\n",
                &["unknown field `bearer`"],
            ),
            // Targets that differ in the query alone.
            (two, &["number 1 and number 2", "`http://x/`", "`name`"]),
        ];
        for (text, parts) in cases {
            let error = Config::parse(text).unwrap_err().to_string();
            for part in *parts {
                assert!(error.contains(part), "{part} in {error}");
            }
        }
        assert!(Config::parse(&format!("{two}name = \"b\"\n")).is_ok());
    }
}
