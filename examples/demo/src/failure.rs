use std::fmt;

/// Why the demo does not run: one line for each fault, each with its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(Vec<String>);

impl Failure {
    pub(crate) fn one(line: impl Into<String>) -> Self {
        Self(vec![line.into()])
    }

    pub(crate) fn of(lines: Vec<String>) -> Self {
        Self(lines)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.0 {
            // A message of a parser may hold several lines; here one fault is one line.
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            writeln!(f, "demo: {line}")?;
        }
        Ok(())
    }
}
