//! What a refusal allocates, whatever the client sends: counted by an allocator that knows the
//! thread. A binary of its own, for the allocator is the whole binary's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code: a failure is to be loud"
)]

#[path = "allocations/bare.rs"]
mod bare;
#[path = "allocations/requests.rs"]
mod requests;

use std::time::Duration;

use actix_http::Request;
use actix_web::{
    App, Error, HttpResponse,
    body::{MessageBody, to_bytes},
    dev::{Service, ServiceResponse},
    test::{TestRequest, init_service},
    web,
};
use actix_web_sse::{
    Identity, Policy,
    config::{AuthConfig, PolicyConfig, TicketConfig},
    observe::RefusalReason,
    protect::{Attempt, AuthError, AuthFuture, Authenticator, PolicyBuilder},
};
use allocation_counter::measure;
use futures_util::FutureExt;
use tokio::time::timeout;

use self::{
    bare::{Bare, HEADERS, HTTP_1, HTTP_2},
    requests::{Case, cases, request_lines},
};

/// What a refusal may allocate, its answer and what actix needs to find the route included.
const BOUND: u64 = 8 << 10;

/// Knows nobody.
struct Nobody;

impl Authenticator for Nobody {
    fn authenticate<'a>(&'a self, _: Attempt<'a>) -> AuthFuture<'a> {
        Box::pin(async { Err::<Identity, _>(AuthError::Invalid) })
    }
}

/// Everything that reads a request is switched on.
fn policy() -> PolicyBuilder {
    let config: PolicyConfig = toml::from_str(
        r#"
        hosts = ["api.example.com"]
        candidate.allow = ["https://app.example.com"]
        # The times of the last connects are kept, as many as there may be in a second.
        limits = { trusted_proxies = ["10.0.0.0/8"], connects_per_second = "unlimited" }

        [origins]
        allow = ["https://app.example.com", "https://*.tenant.example.net"]
        credentials = true
        "#,
    )
    .unwrap();
    let mut auth = AuthConfig::default();
    auth.required = true;
    auth.cookie = Some("__Host-sid".into());
    auth.cache = Some(Default::default());
    auth.ticket = Some(TicketConfig::new("reference-ticket-secret-of-32-bytes!!"));
    Policy::builder().config(config).auth(auth)
}

async fn guarded(
    policy: PolicyBuilder,
) -> impl Service<Request, Response = ServiceResponse<impl MessageBody>, Error = Error> {
    let policy = policy.build().unwrap();
    let events = web::scope("")
        .wrap(policy)
        .route("/events", web::to(HttpResponse::Ok));
    init_service(App::new().service(events)).await
}

#[actix_rt::test]
async fn a_refusal_allocates_little_whatever_is_sent() {
    let app = guarded(policy().authenticator(Nobody)).await;
    // The first request of a thread fills actix's pools.
    drop(app.call(TestRequest::default().to_request()).now_or_never());
    // The rest of the head stays below what actix lets in.
    let sizes = [HTTP_1 - 1024, HTTP_2 - 4096].into_iter();
    for case in sizes.flat_map(cases).chain(request_lines()) {
        let request = case.request();
        let mut answer = None;
        let counted = measure(|| answer = app.call(request).now_or_never());
        let response = answer.expect("an answer at once").unwrap();
        let body = to_bytes(response.into_body()).await;
        let body = body.unwrap_or_else(|_| panic!("{}", case.what));
        let mut reasons = RefusalReason::ALL.iter();
        let reason = reasons.find(|reason| reason.as_str() == case.code);
        let hint = reason.unwrap().hint();
        let refusal = format!(r#"{{"error":"{}","hint":"{hint}"}}"#, case.code);
        assert_eq!(body, refusal, "{}", case.what);
        assert!(
            counted.bytes_total <= BOUND,
            "{}: {} bytes in {} pieces",
            case.what,
            counted.bytes_total,
            counted.count_total
        );
    }
}

#[actix_rt::test]
async fn nothing_of_a_refused_request_is_kept() {
    let app = guarded(policy().authenticator(Nobody)).await;
    let exchange =
        |case: &Case| measure(|| drop(app.call(case.request()).now_or_never())).bytes_current;
    for case in cases(HTTP_1 - 1024).into_iter().chain(request_lines()) {
        // actix keeps the heads of requests until it needs their places for the next ones.
        exchange(&case);
        exchange(&case);
        let kept: i64 = (0..3).map(|_| exchange(&case)).sum();
        assert_eq!(kept, 0, "{}", case.what);
    }
}

/// The longest token that is looked at, unsigned: it is decoded before its signature is compared.
#[cfg(feature = "jwt")]
#[actix_rt::test]
async fn a_forged_token_allocates_as_much_as_it_is_long_and_no_more() {
    use actix_web_sse::config::Secret;

    let mut auth = AuthConfig::default();
    auth.required = true;
    auth.jwt_hs256_secret = Some(Secret::from("reference-secret-of-at-least-32-bytes!"));
    let app = guarded(policy().auth(auth)).await;
    for (before, after) in [
        ("", ""),
        ("eyJhbGciOiJIUzI1NiJ9.", ".AAAA"),
        ("eyJhbGciOiJIUzI1NiJ9.", ""),
    ] {
        let room = 8192 - before.len() - after.len();
        let token = format!("Bearer {before}{}{after}", "W1tb".repeat(room / 4));
        let case = Case::new("token", "invalid_token", vec![("authorization", token)]);
        let request = case.request();
        let mut answer = None;
        let counted = measure(|| answer = app.call(request).now_or_never());
        assert_eq!(answer.unwrap().unwrap().status(), 401);
        let bytes = counted.bytes_total;
        assert!(bytes <= BOUND + 2 * 8192, "{bytes}");
    }
}

/// The premise of the others: how much a client can send at all.
#[actix_rt::test]
async fn what_actix_lets_in() {
    let bare = Bare::start();
    let limit = Duration::from_secs(30);
    for (headers, bytes, status) in [
        (HEADERS, 0, 200),
        (HEADERS + 1, 0, 431),
        (2, HTTP_1 - 1, 200),
        (HEADERS, HTTP_1 - 1, 200),
        (2, HTTP_1 + 1024, 431),
    ] {
        let answer = timeout(limit, bare.http_1(headers, bytes)).await.unwrap();
        assert_eq!(answer, status, "{headers} headers, {bytes} bytes");
    }
    for (bytes, lets_in) in [(HTTP_2 - 4096, true), (HTTP_2 + 4096, false)] {
        let answer = timeout(limit, bare.http_2(bytes)).await.unwrap();
        assert_eq!(answer, lets_in, "{bytes} bytes");
    }
}
