//! What a check found: what was seen, why it matters, what to change.

use serde::Serialize;

use super::remedies::Remedy;
use crate::target::Profile;

named! {
    /// What a finding means for whoever runs the stream.
    pub enum FindingKind {
        /// Every browser copes; it costs something, or some client or hop may trip over it.
        Advice = "advice",
        /// Somebody can use the stream who should not.
        Insecure = "insecure",
        /// A browser cannot use the stream, or not for long.
        Blocked = "blocked",
    }
}

impl FindingKind {
    /// This kind, or advice where it does no harm.
    pub(crate) fn unless(self, harmless: bool) -> Self {
        if harmless { Self::Advice } else { self }
    }
}

/// What is known of a finding before it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    pub(super) kind: FindingKind,
    pub(super) why: &'static str,
    pub(super) remedies: &'static [Remedy],
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

impl Text {
    /// The finding, with what was seen.
    pub(crate) fn seen(self, seen: impl Into<String>) -> Finding {
        Finding {
            kind: self.kind,
            expected: false,
            seen: seen.into(),
            why: self.why,
            remedies: self.remedies,
        }
    }

    /// The same text for a finding of another kind.
    pub(crate) fn of_kind(self, kind: FindingKind) -> Self {
        Self { kind, ..self }
    }

    /// The same text with other remedies.
    pub(crate) fn with(self, remedies: &'static [Remedy]) -> Self {
        Self { remedies, ..self }
    }
}

impl Finding {
    /// The same; if the user expects something else, that is not met.
    pub(crate) fn unmet_if(self, expected: bool) -> Self {
        Self { expected, ..self }
    }

    /// Whether it fails a run of that profile.
    #[must_use]
    pub fn fails(&self, profile: Profile) -> bool {
        self.expected || self.kind > FindingKind::Advice || profile == Profile::Strict
    }

    /// `expected` for what the user asked for, else the kind.
    #[must_use]
    pub fn label(&self) -> &'static str {
        if self.expected && self.kind == FindingKind::Advice {
            "expected"
        } else {
            self.kind.as_str()
        }
    }
}
