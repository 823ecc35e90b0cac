//! The checks: one table, and pure judgements of a [`Survey`].

mod access;
mod cors;
mod delivery;
mod finding;
mod head;
mod remedies;
mod software;
pub(crate) mod texts;

use serde::Serialize;

pub(crate) use self::{finding::Text, head::served_from_cache};
pub use self::{
    finding::{Finding, FindingKind},
    remedies::Remedy,
    software::Software,
};
pub use crate::target::Profile;
use crate::{
    observe::{Need, Survey},
    target::{Target, TargetError},
};

/// Where the checks are explained; `#name` of the check follows.
pub const REFERENCE: &str = "docs/src/sse-probe.md";

/// One question about a stream.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Check {
    /// The name, for `--only`, `--skip` and the label of metrics.
    pub name: &'static str,
    /// The question, in a few words.
    pub title: &'static str,
    /// The exchanges that it judges, beside the stream itself.
    pub needs: &'static [Need],
    when: When,
    judge: fn(&Survey) -> Verdict,
}

/// When a check can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// The stream has opened.
    Opened,
    /// The page is of another origin.
    CrossOrigin,
}

/// The table of checks: the name, the title, when it can be made, what it needs, and what judges it.
macro_rules! checks {
    ($($name:literal, $title:literal, $when:ident, [$($need:ident),*], $judge:path;)+) => {
        [$(Check {
            name: $name,
            title: $title,
            needs: &[$(Need::$need),*],
            when: When::$when,
            judge: $judge,
        }),+]
    };
}

/// All checks, in the order of a report.
pub const CHECKS: [Check; 27] = checks! {
    "status", "The stream answers 200", Always, [], head::status;
    "redirect", "Redirects are followed", Always, [], head::redirect;
    "content_type", "The content type is text/event-stream", Opened, [], head::content_type;
    "protocol", "HTTP/1.1 and HTTP/2", Always, [Protocol], head::protocol;
    "certificate", "The certificate is valid for a while", Always, [], head::certificate;
    "cors", "A page of the allowed origin may read", Always, [], cors::cors;
    "allow_origin_once", "Access-Control-Allow-Origin stands once", Always, [], cors::allow_origin_once;
    "allowed_origins", "Every allowed origin may read", Always, [Allowed], cors::allowed_origins;
    "origins", "Other origins are kept out", CrossOrigin, [Denied], cors::origins;
    "vary", "Replies that depend on the origin say so in Vary", CrossOrigin, [Denied], cors::vary;
    "preflight", "Fetch clients pass the preflight", CrossOrigin, [Preflight, Denied], access::preflight;
    "error_cors", "The allowed origin can read error replies", Always, [Anonymous, Accept], cors::error_cors;
    "auth", "Without credentials there is no stream", Always, [Anonymous], access::auth;
    "accept", "Another Accept gets no stream", Always, [Accept], access::accept;
    "page", "Nothing else stops the page", Always, [Page], access::page;
    "caching", "No cache stores the stream", Opened, [], head::caching;
    "transformation", "The stream is not transformed", Opened, [Plain], head::transformation;
    "security_headers", "Security headers", Opened, [], head::security_headers;
    "expected_headers", "Headers that were asked for with --expect", Always, [], head::expected_headers;
    "first_byte", "The first byte of the body comes at once", Opened, [], delivery::first_byte;
    "buffering", "Nothing holds events back", Opened, [Plain, Publish], delivery::buffering;
    "first_event", "Events come", Opened, [Plain], delivery::first_event;
    "heartbeat", "An idle stream has heartbeats", Opened, [Plain], delivery::heartbeat;
    "retry", "The stream says when to reconnect", Opened, [Plain], delivery::retry;
    "format", "The bytes keep to the event stream format", Opened, [Plain], delivery::format;
    "resume", "A reconnect with Last-Event-ID misses nothing", Opened, [Resume], delivery::resume;
    "survival", "The stream stays open", Opened, [], delivery::survival;
};

