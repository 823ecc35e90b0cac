//! The checks, one file each. Every one is a pure judgement of a [`Survey`].

mod accept;
mod allow_origin;
mod auth;
mod buffering;
mod caching;
mod certificate;
mod content_type;
mod cors;
mod error_cors;
mod expected_headers;
mod first_byte;
mod first_event;
mod format;
mod heartbeat;
mod origins;
mod preflight;
mod protocol;
mod redirect;
mod resume;
mod retry;
mod security_headers;
mod status;
mod survival;
mod transformation;
mod vary;

pub(crate) use self::{caching::served_from_cache, survival::last_silence};
use crate::{
    finding::{Finding, Level},
    survey::Survey,
};

/// One question about a stream.
pub trait Check: Sync {
    /// The name, for `--only`, `--skip` and the label of metrics.
    fn name(&self) -> &'static str;

    /// The question, in a few words.
    fn title(&self) -> &'static str;

    /// The answer.
    fn judge(&self, survey: &Survey) -> Verdict;
}

/// The answer of a check.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Verdict {
    /// Judged: what was seen, in one line, and what was found, if anything.
    Judged(String, Vec<Finding>),
    /// Not judged, and why.
    Skipped(String),
}

/// A check and its answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// The check's name.
    pub check: &'static str,
    /// The check's title.
    pub title: &'static str,
    /// Its answer.
    pub verdict: Verdict,
}

impl Verdict {
    /// What was seen is good.
    pub(crate) fn good(seen: impl Into<String>) -> Self {
        Self::Judged(seen.into(), Vec::new())
    }

    /// What was seen, with these findings.
    pub(crate) fn with(seen: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self::Judged(seen.into(), findings)
    }

    /// One finding; what was seen is in it.
    pub(crate) fn bad(finding: Finding) -> Self {
        Self::Judged(finding.seen.clone(), vec![finding])
    }

    /// Not judged.
    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }
}

impl Outcome {
    /// The worst level that was found.
    #[must_use]
    pub fn worst(&self) -> Option<Level> {
        self.findings().iter().map(|f| f.level).max()
    }

    /// What was found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match &self.verdict {
            Verdict::Judged(_, findings) => findings,
            Verdict::Skipped(_) => &[],
        }
    }

    /// Whether it was judged, with nothing worse than notes.
    #[must_use]
    pub fn passed(&self) -> bool {
        matches!(self.verdict, Verdict::Judged(..)) && self.worst() <= Some(Level::Note)
    }
}

/// All checks, in the order of a report.
const ALL: &[&dyn Check] = &[
    &status::Status,
    &redirect::Redirect,
    &content_type::ContentType,
    &protocol::ProtocolVersions,
    &certificate::Certificate,
    &cors::Cors,
    &allow_origin::AllowOrigin,
    &origins::Origins,
    &vary::Vary,
    &preflight::Preflight,
    &error_cors::ErrorCors,
    &auth::Auth,
    &accept::Accept,
    &caching::Caching,
    &transformation::Transformation,
    &security_headers::SecurityHeaders,
    &expected_headers::ExpectedHeaders,
    &first_byte::FirstByte,
    &buffering::Buffering,
    &first_event::FirstEvent,
    &heartbeat::Heartbeat,
    &retry::Retry,
    &format::Format,
    &resume::Resume,
    &survival::Survival,
];

/// The names of all checks.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|check| check.name())
}

/// Judges a survey by every check that its target wants.
#[must_use]
pub fn judge(survey: &Survey) -> Vec<Outcome> {
    ALL.iter()
        .filter(|check| survey.target.runs(check.name()))
        .map(|check| Outcome {
            check: check.name(),
            title: check.title(),
            verdict: check.judge(survey),
        })
        .collect()
}

/// The reason with which a check that needs an open stream skips.
const NOT_OPEN: &str = "the stream did not open";

/// The reason with which a check that needs another origin skips.
const SAME_ORIGIN: &str = "no other origin was given with --origin";

/// A duration for people.
pub(crate) fn show(time: std::time::Duration) -> String {
    let ms = time.as_millis();
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=119_999 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{:.1} min", time.as_secs_f64() / 60.0),
    }
}
