use std::{error::Error, fmt};

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The key, dotted from the section's root: `origins.allow`.
    pub key: &'static str,
    /// The value as given; empty for secrets.
    pub value: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() {
            write!(f, "{}: {}", self.key, self.message)
        } else {
            write!(f, "{} = {}: {}", self.key, self.value, self.message)
        }
    }
}

/// A configuration that cannot be built: all its faults at once, each with the value and the
/// remedy. Nothing was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

impl ConfigError {
    /// What is wrong, in the order of the keys' checks; never empty.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl Error for ConfigError {}

/// Collects faults while a configuration is checked.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes a fault whose value may be shown.
    pub(crate) fn add(
        &mut self,
        key: &'static str,
        value: impl fmt::Debug,
        message: impl Into<String>,
    ) {
        self.0.push(Fault {
            key,
            value: format!("{value:?}"),
            message: message.into(),
        });
    }

    /// Notes a fault whose value must not be shown.
    pub(crate) fn add_secret(&mut self, key: &'static str, message: impl Into<String>) {
        self.0.push(Fault {
            key,
            value: String::new(),
            message: message.into(),
        });
    }

    /// Ends the check: `built` if nothing was noted, or all that was.
    ///
    /// # Errors
    /// [`ConfigError`] with every noted fault.
    pub(crate) fn into_result<T>(self, built: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            Ok(built)
        } else {
            Err(ConfigError { faults: self.0 })
        }
    }
}
