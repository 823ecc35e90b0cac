//! Connect, close and reject records, through [`tracing`].
//!
//! [`Log`] observes streams and emits one flat event for each connect, close and refusal, at level
//! `INFO` and target [`TARGET`]. With [`json_layer`] each becomes one JSON line of exactly the
//! documented keys; any other subscriber gets the same fields in its own form.
//!
//! ```
//! use actix_web_sse_metrics::log;
//! use tracing_subscriber::{filter::LevelFilter, prelude::*};
//!
//! let (lines, _guard) = log::json_layer(); // the guard lives to the end of `main`
//! let subscriber = tracing_subscriber::registry().with(lines.with_filter(LevelFilter::INFO));
//! # drop(subscriber);
//! ```
//!
//! The lines go through a bounded queue to a separate thread. When the log is not read, lines are
//! dropped and counted, and no worker waits: see [`json_layer_to`]. [`log_panics`] keeps
//! panics from writing to standard error on a worker's thread.
//!
//! What a client sent is cut at 256 bytes and escaped before it reaches any subscriber. Query
//! strings, tokens, cookies and tickets are never read. Refusals and evictions are limited to a
//! few lines a second for each reason; the number of suppressed ones is logged in an `sse_suppressed`
//! record and counted in `sse_log_records_suppressed_total`.
//!
//! With a [`TraceSource`], a line of a request that belongs to a trace carries `traceId` and `spanId` (with
//! [`FieldNames::OpenTelemetry`] `trace_id` and `span_id`, as OpenTelemetry's log formats call them); any
//! other line does not have these keys.
//!
//! At level `DEBUG` an `sse_lane` record says of each stream, by its `connectionId`, how its bytes
//! reach the connection.
//!
//! Wrap the application in `TracingLogger::<RedactedRootSpan>::new()` to have a request id in the
//! records, and request spans without secrets.

mod address;
mod counts;
pub(crate) mod escape;
mod identity;
mod intern;
mod json;
mod panics;
mod queue;
mod rate;
mod record;
mod span;

use std::sync::Arc;

use actix_web_sse::observe::{
    CloseReason, CorsVerdict, Destination, End, KeysRead, Lane, Misconfiguration, Observer, Opened,
    RefusalReason, Refused, StreamObserver, Visitor,
};
use tracing::Level;

pub(crate) use self::identity::http_version;
#[cfg(feature = "operations")]
pub(crate) use self::record::operator_action;
#[cfg(feature = "opentelemetry")]
pub(crate) use self::span::method;
pub use self::{
    address::AddressMode,
    counts::LogEvent,
    json::{JsonLayer, json_layer, json_layer_to, json_layer_with},
    panics::log_panics,
    queue::{LogGuard, LogQueue},
    record::{FieldNames, TARGET},
    span::RedactedRootSpan,
};
pub(crate) use self::{counts::LogCounts, record::timestamp};
use self::{identity::Identity, intern::Interner, rate::Rates};
use crate::{
    clients::Client,
    clock::Clock,
    closes::{CloseThresholds, Departure, Detection, ImmediateClose},
    probe::is_probe,
    trace::TraceSource,
};

/// The observer that logs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    addresses: AddressMode,
    names: FieldNames,
    closes: CloseThresholds,
    traces: TraceSource,
    counts: Arc<LogCounts>,
    rates: Rates,
    clock: Clock,
    interner: Interner,
}

/// Configures a [`Log`].
#[derive(Debug)]
#[must_use = "`build` makes the observer"]
pub struct LogBuilder {
    addresses: AddressMode,
    names: FieldNames,
    closes: CloseThresholds,
    traces: TraceSource,
    counts: Arc<LogCounts>,
    clock: Clock,
}

impl LogBuilder {
    /// The form of client addresses. Default [`AddressMode::Full`].
    pub fn addresses(mut self, mode: AddressMode) -> Self {
        self.addresses = mode;
        self
    }

    /// The names of the fields. Default [`FieldNames::Camel`].
    pub fn names(mut self, names: FieldNames) -> Self {
        self.names = names;
        self
    }

    /// What counts as an immediate close.
    pub fn closes(mut self, thresholds: CloseThresholds) -> Self {
        self.closes = thresholds;
        self
    }

    /// Where the trace of a request is found: then its lines carry `traceId` and `spanId`. Default:
    /// nowhere, or what the metrics were built with.
    pub fn traces(mut self, source: TraceSource) -> Self {
        self.traces = source;
        self
    }

    pub(crate) fn counts(mut self, counts: Arc<LogCounts>) -> Self {
        self.counts = counts;
        self
    }

