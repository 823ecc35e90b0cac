//! What a check found: what was seen, why it matters, what to change.

use std::fmt;

use serde::Serialize;

use super::remedies::Remedy;

/// What a finding means for whoever runs the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// Every browser copes; it costs something, or some client or hop may trip over it.
    Advice,
    /// Somebody can use the stream who should not.
    Insecure,
    /// A browser cannot use the stream, or not for long.
    Blocked,
}

impl FindingKind {
    /// `advice`, `insecure` or `blocked`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Insecure => "insecure",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which findings fail a run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// What a browser cannot use, what is insecure, and expectations that are not met.
    #[default]
    Browser,
    /// Every finding, advice included.
    Strict,
}

/// One thing that a check found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it means.
    pub kind: FindingKind,
    /// Whether an expectation of the user is not met. It fails every run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub expected: bool,
    /// What was seen.
    pub seen: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to change, in the application and in the usual proxies.
    pub remedies: &'static [Remedy],
}

impl Finding {
    /// A finding of any kind.
    pub(crate) fn new(
        kind: FindingKind,
        seen: impl Into<String>,
        why: &'static str,
        remedies: &'static [Remedy],
    ) -> Self {
        Self {
            kind,
            expected: false,
            seen: seen.into(),
            why,
            remedies,
        }
    }

    /// A browser fails.
    pub(crate) fn blocked(
        seen: impl Into<String>,
        why: &'static str,
        remedies: &'static [Remedy],
    ) -> Self {
        Self::new(FindingKind::Blocked, seen, why, remedies)
    }

    /// Somebody gets in.
    pub(crate) fn insecure(
        seen: impl Into<String>,
        why: &'static str,
        remedies: &'static [Remedy],
    ) -> Self {
        Self::new(FindingKind::Insecure, seen, why, remedies)
    }

    /// Something to know.
    pub(crate) fn advice(
        seen: impl Into<String>,
        why: &'static str,
        remedies: &'static [Remedy],
    ) -> Self {
        Self::new(FindingKind::Advice, seen, why, remedies)
    }

    /// The same, because the user expects something else.
    pub(crate) fn unmet(mut self) -> Self {
        self.expected = true;
        self
    }

    /// Whether it fails a run of that profile.
    #[must_use]
    pub fn fails(&self, profile: Profile) -> bool {
        self.expected || self.kind > FindingKind::Advice || profile == Profile::Strict
    }
}
