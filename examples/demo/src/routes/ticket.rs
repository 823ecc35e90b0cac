use actix_web::{HttpResponse, http::StatusCode};

use super::error::error;

/// `POST /ticket?topic=T`.
pub(crate) async fn ticket() -> HttpResponse {
    error(
        StatusCode::NOT_IMPLEMENTED,
        "not_implemented",
        "stream tickets are not yet supported",
    )
}
