//! A refused request and its answer.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};

use super::vary;
use crate::{
    config::Hints,
    event::error_body::{body, head},
    observe::RefusalReason,
};

/// After what time a client that was refused for a time may come back, before it is spread. A reply
/// to a native `EventSource` asks for a little more, see [`overload`](super::overload).
pub(crate) const RETRY: Duration = Duration::from_secs(5);

/// A decision against a request, with what its answer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: RefusalReason,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) allow: Option<HeaderValue>,
    /// What is wrong, with the limit; nothing in it that the client sent.
    pub(crate) message: Option<Box<str>>,
}

impl Refusal {
    pub(crate) const fn new(reason: RefusalReason) -> Self {
        Self {
            reason,
            retry_after: None,
            allow: None,
            message: None,
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        status(self.reason)
    }

    /// The answer: JSON, never cached, never an event stream, and nothing in it that the client
    /// sent.
    pub(crate) fn response(self, hints: Hints) -> HttpResponse {
        let mut response = head(self.status());
        if let Some(after) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, whole_seconds(after)));
        }
        if let Some(methods) = self.allow {
            response.insert_header((header::ALLOW, methods));
        }
        if let Some(challenge) = challenge(self.reason) {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        let hint = (hints == Hints::Send).then(|| self.reason.hint());
        let code = self.reason.as_str();
        let mut response = response.body(body(code, self.message.as_deref(), hint));
        match self.reason {
            RefusalReason::NotAcceptable => vary::add(response.headers_mut(), "Accept"),
            RefusalReason::PreflightDenied => vary::add(response.headers_mut(), vary::PREFLIGHT),
            _ => {}
        }
        response
    }
}

impl From<RefusalReason> for Refusal {
    /// For a time where the reason is one that passes.
    fn from(reason: RefusalReason) -> Self {
        match status(reason) {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Self {
                retry_after: Some(RETRY),
                ..Self::new(reason)
            },
            _ => Self::new(reason),
        }
    }
}

/// `Retry-After` knows whole seconds only; rounding down would have the client come too early.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).max(1) as u64
}

/// The challenge of RFC 6750 § 3. No `Basic`: a browser would ask the user for a password. No
/// error attribute where nothing was presented.
const fn challenge(reason: RefusalReason) -> Option<&'static str> {
    match reason {
        RefusalReason::Unauthorized => Some("Bearer"),
        RefusalReason::InvalidToken | RefusalReason::InvalidTicket => {
            Some(r#"Bearer error="invalid_token""#)
        }
        RefusalReason::InsufficientScope => Some(r#"Bearer error="insufficient_scope""#),
        RefusalReason::InvalidRequest => Some(r#"Bearer error="invalid_request""#),
        _ => None,
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

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;

    use super::*;

    #[test]
    fn t06_a_challenge_never_makes_a_browser_ask_for_a_password() {
        for reason in RefusalReason::ALL {
            let response = Refusal::new(*reason).response(Hints::Send);
            let challenge = response.headers().get(header::WWW_AUTHENTICATE);
            assert!(
                response.status() != StatusCode::UNAUTHORIZED || challenge.is_some(),
                "{reason}"
            );
            if let Some(challenge) = challenge {
                assert!(
                    challenge.to_str().unwrap().starts_with("Bearer"),
                    "{reason}"
                );
            }
        }
    }

    #[test]
    fn l04_a_refusal_is_json_and_never_an_event_stream() {
        for reason in RefusalReason::ALL {
            let response = Refusal::new(*reason).response(Hints::Send);
            assert_eq!(
                response.headers().get("content-type").unwrap(),
                "application/json"
            );
            assert_eq!(response.headers().get("cache-control").unwrap(), "no-store");
        }
    }

    #[test]
    fn e21_a_refusal_says_what_to_do_unless_that_is_switched_off() {
        for reason in RefusalReason::ALL {
            let body = |hints| {
                let body = Refusal::new(*reason).response(hints).into_body();
                body.try_into_bytes().unwrap()
            };
            let (code, hint) = (reason.as_str(), reason.hint());
            let told = format!(r#"{{"error":"{code}","hint":"{hint}"}}"#);
            assert_eq!(body(Hints::Send), told);
            assert_eq!(body(Hints::Omit), format!(r#"{{"error":"{code}"}}"#));
        }
    }

    #[test]
    fn a_message_stands_beside_the_hint() {
        let refusal = Refusal {
            message: Some("at most \"3\"".into()),
            ..Refusal::new(RefusalReason::InvalidRequest)
        };
        let body = refusal.response(Hints::Send).into_body();
        let body: serde_json::Value =
            serde_json::from_slice(&body.try_into_bytes().unwrap()).unwrap();
        assert_eq!(body["error"], "invalid_request");
        assert_eq!(body["message"], "at most \"3\"");
        assert_eq!(body["hint"], RefusalReason::InvalidRequest.hint());
    }

    #[test]
    fn retry_after_is_rounded_up() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (2500, 3)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
