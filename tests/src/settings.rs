//! The configuration of a demo under test.

use std::{fs, path::Path};

use toml::{Table, Value};

/// A configuration that starts from the reference set-up and is changed key by key.
#[derive(Debug, Clone)]
pub struct Settings(Table);

const REFERENCE: &str = include_str!("reference.toml");
const DEFAULTS: &str = include_str!("../../examples/demo/src/config/defaults.toml");

impl Settings {
    /// The reference set-up R0 of the wire contract, on free ports.
    #[must_use]
    pub fn reference() -> Self {
        Self(REFERENCE.parse().expect("the reference set-up is TOML"))
            .set("server.listen", "127.0.0.1:0")
            .set("metrics.listen", "127.0.0.1:0")
    }

    /// What the demo does without a configuration of its own, on free ports.
    #[must_use]
    pub fn defaults() -> Self {
        Self(DEFAULTS.parse().expect("the demo's defaults are TOML"))
            .set("server.listen", "127.0.0.1:0")
            .set("server.foreign", "127.0.0.1:0")
    }

    /// The reference set-up without authentication and limits: for what is not about those.
    #[must_use]
    pub fn open() -> Self {
        Self::reference()
            .without_limits()
            .remove("auth")
            .set("auth.required", false)
    }

    /// Without any limit on streams.
    #[must_use]
    pub fn without_limits(self) -> Self {
        [
            "per_ip",
            "per_user",
            "total",
            "connects_per_second",
            "connects_per_ip",
            "attempts_per_ip",
        ]
        .into_iter()
        .fold(self, |settings, limit| {
            settings.set(&format!("policy.limits.{limit}"), "unlimited")
        })
    }

    /// Allows these origins and no other.
    #[must_use]
    pub fn allow(self, origins: &[&str]) -> Self {
        self.set("policy.origins.allow", origins.to_vec())
    }

    /// Sets a key, written with dots.
    ///
    /// # Panics
    /// If the path leads through something that is no table.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        let (table, name) = self.table_of(key);
        table.insert(name.to_owned(), value.into());
        self
    }

    /// Takes a key out.
    #[must_use]
    pub fn remove(mut self, key: &str) -> Self {
        let (table, name) = self.table_of(key);
        table.remove(name);
        self
    }

    fn table_of<'k>(&mut self, key: &'k str) -> (&mut Table, &'k str) {
        let (path, name) = key.rsplit_once('.').unwrap_or(("", key));
        let mut table = &mut self.0;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let entry = table.entry(part).or_insert_with(|| Table::new().into());
            table = entry
                .as_table_mut()
                .unwrap_or_else(|| panic!("{part} is no table"));
        }
        (table, name)
    }

    /// A text that stands in the configuration.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        let mut value = None;
        let mut table = Some(&self.0);
        for part in key.split('.') {
            value = table.and_then(|table| table.get(part));
            table = value.and_then(Value::as_table);
        }
        value.and_then(Value::as_str)
    }

    /// Writes the file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: &Path) {
        fs::write(path, self.0.to_string()).expect("the configuration is written");
    }
}
