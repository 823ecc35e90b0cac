//! All exchanges that the checks judge, made once.
//!
//! The main stream is held open while the others are made one after the other, so that a server with a limit of few
//! streams per client is not driven into it. Which of the others are made is said by [`Need`].

mod beside;
mod page;

use std::{
    pin::pin,
    time::{Duration, SystemTime},
};

use http::Method;
use humantime::format_duration;
use thiserror::Error;
use tokio::time::{Instant, timeout};

pub use self::beside::{Resumed, Resumption};
pub(crate) use self::{
    beside::{UNKNOWN_HEADER, USUAL_HEADERS, asked_headers, foreign, preflight_headers},
    page::{Page, seen},
};
use self::{
    beside::{others, published, try_resume},
    page::GLANCE,
};
use crate::{
    browser::{
        Mistake, Origin, Route,
        page::{AddressSpace, ContentPolicy},
    },
    http::{Exchange, ExchangeError, Recording, YEAR},
    target::Target,
};

/// An exchange that may have failed.
pub type Attempt = Result<Recording, AttemptError>;

/// Why an exchange gave nothing to judge.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// No reply.
    #[error("{0}")]
    Exchange(#[from] ExchangeError),
    /// No ticket to make the request with.
    #[error("{0}")]
    Ticket(String),
    /// The server answered again and again that it is full: the status.
    #[error("the server answers that it is full (status {0}), also when asked again")]
    Full(u16),
    /// Not even the head of the stream came within this time, although other requests are answered at once: something
    /// holds the reply back until it ends, or the application waits for the first event.
    #[error(
        "other requests are answered at once, but not even the head of the stream came within {}: a proxy holds the \
         reply back until it ends, or the application waits for the first event; for nginx `proxy_buffering off;`, for \
         Caddy `flush_interval -1`, for Varnish `set beresp.do_stream = true;`",
        format_duration(*.0)
    )]
    HeldBack(Duration),
    /// The time for the whole probe was up.
    #[error("the time for the probe was up; give it more")]
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

    /// Whether it says nothing about the server but that it was full, or there was no time.
    pub(crate) fn is_inconclusive(&self) -> bool {
        matches!(self, Self::Full(_) | Self::OutOfTime)
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

impl Denied {
    /// The answer, if it is a stream. A refusal that the page may read gives it none.
    pub(crate) fn stream(&self) -> Option<&Recording> {
        let reply = self.attempt.as_ref().ok()?;
        (reply.head.status == 200).then_some(reply)
    }
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

/// An exchange that a check needs beside the stream itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// One without compression.
    Plain,
    /// One by the other version of HTTP.
    Protocol,
    /// One without credentials.
    Anonymous,
    /// One by each further origin that is to be let in.
    Allowed,
    /// One by each outsider.
    Denied,
    /// One with another `Accept`.
    Accept,
    /// Preflights.
    Preflight,
    /// Reconnects.
    Resume,
    /// The page.
    Page,
    /// An event that is published.
    Publish,
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
        needs: &[Need],
        deadline: Option<Instant>,
        tell: Listener<'_>,
    ) -> Result<Self, AttemptError> {
        let at = SystemTime::now();
        tell(Progress::Asking("the stream"));
        let page = Page::of(&target).deadline(deadline.unwrap_or_else(|| Instant::now() + YEAR));
        let (main, route) = match page.open().await {
            Ok(main) => main,
            Err(why) => return Err(held_back(&page, why).await),
        };
        let opened = main.head.status == 200 && route.block.is_none();
        let resumes = opened && needs.contains(&Need::Resume) && target.method == Method::GET;
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
        let version = main.head.version;
        let publish = async {
            match &target.publish {
                Some(publish) if opened && needs.contains(&Need::Publish) => {
                    Some(published(&target, publish, hold / 4, sent).await)
                }
                _ => None,
            }
        };
        let rest = others(&page, needs, opened, version, tell);
        let (main, mut others, published) =
            tokio::join!(hold_open(main, route, hold, tell), rest, publish);
        others.published = published;
        if opened && needs.contains(&Need::Plain) && main.head.is_compressed() {
            tell(Progress::Asking("the stream without compression"));
            let time = target.hold.min(Duration::from_secs(5));
            others.plain = Some(page.clone().encodings("identity").record(time).await);
        }
        if resumes && !main.is_come_back() {
            tell(Progress::Asking("the stream again, with Last-Event-ID"));
            others.resumption = try_resume(&page, &main.stream).await;
            let unknown = page.clone().last_event_id(Some("sse-probe-0".to_owned()));
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
        seen(&self.others.plain).unwrap_or(&self.main)
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
    let AttemptError::Exchange(ExchangeError::HeadTimeout(after)) = why else {
        return why;
    };
    // A short reply passes every buffer.
    let refused = page.clone().accept("application/json").open().await;
    let status = match refused {
        Ok((exchange, _)) => Some(exchange.head.status),
        Err(_) => {
            let names = [UNKNOWN_HEADER.to_owned()];
            let asked = page.preflight(&foreign(), &names).await.ok();
            asked.map(|reply| reply.head.status)
        }
    };
    if status.is_some_and(|status| status < 500) {
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
    let begun = Instant::now();
    let mut recording = pin!(exchange.record(route, hold));
    loop {
        match timeout(Duration::from_secs(1), &mut recording).await {
            Ok(recording) => return recording,
            Err(_) => {
                let (held, of) = (begun.elapsed(), hold);
                tell(Progress::Holding { held, of });
            }
        }
    }
}
