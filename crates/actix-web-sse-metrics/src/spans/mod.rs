//! Spans of opens, ends and publications, through [`tracing`].
//!
//! ```
//! use actix_web_sse::Hub;
//! use actix_web_sse_metrics::{Metrics, spans::Spans, trace::TraceSource};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = Metrics::new()?;
//! let spans = Spans::new(TraceSource::default());
//! let hub = Hub::builder().observer((metrics.observer(), spans)).build()?;
//! # drop(hub);
//! # Ok(())
//! # }
//! ```
//!
//! All have the target [`TARGET`]. Names of OpenTelemetry's semantic conventions are used where there is one;
//! the others begin with `sse.`.
//!
//! | span | level | when | fields |
//! |---|---|---|---|
//! | `sse.open` | `INFO` | from the report of the open until it is known how the stream's bytes reach the connection and what a browser makes of its head; within the request's span | `http.route`, `network.protocol.version`, `client.address` (see [`Spans::addresses`]), `sse.connection_id`, `sse.auth_method`, `sse.cors`, `sse.resume`, `sse.lane` |
//! | `sse.close` | `INFO` | at the end, without a duration; in the trace of the open, as a child of `sse.open` | `http.route`, `sse.connection_id`, `sse.close_reason`, `sse.duration_ms`, `sse.events`, `sse.bytes` |
//! | `sse.publish` | `DEBUG` | when the hub has taken an event; within the publisher's span | `messaging.system` (`sse`), `messaging.operation.name`, `messaging.operation.type`, `messaging.destination.template`, `messaging.message.body.size` |
//!
//! No span lasts as long as a stream: it would be exported when the stream ends, and be lost with the
//! process. `sse.close` is there only with `TraceSource::opentelemetry`, since `tracing` alone has no
//! way to name a parent that has ended; [`log`](crate::log) has a line for each end in any case.
//!
//! The name of a topic is in no span: topics are not bounded and may hold users' names.
//! `messaging.destination.template` is the `match` of the topic's settings, and absent without such.
//!
//! # What it costs
//!
//! Nothing on the way of an event to a stream. Where the subscriber does not want a span, an open and
//! a publication cost the look at its callsite.
//!
//! # What can go wrong
//!
//! - **No subscriber, or one that filters the target out**: there are no spans, and nothing else changes.
//! - **A publication in each span.** `DEBUG` for this target makes a span for every event. Choose it with
//!   a sampler.
//! - **The exporter is slow or gone.** That is between the application and its exporter; use a batch
//!   processor, which drops spans and does not wait.

#[cfg(feature = "opentelemetry")]
mod server;

use std::sync::Arc;

use actix_web_sse::observe::{
    CloseReason, ConnectionId, CorsVerdict, Destination, End, Lane, Observer, Opened, Publication,
    StreamObserver,
};
use tracing::{Span, debug_span, field::Empty, info_span};

#[cfg(feature = "opentelemetry")]
pub use self::server::ServerSpan;
use crate::{
    log::{AddressMode, http_version},
    trace::{TraceContext, TraceSource},
};

/// The target of all spans of this module.
pub const TARGET: &str = "actix_web_sse_metrics::spans";

/// The observer that makes spans. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spans {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone)]
struct Shared {
    traces: TraceSource,
    addresses: AddressMode,
}

/// All of them go to the subscriber of the process.
static SUBSCRIBER: u8 = 0;

impl Spans {
    /// Spans whose traces this source finds. Only
    /// `TraceSource::opentelemetry` can put the end of a stream into the trace of its open.
    #[must_use]
    pub fn new(traces: TraceSource) -> Self {
        Self {
            shared: Arc::new(Shared {
                traces,
                addresses: AddressMode::Off,
            }),
        }
    }

    /// The form of `client.address`. Default [`AddressMode::Off`]: traces often go to another company.
    #[must_use]
    pub fn addresses(self, mode: AddressMode) -> Self {
        let mut shared = Arc::unwrap_or_clone(self.shared);
        shared.addresses = mode;
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Observer for Spans {
    fn destination(&self) -> Destination {
        Destination::of(&SUBSCRIBER)
    }

    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        let Shared { traces, addresses } = &*self.shared;
        let visitor = opened.visitor;
        let span = info_span!(
            target: TARGET,
            "sse.open",
            otel.kind = "internal",
            http.route = visitor.route,
            network.protocol.version = http_version(visitor.version),
            client.address = addresses.show(visitor.address),
            sse.connection_id = %opened.connection,
            sse.auth_method = visitor.auth.as_str(),
            sse.cors = Empty,
            sse.resume = opened.resume.as_str(),
            sse.lane = Empty,
        );
        if span.is_disabled() {
            return Box::new(());
        }
        let trace = traces.of_span(&span);
        Box::new(Stream {
            span: Some(span),
            facts: 0,
            close: trace.filter(TraceContext::is_sampled).map(|open| {
                Box::new(Close {
                    shared: Arc::clone(&self.shared),
                    open,
                    connection: opened.connection,
                    route: visitor.route.into(),
                })
            }),
        })
    }

    fn published(&self, publication: &Publication<'_>) {
        let template = publication.class;
        drop(debug_span!(
            target: TARGET,
            "sse.publish",
            otel.name = template.map_or_else(
                || "publish".to_owned(),
                |template| format!("publish {template}"),
            ),
            otel.kind = "producer",
            messaging.system = "sse",
            messaging.operation.name = "publish",
            messaging.operation.r#type = "send",
            messaging.destination.template = template,
            messaging.message.body.size = number(publication.bytes),
        ));
    }
}

/// One open stream.
struct Stream {
    /// Of the open, until its end.
    span: Option<Span>,
    /// How many of the verdict and the lane are known; each is reported once.
    facts: u8,
    /// What its end will be; boxed, for it waits as long as the stream.
    close: Option<Box<Close>>,
}

struct Close {
    shared: Arc<Shared>,
    open: TraceContext,
    connection: ConnectionId,
    route: Box<str>,
}

impl StreamObserver for Stream {
    fn judged(&mut self, verdict: CorsVerdict) {
        self.learn("sse.cors", verdict.as_str());
    }

    fn carried(&mut self, lane: Lane) {
        self.learn("sse.lane", lane.as_str());
    }

    fn closed(self: Box<Self>, end: &End) {
        let Self { span, close, .. } = *self;
        drop(span);
        if let Some(close) = close {
            close.span(end);
        }
    }
}

impl Stream {
    /// The second fact ends the span.
    fn learn(&mut self, field: &str, value: &str) {
        if let Some(span) = &self.span {
            span.record(field, value);
        }
        self.facts = self.facts.saturating_add(1);
        if self.facts == 2 {
            self.span = None;
        }
    }
}

/// A count as OpenTelemetry has it; it would be text as `u64`.
fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

impl Close {
    fn span(&self, end: &End) {
        let failed = end.reason == CloseReason::Error;
        let span = info_span!(
            target: TARGET,
            parent: None,
            "sse.close",
            otel.kind = "internal",
            otel.status_code = failed.then_some("ERROR"),
            http.route = &*self.route,
            sse.connection_id = %self.connection,
            sse.close_reason = end.reason.as_str(),
            sse.duration_ms = number(end.duration.as_millis()),
            sse.events = number(end.events),
            sse.bytes = number(end.bytes),
        );
        self.shared.traces.adopt(&span, self.open);
    }
}
