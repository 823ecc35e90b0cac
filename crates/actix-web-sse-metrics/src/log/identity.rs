//! The fields that identify a stream in its records, kept from connect to close.

use std::{net::IpAddr, sync::Arc};

use actix_web::{
    HttpMessage,
    http::{Version, header},
};
use actix_web_sse::observe::{AuthMethod, ConnectionId, CorsVerdict, Visitor};
use tracing_actix_web::RequestId;

use super::{escape::client_value, intern::Interner};
use crate::trace::{TraceContext, TraceSource};

/// The fields that all records of a stream have in common.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) user: Option<Box<str>>,
    pub(crate) origin: Option<Arc<str>>,
    pub(crate) cors_allowed: bool,
    pub(crate) auth: AuthMethod,
    /// In seconds.
    pub(crate) token_ttl: Option<u64>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) user_agent: Option<Arc<str>>,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) request: Option<RequestId>,
    /// Boxed: most streams have none.
    pub(crate) trace: Option<Box<TraceContext>>,
    pub(crate) route: Arc<str>,
    pub(crate) http_version: &'static str,
    pub(crate) last_event_id: bool,
}

impl Identity {
    pub(crate) fn of(visitor: &Visitor<'_>, interner: &Interner, traces: &TraceSource) -> Self {
        let request = visitor.request;
        let header = |name: &str| request?.headers().get(name);
        let escaped = |name: header::HeaderName| {
            let value = header(name.as_str())?;
            Some(interner.get(&client_value(value.as_bytes())))
        };
        Self {
            // From the authenticator, but it may contain text from a token.
            user: visitor
                .user
                .map(|user| client_value(user.as_bytes()).into()),
            origin: escaped(header::ORIGIN),
            cors_allowed: is_readable(visitor.cors),
            auth: visitor.auth,
            token_ttl: visitor.token_ttl.map(|ttl| ttl.as_secs()),
            address: visitor.address,
            user_agent: escaped(header::USER_AGENT),
            connection: None,
            request: request.and_then(|request| request.extensions().get::<RequestId>().copied()),
            trace: traces.of(request).map(Box::new),
            route: interner.get(visitor.route),
            http_version: http_version(visitor.version),
            last_event_id: visitor.names_last_event_id(),
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http_version == "2"
    }
}

/// Whether the page gets to read the reply.
pub(crate) fn is_readable(verdict: CorsVerdict) -> bool {
    verdict != CorsVerdict::Denied
}

/// As OpenTelemetry's `network.protocol.version` writes it.
pub(crate) fn http_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_11 => "1.1",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "0.9",
    }
}
