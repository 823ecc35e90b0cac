//! The result of a check, and its forms.

mod prom;
mod text;

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tokio::time::Instant;

pub use self::{
    prom::Metrics,
    text::{github, human, junit},
};
pub(crate) use self::{
    prom::{Name, flag, unix},
    text::{annotate, bold, described, dim, paint, plain},
};
use crate::{
    browser::Credentials,
    checks::{self, CheckResult, FindingKind, Outcome, Software},
    http::{AttemptError, Phases},
    observe::{Listener, Outsider, Resumed, Survey},
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

/// The same of what may be no URL.
pub(crate) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
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

/// What was measured. Times are in seconds when serialised.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Facts {
    /// The status.
    pub status: u16,
    /// `1.0`, `1.1` or `2`.
    #[serde(rename = "httpVersion")]
    pub version: &'static str,
    /// Whether a browser gives the stream to the page.
    pub browser_opens: bool,
    /// `TLS 1.2` or `TLS 1.3`; `None` without TLS.
    pub tls_version: Option<&'static str>,
    /// When the first of the presented certificates expires.
    #[serde(serialize_with = "whole_seconds")]
    pub certificate_expiry: Option<SystemTime>,
    /// The same for those that lead from the server's own to its issuers.
    #[serde(serialize_with = "whole_seconds")]
    pub chain_expiry: Option<SystemTime>,
    /// The address that answered.
    pub address: IpAddr,
    /// Redirects that were followed.
    pub redirects: usize,
    /// The phases of the main exchange.
    #[serde(skip)]
    pub phases: Phases,
    /// How long the main stream lived after its head.
    #[serde(skip)]
    pub transfer: Duration,
    /// The first byte of the body, counted from the request.
    #[serde(rename = "firstByteSeconds", serialize_with = "seconds")]
    pub first_byte: Option<Duration>,
    /// The first event, counted from the request.
    #[serde(rename = "firstEventSeconds", serialize_with = "seconds")]
    pub first_event: Option<Duration>,
    /// The longest time between two comments or events.
    #[serde(rename = "heartbeatMaxSeconds", serialize_with = "seconds")]
    pub heartbeat_max: Option<Duration>,
    /// The reconnection time.
    #[serde(rename = "retrySeconds", serialize_with = "seconds")]
    pub retry: Option<Duration>,
    /// Whether something provably holds bytes back.
    pub buffering: bool,
    /// Whether a reconnect replays; `None` if that could not be seen.
    pub resume: Option<bool>,
    /// Whether the stream opens without credentials although it needs some.
    pub auth_bypass: bool,
    /// The verdicts of the CORS check.
    pub cors: Vec<CorsFact>,
}

/// One verdict of the CORS check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CorsFact {
    /// `allowed`, `foreign`, `look_alike` or `null`.
    #[serde(rename = "originRole")]
    pub role: &'static str,
    /// The credentials mode.
    pub credentials: Credentials,
    /// Whether a browser lets such a page read.
    pub allowed: bool,
}

impl Facts {
    fn of(survey: &Survey, outcomes: &[Outcome]) -> Self {
        let recording = survey.readable();
        let main = &survey.main;
        let head = &main.head;
        let worst = |check: &str| outcomes.iter().find(|o| o.check == check)?.worst();
        let blocked = |check: &str| worst(check) == Some(FindingKind::Blocked);
        let resume = survey.others.resumption.as_ref();
        Self {
            status: head.status,
            version: head.version_number(),
            browser_opens: main.opens(survey.target.credentials).is_ok()
                && !blocked("page")
                && !main.is_come_back()
                && (!survey.target.is_for_fetch() || !blocked("preflight")),
            tls_version: head.tls_version,
            certificate_expiry: head.certificates.map(|c| c.earliest_expiry),
            chain_expiry: head.certificates.map(|c| c.chain_expiry),
            address: head.address.ip(),
            redirects: main.route.redirects.len(),
            phases: head.phases,
            transfer: main.lasted.saturating_sub(head.phases.processing),
            first_byte: recording.first_byte(),
            first_event: recording.stream.events().next().map(|(at, _)| at),
            heartbeat_max: recording.longest_interval(),
            retry: recording.stream.retry,
            buffering: blocked("buffering"),
            resume: resume.and_then(|r| match r.result().ok()? {
                Resumed::Replayed => Some(true),
                Resumed::NothingMissed | Resumed::Announced(_) => None,
                _ => Some(false),
            }),
            auth_bypass: worst("auth") == Some(FindingKind::Insecure),
            cors: cors(survey, !blocked("allowed_origins")),
        }
    }
}

/// `every` says whether all further origins that are to be let in may read.
fn cors(survey: &Survey, every: bool) -> Vec<CorsFact> {
    let main = &survey.main;
    if main.route.origin().is_none() {
        return Vec::new();
    }
    // A public stream is rightly blocked with credentials, so for the pages that are meant only their own mode counts.
    let credentials = survey.target.credentials;
    let allowed = every && main.can_be_read(credentials);
    let fact = |role, credentials, allowed| CorsFact {
        role,
        credentials,
        allowed,
    };
    let answered = || survey.others.denied.iter().filter(|d| d.attempt.is_ok());
    let mut facts = vec![fact("allowed", credentials, allowed)];
    for &credentials in Credentials::ALL {
        for denied in answered() {
            let role = match denied.who {
                Outsider::Foreign | Outsider::Named => "foreign",
                Outsider::LookAlike(_) => "look_alike",
                Outsider::Null => "null",
            };
            let stream = denied.stream();
            let allowed = stream.is_some_and(|stream| stream.can_be_read(credentials));
            // One open door of a kind is an open door.
            let same = |f: &&mut CorsFact| f.role == role && f.credentials == credentials;
            match facts.iter_mut().find(same) {
                Some(fact) => fact.allowed |= allowed,
                None => facts.push(fact(role, credentials, allowed)),
            }
        }
    }
    facts
}

/// A time as a number of seconds.
pub(crate) fn seconds<S: Serializer>(
    time: &(impl Copy + Into<Option<Duration>>),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let time: Option<Duration> = (*time).into();
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

/// A point in time as whole seconds of Unix time.
fn whole_seconds<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let since = time.and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map(|t| t.as_secs()).serialize(serializer)
}
