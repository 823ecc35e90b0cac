//! The request span without secrets.

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
};
use tracing::{Span, field::Empty};
use tracing_actix_web::{RequestId, RootSpanBuilder};

use super::identity::http_version;

/// A root span for [`tracing_actix_web::TracingLogger`] that holds the method, the route's
/// pattern, the protocol, the status and the request id, and nothing that a client could hide a
/// secret or an address in.
///
/// The default root span logs the whole query, where stream tickets stand, and an address that
/// the client can choose. This one leaves out path, query, host, headers and address, and of an
/// error everything but the status: an error's text may quote the request.
///
/// The span ends with the response's head. [`Log`](super::Log) records the end of the stream, with the
/// same request ID.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct RedactedRootSpan;

impl RootSpanBuilder for RedactedRootSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let route = request.match_pattern();
        let route = route.as_deref().unwrap_or("other");
        let request_id = request.extensions().get::<RequestId>().copied();
        tracing::info_span!(
            "request",
            http.request.method = method(request.method()),
            http.route = route,
            network.protocol.version = http_version(request.version()),
            http.response.status_code = Empty,
            request_id = request_id.map(tracing::field::display),
            otel.kind = "server",
            otel.status_code = Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("http.response.status_code", status.as_u16());
        let failed = status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
        span.record("otel.status_code", if failed { "ERROR" } else { "OK" });
    }
}

/// The name of a standard HTTP method; `other` for any other.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m05_an_invented_method_is_other() {
        assert_eq!(method(&Method::GET), "GET");
        for invented in ["FOO123", "get"] {
            assert_eq!(
                method(&Method::from_bytes(invented.as_bytes()).unwrap()),
                "other"
            );
        }
    }
}
