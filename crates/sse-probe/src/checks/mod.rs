//! The checks: one table, and pure judgements of a survey.

mod access;
mod cors;
mod delivery;
mod finding;
mod head;
mod remedies;

use serde::Serialize;

pub use self::{
    finding::{Finding, FindingKind},
    remedies::{Remedy, Software},
};
pub(crate) use self::{
    finding::{Text, texts},
    head::served_from_cache,
};
pub use crate::target::Profile;
use crate::{
    http::Recording,
    observe::{Attempt, Need, Survey},
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
    needs: &'static [Need],
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

/// The names of all checks.
pub fn names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.name)
}

/// The checks that are to be made of a target.
fn wanted(target: &Target) -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().filter(|check| target.runs(check.name))
}

/// The exchanges that the checks of a target need.
pub(crate) fn needs(target: &Target) -> Vec<Need> {
    let needs = wanted(target).flat_map(|check| check.needs);
    needs.copied().collect()
}

/// Judges a survey by every check that its target wants.
pub(crate) fn judge(survey: &Survey) -> Vec<Outcome> {
    let wanted = wanted(&survey.target);
    wanted.map(|check| check.outcome(survey)).collect()
}

impl Check {
    /// Where it is explained.
    #[must_use]
    pub fn link(&self) -> String {
        format!("{REFERENCE}#{}", self.name)
    }

    fn outcome(&self, survey: &Survey) -> Outcome {
        let verdict = match self.when {
            When::Opened if !survey.opened() => Err(NOT_OPEN.to_owned()),
            When::CrossOrigin if survey.target.is_same_origin() => Err(SAME_ORIGIN.to_owned()),
            _ => (self.judge)(survey),
        };
        let fails = |finding: &Finding| finding.fails(survey.target.profile);
        let (result, seen, findings) = match verdict {
            Err(why) => (CheckResult::Skipped, why, Vec::new()),
            Ok((seen, list)) if list.iter().any(fails) => (CheckResult::Failed, seen, list),
            Ok((seen, list)) => (CheckResult::Passed, seen, list),
        };
        Outcome {
            check: self.name,
            title: self.title,
            result,
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
        self.only.extend(check_names(&[check])?);
        Ok(self)
    }

    /// Leaves a check out.
    ///
    /// # Errors
    ///
    /// There is no check of that name.
    pub fn skip(mut self, check: &str) -> Result<Self, TargetError> {
        self.skip.extend(check_names(&[check])?);
        Ok(self)
    }
}

/// The names of checks, if there are such.
pub(crate) fn check_names(given: &[impl AsRef<str>]) -> Result<Vec<&'static str>, TargetError> {
    let known = given.iter().map(AsRef::as_ref).map(|text| {
        let unknown = || TargetError::UnknownCheck(text.to_owned(), names().collect());
        names().find(|name| *name == text).ok_or_else(unknown)
    });
    known.collect()
}

/// The answer of a check: what was seen, in one line, and what was found, if anything; or why it was not judged.
type Verdict = Result<(String, Vec<Finding>), String>;

/// What was seen is good.
fn good(seen: impl Into<String>) -> Verdict {
    Ok((seen.into(), Vec::new()))
}

/// One finding; what was seen is in it.
fn found(finding: Finding) -> Verdict {
    Ok((finding.seen.clone(), vec![finding]))
}

/// The reply to an exchange; or why there is none, which leaves nothing to judge.
fn answered<'a>(attempt: &'a Option<Attempt>, how: &str) -> Result<&'a Recording, String> {
    let attempt = attempt.as_ref().ok_or(NOT_OPEN)?.as_ref();
    attempt.map_err(|why| format!("no answer{how}: {why}"))
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
    ($survey:expr, $kind:ident) => {{
        let mut expectations = $survey.target.expectations.iter();
        expectations.find_map(|what| match what {
            $crate::target::Expectation::$kind(time) => Some(*time),
            _ => None,
        })
    }};
}
use expected;
