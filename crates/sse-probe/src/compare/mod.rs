//! The same stream at the application and through what stands in front of it: what the hop has changed, by what cause,
//! and what fixes it.
//!
//! Both are read at the same time, so that the same events can be compared by their times of arrival. A stream without
//! events and heartbeats shows no buffers.

mod behaviour;
mod delivery;
mod headers;
mod show;
mod side;

use std::time::Duration;

use serde::{Serialize, Serializer};

pub use self::show::{github, human, json};
use self::side::Side;
use crate::{
    checks::{Finding, FindingKind, Profile, REFERENCE, Remedy, Software},
    http::{ExchangeError, Phase},
    observe::AttemptError,
    report::shown_url,
    target::Target,
};

/// What a hop does to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A header of the application is gone.
    Stripped,
    /// A header came that the application did not send.
    Added,
    /// A header stands more often than the application sent it.
    Doubled,
    /// A header has another value.
    Changed,
    /// `Access-Control-Allow-Origin: *` came in.
    Wildcard,
    /// The `Origin` of the request does not reach the application.
    OriginNotForwarded,
    /// Another status.
    Status,
    /// A redirect.
    Redirected,
    /// The preflight is answered otherwise.
    Preflight,
    /// The reply came out of a store.
    Cached,
    /// The body is compressed.
    Compressed,
    /// Bytes are held back.
    Buffered,
    /// The stream is ended before its time.
    Cut,
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Stripped,
        Self::Added,
        Self::Doubled,
        Self::Changed,
        Self::Wildcard,
        Self::OriginNotForwarded,
        Self::Status,
        Self::Redirected,
        Self::Preflight,
        Self::Cached,
        Self::Compressed,
        Self::Buffered,
        Self::Cut,
    ];

    /// Where it is explained.
    #[must_use]
    pub fn link(self) -> String {
        format!("{REFERENCE}#diff-{}", self.name().replace('_', "-"))
    }

    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stripped => "stripped",
            Self::Added => "added",
            Self::Doubled => "doubled",
            Self::Changed => "changed",
            Self::Wildcard => "wildcard",
            Self::OriginNotForwarded => "origin_not_forwarded",
            Self::Status => "status",
            Self::Redirected => "redirected",
            Self::Preflight => "preflight",
            Self::Cached => "cached",
            Self::Compressed => "compressed",
            Self::Buffered => "buffered",
            Self::Cut => "cut",
        }
    }
}

/// One thing that the hop has changed.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// What it is.
    pub kind: Kind,
    /// What was seen, why it matters, what fixes it.
    pub finding: Finding,
    /// The likely cause.
    pub cause: String,
}

impl Difference {
    fn new(
        kind: Kind,
        weight: FindingKind,
        seen: impl Into<String>,
        cause: impl Into<String>,
        why: &'static str,
        remedies: &'static [Remedy],
    ) -> Self {
        Self {
            kind,
            finding: Finding::new(weight, seen, why, remedies),
            cause: cause.into(),
        }
    }
}

/// What a comparison came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct DiffReport {
    /// The application's URL, without its query.
    pub direct: String,
    /// The public URL, without its query.
    pub public: String,
    /// The hops that show themselves at the public URL only.
    pub software: Vec<Software>,
    /// The differences, the worst first.
    pub differences: Vec<Difference>,
    /// Other headers that differ, by name: they do not matter to streams.
    pub also: Vec<String>,
    /// How long both were watched.
    pub watched: Duration,
}

impl DiffReport {
    /// Whether no difference fails a run of that profile.
    #[must_use]
    pub fn passes(&self, profile: Profile) -> bool {
        self.differences.iter().all(|d| !d.finding.fails(profile))
    }

    /// The kinds of differences that fail a run of that profile.
    #[must_use]
    pub fn kinds(&self, profile: Profile) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = Vec::new();
        for difference in &self.differences {
            if difference.finding.fails(profile) && !kinds.contains(&difference.kind) {
                kinds.push(difference.kind);
            }
        }
        kinds
    }
}

/// Which of the two gave no reply.
#[derive(Debug)]
#[non_exhaustive]
pub enum DiffError {
    /// The application.
    Direct(AttemptError),
    /// The public URL.
    Public(AttemptError),
    /// The application itself does not open the stream: the status. There is nothing to compare with.
    NotOpen(u16),
}

impl std::fmt::Display for DiffError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Direct(why) => write!(f, "at the application: {why}"),
            Self::Public(why) => write!(f, "at the public URL: {why}"),
            Self::NotOpen(status) => write!(
                f,
                "the application itself answers {status}, so there is no stream to compare; run `sse-probe check` on it first"
            ),
        }
    }
}

impl std::error::Error for DiffError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Direct(why) | Self::Public(why) => Some(why),
            Self::NotOpen(_) => None,
        }
    }
}

/// Watches both for the time that `direct` is to be held, and compares.
///
/// # Errors
///
/// One of them gave no reply, or the application does not open the stream.
pub async fn compare(direct: &Target, public: &Target) -> Result<DiffReport, DiffError> {
    let time = direct.hold;
    // Nothing is known of the public side's limits, so both are asked the same things at the same time.
    let (app, edge) = tokio::join!(Side::make(direct, time), Side::make(public, time));
    let app = app.map_err(DiffError::Direct)?;
    if app.main.head.status != 200 {
        return Err(DiffError::NotOpen(app.main.head.status));
    }
    let mut report = DiffReport {
        direct: shown_url(&direct.url),
        public: shown_url(&public.url),
        software: Vec::new(),
        differences: Vec::new(),
        also: Vec::new(),
        watched: time,
    };
    let edge = match edge {
        Ok(edge) => edge,
        Err(AttemptError::Exchange(ExchangeError::Timeout(Phase::Head, after))) => {
            report.differences.push(delivery::head_held_back(after));
            return Ok(report);
        }
        Err(why) => return Err(DiffError::Public(why)),
    };
    report.software = Software::seen_in(&edge.main.head.headers);
    report.differences = differences(&app, &edge);
    report.also = headers::others(&app.main.head.headers, &edge.main.head.headers);
    report
        .differences
        .sort_by_key(|d| std::cmp::Reverse(d.finding.kind));
    Ok(report)
}

fn differences(app: &Side, edge: &Side) -> Vec<Difference> {
    let mut found = Vec::new();
    found.extend(headers::redirect(&app.main, &edge.main));
    if edge.main.head.redirects() {
        return found;
    }
    let origin = behaviour::not_forwarded(app, edge);
    let forwarded = origin.is_none();
    found.extend(origin);
    if let Some(status) = headers::status(&app.main, &edge.main) {
        if forwarded {
            found.push(status);
        }
        return found;
    }
    found.extend(headers::compare(
        &app.main.head.headers,
        &edge.main.head.headers,
        forwarded,
    ));
    found.extend(behaviour::preflight(app, edge));
    let cached = behaviour::cached(app, edge);
    let stored = cached.is_some();
    found.extend(cached);
    found.extend(delivery::compressed(&app.main, &edge.main));
    found.extend(delivery::buffered(app, edge));
    if !stored {
        found.extend(delivery::cut(&app.main, &edge.main));
    }
    found
}
