//! The request's span, as OpenTelemetry's semantic conventions for HTTP servers have it.

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::HeaderMap,
};
use opentelemetry::{global, propagation::Extractor, trace::TraceContextExt};
use tracing::{Span, field::Empty, info_span};
use tracing_actix_web::{RequestId, RootSpanBuilder};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::TARGET;
use crate::{
    log::{http_version, method},
    trace::TraceContext,
};

/// A root span for [`tracing_actix_web::TracingLogger`] with the names of OpenTelemetry's semantic
/// conventions for HTTP servers, as a child of the span that the request's headers name.
///
/// The headers are read by the process's propagator: set
/// `opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new())` behind a gateway that
/// traces. Without a propagator, which is the default, every request begins a trace of its own, whatever
/// it sends.
///
/// Like [`RedactedRootSpan`](crate::log::RedactedRootSpan) it leaves out path, query, host, headers,
/// address and the text of errors. It ends with the response's head.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ServerSpan;

impl RootSpanBuilder for ServerSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let route = request.match_pattern();
        let route = route.as_deref();
        let method = match method(request.method()) {
            "other" => "_OTHER",
            known => known,
        };
        let verb = if method == "_OTHER" { "HTTP" } else { method };
        let secure = request.app_config().secure();
        let request_id = request.extensions().get::<RequestId>().copied();
        let span = info_span!(
            target: TARGET,
            "request",
            otel.name = route.map_or_else(|| verb.to_owned(), |route| format!("{verb} {route}")),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.route = route,
            http.response.status_code = Empty,
            url.scheme = if secure { "https" } else { "http" },
            network.protocol.version = http_version(request.version()),
            error.r#type = Empty,
            request_id = request_id.map(tracing::field::display),
        );
        let headers = Headers(request.headers());
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
        if parent.span().span_context().is_valid() {
            // Without OpenTelemetry's layer there is nothing that could have a parent.
            let _ = span.set_parent(parent);
        }
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        // It would be text as `u16`.
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", status.as_str());
        }
    }
}

/// The headers of a request. One that stands there twice is as if it was not there.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut lines = self.0.get_all(key);
        let line = match (lines.next(), lines.next()) {
            (Some(line), None) => line.to_str().ok()?,
            _ => return None,
        };
        // OpenTelemetry's own propagator takes IDs that are too short.
        let is_valid = key != "traceparent" || TraceContext::from_traceparent(line).is_some();
        is_valid.then_some(line)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
