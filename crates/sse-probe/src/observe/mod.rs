//! All exchanges that the checks judge, made once.
//!
//! The main stream is held open while the others are made one after the other, so that a server with a limit of few
//! streams per client is not driven into it. Which of the others are made is said by [`Needs`].

mod beside;
mod page;
mod resume;

use std::{
    convert::Infallible,
    fmt,
    time::{Duration, SystemTime},
};

use http::Method;
use tokio::time::{Instant, sleep};

pub(crate) use self::beside::{UNKNOWN_HEADER, USUAL_HEADERS, foreign, preflight_headers};
pub(crate) use self::page::{Page, seen};
pub use self::resume::{Resumed, Resumption};
use self::{
    beside::{others, published},
    page::GLANCE,
};
use crate::{
    browser::{
        Mistake, Origin, Route,
        page::{AddressSpace, ContentPolicy},
    },
    http::{Exchange, ExchangeError, Phase, Recording},
    target::Target,
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
    /// The server answered again and again that it is full: the status.
    Full(u16),
    /// Not even the head of the stream came within this time, although other requests are answered at once: something
    /// holds the reply back until it ends, or the application waits for the first event.
    HeldBack(Duration),
    /// The time for the whole probe was up.
    OutOfTime,
}

impl AttemptError {
    /// The error as a label, from a closed list.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Exchange(why) => why.reason(),
            Self::Ticket(_) => "ticket",
            Self::Full(_) => "full",
            Self::HeldBack(_) => "held_back",
            Self::OutOfTime => "timeout",
        }
    }
}

impl From<ExchangeError> for AttemptError {
    fn from(why: ExchangeError) -> Self {
        Self::Exchange(why)
    }
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
                "the server answers that it is full (status {status}), also when asked again"
            ),
            Self::OutOfTime => f.write_str("the time for the probe was up; give it more"),
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
pub enum Outsider {
    /// An origin that nobody allows.
    Foreign,
    /// Named by the user as one to keep out.
    Named,
    /// One that resembles an allowed one.
    LookAlike(Mistake),
    /// `null`.
    Null,
}

/// The answer to an outsider.
#[derive(Debug)]
#[non_exhaustive]
pub struct Denied {
    /// Who asked.
    pub who: Outsider,
    /// Their origin.
    pub origin: Origin,
    /// What they got.
    pub attempt: Attempt,
}

/// The answer to one more origin that is to be let in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Allowed {
    /// The origin.
    pub origin: Origin,
    /// What it got.
    pub attempt: Attempt,
    /// The answer to its preflight, if one is needed.
    pub preflight: Option<Attempt>,
}

/// What the page came with.
#[derive(Debug)]
#[non_exhaustive]
pub struct PageSeen {
    /// Its URL, after redirects.
    pub url: url::Url,
    /// Its policies.
    pub policy: ContentPolicy,
    /// Where its server is.
    pub space: AddressSpace,
}

/// An event that the probe published.
#[derive(Debug)]
#[non_exhaustive]
pub struct Published {
    /// The text that is in it.
    pub marker: String,
    /// When the server had taken it, counted from the request for the stream; or why it did not.
    pub taken: Result<Duration, String>,
}

/// Everything that was seen.
#[derive(Debug)]
#[non_exhaustive]
pub struct Survey {
    /// What was asked for.
    pub target: Target,
    /// When it was made.
    pub at: SystemTime,
    /// How long the stream was to be held.
    pub hold: Duration,
    /// The stream itself, held.
    pub main: Recording,
    /// The other exchanges.
    pub others: Others,
}

/// The exchanges beside the stream itself; none if no check needs it, or if it makes no sense for the target.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Others {
    /// The stream without compression, if it was compressed.
    pub plain: Option<Attempt>,
    /// The same by the other version of HTTP.
    pub other_protocol: Option<Attempt>,
    /// Without credentials, if the target has some.
    pub anonymous: Option<Attempt>,
    /// By further origins that are to be let in.
    pub allowed: Vec<Allowed>,
    /// By outsiders, with the target's credentials.
    pub denied: Vec<Denied>,
    /// With `Accept: application/json`.
    pub not_acceptable: Option<Attempt>,
    /// The preflight of a fetch client.
    pub preflight: Option<Attempt>,
    /// The same by a foreign origin.
    pub preflight_denied: Option<Attempt>,
    /// The same for a header that no server knows.
    pub preflight_unknown: Option<Attempt>,
    /// With `Last-Event-ID`.
    pub resumption: Option<Resumption>,
    /// With a `Last-Event-ID` that the server never gave.
    pub unknown_id: Option<Attempt>,
    /// The page.
    pub page: Option<Result<PageSeen, AttemptError>>,
    /// An event that was published meanwhile.
    pub published: Option<Published>,
}

/// The exchanges that a check needs beside the stream itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs(u16);

