//! Who is asking decides how a want of capacity is answered.
//!
//! Any status but 200 is final for a native `EventSource`, in every browser: it never comes back
//! by itself. So it gets an event stream that holds nothing but a jittered `retry:` and ends, and
//! tries again later. A fetch client or a server client understands 429 and 503 with
//! `Retry-After`.

use std::time::Duration;

use super::{headers::set_stream_headers, refusal::Refusal};
use crate::{
    config::{Hints, Overload},
    observe::{RefusalMode, RefusalReason},
    stream::jitter,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
};

/// Refuses for a time: the answer, and how it was given.
pub(crate) fn refuse(
    overload: Overload,
    hints: Hints,
    request: &HttpRequest,
    reason: RefusalReason,
    retry: Duration,
) -> (HttpResponse, RefusalMode) {
    let soft = match overload {
        Overload::Auto => is_native_event_source(request),
        Overload::Hard => false,
        Overload::Soft => true,
    };
    if soft {
        (come_back_later(retry), RefusalMode::Soft)
    } else {
        let mut refusal = Refusal::new(reason);
        refusal.retry_after = Some(spread(retry));
        (refusal.response(hints), RefusalMode::Hard)
    }
}

/// A browser's own `EventSource`: `GET`, credentials in no header, event streams and nothing
/// else accepted, and the fetch metadata of a script's request. Over plain `http` to another
/// machine browsers send no fetch metadata; then their other habits must do.
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
        && match header("sec-fetch-mode") {
            Some(mode) => mode == b"cors",
            None => {
                header("cache-control").is_some_and(|value| value == b"no-cache")
                    && header("user-agent").is_some_and(|agent| agent.starts_with(b"Mozilla/"))
            }
        }
}

/// An event stream that is over at once; the client waits 5 s at least, spread, so that a crowd
/// does not come back together. No ID and no data: the last event ID stays.
fn come_back_later(retry: Duration) -> HttpResponse {
    let millis = spread(retry.max(Duration::from_millis(6250))).as_millis();
    let mut response = HttpResponse::Ok().body(format!("retry: {millis}\n\n"));
    set_stream_headers(response.headers_mut());
    response
}

/// Up to a fifth more or less.
fn spread(duration: Duration) -> Duration {
    jitter(duration, 0.2)
}

#[cfg(test)]
mod tests {
    use actix_web::{body::MessageBody, test::TestRequest};

    use super::*;

    fn event_source() -> TestRequest {
        TestRequest::get()
            .insert_header(("accept", "text/event-stream"))
            .insert_header(("cache-control", "no-cache"))
            .insert_header(("sec-fetch-mode", "cors"))
    }

    fn mode(overload: Overload, request: TestRequest) -> RefusalMode {
        let request = request.to_http_request();
        refuse(
            overload,
            Hints::Send,
            &request,
            RefusalReason::IpLimit,
            Duration::from_secs(5),
        )
        .1
    }

    #[test]
    fn l03_only_a_native_event_source_is_answered_softly() {
        assert_eq!(mode(Overload::Auto, event_source()), RefusalMode::Soft);
        let plain_http = TestRequest::get()
            .insert_header(("accept", "text/event-stream"))
            .insert_header(("cache-control", "no-cache"))
            .insert_header(("user-agent", "Mozilla/5.0"));
        assert_eq!(mode(Overload::Auto, plain_http), RefusalMode::Soft);
        for other in [
            event_source().insert_header(("authorization", "Bearer x")),
            event_source().insert_header(("accept", "application/json, text/event-stream")),
            event_source().method(Method::POST),
            TestRequest::get().insert_header(("accept", "text/event-stream")),
        ] {
            assert_eq!(mode(Overload::Auto, other), RefusalMode::Hard);
        }
        assert_eq!(mode(Overload::Hard, event_source()), RefusalMode::Hard);
        assert_eq!(mode(Overload::Soft, TestRequest::get()), RefusalMode::Soft);
    }

    #[test]
    fn l03_the_soft_answer_holds_a_spread_retry_and_nothing_else() {
        let request = event_source().to_http_request();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..50 {
            let (response, _) = refuse(
                Overload::Auto,
                Hints::Send,
                &request,
                RefusalReason::IpLimit,
                Duration::from_secs(1),
            );
            assert_eq!(response.status(), 200);
            let body = response.into_body().try_into_bytes().unwrap();
            let text = std::str::from_utf8(&body).unwrap();
            let millis = text
                .strip_prefix("retry: ")
                .unwrap()
                .strip_suffix("\n\n")
                .unwrap();
            let millis: u64 = millis.parse().unwrap();
            assert!((5000..=7500).contains(&millis), "{millis}");
            seen.insert(millis);
        }
        assert!(seen.len() > 10, "spread: {seen:?}");
    }
}
