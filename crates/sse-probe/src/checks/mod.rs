//! The checks: one table, and pure judgements of a [`Survey`].

mod access;
mod cors;
mod delivery;
mod finding;
mod head;
mod page;
mod preflight;
pub(crate) mod remedies;
mod resume;
mod software;

use serde::Serialize;

pub(crate) use self::{delivery::last_silence, head::served_from_cache};
pub use self::{
    finding::{Finding, FindingKind, Profile},
    remedies::Remedy,
    software::Software,
};
use crate::{
    observe::{AttemptError, Needs, Survey},
    target::{Target, TargetError},
};

/// Where the checks are explained; `#name` of the check follows.
pub const REFERENCE: &str = "docs/sse-probe.md";

/// One question about a stream.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Check {
    /// The name, for `--only`, `--skip` and the label of metrics.
    pub name: &'static str,
    /// The question, in a few words.
    pub title: &'static str,
    /// The exchanges that it judges, beside the stream itself.
    pub needs: Needs,
    judge: fn(&Survey) -> Verdict,
}

const fn check(
    name: &'static str,
    title: &'static str,
    needs: Needs,
    judge: fn(&Survey) -> Verdict,
) -> Check {
    Check {
        name,
        title,
        needs,
        judge,
    }
}

const ON_ERRORS: Needs = Needs::ANONYMOUS.and(Needs::ACCEPT);

/// All checks, in the order of a report.
#[rustfmt::skip]
pub const CHECKS: [Check; 27] = [
    check("status", "The stream answers 200", Needs::NONE, head::status),
    check("redirect", "Redirects are followed", Needs::NONE, head::redirect),
    check("content_type", "The content type is text/event-stream", Needs::NONE, head::content_type),
    check("protocol", "HTTP/1.1 and HTTP/2", Needs::PROTOCOL, head::protocol),
    check("certificate", "The certificate is valid for a while", Needs::NONE, head::certificate),
    check("cors", "A page of the allowed origin may read", Needs::NONE, cors::cors),
    check("allow_origin_once", "Access-Control-Allow-Origin stands once", Needs::NONE, cors::allow_origin_once),
    check("allowed_origins", "Every allowed origin may read", Needs::ALLOWED, cors::allowed_origins),
    check("origins", "Other origins are kept out", Needs::DENIED, cors::origins),
    check("vary", "Replies that depend on the origin say so in Vary", Needs::DENIED, cors::vary),
    check("preflight", "Fetch clients pass the preflight", Needs::PREFLIGHT.and(Needs::DENIED), preflight::preflight),
    check("error_cors", "The allowed origin can read error replies", ON_ERRORS, cors::error_cors),
    check("auth", "Without credentials there is no stream", Needs::ANONYMOUS, access::auth),
    check("accept", "Another Accept gets no stream", Needs::ACCEPT, access::accept),
    check("page", "Nothing else stops the page", Needs::PAGE, page::page),
    check("caching", "No cache stores the stream", Needs::NONE, head::caching),
    check("transformation", "The stream is not transformed", Needs::PLAIN, head::transformation),
    check("security_headers", "Security headers", Needs::NONE, head::security_headers),
    check("expected_headers", "Headers that were asked for with --expect", Needs::NONE, head::expected_headers),
    check("first_byte", "The first byte of the body comes at once", Needs::NONE, delivery::first_byte),
    check("buffering", "Nothing holds events back", Needs::PLAIN.and(Needs::PUBLISH), delivery::buffering),
    check("first_event", "Events come", Needs::PLAIN, delivery::first_event),
    check("heartbeat", "An idle stream has heartbeats", Needs::PLAIN, delivery::heartbeat),
    check("retry", "The stream says when to reconnect", Needs::PLAIN, delivery::retry),
    check("format", "The bytes keep to the event stream format", Needs::PLAIN, delivery::format),
    check("resume", "A reconnect with Last-Event-ID misses nothing", Needs::RESUME, resume::resume),
    check("survival", "The stream stays open", Needs::NONE, delivery::survival),
];

impl Check {
    /// Where it is explained.
    #[must_use]
    pub fn link(&self) -> String {
        link(self.name)
    }
}

/// Where a check of that name is explained.
pub(crate) fn link(name: &str) -> String {
    format!("{REFERENCE}#{name}")
}

/// The names of all checks.
pub fn names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.name)
}

/// The exchanges that the checks of a target need.
#[must_use]
pub fn needs(target: &Target) -> Needs {
    CHECKS
        .iter()
        .filter(|check| target.runs(check.name))
        .fold(Needs::NONE, |needs, check| needs.and(check.needs))
}

/// Judges a survey by every check that its target wants.
#[must_use]
pub fn judge(survey: &Survey) -> Vec<Outcome> {
    CHECKS
        .iter()
        .filter(|check| survey.target.runs(check.name))
        .map(|check| Outcome {
            check: check.name,
            title: check.title,
            verdict: (check.judge)(survey),
        })
        .collect()
}

impl Target {
    /// Runs only these checks.
    ///
    /// # Errors
    ///
    /// There is no check of that name.
    pub fn only(mut self, check: &str) -> Result<Self, TargetError> {
        self.only.push(known(check)?);
        Ok(self)
    }

    /// Leaves a check out.
    ///
    /// # Errors
    ///
    /// There is no check of that name.
    pub fn skip(mut self, check: &str) -> Result<Self, TargetError> {
        self.skip.push(known(check)?);
        Ok(self)
    }
}

fn known(check: &str) -> Result<&'static str, TargetError> {
    names()
        .find(|name| *name == check)
        .ok_or_else(|| TargetError::UnknownCheck(check.to_owned(), names().collect()))
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
    /// The worst kind that was found.
    #[must_use]
    pub fn worst(&self) -> Option<FindingKind> {
        self.findings().iter().map(|f| f.kind).max()
    }

    /// What was found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match &self.verdict {
            Verdict::Judged(_, findings) => findings,
            Verdict::Skipped(_) => &[],
        }
    }

    /// Whether nothing was found that fails a run of that profile. Checks that were not judged pass.
    #[must_use]
    pub fn passes(&self, profile: Profile) -> bool {
        self.findings().iter().all(|f| !f.fails(profile))
    }

    /// Whether it was judged, and found nothing but advice.
    #[must_use]
    pub fn passed(&self) -> bool {
        matches!(self.verdict, Verdict::Judged(..)) && self.passes(Profile::Browser)
    }

    /// What became of it: `passed`, `failed` or `skipped`.
    #[must_use]
    pub fn result(&self, profile: Profile) -> CheckResult {
        match &self.verdict {
            Verdict::Skipped(_) => CheckResult::Skipped,
            Verdict::Judged(..) if self.passes(profile) => CheckResult::Passed,
            Verdict::Judged(..) => CheckResult::Failed,
        }
    }
}

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// Nothing was found that fails the run.
    Passed,
    /// Something was.
    Failed,
    /// It was not judged.
    Skipped,
}

/// The reason with which a check that needs an open stream skips.
const NOT_OPEN: &str = "the stream did not open";

/// The reason with which a check that needs another origin skips.
const SAME_ORIGIN: &str = "no other origin was given with --origin";

/// Why a failed exchange says nothing about the server, if it does not: it was full, or there was no time.
fn inconclusive(why: &AttemptError) -> Option<String> {
    matches!(why, AttemptError::Full(_) | AttemptError::OutOfTime).then(|| why.to_string())
}

/// A duration for people.
pub(crate) fn show(time: std::time::Duration) -> String {
    let ms = time.as_millis();
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=119_999 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{:.1} min", time.as_secs_f64() / 60.0),
    }
}
