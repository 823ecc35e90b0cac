//! Error bodies: `{"error":"<code>"}`, with a `message` and a `hint` where there are some.

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
    head(status).body(body(code, message, None))
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

/// The body, with a code for programs, a message for people, and what to do.
pub(crate) fn body(code: &str, message: Option<&str>, hint: Option<&str>) -> String {
    match (message, hint) {
        (None, None) => format!(r#"{{"error":"{code}"}}"#),
        // Hints are made of letters that JSON takes as they are.
        (None, Some(hint)) => format!(r#"{{"error":"{code}","hint":"{hint}"}}"#),
        (Some(message), _) => {
            let mut body = serde_json::json!({ "error": code, "message": message });
            if let (Some(hint), Some(fields)) = (hint, body.as_object_mut()) {
                fields.insert("hint".to_owned(), hint.into());
            }
            body.to_string()
        }
    }
}
