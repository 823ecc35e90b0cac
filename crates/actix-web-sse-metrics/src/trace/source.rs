//! Where the trace of a request is found.

use std::{fmt, sync::Arc};

use actix_web::HttpRequest;
use tracing::Span;

use super::TraceContext;

/// Where the trace of a request is found. Default: nowhere, and then nothing is kept of traces.
#[derive(Clone, Default)]
pub struct TraceSource(Source);

type Find = dyn Fn(&HttpRequest) -> Option<TraceContext> + Send + Sync;

#[derive(Clone, Default)]
enum Source {
    #[default]
    Nowhere,
    Header,
    Application(Arc<Find>),
    #[cfg(feature = "opentelemetry")]
    CurrentSpan,
}

impl TraceSource {
    /// The request's header `traceparent`, as the W3C's Trace Context has it: for a server behind a
    /// gateway that traces. Clients can send one too.
    #[must_use]
    pub const fn traceparent() -> Self {
        Self(Source::Header)
    }

    /// The application says it: for another tracing system, or another version of OpenTelemetry's crates
    /// than the feature `opentelemetry` has. Called on the worker's thread, within the
    /// request's span where there is one; it must not block and must not panic.
    #[must_use]
    pub fn from_fn(
        find: impl Fn(&HttpRequest) -> Option<TraceContext> + Send + Sync + 'static,
    ) -> Self {
        Self(Source::Application(Arc::new(find)))
    }

    /// The current span's OpenTelemetry context, where the subscriber has `tracing-opentelemetry`'s layer
    /// and the application is wrapped in a `TracingLogger`. Without them it finds none.
    #[cfg(feature = "opentelemetry")]
    #[must_use]
    pub const fn opentelemetry() -> Self {
        Self(Source::CurrentSpan)
    }

    /// Whether it ever finds a trace.
    pub(crate) const fn is_nowhere(&self) -> bool {
        matches!(self.0, Source::Nowhere)
    }

    /// Makes this span, which was not yet entered, a child of `parent`, which may have ended.
    pub(crate) fn adopt(&self, span: &Span, parent: TraceContext) {
        #[cfg(feature = "opentelemetry")]
        if matches!(self.0, Source::CurrentSpan) {
            super::current::adopt(span, parent);
        }
        #[cfg(not(feature = "opentelemetry"))]
        let _ = (span, parent);
    }

    /// The trace of this request, within whose span it is called.
    pub(crate) fn of(&self, request: Option<&HttpRequest>) -> Option<TraceContext> {
        match &self.0 {
            Source::Nowhere => None,
            Source::Header => from_header(request?),
            Source::Application(find) => find(request?),
            #[cfg(feature = "opentelemetry")]
            // The handler may be in a span of its own that the layer does not see.
            Source::CurrentSpan => super::current::of(&Span::current()),
        }
    }

    /// The trace of a span, where [`adopt`](Self::adopt) can name it as a parent. The span is not entered: its layer takes
    /// the time of leaving for the span's end.
    pub(crate) fn of_span(&self, span: &Span) -> Option<TraceContext> {
        match self.0 {
            #[cfg(feature = "opentelemetry")]
            Source::CurrentSpan => super::current::of(span),
            _ => {
                let _ = span;
                None
            }
        }
    }
}

/// That of the only header line of this name.
fn from_header(request: &HttpRequest) -> Option<TraceContext> {
    let mut lines = request.headers().get_all("traceparent");
    match (lines.next(), lines.next()) {
        (Some(line), None) => TraceContext::from_traceparent(line.to_str().ok()?),
        _ => None,
    }
}

impl fmt::Debug for TraceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Nowhere => "Nowhere",
            Source::Header => "Traceparent",
            Source::Application(_) => "Application(..)",
            #[cfg(feature = "opentelemetry")]
            Source::CurrentSpan => "OpenTelemetry",
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn two_headers_or_a_bad_one_are_none() {
        let find = |lines: &[&'static str]| {
            let mut request = TestRequest::get();
            for line in lines {
                request = request.append_header(("traceparent", *line));
            }
            TraceSource::traceparent().of(Some(&request.to_http_request()))
        };
        assert!(find(&[ONE]).is_some());
        for lines in [&[][..], &[ONE, ONE], &["00-ÿ"], &[""]] {
            assert_eq!(find(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn the_default_finds_none() {
        let request = TestRequest::get().insert_header(("traceparent", ONE));
        let request = request.to_http_request();
        assert_eq!(TraceSource::default().of(Some(&request)), None);
        assert_eq!(TraceSource::traceparent().of(None), None);
    }
}
