//! The closed lists: the vocabulary of every metric label and log field.

use std::{fmt, sync::Arc};

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
        /// The origin of its page is on the allow-list no more
        /// ([`Policy::reconfigure`](crate::Policy::reconfigure)).
        OriginRemoved => "origin_removed",
        /// The maximum lifetime was reached.
        Lifetime => "lifetime",
        /// Over HTTP/1 the client sent more behind its stream than the server reads there.
        Protocol => "protocol",
        /// The source failed or panicked.
        Error => "error",
    }
}

vocabulary! {
    /// Why a request was refused: the `error` code of the JSON body, and the `reason` label.
    /// [`hint`](Self::hint) says what to do about it.
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
        /// Some of what the client lacks is no longer kept; it got an `event: reset`.
        Gap => "gap",
        /// The id is none of this topic's; the client got an `event: reset`.
        Unknown => "unknown",
    }
}

vocabulary! {
    /// What became of a stream's snapshot
    /// ([`Subscription::snapshot`](crate::Subscription::snapshot)).
    SnapshotOutcome {
        /// The client has all of it, and live events follow.
        Sent => "sent",
        /// The application returned an error; the stream ended with the reason `error`, as it does
        /// after all that follow but the last two.
        Failed => "failed",
        /// The application panicked.
        Panicked => "panicked",
        /// It had more events or bytes than
        /// [`snapshot_events`](crate::config::HubConfig::snapshot_events) and
        /// [`snapshot_bytes`](crate::config::HubConfig::snapshot_bytes) allow.
        TooLarge => "too_large",
        /// The application kept the client waiting for longer than
        /// [`snapshot_time`](crate::config::HubConfig::snapshot_time).
        TooSlow => "too_slow",
        /// An event of it has an ID: a client would come back with it, as if it had all of the
        /// snapshot.
        HasId => "has_id",
        /// The log no longer had what came after its position: three times when it was made, or once
        /// when it had been sent, and then the stream ended with the reason `slow_consumer`.
        Overtaken => "overtaken",
        /// The client did not take it within ten times `stall`, and the stream ended with the reason
        /// `slow_consumer`.
        Untaken => "untaken",
    }
}

vocabulary! {
    /// What kind of bytes a write carried.
    SentKind {
        /// Live events.
        Event => "event",
        /// Events that the client had missed, and those of a snapshot.
        Replay => "replay",
        /// A heartbeat comment.
        Heartbeat => "heartbeat",
        /// The stream's own lines: first block, reset, expiry, closing `retry:`.
        Control => "control",
    }
}

vocabulary! {
    /// How a stream's bytes reach its connection: on its own socket, or through actix, and then
    /// why. [`EventServer`](crate::EventServer) has more about it.
    Lane {
        /// The stream has taken its socket over from actix, and writes to it itself.
        Socket => "taken_over",
        /// Through actix: no `EventServer` serves the stream.
        HttpServer => "http_server",
        /// Through actix: over HTTP/2 other streams may be on the connection.
        Http2 => "http2",
        /// Through actix: over TLS the bytes of the socket are others.
        Tls => "tls",
        /// Through actix: the client speaks HTTP/1.0, which has no chunks.
        Http10 => "http10",
        /// Through actix: the events are the application's own stream, and not a hub's.
        OwnEvents => "own_events",
        /// Through actix: this request, or an earlier one of the connection, has a body.
        RequestBody => "request_body",
        /// Through actix: the client sent something behind its request.
        Pipelined => "pipelined",
        /// Through actix: a middleware changes the bytes.
        Changed => "changed",
        /// Through actix: [`EventServer::socket_lane`](crate::EventServer::socket_lane) is off.
        Off => "off",
        /// Through actix: the stream ended before its first block was written.
        Brief => "brief",
    }
}

impl Lane {
    /// `socket` or `body`: the lane without the reason.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            _ => "body",
        }
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
                "origin_removed",
                "lifetime",
                "protocol",
                "error"
            ]
        );
    }
}
