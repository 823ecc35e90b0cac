//! What the library reports to whoever records it, and nothing more.
//!
//! Two levels: an [`Observer`] hears of every request and every opened stream; for each stream it
//! hands out a [`StreamObserver`] that hears what that one stream does, all but its writes: those a
//! [`Meter`] hears of, which many streams share. `closed` takes the box, so a stream ends exactly
//! once by type. The closed enums of this module are the vocabulary of every
//! metric label and log field.
//!
//! `()` observes nothing; `(A, B)` observes twice; an `Arc<O>` observes as `O` does.
//!
//! Calls are made on the worker's own thread, inside the request or the write they report: an
//! observer must not block and must not panic.

use std::{fmt, net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use actix_web::HttpRequest;

use crate::hub::BackplaneWatch;
pub use crate::witness::{CorsWitness, WitnessFuture, Witnessed};

macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration: what a recorder pre-sets to zero.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value as it stands in labels, log fields and error bodies.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

vocabulary! {
    /// Why a stream ended. Every opened stream ends with exactly one of these.
    CloseReason {
        /// The client, or something between it and us, closed the connection.
        ClientGone => "client_gone",
        /// The source had nothing more to say.
        Complete => "complete",
        /// The process drains.
        Drain => "drain",
        /// The subscriber fell further behind than the hub allows.
        SlowConsumer => "slow_consumer",
        /// Bytes were ready, and the peer took none of them for the stall time.
        Stalled => "stalled",
        /// The credentials expired in mid-stream.
        Expired => "expired",
        /// `disconnect` ended it: the user, or the topic.
        Revoked => "revoked",
        /// The maximum lifetime was reached.
        Lifetime => "lifetime",
        /// The source failed or panicked.
        Error => "error",
    }
}

vocabulary! {
    /// Why a request was refused: the `error` code of the JSON body, and the `reason` label.
    RefusalReason {
        /// 405: the stream route does not know this method.
        MethodNotAllowed => "method_not_allowed",
        /// 421: the `Host` is none of ours.
        HostDenied => "host_denied",
        /// 403: the origin is not on the allow-list.
        OriginDenied => "origin_denied",
        /// 403: `Origin` is not one serialised origin.
        OriginMalformed => "origin_malformed",
        /// 403: fetch metadata says that this is no script's request (a navigation, an image).
        FetchMetadataDenied => "fetch_metadata_denied",
        /// 403: a preflight asked for a method or header that is not allowed.
        PreflightDenied => "preflight_denied",
        /// 406: the client does not ask for `text/event-stream`.
        NotAcceptable => "not_acceptable",
        /// 400: credentials that contradict each other, or a request that cannot be understood.
        InvalidRequest => "invalid_request",
        /// 401: no credentials.
        Unauthorized => "unauthorized",
        /// 401: credentials that do not hold.
        InvalidToken => "invalid_token",
        /// 401: a ticket that does not hold.
        InvalidTicket => "invalid_ticket",
        /// 403: valid credentials without the right to this topic, or no such topic.
        InsufficientScope => "insufficient_scope",
        /// 404: no such stream.
        NotFound => "not_found",
        /// 429: too many streams from one address.
        IpLimit => "ip_limit",
        /// 429: too many streams of one user.
        UserLimit => "user_limit",
        /// 429: too many connects per second.
        RateLimit => "rate_limit",
        /// 503: too many streams altogether.
        Capacity => "capacity",
        /// 503: the process drains.
        Draining => "draining",
        /// 503: the authenticator failed, panicked or took too long.
        AuthUnavailable => "auth_unavailable",
        /// 500: a handler failed.
        Internal => "internal",
    }
}

vocabulary! {
    /// How a refusal was answered.
    RefusalMode {
        /// With its status code.
        Hard => "hard",
        /// With an empty event stream, so that a native `EventSource` comes back by itself.
        Soft => "soft",
        /// Not at all: a candidate policy would have refused, the enforced one did not.
        ReportOnly => "report_only",
    }
}

vocabulary! {
    /// How the client proved who it is.
    AuthMethod {
        /// Not at all.
        None => "none",
        /// `Authorization: Bearer` (RFC 6750).
        Bearer => "bearer",
        /// A session cookie.
        Cookie => "cookie",
        /// A stream ticket in the query.
        Ticket => "ticket",
        /// The application's own `Authenticator` with a method of its own.
        Custom => "custom",
    }
}

vocabulary! {
    /// What a browser will make of the reply, by its origin.
    CorsVerdict {
        /// A cross-origin request from an allowed origin.
        Allowed => "allowed",
        /// A same-origin request.
        SameOrigin => "same_origin",
        /// No browser, or a browser that sent no `Origin`.
        NoOrigin => "no_origin",
        /// Opened although the browser will refuse it: report-only mode, or a guard is missing.
        Denied => "denied",
    }
}

vocabulary! {
    /// What became of a `Last-Event-ID`.
    Resume {
        /// The client sent none.
        Fresh => "fresh",
        /// Everything that was missed is replayed.
        Hit => "hit",
        /// Some of what was missed is no longer kept; the client was told.
        Gap => "gap",
        /// The id is none of this topic's; the client was told.
        Unknown => "unknown",
    }
}

vocabulary! {
    /// What kind of bytes a write carried.
    SentKind {
        /// Live events.
        Event => "event",
        /// Events that the client had missed.
        Replay => "replay",
        /// A heartbeat comment.
        Heartbeat => "heartbeat",
        /// The stream's own lines: first block, reset, expiry, closing `retry:`.
        Control => "control",
    }
}

/// The request's origin, seen with the eyes of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OriginClass {
    /// No `Origin` header.
    #[default]
    None,
    /// The stream's own origin.
    SameOrigin,
    /// On the allow-list; the entry of the list that matched (for a pattern, the pattern).
    Allowed(Arc<str>),
    /// The opaque origin `null`.
    Null,
    /// Anything else.
    Other,
}

