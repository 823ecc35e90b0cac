//! Clients that look whether streams can be had, and do not want any.

use actix_web::{HttpRequest, http::header};

/// Whether the client says that it is `sse-probe`. Who says so without being one hides nothing but
/// its own haste.
pub(crate) fn is_probe(request: &HttpRequest) -> bool {
    let agent = request.headers().get(header::USER_AGENT);
    agent.is_some_and(|agent| agent.as_bytes().starts_with(b"sse-probe/"))
}
