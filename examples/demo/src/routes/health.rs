use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use actix_web_sse::Hub;
use serde_json::json;

use super::error::reply;

/// The process answers.
pub(crate) async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body("ok\n")
}

/// The process takes new streams: not once it drains.
pub(crate) async fn readyz(hub: Hub) -> HttpResponse {
    let (mut reply, body) = if hub.is_draining() {
        (HttpResponse::ServiceUnavailable(), "draining\n")
    } else {
        (HttpResponse::Ok(), "ready\n")
    };
    reply
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body)
}

/// `GET /api/state`: what a page may show of the server.
pub(crate) async fn state(hub: Hub) -> HttpResponse {
    let state = json!({ "draining": hub.is_draining(), "streams": hub.stats().streams });
    reply(StatusCode::OK, &state)
}
