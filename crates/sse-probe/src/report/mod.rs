//! The result of a check, and its forms.

mod facts;
mod prom;
mod text;

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tokio::time::Instant;

pub use self::{
    facts::{CorsFact, Facts},
    prom::Metrics,
    text::{github, human, junit},
};
pub(crate) use self::{
    prom::{Name, flag},
    text::{annotate, colour, describe, dim},
};
use crate::{
    checks::{self, CheckResult, FindingKind, Outcome, Software},
    observe::{AttemptError, Listener, Survey},
    target::{Profile, Target},
};

/// What a check of a stream came to. As JSON its times are in seconds, and what was not seen is null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CheckReport {
    /// The stream's URL, without the values of its query.
    pub url: String,
    /// Whether nothing was found that fails the run.
    pub passed: bool,
    /// Which findings fail the run.
    pub profile: Profile,
    /// The worst kind of finding.
    pub worst: Option<FindingKind>,
    /// Why the run fails, as a label from a closed list: the first check that fails it.
    pub reason: Option<&'static str>,
    /// How long it took.
    #[serde(rename = "tookSeconds", serialize_with = "seconds")]
    pub took: Duration,
    /// The hops that show themselves.
    pub software: Vec<Software>,
    /// Numbers of checks and findings.
    pub tally: Tally,
    /// What was measured.
    pub facts: Facts,
    /// Every check with its answer, in order.
    #[serde(rename = "checks")]
    pub outcomes: Vec<Outcome>,
}

/// A report, or why there is none.
pub type Checked = Result<CheckReport, AttemptError>;

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

impl CheckReport {
    fn new(survey: &Survey, took: Duration) -> Self {
        let outcomes = checks::judge(survey);
        let failed = outcomes.iter().find(|o| o.result == CheckResult::Failed);
        let checks = |result| outcomes.iter().filter(|o| o.result == result).count();
        let findings = outcomes.iter().flat_map(|o| &o.findings);
        let of_kind = |kind| findings.clone().filter(|f| f.kind == kind).count();
        Self {
            url: shown_url(&survey.target.url),
            passed: failed.is_none(),
            profile: survey.target.profile,
            worst: outcomes.iter().filter_map(Outcome::worst).max(),
            reason: failed.map(|outcome| outcome.check),
            took,
            software: Software::seen_in(&survey.main.head.headers),
            tally: Tally {
                passed: checks(CheckResult::Passed),
                failed: checks(CheckResult::Failed),
                skipped: checks(CheckResult::Skipped),
                blocked: of_kind(FindingKind::Blocked),
                insecure: of_kind(FindingKind::Insecure),
                advice: of_kind(FindingKind::Advice),
            },
            facts: Facts::of(survey, &outcomes),
            outcomes,
        }
    }

    /// Whether nothing was found that fails a run of that profile.
    #[must_use]
    pub fn passes(&self, profile: Profile) -> bool {
        self.outcomes.iter().all(|o| o.passes(profile))
    }

    /// The outcome of the check of that name, if it was run.
    #[must_use]
    pub fn outcome(&self, check: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|o| o.check == check)
    }
}

/// Why a run fails: a label from a closed list, and a sentence. None if it does not.
#[must_use]
pub fn failure(checked: &Checked) -> Option<(&'static str, String)> {
    let report = match checked {
        Ok(report) => report,
        Err(why) => return Some((why.reason(), why.to_string())),
    };
    let outcome = report.outcome(report.reason?)?;
    let finding = outcome.findings.iter().find(|f| f.fails(report.profile));
    Some((outcome.check, finding?.seen.clone()))
}

/// A URL for logs and reports: a query may hold a token, so its values are left out.
pub(crate) fn shown_url(url: &url::Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{shown}{query}")
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
    let survey = Survey::make(target, &needs, deadline, tell).await?;
    Ok(CheckReport::new(&survey, begun.elapsed()))
}

/// The result as JSON. Without a report: the URL, the reason, the error.
#[must_use]
pub fn json(url: &str, checked: &Checked, profile: Profile) -> Value {
    match checked {
        // A report always serialises.
        Ok(report) => serde_json::to_value(report).unwrap_or_default(),
        Err(why) => json!({
            "url": url,
            "passed": false,
            "profile": profile,
            "reason": why.reason(),
            "error": why.to_string(),
        }),
    }
}

/// A time as a number of seconds.
pub(crate) fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
