//! A refused request and its answer.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};

use crate::observe::RefusalReason;

/// A decision against a request, with what its answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: RefusalReason,
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) const fn new(reason: RefusalReason) -> Self {
        Self {
            reason,
            retry_after: None,
        }
    }

    pub(crate) const fn status(self) -> StatusCode {
        status(self.reason)
    }

    /// The answer: JSON, never cached, never an event stream.
    pub(crate) fn response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        response
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if let Some(after) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, after.as_secs().max(1)));
        }
        response.body(format!(r#"{{"error":"{}"}}"#, self.reason))
    }
}

const fn status(reason: RefusalReason) -> StatusCode {
    match reason {
        RefusalReason::InvalidRequest => StatusCode::BAD_REQUEST,
        RefusalReason::Unauthorized
        | RefusalReason::InvalidToken
        | RefusalReason::InvalidTicket => StatusCode::UNAUTHORIZED,
        RefusalReason::OriginDenied
        | RefusalReason::OriginMalformed
        | RefusalReason::FetchMetadataDenied
        | RefusalReason::PreflightDenied
        | RefusalReason::InsufficientScope => StatusCode::FORBIDDEN,
        RefusalReason::NotFound => StatusCode::NOT_FOUND,
        RefusalReason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        RefusalReason::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        RefusalReason::HostDenied => StatusCode::MISDIRECTED_REQUEST,
        RefusalReason::IpLimit | RefusalReason::UserLimit | RefusalReason::RateLimit => {
            StatusCode::TOO_MANY_REQUESTS
        }
        RefusalReason::Capacity | RefusalReason::Draining | RefusalReason::AuthUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        RefusalReason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
