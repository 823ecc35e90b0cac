//! The same stream at the application and through what stands in front of it: what the hop has changed, by what cause,
//! and what fixes it.
//!
//! Both are read at the same time, so that the same events can be compared by their times of arrival. A stream without
//! events and heartbeats shows no buffers.

mod hop;

use std::time::Duration;

use anstyle::AnsiColor::{Cyan, Green, Red};
use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    browser::Origin,
    checks::{Finding, REFERENCE, Software},
    http::{AttemptError, Recording},
    observe::{Attempt, Page, USUAL_HEADERS, foreign, seen},
    report::{annotate, bold, described, dim, paint, seconds, shown_url},
    stream::timing::show,
    target::{Profile, Target},
};

/// How long a second request is read: a stored reply is over at once.
const AGAIN: Duration = Duration::from_secs(1);

named! {
    /// What a hop does to a stream.
        pub enum Kind {
        /// A header of the application is gone.
        Stripped = "stripped",
        /// A header came that the application did not send.
        Added = "added",
        /// A header stands more often than the application sent it.
        Doubled = "doubled",
        /// A header has another value.
        Changed = "changed",
        /// `Access-Control-Allow-Origin: *` came in.
        Wildcard = "wildcard",
        /// The `Origin` of the request does not reach the application.
        OriginNotForwarded = "origin_not_forwarded",
        /// Another status.
        Status = "status",
        /// A redirect.
        Redirected = "redirected",
        /// The preflight is answered otherwise.
        Preflight = "preflight",
        /// The reply came out of a store.
        Cached = "cached",
        /// The body is compressed.
        Compressed = "compressed",
        /// Bytes are held back.
        Buffered = "buffered",
        /// The stream is ended before its time.
        Cut = "cut",
    }
}

impl Kind {
    /// Where it is explained.
    pub fn link(self) -> String {
        format!("{REFERENCE}#diff-{}", self.as_str().replace('_', "-"))
    }

    fn by(self, cause: impl Into<String>, finding: Finding) -> Difference {
        Difference {
            kind: self,
            finding,
            cause: cause.into(),
        }
    }
}

/// One thing that the hop has changed.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// What it is.
    pub kind: Kind,
    /// What was seen, why it matters, what fixes it.
    pub finding: Finding,
    /// The likely cause.
    pub cause: String,
}

/// What a comparison came to. As JSON its times are in seconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffReport {
    /// The application's URL, without its query.
    pub direct: String,
    /// The public URL, without its query.
    pub public: String,
    /// Whether no difference fails the run.
    pub passed: bool,
    /// Which findings fail the run: the profile of the application's target.
    pub profile: Profile,
    /// The hops that show themselves at the public URL only.
    pub software: Vec<Software>,
    /// How long both were watched.
    #[serde(rename = "watchedSeconds", serialize_with = "seconds")]
    pub watched: Duration,
    /// The differences, the worst first.
    pub differences: Vec<Difference>,
    /// Other headers that differ, by name: they do not matter to streams.
    pub also: Vec<String>,
}

impl DiffReport {
    /// The kinds of differences that fail a run of that profile.
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
#[derive(Debug, Error)]
pub enum DiffError {
    /// The application.
    #[error("at the application: {0}")]
    Direct(#[source] AttemptError),
    /// The public URL.
    #[error("at the public URL: {0}")]
    Public(#[source] AttemptError),
    /// The application itself does not open the stream: the status. There is nothing to compare with.
    #[error(
        "the application itself answers {0}, so there is no stream to compare; run `sse-probe check` on it first"
    )]
    NotOpen(u16),
}

impl DiffError {
    /// The error as a label, from a closed list.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Direct(why) | Self::Public(why) => why.reason(),
            Self::NotOpen(_) => "status",
        }
    }
}

/// As JSON, where there is no report: both URLs, the reason, the error.
pub fn unmade(direct: &str, public: &str, profile: Profile, why: &DiffError) -> Value {
    json!({
        "direct": direct,
        "public": public,
        "passed": false,
        "profile": profile,
        "reason": why.reason(),
        "error": why.to_string(),
    })
}

/// What is seen on one side.
#[derive(Debug)]
struct Side {
    /// The origin that asked.
    origin: Option<Origin>,
    /// The stream, as a browser asks for it.
    main: Recording,
    /// Without compression, if `main` is compressed.
    plain: Option<Attempt>,
    /// As a page of another origin whose `Origin` was lost on the way.
    originless: Option<Attempt>,
    /// By a foreign origin.
    foreign: Option<Attempt>,
    /// The preflight of a fetch client.
    preflight: Option<Attempt>,
    /// The stream, asked for once more when the first was over.
    again: Attempt,
}