impl Check {
    /// Where it is explained.
    #[must_use]
    pub fn link(&self) -> String {
        format!("{REFERENCE}#{}", self.name)
    }
}

/// The names of all checks.
pub fn names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.name)
}

/// The exchanges that the checks of a target need.
#[must_use]
pub fn needs(target: &Target) -> Vec<Need> {
    let run = CHECKS.iter().filter(|check| target.runs(check.name));
    run.flat_map(|check| check.needs).copied().collect()
}

/// Judges a survey by every check that its target wants.
#[must_use]
pub fn judge(survey: &Survey) -> Vec<Outcome> {
    let run = CHECKS.iter().filter(|check| survey.target.runs(check.name));
    run.map(|check| check.outcome(survey)).collect()
}

impl Check {
    fn outcome(&self, survey: &Survey) -> Outcome {
        let verdict = match self.when {
            When::Opened if !survey.opened() => Verdict::skipped(NOT_OPEN),
            When::CrossOrigin if survey.target.is_same_origin() => Verdict::skipped(SAME_ORIGIN),
            _ => (self.judge)(survey),
        };
        let (seen, findings, judged) = match verdict {
            Verdict::Judged(seen, findings) => (seen, findings, true),
            Verdict::Skipped(why) => (why, Vec::new(), false),
        };
        let passes = findings.iter().all(|f| !f.fails(survey.target.profile));
        Outcome {
            check: self.name,
            title: self.title,
            result: match (judged, passes) {
                (false, _) => CheckResult::Skipped,
                (true, true) => CheckResult::Passed,
                (true, false) => CheckResult::Failed,
            },
            seen,
            link: self.link(),
            findings,
        }
    }
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
#[derive(Debug)]
enum Verdict {
    /// Judged: what was seen, in one line, and what was found, if anything.
    Judged(String, Vec<Finding>),
    /// Not judged, and why.
    Skipped(String),
}

impl Verdict {
    /// What was seen is good.
    fn good(seen: impl Into<String>) -> Self {
        Self::with(seen, Vec::new())
    }

    /// What was seen, with these findings.
    fn with(seen: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self::Judged(seen.into(), findings)
    }

    /// Not judged.
    fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }
}

/// One finding; what was seen is in it.
impl From<Finding> for Verdict {
    fn from(finding: Finding) -> Self {
        Self::Judged(finding.seen.clone(), vec![finding])
    }
}

named! {
    /// What became of a check.
    pub enum CheckResult {
        /// Nothing was found that fails the run.
        Passed = "passed",
        /// Something was.
        Failed = "failed",
        /// It was not judged.
        Skipped = "skipped",
    }
}

/// A check and its answer.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The check's name.
    pub check: &'static str,
    /// The check's title.
    pub title: &'static str,
    /// What became of it, by the target's profile.
    pub result: CheckResult,
    /// What was seen, in one line; or why it was not judged.
    pub seen: String,
    /// Where the check is explained.
    pub link: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Outcome {
    /// The worst kind that was found.
    #[must_use]
    pub fn worst(&self) -> Option<FindingKind> {
        self.findings.iter().map(|f| f.kind).max()
    }

    /// Whether nothing was found that fails a run of that profile. Checks that were not judged pass.
    #[must_use]
    pub fn passes(&self, profile: Profile) -> bool {
        self.findings.iter().all(|f| !f.fails(profile))
    }

    /// Whether it was judged, and found nothing but advice.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.result != CheckResult::Skipped && self.passes(Profile::Browser)
    }
}

/// The reason with which a check that needs an open stream skips.
const NOT_OPEN: &str = "the stream did not open";

/// The reason with which a check that needs another origin skips.
const SAME_ORIGIN: &str = "no other origin was given with --origin";

/// The time that an expectation of that kind names, if the user has one.
macro_rules! expected {
    ($survey:expr, $kind:ident) => {
        $survey
            .target
            .expectations
            .iter()
            .find_map(|expectation| match expectation {
                $crate::target::Expectation::$kind(time) => Some(*time),
                _ => None,
            })
    };
}
use expected;
