//! The result of a check, and its forms.

mod facts;
mod human;
mod junit;
mod prom;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

pub(crate) use self::human::{annotate, colour, describe, dim};
pub use self::{
    facts::{CorsFact, Facts},
    human::{github, human},
    junit::junit,
    prom::{prom, register},
};
use crate::{
    checks::{self, CheckResult, Finding, FindingKind, Outcome, Profile, Software},
    observe::{AttemptError, Listener, Survey},
    target::Target,
};

/// What a check of a stream came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// The stream's URL, without the values of its query.
    pub url: String,
    /// Every check with its answer, in order.
    pub outcomes: Vec<Outcome>,
    /// What was measured.
    pub facts: Facts,
    /// The hops that show themselves.
    pub software: Vec<Software>,
    /// How long it took.
    pub took: Duration,
}

/// A report, or why there is none.
pub type Checked = Result<CheckReport, AttemptError>;

impl CheckReport {
    pub(crate) fn new(survey: &Survey, took: Duration) -> Self {
        let outcomes = checks::judge(survey);
        Self {
            url: shown_url(&survey.target.url),
            facts: Facts::of(survey, &outcomes),
            software: Software::seen_in(&survey.main.head.headers),
            outcomes,
            took,
        }
    }

    /// The worst kind of finding.
    #[must_use]
    pub fn worst(&self) -> Option<FindingKind> {
        self.outcomes.iter().filter_map(Outcome::worst).max()
    }

    /// Whether nothing was found that fails a run of that profile.
    #[must_use]
    pub fn passes(&self, profile: Profile) -> bool {
        self.outcomes.iter().all(|o| o.passes(profile))
    }

    /// Why the run fails, as a label from a closed list: the first check that fails it. None if it passes.
    #[must_use]
    pub fn reason(&self, profile: Profile) -> Option<&'static str> {
        let fails = self.outcomes.iter().find(|o| !o.passes(profile))?;
        Some(fails.check)
    }

    /// The outcome of the check of that name, if it was run.
    #[must_use]
    pub fn outcome(&self, check: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|o| o.check == check)
    }

    /// How many checks passed, failed, and were skipped, and how many findings of each kind there are.
    #[must_use]
    pub fn tally(&self, profile: Profile) -> Tally {
        let mut tally = Tally::default();
        for outcome in &self.outcomes {
            match outcome.result(profile) {
                CheckResult::Passed => tally.passed += 1,
                CheckResult::Failed => tally.failed += 1,
                CheckResult::Skipped => tally.skipped += 1,
            }
            for finding in outcome.findings() {
                match finding.kind {
                    FindingKind::Blocked => tally.blocked += 1,
                    FindingKind::Insecure => tally.insecure += 1,
                    FindingKind::Advice => tally.advice += 1,
                }
            }
        }
        tally
    }
}

/// A URL for logs and reports: a query may hold a token, so its values are left out.
pub(crate) fn shown_url(url: &url::Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    if url.query().is_some() {
        return format!("{shown}?…");
    }
    shown.to_string()
}

/// Checks a stream by every check.
///
/// # Errors
///
/// The stream's URL gave no reply.
pub async fn check(target: Target) -> Checked {
    check_with(target, None, &|_| {}).await
}

/// The same, with calls for its progress. With a deadline the stream is held for less if need be, and checks for which
/// there was no time are skipped.
///
/// # Errors
///
/// The stream's URL gave no reply.
pub async fn check_with(target: Target, deadline: Option<Instant>, tell: Listener<'_>) -> Checked {
    let begun = Instant::now();
    let needs = checks::needs(&target);
    let survey = Survey::make(target, needs, deadline, tell).await?;
    Ok(CheckReport::new(&survey, begun.elapsed()))
}

/// Numbers of checks and findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// Checks that do not fail the run.
    pub passed: usize,
    /// Checks that do.
    pub failed: usize,
    /// Checks that could not be judged.
    pub skipped: usize,
    /// What a browser cannot use.
    pub blocked: usize,
    /// Who gets in that should not.
    pub insecure: usize,
    /// Advice.
    pub advice: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    url: &'a str,
    passed: bool,
    profile: Profile,
    worst: Option<FindingKind>,
    reason: Option<&'static str>,
    took_seconds: f64,
    software: &'a [Software],
    tally: Tally,
    facts: &'a Facts,
    checks: Vec<Case<'a>>,
}

#[derive(Serialize)]
struct Case<'a> {
    check: &'static str,
    title: &'static str,
    result: CheckResult,
    seen: &'a str,
    link: String,
    findings: &'a [Finding],
}

#[derive(Serialize)]
struct Unreachable<'a> {
    url: &'a str,
    passed: bool,
    profile: Profile,
    reason: &'static str,
    error: String,
}

/// The result as JSON: times in seconds, what was not seen is null. Without a report: the URL, the reason, the error.
#[must_use]
pub fn json(url: &str, checked: &Checked, profile: Profile) -> Value {
    let value = match checked {
        Err(why) => serde_json::to_value(Unreachable {
            url,
            passed: false,
            profile,
            reason: why.reason(),
            error: why.to_string(),
        }),
        Ok(report) => serde_json::to_value(Report {
            url: &report.url,
            passed: report.passes(profile),
            profile,
            worst: report.worst(),
            reason: report.reason(profile),
            took_seconds: report.took.as_secs_f64(),
            software: &report.software,
            tally: report.tally(profile),
            facts: &report.facts,
            checks: report.outcomes.iter().map(|o| case(o, profile)).collect(),
        }),
    };
    // These types always serialise.
    value.unwrap_or_default()
}

fn case(outcome: &Outcome, profile: Profile) -> Case<'_> {
    let (checks::Verdict::Judged(seen, _) | checks::Verdict::Skipped(seen)) = &outcome.verdict;
    Case {
        check: outcome.check,
        title: outcome.title,
        result: outcome.result(profile),
        seen,
        link: checks::link(outcome.check),
        findings: outcome.findings(),
    }
}
