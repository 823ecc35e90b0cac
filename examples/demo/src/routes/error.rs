use actix_web::{HttpResponse, http::StatusCode, http::header};
use serde_json::json;

/// An error as JSON: a code for programs, a sentence for people, never cached.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    reply(status, &json!({ "error": code, "message": message }))
}

/// A JSON reply that is never cached.
pub(crate) fn reply(status: StatusCode, body: &serde_json::Value) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .json(body)
}
