//! What a check found: seen, why it matters, what to change.

use std::fmt;

use crate::advice::Remedy;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing; nothing fails.
    Note,
    /// Works, but costs something or will fail one day.
    Warning,
    /// A browser fails, or somebody gets in who must not.
    Fault,
}

impl Level {
    /// `note`, `warning` or `fault`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that a check found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was seen.
    pub seen: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to change, for actix and for the usual proxies.
    pub remedies: &'static [Remedy],
}

impl Finding {
    /// A finding of any level.
    pub(crate) fn new(
        level: Level,
        seen: impl Into<String>,
        why: &'static str,
        remedies: &'static [Remedy],
    ) -> Self {
        Self {
            level,
            seen: seen.into(),
            why,
            remedies,
        }
    }

    /// Something fails.
    pub(crate) fn fault(
        seen: impl Into<String>,
        why: &'static str,
        remedies: &'static [Remedy],
    ) -> Self {
        Self::new(Level::Fault, seen, why, remedies)
    }

    /// Something costs.
    pub(crate) fn warning(
        seen: impl Into<String>,
        why: &'static str,
        remedies: &'static [Remedy],
    ) -> Self {
        Self::new(Level::Warning, seen, why, remedies)
    }

    /// Something to know.
    pub(crate) fn note(
        seen: impl Into<String>,
        why: &'static str,
        remedies: &'static [Remedy],
    ) -> Self {
        Self::new(Level::Note, seen, why, remedies)
    }
}
