//! Who is asking decides how a want of capacity is answered.
//!
//! Any status but 200 is final for a native `EventSource`, in every browser: it never comes back
//! by itself. So it gets an event stream that holds nothing but a jittered `retry:` and ends, and
//! tries again later. A fetch client or a server client understands 429 and 503 with
//! `Retry-After`.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::observe::{RefusalMode, RefusalReason};

/// How a want of capacity is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Overload {
    /// By who is asking: softly to a native `EventSource`, hard to everybody else.
    #[default]
    Auto,
    /// Always 429 or 503.
    Hard,
    /// Always an event stream that holds only `retry:`.
    Soft,
}

impl Overload {
    /// Refuses for a time: the answer, and how it was given.
    pub(crate) fn refuse(
        self,
        request: &HttpRequest,
        reason: RefusalReason,
        retry: Duration,
    ) -> (HttpResponse, RefusalMode) {
        let soft = match self {
            Self::Auto => is_native_event_source(request),
            Self::Hard => false,
            Self::Soft => true,
        };
        if soft {
            (come_back_later(retry), RefusalMode::Soft)
        } else {
            let mut refusal = Refusal::new(reason);
            refusal.retry_after = Some(retry);
            (refusal.response(), RefusalMode::Hard)
        }
    }
}

/// A browser's own `EventSource`: `GET`, credentials in no header, event streams accepted, and
/// the fetch metadata of a script's request.
fn is_native_event_source(request: &HttpRequest) -> bool {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .map(header::HeaderValue::as_bytes)
    };
    request.method() == Method::GET
        && header("authorization").is_none()
        && header("accept").is_some_and(|value| value.eq_ignore_ascii_case(b"text/event-stream"))
        && header("sec-fetch-mode").is_some_and(|value| value == b"cors")
}

/// An event stream that is over at once; the client waits 5 s at least, spread by ±20 %, so that
/// a crowd does not come back together. No ID and no data: the last event ID stays.
fn come_back_later(retry: Duration) -> HttpResponse {
    let base = retry.max(Duration::from_millis(6250)).as_millis();
    let millis = base * u128::from(fastrand::u32(800..=1200)) / 1000;
    let mut response = HttpResponse::Ok();
    for (name, value) in crate::headers::STREAM {
        response.insert_header((name, value));
    }
    response.body(format!("retry: {millis}\n\n"))
}
