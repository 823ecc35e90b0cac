//! Who subscribes: what the guards found out, handed from the middleware to the responder.

use std::{
    any::Any,
    fmt,
    future::Ready,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{Method, header},
};
use tokio::time::Instant;

use crate::{
    observe::{AuthMethod, CorsVerdict, OriginClass, RefusalReason, Visitor},
    protect::{origin::is_own, overload::Overload, standing::Standing},
};

/// Which topics an identity may read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TopicRights {
    /// Every topic.
    #[default]
    All,
    /// These topics only.
    Only(Vec<Arc<str>>),
}

impl TopicRights {
    /// Whether the topic may be read.
    #[must_use]
    pub fn allow(&self, topic: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(topics) => topics.iter().any(|allowed| **allowed == *topic),
        }
    }

    /// What both allow.
    fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, rights) | (rights, Self::All) => rights.clone(),
            (Self::Only(topics), _) => {
                let both = topics.iter().filter(|topic| other.allow(topic));
                Self::Only(both.cloned().collect())
            }
        }
    }
}

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
    /// asks whoever issued them leaves it out, for it is told there.
    #[must_use]
    pub const fn issued_at(mut self, issued: SystemTime) -> Self {
        self.issued = Some(issued);
        self
    }

    /// May read these topics only.
    #[must_use]
    pub fn reading<T: Into<Arc<str>>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.topics = TopicRights::Only(topics.into_iter().map(Into::into).collect());
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
        self.check().is_ok()
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

/// The guards' findings about one admitted request. The middleware leaves them in the request's
/// extensions, where they stay: whoever asks during the request finds the same.
pub(crate) struct Admission {
    pub(crate) origin: OriginClass,
    pub(crate) cors: CorsVerdict,
    pub(crate) address: Option<IpAddr>,
    pub(crate) identity: Identity,
    /// How a refusal for want of capacity is to be answered.
    pub(crate) overload: Overload,
    /// Frees the slots of the limits when the last holder drops it: the request, and each of its
    /// streams.
    pub(crate) permit: Option<Rc<dyn Any>>,
    /// A `Policy` is mounted around the handler and sets the CORS headers and `Vary`.
    pub(crate) guarded: bool,
    /// The request is a `HEAD`: to be answered as the `GET` would be, without opening anything.
    pub(crate) head_only: bool,
}

impl Admission {
    /// What is known where no `Policy` is mounted.
    fn unguarded(request: &HttpRequest) -> Self {
        let (origin, cors) = unguarded_origin(request);
        Self {
            origin,
            cors,
            address: request.peer_addr().map(|peer| peer.ip()),
            identity: Identity::anonymous(),
            overload: Overload::default(),
            permit: None,
            guarded: false,
            head_only: request.method() == Method::HEAD,
        }
    }

    /// What the guards left in this request; `None` where there are none.
    pub(crate) fn left_in(request: &HttpRequest) -> Option<Rc<Self>> {
        request.extensions().get::<Rc<Self>>().map(Rc::clone)
    }

    /// Leaves this in the request, for everybody who asks from now on. A policy around this one
    /// has left its own findings: they count too, and its permit is held as well.
    pub(crate) fn leave_in(mut self, request: &HttpRequest) -> Rc<Self> {
        if let Some(outer) = Self::left_in(request) {
            self.identity = self.identity.within(&outer.identity);
            self.head_only |= outer.head_only;
            self.permit = match (self.permit.take(), outer.permit.clone()) {
                (Some(own), Some(outer)) => Some(Rc::new((own, outer))),
                (own, outer) => own.or(outer),
            };
        }
        let admission = Rc::new(self);
        request.extensions_mut().insert(Rc::clone(&admission));
        admission
    }

    /// This admission as observers see it.
    pub(crate) fn visitor<'a>(&'a self, request: &'a HttpRequest, route: &'a str) -> Visitor<'a> {
        Visitor {
            origin: &self.origin,
            cors: self.cors,
            address: self.address,
            auth: self.identity.method,
            user: self.identity.user.as_deref(),
            token_ttl: self.identity.ttl(),
            ..Visitor::unknown(request, route)
        }
    }
}

