//! What was measured, for machines.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};

use crate::{
    browser::Credentials,
    checks::{FindingKind, Outcome},
    http::Phases,
    observe::{Outsider, Resumed, Survey},
    stream::timing::intervals,
};

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
    #[serde(serialize_with = "unix")]
    pub certificate_expiry: Option<SystemTime>,
    /// The same for those that lead from the server's own to its issuers.
    #[serde(serialize_with = "unix")]
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
    pub(super) fn of(survey: &Survey, outcomes: &[Outcome]) -> Self {
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
            heartbeat_max: intervals(&recording.stream).into_iter().max(),
            retry: recording.stream.retry(),
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
    let mut facts = vec![CorsFact {
        role: "allowed",
        credentials,
        allowed,
    }];
    for credentials in Credentials::BOTH {
        for denied in &survey.others.denied {
            if denied.attempt.is_err() {
                continue;
            }
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
                None => facts.push(CorsFact {
                    role,
                    credentials,
                    allowed,
                }),
            }
        }
    }
    facts
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|t| t.as_secs_f64()).serialize(serializer)
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn unix<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time.and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map(|t| t.as_secs()).serialize(serializer)
}
