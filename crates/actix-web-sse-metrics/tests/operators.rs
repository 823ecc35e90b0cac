//! The operators' endpoint: what it tells, and to whom.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use actix_web::{
    App,
    http::{StatusCode, header},
    test::{self, TestRequest},
};
use actix_web_sse::observe::{
    Observer, Opened, RefusalMode, RefusalReason, Refused, Resume, Visitor,
};
use actix_web_sse_metrics::{Metrics, OperatorAccess, WeakToken};
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-24-bytes-long";

/// The status and the body that a request gets.
async fn ask(
    metrics: &Metrics,
    access: OperatorAccess,
    request: TestRequest,
) -> (StatusCode, String) {
    let app = test::init_service(App::new().service(metrics.operators("/operators", access))).await;
    let response = test::call_service(&app, request.uri("/operators").to_request()).await;
    let status = response.status();
    assert_eq!(
        response.headers().get(header::CACHE_CONTROL).unwrap(),
        "no-store"
    );
    (
        status,
        String::from_utf8(test::read_body(response).await.to_vec()).unwrap(),
    )
}

fn bearer(token: &str) -> TestRequest {
    TestRequest::get().insert_header((header::AUTHORIZATION, format!("Bearer {token}")))
}

fn from(address: &str) -> TestRequest {
    TestRequest::get().peer_addr(address.parse().unwrap())
}

#[actix_web::test]
async fn h10_only_the_holder_of_the_token_is_told() {
    let metrics = Metrics::new().unwrap();
    let access = OperatorAccess::bearer(TOKEN).unwrap();
    assert!(!format!("{access:?}").contains(TOKEN));
    for (request, expected) in [
        (bearer(TOKEN), StatusCode::OK),
        (bearer("a-token-of-24-bytes-lone"), StatusCode::FORBIDDEN),
        (bearer(""), StatusCode::FORBIDDEN),
        (bearer(&format!("{TOKEN}x")), StatusCode::FORBIDDEN),
        (
            bearer(TOKEN).append_header((header::AUTHORIZATION, format!("Bearer {TOKEN}"))),
            StatusCode::FORBIDDEN,
        ),
        (from("127.0.0.1:1"), StatusCode::FORBIDDEN),
    ] {
        let (status, body) = ask(&metrics, access.clone(), request).await;
        assert_eq!(status, expected);
        assert_eq!(body.is_empty(), expected != StatusCode::OK);
    }
}

/// From this machine, asking for this name.
fn local(host: &str) -> TestRequest {
    from("127.0.0.1:1").insert_header((header::HOST, host))
}

#[actix_web::test]
async fn h10_only_this_machine_is_told_and_no_proxy_on_it() {
    let metrics = Metrics::new().unwrap();
    let proxied = |name: &'static str| local("localhost").insert_header((name, "203.0.113.1"));
    let from_v6 = |from_: &str| from(from_).insert_header((header::HOST, "[::1]:9464"));
    for (index, (request, expected)) in [
        (local("localhost:9464"), StatusCode::OK),
        (local("LocalHost"), StatusCode::OK),
        (local("127.0.0.1:9464"), StatusCode::OK),
        (from_v6("[::1]:1"), StatusCode::OK),
        (from_v6("[::ffff:127.0.0.1]:1"), StatusCode::OK),
        (from_v6("203.0.113.1:1"), StatusCode::FORBIDDEN),
        (TestRequest::get(), StatusCode::FORBIDDEN),
        // DNS rebinding: the page's own name resolves to this machine.
        (local("evil.example"), StatusCode::FORBIDDEN),
        (local("localhost.evil.example"), StatusCode::FORBIDDEN),
        (local("127.0.0.1.evil.example"), StatusCode::FORBIDDEN),
        (local("localhost@evil.example"), StatusCode::FORBIDDEN),
        (local("evil@localhost"), StatusCode::FORBIDDEN),
        (local("203.0.113.1"), StatusCode::FORBIDDEN),
        (local(""), StatusCode::FORBIDDEN),
        (from("127.0.0.1:1"), StatusCode::FORBIDDEN),
        (
            local("localhost").append_header((header::HOST, "evil.example")),
            StatusCode::FORBIDDEN,
        ),
        (proxied("x-forwarded-for"), StatusCode::FORBIDDEN),
        (proxied("x-forwarded-host"), StatusCode::FORBIDDEN),
        (proxied("x-real-ip"), StatusCode::FORBIDDEN),
        (proxied("forwarded"), StatusCode::FORBIDDEN),
        (proxied("via"), StatusCode::FORBIDDEN),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, _) = ask(&metrics, OperatorAccess::loopback_without_token(), request).await;
        assert_eq!(status, expected, "request {index}");
    }
}

#[test]
fn a_token_that_could_be_guessed_is_refused() {
    assert_eq!(OperatorAccess::bearer("short").unwrap_err(), WeakToken);
}

#[actix_web::test]
async fn the_top_addresses_and_the_latest_origins_are_told_and_bounded() {
    let metrics = Metrics::builder().rejected_origins(2, 1).build().unwrap();
    let observer = metrics.observer();
    let mut streams = Vec::new();
    for host in 0..100_u8 {
        let request = from(&format!("203.0.113.{host}:1")).to_http_request();
        let visitor = Visitor::unknown(&request, "/events");
        for _ in 0..=u32::from(host == 7) {
            streams.push(observer.opened(&Opened::new(&visitor, 1.into(), Resume::Fresh)));
        }
    }
    for n in 0..100 {
        let request = from(&format!("203.0.113.{n}:1"))
            .insert_header((header::ORIGIN, format!("https://{n}.example")))
            .to_http_request();
        let visitor = Visitor::unknown(&request, "/events");
        observer.refused(&Refused::new(
            &visitor,
            RefusalReason::OriginDenied,
            RefusalMode::Hard,
            403,
        ));
    }
    let (_, body) = ask(
        &metrics,
        OperatorAccess::loopback_without_token(),
        local("localhost"),
    )
    .await;
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&report["clients"], &report["mostStreams"]),
        (&json!(100), &json!(2))
    );
    let top = report["topAddresses"].as_array().unwrap();
    assert_eq!(top.len(), 20);
    assert_eq!(top[0], json!({ "address": "203.0.113.7", "streams": 2 }));
    let origins = &report["rejectedOrigins"];
    assert_eq!(origins["counted"].as_array().unwrap().len(), 2);
    // The first rejection with a label of its own is counted there.
    assert_eq!(origins["other"], 98);
    let latest = origins["latest"].as_array().unwrap();
    assert_eq!(latest.len(), 50);
    assert_eq!(latest[0]["origin"], "https://99.example");
    drop(streams);
}