/// What a browser makes of a reply to which no `Policy` adds CORS headers: it keeps it from the
/// page of any other origin. Another middleware that adds them is not seen from here, but by a
/// [`CorsWitness`](crate::observe::CorsWitness).
fn unguarded_origin(request: &HttpRequest) -> (OriginClass, CorsVerdict) {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN) else {
        return (OriginClass::None, CorsVerdict::NoOrigin);
    };
    let says_same_origin = headers
        .get("sec-fetch-site")
        .map(|site| site == "same-origin");
    let scheme = if request.app_config().secure() {
        "https"
    } else {
        "http"
    };
    let authority = match request.uri().authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => headers.get(header::HOST).map(|host| host.as_bytes()),
    };
    if is_own(origin.as_bytes(), authority, scheme, says_same_origin) {
        (OriginClass::SameOrigin, CorsVerdict::SameOrigin)
    } else if origin == "null" {
        (OriginClass::Null, CorsVerdict::Denied)
    } else {
        (OriginClass::Other, CorsVerdict::Denied)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("origin", &self.origin)
            .field("address", &self.address)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
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

/// Who opens the stream of this request: an extractor, to be handed to
/// [`Hub::subscribe`](crate::Hub::subscribe) or an [`Sse`](crate::Sse).
///
/// Behind a `Policy` it carries the identity, the rights and the permit; without one it stands for
/// an anonymous client. It can be extracted as often as anybody likes, in any order with
/// [`Identity`]: each has the same rights and the same deadline. All streams of one request share
/// its one permit, which is free again when the last of them has ended.
///
/// One that was extracted before the request had passed its guards, by a middleware around them,
/// has the rights that they granted all the same: a stream goes by the request that it answers.
#[derive(Debug)]
pub struct Subscriber {
    pub(crate) admission: Rc<Admission>,
    pub(crate) last_event_id: Option<String>,
}

impl Subscriber {
    /// What the guards found out about this request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        let admission = Admission::left_in(request);
        Self {
            admission: admission.unwrap_or_else(|| Rc::new(Admission::unguarded(request))),
            last_event_id: last_event_id(request),
        }
    }

    /// The subscriber as this request's guards know it now, whenever it was extracted.
    pub(crate) fn known_to(mut self, request: &HttpRequest) -> Self {
        if let Some(admission) = Admission::left_in(request) {
            self.admission = admission;
        }
        self
    }

    /// Who the client is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.admission.identity
    }

    /// The `Last-Event-ID` that the client sent, if any; the header before the query parameter
    /// `lastEventId`.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// The client's address: the peer's, or what a trusted proxy says.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.admission.address
    }
}

impl FromRequest for Subscriber {
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::of(request)))
    }
}

/// Longer than any ID: what is longer is nobody's, and is nobody's when it is cut.
const MAX_ID: usize = 256;

/// The header as text, bytes that are no UTF-8 replaced (such an ID is nobody's, and must not
/// fail the request); an empty one is none.
fn last_event_id(request: &HttpRequest) -> Option<String> {
    if let Some(header) = request.headers().get("last-event-id") {
        let bytes = header.as_bytes();
        let id = String::from_utf8_lossy(bytes.get(..MAX_ID).unwrap_or(bytes));
        return (!id.is_empty()).then(|| id.into_owned());
    }
    #[derive(serde::Deserialize)]
    struct Query {
        #[serde(rename = "lastEventId", alias = "last_event_id")]
        id: String,
    }
    actix_web::web::Query::<Query>::from_query(request.query_string())
        .ok()
        .map(|query| query.into_inner().id)
        .filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn without_a_policy_a_browser_of_another_origin_is_denied() {
        let verdict = |headers: &[(&'static str, &str)]| {
            let mut request = TestRequest::get().insert_header(("host", "api.example.com"));
            for (name, value) in headers {
                request = request.insert_header((*name, *value));
            }
            let request = request.to_http_request();
            Admission::unguarded(&request).cors
        };
        let foreign = ("origin", "https://app.example.com");
        let own = ("origin", "http://api.example.com");
        assert_eq!(verdict(&[]), CorsVerdict::NoOrigin);
        assert_eq!(verdict(&[foreign]), CorsVerdict::Denied);
        assert_eq!(verdict(&[("origin", "null")]), CorsVerdict::Denied);
        assert_eq!(verdict(&[own]), CorsVerdict::SameOrigin);
        let cross_site = ("sec-fetch-site", "cross-site");
        assert_eq!(verdict(&[own, cross_site]), CorsVerdict::Denied);
    }
}
