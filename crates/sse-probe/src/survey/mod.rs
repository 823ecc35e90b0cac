//! All exchanges that the checks judge, made once.
//!
//! The main stream is held open while the others are made one after the other, so that a server with a limit of few
//! streams per client is not driven into it; answers that say "full" are asked again.

mod browser;
mod resume;

use std::{
    convert::Infallible,
    fmt,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep};

pub(crate) use self::browser::Page;
pub use self::resume::{Resumed, Resumption};
use crate::{
    exchange::{Exchange, ExchangeError, Phase, Protocol, Recording},
    origin::{Origin, Trick},
    target::{Access, Expectation, Target},
    verdict::Credentials,
};

/// An exchange that may have failed.
pub type Attempt = Result<Recording, AttemptError>;

/// Why an exchange gave nothing to judge.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttemptError {
    /// No reply.
    Exchange(ExchangeError),
    /// No ticket to make the request with.
    Ticket(String),
    /// The server said again and again that it is full: the status.
    Full(u16),
    /// Not even the head of the stream came within this time, although other requests are answered at once: something
    /// holds the reply back until it ends, or the application waits for the first event.
    HeldBack(Duration),
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(why) => write!(f, "{why}"),
            Self::Ticket(why) => f.write_str(why),
            Self::HeldBack(after) => write!(
                f,
                "other requests are answered at once, but not even the head of the stream came within {}: a proxy holds \
                 the reply back until it ends, or the application waits for the first event; for nginx \
                 `proxy_buffering off;`, for Caddy `flush_interval -1`, for Varnish `set beresp.do_stream = true;`",
                humantime::format_duration(*after)
            ),
            Self::Full(status) => write!(
                f,
                "the server says that it is full (status {status}), also when asked again"
            ),
        }
    }
}

impl std::error::Error for AttemptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Exchange(why) => Some(why),
            _ => None,
        }
    }
}

/// Who an origin is that must not be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stranger {
    /// An origin that nobody has heard of.
    Foreign,
    /// Named by the user as one to keep out.
    Named,
    /// One that resembles the allowed one.
    LookAlike(Trick),
    /// `null`.
    Null,
}

/// The answer to a stranger.
#[derive(Debug)]
#[non_exhaustive]
pub struct Denied {
    /// Who asked.
    pub who: Stranger,
    /// Their origin.
    pub origin: Origin,
    /// What they got.
    pub attempt: Attempt,
}

/// Everything that was seen.
#[derive(Debug)]
#[non_exhaustive]
pub struct Survey {
    /// What was asked for.
    pub target: Target,
    /// When it was made.
    pub at: SystemTime,
    /// The stream itself, held.
    pub main: Recording,
    /// The same without compression, if `main` was compressed.
    pub plain: Option<Attempt>,
    /// The same by the other version of HTTP.
    pub other_protocol: Option<Attempt>,
    /// Without credentials, if the target has some.
    pub anonymous: Option<Attempt>,
    /// By strangers, with the target's credentials.
    pub denied: Vec<Denied>,
    /// With `Accept: application/json`.
    pub not_acceptable: Option<Attempt>,
    /// The preflight of a fetch client.
    pub preflight: Option<Attempt>,
    /// The same by a stranger.
    pub preflight_denied: Option<Attempt>,
    /// The same for a header that no server knows.
    pub preflight_unknown: Option<Attempt>,
    /// With `Last-Event-ID`.
    pub resumption: Option<Resumption>,
    /// With a `Last-Event-ID` that the server never gave.
    pub unknown_id: Option<Attempt>,
}

/// What a survey is doing, for people who wait.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Making an exchange.
    Asking(&'a str),
    /// Holding the stream.
    Holding {
        /// For how long by now.
        held: Duration,
        /// For how long in all.
        of: Duration,
    },
}

/// Hears of the progress.
pub type Listener<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// How long a reply that is only glanced at may take to show whether it is a stream.
const GLANCE: Duration = Duration::from_millis(400);

/// The headers that a fetch client of event streams sends and a browser asks permission for.
pub(crate) const UNSAFE_HEADERS: [&str; 2] = ["authorization", "last-event-id"];

/// A header that no server can have meant to allow.
pub(crate) const UNKNOWN_HEADER: &str = "x-sse-probe-unknown";

impl Survey {
    /// Makes all exchanges.
    ///
    /// # Errors
    ///
    /// The main exchange gave no reply. Failures of the others are part of the survey.
    pub async fn make(target: Target, tell: Listener<'_>) -> Result<Self, AttemptError> {
        let at = SystemTime::now();
        tell(Progress::Asking("the stream"));
        let page = Page::of(&target);
        let main = match page.open().await {
            Ok(main) => main,
            Err(why) => return Err(held_back(&page, why).await),
        };
        let opened = main.head().status == 200;
        let hold = if opened { target.hold } else { GLANCE };

        let others = others(&page, opened, main.head().version, tell);
        let (main, mut survey) = tokio::join!(hold_open(main, hold, tell), others);
        if main.is_come_back() && !target.expectations.contains(&Expectation::Event) {
            return Err(AttemptError::Full(200));
        }

        if opened && page.wants("transformation") && main.is_compressed() {
            tell(Progress::Asking("the stream without compression"));
            let time = target.hold.min(Duration::from_secs(5));
            survey.plain = Some(page.clone().uncompressed().record(time).await);
        }
        if opened && page.wants("resume") {
            tell(Progress::Asking("the stream again, with Last-Event-ID"));
            survey.resumption = resume::try_resume(&page, &main.stream).await;
            let unknown = page.clone().resuming("sse-probe-0");
            survey.unknown_id = Some(unknown.glance().await);
        }
        Ok(Self {
            target,
            at,
            main,
            plain: survey.plain,
            other_protocol: survey.other_protocol,
            anonymous: survey.anonymous,
            denied: survey.denied,
            not_acceptable: survey.not_acceptable,
            preflight: survey.preflight,
            preflight_denied: survey.preflight_denied,
            preflight_unknown: survey.preflight_unknown,
            resumption: survey.resumption,
            unknown_id: survey.unknown_id,
        })
    }

