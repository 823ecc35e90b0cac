//! What was measured, for machines.

use std::time::{Duration, SystemTime};

use crate::{
    check::{Outcome, Verdict},
    exchange::Phases,
    finding::Level,
    survey::{Resumed, Stranger, Survey},
    timing::intervals,
    verdict::{Credentials, cors_check},
};

/// What was measured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Facts {
    /// The status.
    pub status: u16,
    /// `1.0`, `1.1` or `2`.
    pub version: &'static str,
    /// Whether TLS was used.
    pub tls: bool,
    /// When the first certificate of the chain expires.
    pub certificate_expiry: Option<SystemTime>,
    /// The phases of the main exchange.
    pub phases: Phases,
    /// How long the main stream lived after its head.
    pub transfer: Duration,
    /// The first byte of the body, counted from the request.
    pub first_byte: Option<Duration>,
    /// The first event, counted from the request.
    pub first_event: Option<Duration>,
    /// The longest time between two comments or events.
    pub heartbeat_max: Option<Duration>,
    /// The reconnection time.
    pub retry: Option<Duration>,
    /// Whether something holds bytes back.
    pub buffering: bool,
    /// Whether a reconnect replays; `None` if that could not be seen.
    pub resume: Option<bool>,
    /// Whether the stream opens without credentials although it needs some.
    pub auth_bypass: bool,
    /// The verdicts of the CORS check.
    pub cors: Vec<CorsFact>,
}

/// One verdict of the CORS check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CorsFact {
    /// `allowed`, `foreign`, `look_alike` or `null`.
    pub role: &'static str,
    /// The credentials mode.
    pub credentials: Credentials,
    /// Whether a browser lets such a page read.
    pub allowed: bool,
}

impl Facts {
    pub(super) fn of(survey: &Survey, outcomes: &[Outcome]) -> Self {
        let recording = survey.readable();
        let head = &survey.main.head;
        let faulty = |check: &str| {
            outcomes
                .iter()
                .any(|o| o.check == check && o.worst() == Some(Level::Fault))
        };
        let judged = |check: &str| {
            outcomes
                .iter()
                .any(|o| o.check == check && matches!(o.verdict, Verdict::Judged(..)))
        };
        Self {
            status: head.status,
            version: head.version_number(),
            tls: survey.target.url.scheme() == "https",
            certificate_expiry: head.certificate_expiry,
            phases: head.phases,
            transfer: survey.main.lasted.saturating_sub(head.phases.processing),
            first_byte: recording.first_byte(),
            first_event: recording.stream.events().next().map(|(at, _)| at),
            heartbeat_max: intervals(&recording.stream).into_iter().max(),
            retry: recording.stream.retry(),
            buffering: judged("buffering") && faulty("buffering"),
            resume: survey.resumption.as_ref().and_then(|r| match r.result()? {
                Resumed::Replayed => Some(true),
                Resumed::NothingMissed | Resumed::Told(_) => None,
                _ => Some(false),
            }),
            auth_bypass: faulty("auth"),
            cors: cors(survey),
        }
    }
}

fn cors(survey: &Survey) -> Vec<CorsFact> {
    if survey.target.is_same_origin() {
        return Vec::new();
    }
    let mut facts = Vec::new();
    // A public stream is rightly blocked with credentials, so for the page that is meant only its own mode counts.
    let credentials = survey.target.credentials;
    let allowed = cors_check(&survey.main.head.headers, &survey.origin(), credentials).is_ok();
    facts.push(CorsFact {
        role: "allowed",
        credentials,
        allowed,
    });
    for credentials in Credentials::BOTH {
        for denied in &survey.denied {
            let Ok(recording) = &denied.attempt else {
                continue;
            };
            let role = match denied.who {
                Stranger::Foreign | Stranger::Named => "foreign",
                Stranger::LookAlike(_) => "look_alike",
                Stranger::Null => "null",
            };
            let allowed = cors_check(&recording.head.headers, &denied.origin, credentials).is_ok();
            // One open door of a kind is an open door.
            match facts
                .iter_mut()
                .find(|f| f.role == role && f.credentials == credentials)
            {
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