impl OriginClass {
    /// The value of the `origin` label: bounded by the configuration, never what a client sent.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::None => "none",
            Self::SameOrigin => "same_origin",
            Self::Allowed(entry) => entry,
            Self::Null => "null",
            Self::Other => "other",
        }
    }
}

/// Who is asking, as far as the guards have found out. Fields not yet known at a refusal are
/// empty.
#[derive(Debug)]
#[non_exhaustive]
pub struct Visitor<'a> {
    /// The request. Its headers are the client's: escape and bound whatever you copy.
    pub request: &'a HttpRequest,
    /// The match pattern of the route (`/events`), never the path that the client sent.
    pub route: &'a str,
    /// The origin's class.
    pub origin: &'a OriginClass,
    /// What the browser will make of the reply, by what is known so far. Where no `Policy` is
    /// mounted, that is `denied` for a request of another origin, although middleware further out
    /// may still add the headers: see [`StreamObserver::judged`].
    pub cors: CorsVerdict,
    /// The client's address: the peer's, or what a trusted proxy says. `None` for Unix sockets.
    pub address: Option<IpAddr>,
    /// How the client proved who it is.
    pub auth: AuthMethod,
    /// The authenticated user.
    pub user: Option<&'a str>,
    /// How long the credentials hold from now.
    pub token_ttl: Option<Duration>,
}

impl<'a> Visitor<'a> {
    /// What is known of a request before any guard has looked at it.
    #[must_use]
    pub fn unknown(request: &'a HttpRequest, route: &'a str) -> Self {
        Self {
            request,
            route,
            origin: &OriginClass::None,
            cors: CorsVerdict::NoOrigin,
            address: request.peer_addr().map(|peer| peer.ip()),
            auth: AuthMethod::None,
            user: None,
            token_ttl: None,
        }
    }
}

/// A refused request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused<'a> {
    /// Who asked.
    pub visitor: &'a Visitor<'a>,
    /// Why it was refused.
    pub reason: RefusalReason,
    /// How it was answered.
    pub mode: RefusalMode,
    /// The status code of the answer.
    pub status: u16,
}

impl<'a> Refused<'a> {
    /// A refusal as it is reported.
    #[must_use]
    pub fn new(
        visitor: &'a Visitor<'a>,
        reason: RefusalReason,
        mode: RefusalMode,
        status: u16,
    ) -> Self {
        Self {
            visitor,
            reason,
            mode,
            status,
        }
    }
}

/// Identifies one stream of this process, for joining log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub(crate) u64);

impl From<u64> for ConnectionId {
    /// An identifier of the caller's choice: for testing an observer.
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A stream whose response is on its way.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened<'a> {
    /// Who opened it.
    pub visitor: &'a Visitor<'a>,
    /// This stream.
    pub connection: ConnectionId,
    /// What became of the `Last-Event-ID`.
    pub resume: Resume,
}

impl<'a> Opened<'a> {
    /// An opened stream as it is reported.
    #[must_use]
    pub fn new(visitor: &'a Visitor<'a>, connection: ConnectionId, resume: Resume) -> Self {
        Self {
            visitor,
            connection,
            resume,
        }
    }
}

