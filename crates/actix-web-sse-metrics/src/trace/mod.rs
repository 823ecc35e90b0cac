//! Which trace a request belongs to, for exemplars, log lines and the end of a stream.
//!
//! ```
//! use actix_web_sse_metrics::{Metrics, trace::TraceSource};
//!
//! let metrics = Metrics::builder()
//!     .traces(TraceSource::traceparent())
//!     .build()?;
//! let log = metrics.log().build(); // its lines carry the same trace
//! # drop(log);
//! # Ok::<(), actix_web_sse_metrics::MetricsError>(())
//! ```
//!
//! A [`TraceSource`] is asked once for each stream and each refusal. Default: none, and then nothing is
//! kept and nothing is written. With one:
//!
//! - the buckets of `sse_time_to_first_event_seconds` and `sse_delivery_lag_seconds` carry the latest
//!   observation of a sampled trace as an exemplar, for scrapers that ask for OpenMetrics;
//! - lines of the [`log`](crate::log) carry `traceId` and `spanId`.
//!
//! # What can go wrong
//!
//! - **A bad header.** A `traceparent` that is not exactly what the W3C's Trace Context says, or that
//!   stands there twice, is as if it was not there.
//! - **A client's own header.** Clients can send any `traceparent`. It makes no series and allocates
//!   nothing, but an exemplar and a log line can then name a trace of the client's choice. Use
//!   [`TraceSource::traceparent`] behind a gateway that sets the header.
//! - **A trace that is not sampled** is in log lines, and in no exemplar: there is nothing to look at.

#[cfg(feature = "opentelemetry")]
mod current;
mod source;
mod traceparent;

pub use self::source::TraceSource;

/// Where a request stands in its trace: a span of a trace, as OpenTelemetry and the W3C's Trace Context
/// name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl TraceContext {
    /// A span of a trace, and whether it is recorded. `None` if one of the IDs is zero, which stands for
    /// no trace.
    #[must_use]
    pub const fn new(trace_id: u128, span_id: u64, sampled: bool) -> Option<Self> {
        if trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(Self {
            trace: trace_id,
            span: span_id,
            sampled,
        })
    }

    /// The trace's ID in 32 lowercase hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The span's ID in 16 lowercase hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }
}
