//! The head of a response, line by line.

use std::str::FromStr;

/// The header lines, in their order and as they were spelt.
#[derive(Debug, Clone, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of the only line of this name.
    ///
    /// # Panics
    /// If there are several: a test that looks at one of two lines proves nothing.
    #[must_use]
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} stands there twice: {values:?}");
        values.first().copied()
    }

    /// The values of all lines of this name.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(line, _)| line.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The members of a comma-separated list over all lines of this name, in lower case.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        self.all(name)
            .iter()
            .flat_map(|line| line.split(','))
            .map(|member| member.trim().to_ascii_lowercase())
            .filter(|member| !member.is_empty())
            .collect()
    }

    /// The names that begin with this, in lower case.
    #[must_use]
    pub fn names_with(&self, prefix: &str) -> Vec<String> {
        self.0
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .filter(|name| name.starts_with(prefix))
            .collect()
    }

    pub(crate) fn parse(lines: &str) -> Self {
        let parse = |line: &str| {
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("no header line: {line:?}"));
            (name.to_owned(), value.trim().to_owned())
        };
        Self(
            lines
                .lines()
                .filter(|line| !line.is_empty())
                .map(parse)
                .collect(),
        )
    }
}

/// The head of a response.
#[derive(Debug, Clone)]
pub struct Head {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// The header lines.
    pub headers: Headers,
}

impl FromStr for Head {
    type Err = String;

    fn from_str(head: &str) -> Result<Self, Self::Err> {
        let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
        let mut words = first.split(' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|status| status.parse().ok());
        match status {
            Some(status) if version.starts_with("HTTP/") => Ok(Self {
                version,
                status,
                headers: Headers::parse(rest),
            }),
            _ => Err(format!("no status line: {first:?}")),
        }
    }
}