impl Side {
    async fn make(target: &Target, time: Duration) -> Result<Self, AttemptError> {
        let page = Page::of(target);
        let origin = target.origin.clone();
        let (main, route) = page.open().await?;
        let meanwhile = async {
            let Some(origin) = &origin else {
                return (None, None, None);
            };
            let by_foreign = page.clone().origin(Some(foreign())).glance().await;
            let names = USUAL_HEADERS.map(str::to_owned);
            let preflight = page.preflight(origin, &names).await;
            let originless = page.clone().origin_lost(true).glance().await;
            (Some(by_foreign), Some(preflight), Some(originless))
        };
        let (main, (foreign, preflight, originless)) =
            tokio::join!(main.record(route, time), meanwhile);
        let plain = match main.head.is_compressed() {
            true => Some(page.clone().encodings("identity").record(time).await),
            false => None,
        };
        let again = page.record(AGAIN).await;
        Ok(Self {
            origin,
            main,
            plain,
            originless,
            foreign,
            preflight,
            again,
        })
    }

    /// The stream as text.
    fn readable(&self) -> &Recording {
        seen(&self.plain).unwrap_or(&self.main)
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
    let (software, mut differences, also) = match edge {
        Ok(edge) => {
            let (ours, theirs) = (&app.main.head.headers, &edge.main.head.headers);
            let also = hop::others(ours, theirs);
            (Software::seen_in(theirs), differences(&app, &edge), also)
        }
        Err(AttemptError::HeadTimeout(after)) => {
            (Vec::new(), vec![hop::head_held_back(after)], Vec::new())
        }
        Err(why) => return Err(DiffError::Public(why)),
    };
    differences.sort_by_key(|d| std::cmp::Reverse(d.finding.kind));
    let fails = |difference: &Difference| difference.finding.fails(direct.profile);
    Ok(DiffReport {
        direct: shown_url(&direct.url),
        public: shown_url(&public.url),
        passed: !differences.iter().any(fails),
        profile: direct.profile,
        software,
        watched: time,
        differences,
        also,
    })
}

fn differences(app: &Side, edge: &Side) -> Vec<Difference> {
    let mut found = Vec::new();
    found.extend(hop::redirect(&app.main, &edge.main));
    if edge.main.head.redirects() {
        return found;
    }
    let origin = hop::not_forwarded(app, edge);
    let forwarded = origin.is_none();
    found.extend(origin);
    if let Some(status) = hop::status(&app.main, &edge.main) {
        found.extend(forwarded.then_some(status));
        return found;
    }
    let (direct, public) = (&app.main.head.headers, &edge.main.head.headers);
    found.extend(hop::compare(direct, public, forwarded));
    found.extend(hop::preflight(app, edge));
    let cached = hop::cached(app, edge);
    let stored = cached.is_some();
    found.extend(cached);
    found.extend(hop::compressed(&app.main, &edge.main));
    found.extend(hop::buffered(app, edge));
    found.extend(hop::cut(&app.main, &edge.main).filter(|_| !stored));
    found
}

/// With ANSI colours; remedies for the software in the list, or for all if it is empty.
pub fn human(report: &DiffReport, software: &[Software]) -> String {
    let [direct, public] = [&report.direct, &report.public].map(|url| bold(url));
    let mut out = format!("{direct} through {public}\n");
    let mut count = 0;
    for difference in &report.differences {
        let (kind, finding) = (difference.kind, &difference.finding);
        let fails = finding.fails(report.profile);
        count += usize::from(fails);
        let mark = match fails {
            true => paint(Red, "FAIL"),
            false => paint(Cyan, "note"),
        };
        out.push_str(&format!("{mark}  {kind}: {}\n", difference.cause));
        let finding = std::slice::from_ref(finding);
        out.push_str(&described(finding, &kind.link(), software));
    }
    if !report.also.is_empty() {
        let names = format!("also different: {}", report.also.join(", "));
        out.push_str(&format!("{}\n", dim(&names)));
    }
    let hops: Vec<_> = report.software.iter().map(|s| s.as_str()).collect();
    let hops = match hops.is_empty() {
        true => "no hop shows itself".to_owned(),
        false => hops.join(", "),
    };
    let verdict = match report.passed {
        true => paint(Green, "the same"),
        false => paint(Red, "not the same"),
    };
    let time = show(report.watched);
    let end = format!("{verdict}: {count} differences that matter, seen within {time} ({hops})\n");
    out + &end
}

/// As annotations of a workflow run on GitHub.
pub fn github(report: &DiffReport) -> String {
    let annotations = report.differences.iter().map(|difference| {
        let (kind, finding) = (difference.kind, &difference.finding);
        let title = format!("sse-probe diff, {kind}: {}", report.public);
        let text = format!("{}: {}. {}", difference.cause, finding.seen, kind.link());
        annotate(finding.fails(report.profile), &title, &text)
    });
    annotations.collect()
}
