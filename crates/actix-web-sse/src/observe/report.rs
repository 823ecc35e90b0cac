//! What is reported.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use actix_web::{HttpRequest, http::Version};

use super::{
    last_event_id,
    vocabulary::{
        AuthMethod, CloseReason, CorsVerdict, OriginClass, RefusalMode, RefusalReason, Resume,
        SentKind,
    },
};

/// Who is asking, as far as the guards have found out. Fields not yet known at a refusal are
/// empty.
#[derive(Debug)]
#[non_exhaustive]
pub struct Visitor<'a> {
    /// The request. Its headers are the client's: escape and bound whatever you copy. `None` where
    /// it is lost: a handler that panicked has taken it along ([`RefusalReason::Internal`]).
    pub request: Option<&'a HttpRequest>,
    /// The version of HTTP that the client speaks.
    pub version: Version,
    /// The match pattern of the route (`/events`), never the path that the client sent.
    pub route: &'a str,
    /// The origin's class.
    pub origin: &'a OriginClass,
    /// What the browser will make of the reply, by what is known so far. Where no `Policy` is
    /// mounted, that is `denied` for a request of another origin, although middleware further out
    /// may still add the headers: see
    /// [`StreamObserver::judged`](super::StreamObserver::judged).
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
            request: Some(request),
            address: request.peer_addr().map(|peer| peer.ip()),
            ..Self::lost(request.version(), route)
        }
    }

    /// Whether the client names a last event ID, as a header or in the query.
    #[must_use]
    pub fn names_last_event_id(&self) -> bool {
        self.request.is_some_and(last_event_id::is_sent)
    }

    /// Of a request that is lost, what was kept of it.
    pub(crate) const fn lost(version: Version, route: &'a str) -> Self {
        Self {
            request: None,
            version,
            route,
            origin: &OriginClass::None,
            cors: CorsVerdict::NoOrigin,
            address: None,
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
pub struct Sent<'a> {
    /// What the bytes are.
    pub kind: SentKind,
    /// How many events (or heartbeats) they hold.
    pub events: u32,
    /// How many body bytes.
    pub bytes: usize,
    /// Since the publication of the oldest event among them; live events only.
    pub lag: Option<Duration>,
    /// The pattern of the settings that the topic of the oldest event has, if it has some of its own
    /// ([`HubConfig::topics`](crate::config::HubConfig::topics)); live events only.
    pub topics: Option<&'a str>,
    /// Since the request, at the stream's first event; `None` on every later write.
    pub first_event_after: Option<Duration>,
}

impl Sent<'_> {
    /// A write of so many events and bytes, without times.
    #[must_use]
    pub const fn new(kind: SentKind, events: u32, bytes: usize) -> Self {
        Self {
            kind,
            events,
            bytes,
            lag: None,
            topics: None,
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
    /// From the request to the write with which the body had [`READ_OF_BLOCKED`] bytes; `None` if
    /// it never had.
    pub filled_after: Option<Duration>,
}

/// How many bytes Chromium reads over HTTP/1.1 of a body that it keeps from the page, before it
/// closes the connection: 16 KiB.
pub const READ_OF_BLOCKED: u64 = 16 * 1024;

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
            filled_after: None,
        }
    }
}

/// An event accepted by the hub.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Publication<'a> {
    /// The topic; never a label, for topics are not bounded.
    pub topic: &'a str,
    /// The entry of [`HubConfig::topics`](crate::config::HubConfig::topics) that counts for it, by its `match`:
    /// these are few. `None`: none does.
    pub class: Option<&'a str>,
    /// Encoded size in bytes.
    pub bytes: usize,
}

impl<'a> Publication<'a> {
    /// A publication as it is reported.
    #[must_use]
    pub const fn new(topic: &'a str, bytes: usize) -> Self {
        Self {
            topic,
            class: None,
            bytes,
        }
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

/// An attempt to read the published keys of an issuer
/// ([`JwksConfig`](crate::config::JwksConfig)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeysRead<'a> {
    /// The URL, or the file.
    pub source: &'a str,
    /// How many keys can be used; or what went wrong, and then those before are used until they
    /// are too old.
    pub outcome: Result<usize, &'a str>,
}

impl<'a> KeysRead<'a> {
    /// An attempt as it is reported.
    #[must_use]
    pub const fn new(source: &'a str, outcome: Result<usize, &'a str>) -> Self {
        Self { source, outcome }
    }
}

/// What a policy enforces, reported when it is built and when that is changed: what a recorder shows beside the counts.
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
    /// Other limits per client address, by network; `None` is no limit.
    pub networks: Vec<(Arc<str>, Option<u64>)>,
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
            networks: Vec::new(),
        }
    }
}
