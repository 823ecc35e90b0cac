//! What the guards cost, without a socket: a measurement, to be run in release.
//! `cargo test --release --features jwt --test guards cost -- --ignored --nocapture`

use std::{sync::Arc, time::Instant};

use actix_web::{
    App, HttpResponse,
    test::{self, TestRequest},
    web,
};
use actix_web_sse::{
    Identity, Policy,
    config::TicketConfig,
    protect::{Attempt, AuthError, AuthFuture, Authenticator},
};

use super::support::{APP, reference};

const ROUNDS: u32 = 20_000;

struct Trusting;

impl Authenticator for Trusting {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let user = attempt.token.map(|token| token.text.to_owned());
        Box::pin(async move { user.map(Identity::user).ok_or(AuthError::Missing) })
    }
}

type Headers = Vec<(&'static str, String)>;

/// Microseconds of one request through an application with this policy, or with none.
async fn cost(policy: Option<&Policy>, method: &str, uri: &str, headers: &Headers) -> f64 {
    let route = web::resource("/events").route(web::get().to(HttpResponse::Ok));
    let guarded = App::new().configure(|config| {
        match policy {
            Some(policy) => config.service(
                web::resource("/events")
                    .wrap(policy.clone())
                    .route(web::get().to(HttpResponse::Ok)),
            ),
            None => config.service(route),
        };
    });
    let service = test::init_service(guarded).await;
    let request = || {
        let mut request = TestRequest::default()
            .method(method.parse().unwrap())
            .uri(uri)
            .peer_addr("127.0.0.1:1".parse().unwrap());
        for (name, value) in headers {
            request = request.append_header((*name, value.as_str()));
        }
        request.to_request()
    };
    let mut best = f64::MAX;
    for _ in 0..5 {
        let requests: Vec<_> = (0..ROUNDS / 5).map(|_| request()).collect();
        let since = Instant::now();
        for request in requests {
            let response = test::call_service(&service, request).await;
            drop(response);
        }
        best = best.min(since.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS / 5));
    }
    best
}

#[actix_rt::test]
#[ignore = "a measurement"]
async fn cost_of_admissions_and_refusals() {
    let policy = reference(&Arc::default())
        .require_auth(true)
        .authenticator(Trusting)
        .tickets(TicketConfig::new("reference-ticket-secret-of-32-bytes!!"))
        .streams_per_ip(1_000_000)
        .topic(|_| Some("demo".into()))
        .build()
        .unwrap();
    // As many as may be, so that the rate is not what is measured.
    let config = actix_web_sse::config::PolicyConfig::default();
    let mut open = config.clone();
    open.limits.connects_per_second = None;
    open.origins.allow = vec![APP.into(), "https://*.tenant.example.net".into()];
    open.origins.credentials = true;
    open.hosts = vec!["api.example.com".into()];
    let admitting = Policy::builder()
        .config(open)
        .require_auth(true)
        .authenticator(Trusting)
        .auth_cookie("sid")
        .tickets(TicketConfig::new("reference-ticket-secret-of-32-bytes!!"))
        .build()
        .unwrap();
    let head = |more: &[(&'static str, String)]| -> Headers {
        let mut headers = vec![
            ("host", "api.example.com".to_owned()),
            ("accept", "text/event-stream".to_owned()),
            ("origin", APP.to_owned()),
        ];
        headers.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        headers.extend_from_slice(more);
        headers
    };
    let bearer = head(&[("authorization", "Bearer alice".into())]);
    let none = cost(None, "GET", "/events", &bearer).await;
    let full = cost(Some(&admitting), "GET", "/events", &bearer).await;
    println!("admitted: {full:.2} µs, {none:.2} µs without a policy");
    let big = |name: &'static str, text: &str, times: usize| head(&[(name, text.repeat(times))]);
    let many: Headers = (0..90)
        .map(|_| ("x-forwarded-for", "1.2.3.4, ".repeat(60)))
        .collect();
    for (what, method, uri, headers) in [
        ("405", "PUT", "/events", head(&[])),
        (
            "421",
            "GET",
            "/events",
            head(&[("host", "evil.com".into())]),
        ),
        (
            "403 foreign",
            "GET",
            "/events",
            head(&[("origin", "https://evil.com".into())]),
        ),
        (
            "403 huge origin",
            "GET",
            "/events",
            big("origin", "https://a", 6000),
        ),
        (
            "403 sub-domain",
            "GET",
            "/events",
            head(&[("origin", format!("https://{}.evil.com", "a.".repeat(100)))]),
        ),
        (
            "406 huge accept",
            "GET",
            "/events",
            big("accept", "a/b,", 15_000),
        ),
        (
            "406 quoted accept",
            "GET",
            "/events",
            big("accept", "a/b;x=\"\\\",\",", 6000),
        ),
        ("401 nothing", "GET", "/events", head(&[])),
        (
            "401 huge bearer",
            "GET",
            "/events",
            head(&[("authorization", format!("Bearer {}", "x".repeat(60_000)))]),
        ),
        (
            "401 large cookie",
            "GET",
            "/events",
            big("cookie", "a=b; ", 3200),
        ),
        (
            "400 huge cookie",
            "GET",
            "/events",
            big("cookie", "a=b; ", 12_000),
        ),
        (
            "401 many headers",
            "GET",
            "/events",
            [head(&[]), many].concat(),
        ),
        (
            "400 two headers",
            "GET",
            "/events",
            [bearer.clone(), bearer.clone()].concat(),
        ),
        (
            "403 preflight",
            "OPTIONS",
            "/events",
            head(&[
                ("access-control-request-method", "GET".into()),
                ("access-control-request-headers", "x-evil,".repeat(8000)),
            ]),
        ),
    ] {
        let micros = cost(Some(&admitting), method, uri, &headers).await;
        println!("{what}: {micros:.2} µs");
    }
    let ticket = format!("/events?ticket={}", "A".repeat(2000));
    let micros = cost(Some(&admitting), "GET", &ticket, &head(&[])).await;
    println!("401 forged ticket: {micros:.2} µs");
    let query = format!("/events?{}", "%74icke=1&".repeat(6000));
    let micros = cost(Some(&admitting), "GET", &query, &head(&[])).await;
    println!("401 huge query: {micros:.2} µs");
    let limited = cost(Some(&policy), "GET", "/events", &bearer).await;
    println!("mostly 429 rate: {limited:.2} µs");
}
