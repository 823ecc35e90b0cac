//! The exporter's configuration.

use std::{
    collections::BTreeMap, error::Error, fmt, fs, net::SocketAddr, path::Path, time::Duration,
};

use serde::Deserialize;

use super::Module;

/// The exporter's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen. `127.0.0.1:9465` by default.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// How often each target is probed. One minute by default.
    #[serde(default = "default_interval", with = "humantime_serde")]
    pub interval: Duration,
    /// How many probes may be under way. 4 by default.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Ways to probe.
    #[serde(default)]
    pub modules: BTreeMap<String, Module>,
    /// What is probed by itself.
    #[serde(default)]
    pub targets: Vec<StaticTarget>,
}

/// A target that is probed by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StaticTarget {
    /// The stream's URL.
    pub url: String,
    /// The name of a module. `default` by default.
    #[serde(default = "default_module")]
    pub module: String,
    /// The label `instance`. The URL without its query by default.
    #[serde(default)]
    pub name: Option<String>,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    fn one(fault: impl Into<String>) -> Self {
        Self(vec![fault.into()])
    }

    /// One sentence for each fault.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Error for ConfigError {}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not TOML of this form, or says something that cannot be done: all faults at once.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|why| ConfigError::one(format!("{}: {why}", path.display())))?;
        Self::parse(&text)
    }

    /// Reads TOML.
    ///
    /// # Errors
    ///
    /// As for [`Config::read`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text)
            .map_err(|why| ConfigError::one(why.to_string().trim().to_owned()))?;
        config.modules.entry(default_module()).or_default();
        let mut faults = Vec::new();
        if config.concurrency == 0 {
            faults.push("concurrency: 0 probes can be under way".to_owned());
        }
        if config.interval < Duration::from_secs(1) {
            faults.push("interval: less than a second".to_owned());
        }
        for (name, module) in &config.modules {
            faults.extend(
                module
                    .faults()
                    .into_iter()
                    .map(|fault| format!("modules.{name}: {fault}")),
            );
        }
        for target in &config.targets {
            let fault = match config.modules.get(&target.module) {
                None => Some(format!("there is no module `{}`", target.module)),
                Some(module) => module.allows(&target.url).err(),
            };
            faults.extend(
                fault.map(|fault| format!("targets, {}: {fault}", without_query(&target.url))),
            );
        }
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(faults))
        }
    }
}

impl StaticTarget {
    /// The label `instance`.
    #[must_use]
    pub fn instance(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| without_query(&self.url))
    }
}

fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9465))
}

fn default_interval() -> Duration {
    Duration::from_secs(60)
}

fn default_concurrency() -> usize {
    4
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
    fn all_faults_are_told_at_once() {
        let error = Config::parse(
            "concurrency = 0\n\
             [modules.a]\norigin = \"app.example.com\"\n\
             [modules.b]\nbearer_file = \"/nowhere\"\n\
             [[targets]]\nurl = \"https://x/\"\nmodule = \"c\"\n\
             [[targets]]\nurl = \"x\"\n",
        )
        .unwrap_err();
        let text = error.to_string();
        for part in [
            "concurrency",
            "modules.a",
            "without `hosts`",
            "/nowhere",
            "no module `c`",
            "`x` cannot be probed",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(Config::parse("[modules.a]\nbearer = \"secret\"\n").is_err());
    }
}