/// One write of a stream: what was handed to the connection in one piece.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Sent {
    /// What the bytes are.
    pub kind: SentKind,
    /// How many events (or heartbeats) they hold.
    pub events: u32,
    /// How many body bytes.
    pub bytes: usize,
    /// Since the publication of the oldest event among them; live events only.
    pub lag: Option<Duration>,
    /// Since the request, at the stream's first event; `None` on every later write.
    pub first_event_after: Option<Duration>,
}

impl Sent {
    /// A write of so many events and bytes, without times.
    #[must_use]
    pub const fn new(kind: SentKind, events: u32, bytes: usize) -> Self {
        Self {
            kind,
            events,
            bytes,
            lag: None,
            first_event_after: None,
        }
    }
}

/// How a stream ended, with its totals.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct End {
    /// Why.
    pub reason: CloseReason,
    /// From the request to the end.
    pub duration: Duration,
    /// Events handed to the connection, replayed ones included.
    pub events: u64,
    /// Heartbeats handed to the connection.
    pub heartbeats: u64,
    /// Body bytes handed to the connection.
    pub bytes: u64,
    /// From the request to the first event.
    pub time_to_first_event: Option<Duration>,
    /// From the request to each of the latest writes, the last one first; zero for those that
    /// there were not. Where only a write that fails tells that a client has gone (HTTP/2), the
    /// one before it is the last that is known to have reached it.
    pub latest_writes: [Duration; 3],
}

impl End {
    /// The end of a stream that sent nothing.
    #[must_use]
    pub const fn new(reason: CloseReason, duration: Duration) -> Self {
        Self {
            reason,
            duration,
            events: 0,
            heartbeats: 0,
            bytes: 0,
            time_to_first_event: None,
            latest_writes: [Duration::ZERO; 3],
        }
    }
}

/// An event accepted by the hub.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Publication<'a> {
    /// The topic; never a label, for topics are not bounded.
    pub topic: &'a str,
    /// Encoded size in bytes.
    pub bytes: usize,
}

impl<'a> Publication<'a> {
    /// A publication as it is reported.
    #[must_use]
    pub const fn new(topic: &'a str, bytes: usize) -> Self {
        Self { topic, bytes }
    }
}

/// An event that came to this node from its backplane.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Relayed<'a> {
    /// The topic; never a label, for topics are not bounded.
    pub topic: &'a str,
    /// Since it was published, on whichever node, by the engine's clock.
    pub lag: Duration,
}

impl<'a> Relayed<'a> {
    /// An event as it is reported.
    #[must_use]
    pub const fn new(topic: &'a str, lag: Duration) -> Self {
        Self { topic, lag }
    }
}

/// What a policy enforces, told once when it is built: what a recorder shows beside the counts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyInfo {
    /// The entries of the allow-list; the values that the `origin` label may take.
    pub origins: Vec<Arc<str>>,
    /// Whether credentialed requests are allowed.
    pub credentials: bool,
    /// Streams per client address.
    pub per_ip: Option<u64>,
    /// Streams per user.
    pub per_user: Option<u64>,
    /// Streams altogether.
    pub total: Option<u64>,
}

impl PolicyInfo {
    /// A policy without limits.
    #[must_use]
    pub const fn new(origins: Vec<Arc<str>>, credentials: bool) -> Self {
        Self {
            origins,
            credentials,
            per_ip: None,
            per_user: None,
            total: None,
        }
    }
}

/// Hears of every request at the guards and of every stream.
pub trait Observer: Send + Sync + 'static {
    /// A request reached the guards; the outcome follows as `refused` or `opened`, or neither
    /// (a preflight, a `HEAD`).
    fn attempted(&self, visitor: &Visitor<'_>) {
        let _ = visitor;
    }

    /// A request was refused, or would have been in report-only mode.
    fn refused(&self, refused: &Refused<'_>) {
        let _ = refused;
    }

    /// A stream opened; what it does from now on is told to the returned observer.
    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver>;

    /// The hub accepted an event.
    fn published(&self, publication: &Publication<'_>) {
        let _ = publication;
    }

    /// An event came from the backplane. Told on the backplane's own thread.
    fn relayed(&self, relayed: &Relayed<'_>) {
        let _ = relayed;
    }

    /// A policy that reports to this observer was built.
    fn policy(&self, policy: &PolicyInfo) {
        let _ = policy;
    }

    /// A hub with a backplane that reports to this observer was built. Keep the watch to ask how
    /// the backplane is; it keeps nothing alive.
    fn backplane(&self, watch: &BackplaneWatch) {
        let _ = watch;
    }

    /// The process began to drain.
    fn draining(&self) {}
}

