use actix_web::{HttpResponse, http::header};
use actix_web_sse::Hub;

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