    /// The observer.
    #[must_use]
    pub fn build(self) -> Log {
        Log {
            shared: Arc::new(Shared {
                addresses: self.addresses,
                names: self.names,
                closes: self.closes,
                traces: self.traces,
                counts: self.counts,
                rates: Rates::default(),
                clock: self.clock,
                interner: Interner::default(),
            }),
        }
    }
}

impl Log {
    /// A log with every default, whose records are not counted. [`Metrics::log`](crate::Metrics::log)
    /// makes one whose records are.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Configures a log whose records are not counted.
    pub fn builder() -> LogBuilder {
        LogBuilder {
            addresses: AddressMode::Full,
            names: FieldNames::Camel,
            closes: CloseThresholds::default(),
            traces: TraceSource::default(),
            counts: Arc::default(),
            clock: Clock::start(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn identity(&self, visitor: &Visitor<'_>) -> Identity {
        Identity::of(visitor, &self.interner, &self.traces)
    }

    fn enabled() -> bool {
        tracing::enabled!(target: TARGET, Level::INFO)
    }

    /// Logs the number of records that the rate limit suppressed, if there are any.
    fn tell_suppressed(&self) {
        for suppressed in self.rates.take_suppressed(self.clock.now()) {
            record::suppressed(&suppressed);
        }
    }
}

/// All logs write to the subscriber of the process.
static SUBSCRIBER: u8 = 0;

impl Observer for Log {
    fn misconfigured(&self, mistake: Misconfiguration) {
        if self.shared.counts.mistakes.note(mistake) {
            record::misconfigured(mistake);
        }
    }

    fn keys_read(&self, read: &KeysRead<'_>) {
        if Shared::enabled() {
            record::keys_read(read);
        }
    }

    fn destination(&self) -> Destination {
        Destination::of(&SUBSCRIBER)
    }

    fn refused(&self, refused: &Refused<'_>) {
        if !Shared::enabled() {
            return;
        }
        let shared = &self.shared;
        let client = Client::of(refused.visitor.address, CLIENT_PREFIX);
        let now = shared.clock.now();
        if shared.rates.reject(refused.reason, client, now) {
            shared.counts.write(LogEvent::Reject);
            let identity = shared.identity(refused.visitor);
            record::reject(shared.names, &identity, &shared.addresses, refused);
        } else {
            shared.counts.suppress(LogEvent::Reject);
        }
        shared.tell_suppressed();
    }

    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        if !Shared::enabled() {
            return Box::new(());
        }
        let shared = &self.shared;
        let mut identity = shared.identity(opened.visitor);
        identity.connection = Some(opened.connection);
        record::connect(shared.names, &identity, &shared.addresses);
        shared.counts.write(LogEvent::Connect);
        shared.tell_suppressed();
        let detection = shared.closes.detection(identity.is_http2());
        Box::new(LoggedStream {
            detection,
            identity,
            by_probe: opened.visitor.request.is_some_and(is_probe),
            shared: Arc::clone(shared),
        })
    }
}

/// One open stream and its identity.
struct LoggedStream {
    shared: Arc<Shared>,
    identity: Identity,
    detection: Detection,
    by_probe: bool,
}

impl StreamObserver for LoggedStream {
    fn judged(&mut self, verdict: CorsVerdict) {
        self.identity.cors_allowed = identity::is_readable(verdict);
    }

    fn carried(&mut self, lane: Lane) {
        if tracing::enabled!(target: TARGET, Level::DEBUG) {
            record::lane(&self.identity, lane);
        }
    }

    fn closed(self: Box<Self>, end: &End) {
        let shared = &self.shared;
        if shared.rates.close(end.reason, shared.clock.now()) {
            let class = self.class(end);
            record::close(shared.names, &self.identity, &shared.addresses, end, class);
            shared.counts.write(LogEvent::Close);
        } else {
            shared.counts.suppress(LogEvent::Close);
        }
        shared.tell_suppressed();
    }
}

impl LoggedStream {
    fn class(&self, end: &End) -> Option<ImmediateClose> {
        let departure = Departure::of(end, self.detection, self.by_probe);
        self.shared.closes.classify(&departure)
    }
}

/// The reasons that can end many streams at a time, which are rate limited: a burst of events to slow
/// readers, and a flood of clients.
const fn is_eviction(reason: CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::SlowConsumer | CloseReason::Stalled | CloseReason::Protocol
    )
}

/// How many leading bits of an IPv6 address stand for one client: what a household is given.
const CLIENT_PREFIX: u8 = 64;

/// How many kinds of refusal and of end there are.
const REFUSALS: usize = RefusalReason::ALL.len();
const ENDS: usize = CloseReason::ALL.len();