/// Hears of each write. Lives on the worker that serves the streams, and is as a rule shared by
/// those that are counted alike: what it touches is then still in the processor's cache from the
/// stream before, which with thousands of streams is most of what a report costs.
pub trait Meter {
    /// Bytes were handed to the connection.
    fn sent(&self, sent: &Sent);
}

/// Hears what one stream does. Lives on the worker that serves the stream.
pub trait StreamObserver: 'static {
    /// Who hears of this stream's writes; asked once, when the stream opens.
    fn meter(&self) -> Option<Rc<dyn Meter>> {
        None
    }

    /// The stream missed events, and the client was told.
    fn lagged(&mut self, events: u64) {
        let _ = events;
    }

    /// What became of the `Last-Event-ID` is known only now, from a backplane; `Opened` said
    /// [`Resume::Fresh`].
    fn resumed(&mut self, resume: Resume) {
        let _ = resume;
    }

    /// What the browser will make of the reply: told once. For a cross-origin stream with a
    /// [`CorsWitness`] around it, when its head has gone through all middleware; for every other
    /// at once, and then it is [`Visitor::cors`].
    fn judged(&mut self, verdict: CorsVerdict) {
        let _ = verdict;
    }

    /// The stream ended.
    fn closed(self: Box<Self>, end: &End);
}

impl Observer for () {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(())
    }
}

impl StreamObserver for () {
    fn closed(self: Box<Self>, _: &End) {}
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn attempted(&self, visitor: &Visitor<'_>) {
        self.0.attempted(visitor);
        self.1.attempted(visitor);
    }

    fn refused(&self, refused: &Refused<'_>) {
        self.0.refused(refused);
        self.1.refused(refused);
    }

    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new((self.0.opened(opened), self.1.opened(opened)))
    }

    fn published(&self, publication: &Publication<'_>) {
        self.0.published(publication);
        self.1.published(publication);
    }

    fn relayed(&self, relayed: &Relayed<'_>) {
        self.0.relayed(relayed);
        self.1.relayed(relayed);
    }

    fn policy(&self, policy: &PolicyInfo) {
        self.0.policy(policy);
        self.1.policy(policy);
    }

    fn backplane(&self, watch: &BackplaneWatch) {
        self.0.backplane(watch);
        self.1.backplane(watch);
    }

    fn draining(&self) {
        self.0.draining();
        self.1.draining();
    }
}

impl Meter for (Rc<dyn Meter>, Rc<dyn Meter>) {
    fn sent(&self, sent: &Sent) {
        self.0.sent(sent);
        self.1.sent(sent);
    }
}

impl StreamObserver for (Box<dyn StreamObserver>, Box<dyn StreamObserver>) {
    fn meter(&self) -> Option<Rc<dyn Meter>> {
        match (self.0.meter(), self.1.meter()) {
            (Some(first), Some(second)) => Some(Rc::new((first, second))),
            (first, second) => first.or(second),
        }
    }

    fn lagged(&mut self, events: u64) {
        self.0.lagged(events);
        self.1.lagged(events);
    }

    fn resumed(&mut self, resume: Resume) {
        self.0.resumed(resume);
        self.1.resumed(resume);
    }

    fn judged(&mut self, verdict: CorsVerdict) {
        self.0.judged(verdict);
        self.1.judged(verdict);
    }

    fn closed(self: Box<Self>, end: &End) {
        let (first, second) = *self;
        first.closed(end);
        second.closed(end);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn attempted(&self, visitor: &Visitor<'_>) {
        (**self).attempted(visitor);
    }

    fn refused(&self, refused: &Refused<'_>) {
        (**self).refused(refused);
    }

    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        (**self).opened(opened)
    }

    fn published(&self, publication: &Publication<'_>) {
        (**self).published(publication);
    }

    fn relayed(&self, relayed: &Relayed<'_>) {
        (**self).relayed(relayed);
    }

    fn policy(&self, policy: &PolicyInfo) {
        (**self).policy(policy);
    }

    fn backplane(&self, watch: &BackplaneWatch) {
        (**self).backplane(watch);
    }

    fn draining(&self) {
        (**self).draining();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m09_the_reasons_of_an_end_are_a_closed_set_and_no_status_codes() {
        let reasons = CloseReason::ALL.iter().map(|reason| reason.as_str());
        assert_eq!(
            reasons.collect::<Vec<_>>(),
            [
                "client_gone",
                "complete",
                "drain",
                "slow_consumer",
                "stalled",
                "expired",
                "revoked",
                "lifetime",
                "error"
            ]
        );
    }
}