impl Needs {
    /// None.
    pub const NONE: Self = Self(0);
    /// One without compression.
    pub const PLAIN: Self = Self(1);
    /// One by the other version of HTTP.
    pub const PROTOCOL: Self = Self(1 << 1);
    /// One without credentials.
    pub const ANONYMOUS: Self = Self(1 << 2);
    /// One by each further origin that is to be let in.
    pub const ALLOWED: Self = Self(1 << 3);
    /// One by each outsider.
    pub const DENIED: Self = Self(1 << 4);
    /// One with another `Accept`.
    pub const ACCEPT: Self = Self(1 << 5);
    /// Preflights.
    pub const PREFLIGHT: Self = Self(1 << 6);
    /// Reconnects.
    pub const RESUME: Self = Self(1 << 7);
    /// The page.
    pub const PAGE: Self = Self(1 << 8);
    /// An event that is published.
    pub const PUBLISH: Self = Self(1 << 9);

    /// The needs of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether these exchanges are among them.
    #[must_use]
    pub const fn include(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
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

/// Is called with the progress.
pub type Listener<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// What the exchanges after the stream was held may take.
const AFTERWARDS: Duration = Duration::from_secs(4);

impl Survey {
    /// Makes the exchanges that are needed. With a deadline the stream is held for less if need be, and what cannot be made
    /// in time is [`AttemptError::OutOfTime`].
    ///
    /// # Errors
    ///
    /// The main exchange gave no reply. Failures of the others are part of the survey.
    pub async fn make(
        target: Target,
        needs: Needs,
        deadline: Option<Instant>,
        tell: Listener<'_>,
    ) -> Result<Self, AttemptError> {
        let at = SystemTime::now();
        tell(Progress::Asking("the stream"));
        let page = Page::of(&target).until(deadline);
        let (main, route) = match page.open().await {
            Ok(main) => main,
            Err(why) => return Err(held_back(&page, why).await),
        };
        let opened = main.head().status == 200 && route.block.is_none();
        let resumes = opened && needs.include(Needs::RESUME) && target.method == Method::GET;
        let left = page.at_most(target.hold);
        let hold = match deadline {
            _ if !opened => GLANCE.min(left),
            // A short hold and a reconnect say more than a long hold alone.
            Some(deadline) if resumes => {
                let all = deadline.saturating_duration_since(Instant::now());
                left.min(all.saturating_sub(AFTERWARDS).max(all / 2))
            }
            _ => left,
        };
        let sent = Instant::now() - main.age();
        let version = main.head().version;
        let publish = async {
            match &target.publish {
                Some(publish) if opened && needs.include(Needs::PUBLISH) => {
                    Some(published(&target, publish, hold / 4, sent).await)
                }
                _ => None,
            }
        };
        let rest = others(&page, needs, opened, version, tell);
        let (main, mut others, published) =
            tokio::join!(hold_open(main, route, hold, tell), rest, publish);
        others.published = published;
        if opened && needs.include(Needs::PLAIN) && main.is_compressed() {
            tell(Progress::Asking("the stream without compression"));
            let time = target.hold.min(Duration::from_secs(5));
            others.plain = Some(page.clone().uncompressed().record(time).await);
        }
        if resumes && !main.is_come_back() {
            tell(Progress::Asking("the stream again, with Last-Event-ID"));
            others.resumption = resume::try_resume(&page, &main.stream).await;
            let unknown = page.clone().resuming("sse-probe-0");
            others.unknown_id = Some(unknown.glance().await);
        }
        Ok(Self {
            target,
            at,
            hold,
            main,
            others,
        })
    }

    /// Whether the main exchange gave a stream, or at least a 200 that may be one.
    #[must_use]
    pub fn opened(&self) -> bool {
        self.main.head.status == 200 && self.main.route.block.is_none()
    }

    /// The stream as text: the plain recording where the main one is compressed.
    #[must_use]
    pub fn readable(&self) -> &Recording {
        seen(self.others.plain.as_ref()).unwrap_or(&self.main)
    }

    /// The origin that is to be let in; a page of the stream's own origin if none was given.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let own = || Origin::of(&self.target.url);
        self.target.origin.clone().unwrap_or_else(own)
    }
}

/// Tells a reply that is held back from a server that does not answer at all.
async fn held_back(page: &Page<'_>, why: AttemptError) -> AttemptError {
    let AttemptError::Exchange(ExchangeError::Timeout(Phase::Head, after)) = why else {
        return why;
    };
    // A short reply passes every buffer.
    let refused = page.clone().accepting("application/json").open().await;
    let answered = match refused {
        Ok((exchange, _)) => exchange.head().status < 500,
        Err(_) => {
            let asked = page
                .preflight(&foreign(), &[UNKNOWN_HEADER.to_owned()])
                .await;
            asked.is_ok_and(|reply| reply.head.status < 500)
        }
    };
    if answered {
        AttemptError::HeldBack(after)
    } else {
        why
    }
}

/// Holds the stream, and says so every second.
async fn hold_open(
    exchange: Exchange,
    route: Route,
    hold: Duration,
    tell: Listener<'_>,
) -> Recording {
    tokio::select! {
        recording = exchange.record(route, hold) => recording,
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