    /// Whether the main exchange gave a stream, or at least a 200 that may be one.
    #[must_use]
    pub fn opened(&self) -> bool {
        self.main.head.status == 200
    }

    /// The stream as text: the plain recording where the main one is compressed.
    #[must_use]
    pub fn readable(&self) -> &Recording {
        match &self.plain {
            Some(Ok(recording)) => recording,
            _ => &self.main,
        }
    }

    /// The origin that is to be let in; a page of the stream's own origin if none was given.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.target
            .origin
            .clone()
            .unwrap_or_else(|| Origin::of(&self.target.url))
    }

    /// Whether the stream is meant for everybody: `*`, and no credentials.
    #[must_use]
    pub fn is_public(&self) -> bool {
        let star = self.main.head.headers.get("access-control-allow-origin");
        self.target.credentials == Credentials::Omit && star.as_deref() == Some(b"*")
    }
}

#[derive(Default)]
struct Others {
    plain: Option<Attempt>,
    other_protocol: Option<Attempt>,
    anonymous: Option<Attempt>,
    denied: Vec<Denied>,
    not_acceptable: Option<Attempt>,
    preflight: Option<Attempt>,
    preflight_denied: Option<Attempt>,
    preflight_unknown: Option<Attempt>,
    resumption: Option<Resumption>,
    unknown_id: Option<Attempt>,
}

/// All exchanges that can be made while the stream is held.
async fn others(
    page: &Page<'_>,
    opened: bool,
    version: http::Version,
    tell: Listener<'_>,
) -> Others {
    let mut seen = Others::default();
    let target = page.target();
    let secured = !matches!(target.access, Access::Open);
    if page.wants("auth") && (secured || target.expectations.contains(&Expectation::Auth)) {
        tell(Progress::Asking("without credentials"));
        seen.anonymous = Some(page.clone().anonymous().glance().await);
    }
    if !opened {
        return seen;
    }
    if page.wants("accept") {
        tell(Progress::Asking("for JSON"));
        seen.not_acceptable = Some(page.clone().accepting("application/json").glance().await);
    }
    let encrypted = target.url.scheme() == "https";
    if page.wants("protocol") && encrypted && target.protocol == Protocol::Auto {
        tell(Progress::Asking("by the other version of HTTP"));
        let other = if version == http::Version::HTTP_2 {
            Protocol::Http1
        } else {
            Protocol::Http2
        };
        seen.other_protocol = Some(page.clone().speaking(other).glance().await);
    }
    let Some(origin) = target.origin.clone().filter(|_| !target.is_same_origin()) else {
        return seen;
    };
    if page.wants("preflight") {
        tell(Progress::Asking("by preflight"));
        seen.preflight = Some(page.preflight(&origin, &UNSAFE_HEADERS).await);
        seen.preflight_denied = Some(page.preflight(&foreign(), &UNSAFE_HEADERS).await);
        seen.preflight_unknown = Some(page.preflight(&origin, &[UNKNOWN_HEADER]).await);
    }
    if page.wants("origins") {
        for (who, origin) in strangers(target, &origin) {
            tell(Progress::Asking(origin.as_str()));
            let attempt = page.clone().from(&origin).glance().await;
            seen.denied.push(Denied {
                who,
                origin,
                attempt,
            });
        }
    }
    seen
}

fn strangers(target: &Target, origin: &Origin) -> Vec<(Stranger, Origin)> {
    let mut list = vec![(Stranger::Foreign, foreign())];
    list.extend(target.deny.iter().map(|o| (Stranger::Named, o.clone())));
    list.extend(
        origin
            .look_alikes()
            .into_iter()
            .map(|l| (Stranger::LookAlike(l.trick), l.origin)),
    );
    if *origin != Origin::null() {
        list.push((Stranger::Null, Origin::null()));
    }
    list.retain(|(_, o)| o != origin);
    list
}

/// An origin that nobody allows: `.example` is reserved by RFC 2606.
pub(crate) fn foreign() -> Origin {
    "https://sse-probe.example"
        .parse()
        .unwrap_or_else(|_| Origin::null())
}

/// Tells a reply that is held back from a server that does not answer at all.
async fn held_back(page: &Page<'_>, why: AttemptError) -> AttemptError {
    let AttemptError::Exchange(ExchangeError::Timeout(Phase::Head, after)) = why else {
        return why;
    };
    // A short reply, a refusal most likely, passes every buffer.
    match page.clone().accepting("application/json").open().await {
        Ok(exchange) if exchange.head().status < 500 => AttemptError::HeldBack(after),
        _ => why,
    }
}

/// Holds the stream, and says so every second.
async fn hold_open(exchange: Exchange, hold: Duration, tell: Listener<'_>) -> Recording {
    tokio::select! {
        recording = exchange.record(hold) => recording,
        never = tick(hold, tell) => match never {},
    }
}

async fn tick(hold: Duration, tell: Listener<'_>) -> Infallible {
    let begin = Instant::now();
    loop {
        sleep(Duration::from_secs(1)).await;
        tell(Progress::Holding {
            held: begin.elapsed(),
            of: hold,
        });
    }
}
