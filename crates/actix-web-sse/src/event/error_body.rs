//! Error bodies: `{"error":"<code>"}`, with a `message` where there is one.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};

/// A response with an error body.
pub(crate) fn response(
    status: StatusCode,
    code: &'static str,
    message: Option<&str>,
) -> HttpResponse {
    head(status).body(body(code, message))
}

/// The status and the headers of an error body: JSON, never cached.
pub(crate) fn head(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response
}

/// The body, with a code for programs and a message for people.
pub(crate) fn body(code: &'static str, message: Option<&str>) -> String {
    match message {
        Some(message) => serde_json::json!({ "error": code, "message": message }).to_string(),
        None => format!(r#"{{"error":"{code}"}}"#),
    }
}
