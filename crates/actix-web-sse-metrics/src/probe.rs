//! Recognises `sse-probe`, which opens streams only to check them.

use actix_web::{HttpRequest, http::header};

/// Whether the client identifies itself as `sse-probe`. A client that does so falsely is only left
/// out of the counts of immediate closes, resumes and refused origins.
pub(crate) fn is_probe(request: &HttpRequest) -> bool {
    let agent = request.headers().get(header::USER_AGENT);
    agent.is_some_and(|agent| agent.as_bytes().starts_with(b"sse-probe/"))
}
