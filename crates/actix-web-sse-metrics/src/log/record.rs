//! The records themselves: which fields, under which names, in which order.

use std::time::{Duration, SystemTime};

use actix_web_sse::observe::{End, KeysRead, Lane, Misconfiguration, Refused};
use tracing::{Level, event};

use super::{address::AddressMode, identity::Identity, rate::Suppressed};
use crate::{closes::ImmediateClose, trace::TraceContext};

/// The target of every record.
pub const TARGET: &str = "sse";

/// The names of the fields of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FieldNames {
    /// `userId`, `remoteAddr`, `userAgent`, `route`, `httpVersion`.
    #[default]
    Camel,
    /// `user.id`, `client.address`, `user_agent.original`, `http.route` and
    /// `network.protocol.version`, as OpenTelemetry's semantic conventions call them, and `trace_id` and
    /// `span_id`; what they have no name for keeps ours.
    OpenTelemetry,
}

/// Fields that a line has only where there is a value.
pub(super) const OPTIONAL: [&str; 4] = ["traceId", "spanId", "trace_id", "span_id"];

/// Emits a record: the common fields, and those of its kind. The names are part of a `tracing`
/// callsite and must be literals, hence a macro, and hence one callsite for each set of names.
macro_rules! record {
    ($names:expr, $event:literal, $id:expr, $addresses:expr, { $($extra:tt)* }) => {{
        let (id, address) = ($id, $addresses.show($id.address));
        let user = id.user.as_deref();
        let origin = id.origin.as_deref();
        let auth = id.auth.as_str();
        let agent = id.user_agent.as_deref();
        let timestamp = timestamp(SystemTime::now());
        let connection = id.connection.map(|connection| connection.to_string());
        let request = id.request.map(|request| request.to_string());
        let trace = id.trace.as_deref().map(TraceContext::trace_id);
        let span = id.trace.as_deref().map(TraceContext::span_id);
        match $names {
            FieldNames::Camel => event!(
                target: TARGET, Level::INFO,
                event = $event,
                userId = user,
                origin = origin,
                corsAllowed = id.cors_allowed,
                authMethod = auth,
                tokenTTL = id.token_ttl,
                remoteAddr = address.as_deref(),
                userAgent = agent,
                timestamp = timestamp.as_str(),
                connectionId = connection.as_deref(),
                requestId = request.as_deref(),
                route = &*id.route,
                httpVersion = id.http_version,
                lastEventId = id.last_event_id,
                traceId = trace.as_deref(),
                spanId = span.as_deref(),
                $($extra)*
            ),
            FieldNames::OpenTelemetry => event!(
                target: TARGET, Level::INFO,
                event = $event,
                "user.id" = user,
                origin = origin,
                corsAllowed = id.cors_allowed,
                authMethod = auth,
                tokenTTL = id.token_ttl,
                "client.address" = address.as_deref(),
                "user_agent.original" = agent,
                timestamp = timestamp.as_str(),
                connectionId = connection.as_deref(),
                requestId = request.as_deref(),
                "http.route" = &*id.route,
                "network.protocol.version" = id.http_version,
                lastEventId = id.last_event_id,
                trace_id = trace.as_deref(),
                span_id = span.as_deref(),
                $($extra)*
            ),
        }
    }};
}

pub(crate) fn connect(names: FieldNames, identity: &Identity, addresses: &AddressMode) {
    record!(names, "sse_connect", identity, addresses, {});
}

pub(crate) fn close(
    names: FieldNames,
    identity: &Identity,
    addresses: &AddressMode,
    end: &End,
    class: Option<ImmediateClose>,
) {
    record!(names, "sse_close", identity, addresses, {
        reason = end.reason.as_str(),
        durationMs = millis(end.duration),
        eventsSent = end.events,
        bytesSent = end.bytes,
        heartbeatsSent = end.heartbeats,
        timeToFirstEventMs = end.time_to_first_event.map(millis),
        immediateClose = class.map(ImmediateClose::as_str),
    });
}

pub(crate) fn reject(
    names: FieldNames,
    identity: &Identity,
    addresses: &AddressMode,
    refused: &Refused<'_>,
) {
    record!(names, "sse_reject", identity, addresses, {
        reason = refused.reason.as_str(),
        hint = refused.reason.hint(),
        status = u64::from(refused.status),
        mode = refused.mode.as_str(),
    });
}

/// Says how a stream's bytes reach its connection.
pub(crate) fn lane(identity: &Identity, lane: Lane) {
    let connection = identity.connection.map(|connection| connection.to_string());
    event!(
        target: TARGET, Level::DEBUG,
        event = "sse_lane",
        connectionId = connection.as_deref(),
        lane = lane.name(),
        reason = lane.as_str(),
        timestamp = timestamp(SystemTime::now()).as_str(),
    );
}

/// Logs a mounting mistake and its remedy.
pub(crate) fn misconfigured(mistake: Misconfiguration) {
    event!(
        target: TARGET, Level::WARN,
        event = "sse_misconfigured",
        cause = mistake.as_str(),
        remedy = mistake.message(),
        timestamp = timestamp(SystemTime::now()).as_str(),
    );
}

/// Logs that an issuer's keys were read, or why they could not be.
pub(crate) fn keys_read(read: &KeysRead<'_>) {
    match read.outcome {
        Ok(keys) => event!(
            target: TARGET, Level::INFO,
            event = "sse_keys",
            source = read.source,
            keys,
            timestamp = timestamp(SystemTime::now()).as_str(),
        ),
        Err(fault) => event!(
            target: TARGET, Level::WARN,
            event = "sse_keys",
            source = read.source,
            fault,
            timestamp = timestamp(SystemTime::now()).as_str(),
        ),
    }
}

/// Logs what an operator did on the operations page.
#[cfg(feature = "operations")]
pub(crate) fn operator_action(
    action: &'static str,
    peer: Option<std::net::IpAddr>,
    connection: Option<&str>,
    user: Option<&str>,
    ended: usize,
) {
    let peer = peer.map(|peer| peer.to_string());
    event!(
        target: TARGET, Level::INFO,
        event = "sse_operator_action",
        action,
        operatorAddr = peer.as_deref(),
        connectionId = connection,
        userId = user,
        ended = ended as u64,
        timestamp = timestamp(SystemTime::now()).as_str(),
    );
}

/// Logs how many records the rate limit suppressed.
pub(crate) fn suppressed(suppressed: &Suppressed) {
    event!(
        target: TARGET, Level::INFO,
        event = "sse_suppressed",
        suppressedEvent = suppressed.event.as_str(),
        reason = suppressed.reason,
        count = suppressed.count,
        timestamp = timestamp(SystemTime::now()).as_str(),
    );
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 3339, UTC, to the millisecond.
pub(crate) fn timestamp(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
