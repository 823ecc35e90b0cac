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
use tokio::time::{Instant, timeout};

pub(crate) use self::{
    beside::{
        Resumed, Resumption, UNKNOWN_HEADER, USUAL_HEADERS, asked_headers, foreign,
        preflight_headers,
    },
    page::{Page, seen},
};
use self::{
    beside::{others, published, try_resume},
    page::GLANCE,
};
use crate::{
    browser::{Mistake, Origin, Route},
    http::{AttemptError, Exchange, Recording, YEAR},
    target::Target,
};

/// An exchange that may have failed.
pub(crate) type Attempt = Result<Recording, AttemptError>;

/// Who an origin is that must not be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outsider {
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
pub(crate) struct Denied {
    /// Who asked.
    pub(crate) who: Outsider,
    /// Their origin.
    pub(crate) origin: Origin,
    /// What they got.
    pub(crate) attempt: Attempt,
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
pub(crate) struct Allowed {
    /// The origin.
    pub(crate) origin: Origin,
    /// What it got.
    pub(crate) attempt: Attempt,
    /// The answer to its preflight, if one is needed.
    pub(crate) preflight: Option<Attempt>,
}

/// An event that the probe published.
#[derive(Debug)]
pub(crate) struct Published {
    /// The text that is in it.
    pub(crate) marker: String,
    /// When the server had taken it, counted from the request for the stream; or why it did not.
    pub(crate) taken: Result<Duration, String>,
}

/// Everything that was seen.
#[derive(Debug)]
pub(crate) struct Survey {
    /// What was asked for.
    pub(crate) target: Target,
    /// When it was made.
    pub(crate) at: SystemTime,
    /// How long the stream was to be held.
    pub(crate) hold: Duration,
    /// The stream itself, held.
    pub(crate) main: Recording,
    /// The other exchanges.
    pub(crate) others: Others,
}

/// The exchanges beside the stream itself; none if no check needs it, or if it makes no sense for the target.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// The stream without compression, if it was compressed.
    pub(crate) plain: Option<Attempt>,
    /// The same by the other version of HTTP.
    pub(crate) other_protocol: Option<Attempt>,
    /// Without credentials, if the target has some.
    pub(crate) anonymous: Option<Attempt>,
    /// By further origins that are to be let in.
    pub(crate) allowed: Vec<Allowed>,
    /// By outsiders, with the target's credentials.
    pub(crate) denied: Vec<Denied>,
    /// With `Accept: application/json`.
    pub(crate) not_acceptable: Option<Attempt>,
    /// The preflight of a fetch client.
    pub(crate) preflight: Option<Attempt>,
    /// The same by a foreign origin.
    pub(crate) preflight_denied: Option<Attempt>,
    /// The same for a header that no server knows.
    pub(crate) preflight_unknown: Option<Attempt>,
    /// With `Last-Event-ID`.
    pub(crate) resumption: Option<Resumption>,
    /// With a `Last-Event-ID` that the server never gave.
    pub(crate) unknown_id: Option<Attempt>,
    /// The page.
    pub(crate) page: Option<Attempt>,
    /// An event that was published meanwhile.
    pub(crate) published: Option<Published>,
}

/// An exchange that a check needs beside the stream itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
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
    /// Holding the stream: for how long by now, and in all.
    Holding(Duration, Duration),
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
    pub(crate) async fn make(
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
    pub(crate) fn opened(&self) -> bool {
        self.main.head.status == 200 && self.main.route.block.is_none()
    }

    /// The stream as text: the plain recording where the main one is compressed.
    pub(crate) fn readable(&self) -> &Recording {
        seen(&self.others.plain).unwrap_or(&self.main)
    }

    /// The origin that is to be let in; a page of the stream's own origin if none was given.
    pub(crate) fn origin(&self) -> Origin {
        let own = || Origin::of(&self.target.url);
        self.target.origin.clone().unwrap_or_else(own)
    }
}

/// Tells a reply that is held back from a server that does not answer at all.
async fn held_back(page: &Page<'_>, why: AttemptError) -> AttemptError {
    let AttemptError::HeadTimeout(after) = why else {
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
            Err(_) => tell(Progress::Holding(begun.elapsed(), hold)),
        }
    }
}
