//! Who the client is.

mod admission;
mod findings;
mod page;
mod rights;
mod standing;

use std::{
    future::Ready,
    sync::Arc,
    time::{Duration, SystemTime},
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use tokio::time::Instant;

pub use self::rights::{TopicPattern, TopicRights};
pub(crate) use self::{
    admission::Admission,
    findings::Findings,
    page::{AllowedPage, Pages, PagesOf},
    standing::{PolicyStreams, Recheck, Standing},
};
use crate::observe::{AuthMethod, RefusalReason};

/// Ten years: longer than any process runs, and far from the end of any clock.
const FAR_AHEAD: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Who the client is, as the authenticator says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Identity {
    /// The user; `None` for anonymous clients.
    pub user: Option<Arc<str>>,
    /// How the client proved it.
    pub method: AuthMethod,
    /// When the credentials end, on the monotonic clock: a step of the system clock changes
    /// nothing.
    pub deadline: Option<Instant>,
    /// When the credentials were issued, where they say so: what a revocation goes by.
    pub issued: Option<SystemTime>,
    /// Which topics may be read.
    pub topics: TopicRights,
    /// Whether events may be published, where the application asks for that right.
    pub publish: bool,
    /// By whom it can be checked again; `None` where there is nothing to revoke.
    pub(crate) standing: Option<Standing>,
}

impl Identity {
    /// A client that was not asked who it is.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self {
            user: None,
            method: AuthMethod::None,
            deadline: None,
            issued: None,
            topics: TopicRights::All,
            publish: false,
            standing: None,
        }
    }

    /// A user who may read every topic, for as long as the stream lives.
    #[must_use]
    pub fn user(user: impl Into<Arc<str>>) -> Self {
        Self {
            user: Some(user.into()),
            method: AuthMethod::Custom,
            ..Self::anonymous()
        }
    }

    /// Ends with the credentials. What lies further ahead than the clock reaches is as good as
    /// never.
    #[must_use]
    pub fn expiring_in(mut self, ttl: Duration) -> Self {
        self.deadline = Instant::now().checked_add(ttl.min(FAR_AHEAD));
        self
    }

    /// Ends at a time of day, as credentials say it. It is turned into a time on the monotonic
    /// clock now, so that a later step of the system clock changes nothing.
    #[must_use]
    pub fn expiring_at(self, end: SystemTime) -> Self {
        let ttl = end.duration_since(SystemTime::now()).unwrap_or_default();
        self.expiring_in(ttl)
    }

    /// The credentials were issued then. For an authenticator that goes by the credentials alone:
    /// then [`Policy::revoke`](crate::Policy::revoke) knows which of them it took back. One that
    /// asks whoever issued them leaves it out: the issuer knows.
    #[must_use]
    pub const fn issued_at(mut self, issued: SystemTime) -> Self {
        self.issued = Some(issued);
        self
    }

    /// May read these topics only. They are names, byte by byte; for patterns see
    /// [`reading_matching`](Self::reading_matching).
    #[must_use]
    pub fn reading<T: Into<Arc<str>>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.topics = TopicRights::Only(topics.into_iter().map(Into::into).collect());
        self
    }

    /// May read what one of these rights allows, in the grammar of [`TopicRights`]: `*`,
    /// `orders/*`, or a name.
    #[must_use]
    pub fn reading_matching<'a>(mut self, rights: impl IntoIterator<Item = &'a str>) -> Self {
        self.topics = TopicRights::matching(rights);
        self
    }

    /// Whether it may publish.
    #[must_use]
    pub const fn publishing(mut self, publish: bool) -> Self {
        self.publish = publish;
        self
    }

    /// Whether the credentials have ended.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Whether the credentials still hold: neither have they ended, nor were they revoked since
    /// the guards let this request in ([`Policy::revoke`](crate::Policy::revoke)).
    ///
    /// Streams ask by themselves when they open. A handler that waits for something (the body of
    /// the request is enough) and then does what the identity allows, such as publishing, asks
    /// after it has waited and right before it acts:
    ///
    /// ```
    /// use actix_web::{HttpResponse, web::Bytes};
    /// use actix_web_sse::{Event, Hub, Identity};
    ///
    /// async fn publish(identity: Identity, hub: Hub, body: Bytes) -> HttpResponse {
    ///     // The client may have taken its time over the body.
    ///     if !identity.publish || !identity.still_holds() {
    ///         return HttpResponse::Forbidden().finish();
    ///     }
    ///     let text = String::from_utf8_lossy(&body).into_owned();
    ///     match hub.publish("news", Event::data(text)) {
    ///         Ok(_) => HttpResponse::NoContent().finish(),
    ///         Err(_) => HttpResponse::BadRequest().finish(),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn still_holds(&self) -> bool {
        !self.is_expired() && self.check().is_ok()
    }

    /// Checks again what the guards found before somebody was waited for.
    pub(crate) fn check(&self) -> Result<(), RefusalReason> {
        let standing = self.standing.as_ref();
        standing.map_or(Ok(()), |standing| standing.check(self))
    }

    /// Who asks where one policy is mounted within another: nobody gets more than either grants. A
    /// policy that did not ask who it is has no say.
    fn within(self, outer: &Self) -> Self {
        match (outer.method, self.method) {
            (AuthMethod::None, _) => self,
            (_, AuthMethod::None) => outer.clone(),
            _ => Self {
                standing: self.standing.map(|standing| standing.within(outer)),
                deadline: [self.deadline, outer.deadline].into_iter().flatten().min(),
                topics: self.topics.and(&outer.topics),
                publish: self.publish && outer.publish,
                ..self
            },
        }
    }

    /// How long the credentials hold from now.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

impl Identity {
    /// Who asks, as the guards around this handler found out; anonymous where there are none.
    /// For companions of the streams: a handler that publishes looks at
    /// [`publish`](Self::publish).
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        Admission::left_in(request)
            .map_or_else(Self::anonymous, |admission| admission.identity.clone())
    }
}

impl FromRequest for Identity {
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::of(request)))
    }
}
