//! The header set of every stream response.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// What keeps a stream a stream on its way: uncached, unbuffered, untransformed, and no script.
pub(crate) const STREAM: [(HeaderName, HeaderValue); 7] = [
    (
        HeaderName::from_static("content-type"),
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    ),
    (
        HeaderName::from_static("cache-control"),
        HeaderValue::from_static("no-cache, no-store, no-transform"),
    ),
    (
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    ),
    (
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    ),
    (
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static("default-src 'none'; connect-src 'self'"),
    ),
    (
        HeaderName::from_static("surrogate-control"),
        HeaderValue::from_static("no-store"),
    ),
    (
        HeaderName::from_static("cdn-cache-control"),
        HeaderValue::from_static("no-store"),
    ),
];

/// Writes the set over whatever is there.
pub(crate) fn set_stream_headers(headers: &mut HeaderMap) {
    for (name, value) in STREAM {
        headers.insert(name, value);
    }
}
