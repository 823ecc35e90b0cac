//! The reports of browsers: what is believed, and what becomes of the rest.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use actix_web::{
    App,
    http::{Method, StatusCode, header},
    test::{self, TestRequest},
};
use actix_web_sse::{
    Policy,
    observe::{Observer, Visitor},
};
use actix_web_sse_metrics::{Diagnosis, Metrics};

const APP: &str = "https://app.example.com";

/// Metrics, and a policy that allows one origin and trusts a proxy on this machine.
fn setup() -> (Metrics, Policy) {
    let metrics = Metrics::new().unwrap();
    let policy = Policy::builder()
        .allow_origin(APP)
        .host("localhost")
        .trusted_proxy("127.0.0.1")
        .observer(metrics.observer())
        .build();
    (metrics, policy.unwrap())
}

/// The sum of the samples whose lines hold all of these.
fn sum(metrics: &Metrics, parts: &[&str]) -> u64 {
    let text = metrics.text();
    text.lines()
        .filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(_, value)| value.parse::<u64>().unwrap())
        .sum()
}

fn counted(metrics: &Metrics, diagnosis: Diagnosis) -> u64 {
    let diagnosis = format!("diagnosis=\"{}\"", diagnosis.as_str());
    let origin = format!("origin=\"{APP}\"");
    sum(metrics, &["sse_client_reports_total{", &diagnosis, &origin])
}

fn all_reports(metrics: &Metrics) -> u64 {
    sum(metrics, &["sse_client_reports_total{"])
}

/// A report of a client behind the proxy.
fn from_client(client: &str, body: &[u8]) -> TestRequest {
    TestRequest::post()
        .uri("/sse-reports?x=1")
        .peer_addr("127.0.0.1:4711".parse().unwrap())
        .insert_header((header::HOST, "localhost"))
        .insert_header((header::CONTENT_TYPE, "text/plain;charset=UTF-8"))
        .insert_header(("x-forwarded-for", client.to_owned()))
        .set_payload(body.to_vec())
}

fn from_page(client: &str, body: &[u8]) -> TestRequest {
    from_client(client, body).insert_header((header::ORIGIN, APP))
}

/// Sends a report and looks at its answer, which is the same for all.
async fn send((metrics, policy): &(Metrics, Policy), request: TestRequest) {
    let reports = metrics.reports("/sse-reports", policy);
    let app = test::init_service(App::new().service(reports)).await;
    let response = test::call_service(&app, request.to_request()).await;
    for name in response.headers().keys() {
        assert!(!name.as_str().starts_with("access-control"), "{name}");
    }
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(test::read_body(response).await.is_empty());
}

/// The client sends a request to a stream's route, and the guards see it.
fn asks((metrics, _): &(Metrics, Policy), client: &str, method: Method) {
    let request = TestRequest::default().method(method).to_http_request();
    let mut visitor = Visitor::unknown(&request, "/events");
    visitor.address = client.parse().ok();
    metrics.observer().attempted(&visitor);
}

#[actix_web::test]
async fn each_diagnosis_is_counted_for_its_origin() {
    let setup = setup();
    let metrics = &setup.0;
    for diagnosis in [
        Diagnosis::CspBlocked,
        Diagnosis::HttpStatus,
        Diagnosis::ContentType,
        Diagnosis::Network,
    ] {
        send(
            &setup,
            from_page("203.0.113.1", diagnosis.as_str().as_bytes()),
        )
        .await;
        assert_eq!(counted(metrics, diagnosis), 1, "{diagnosis:?}");
    }
    assert_eq!(all_reports(metrics), 4);
}

#[actix_web::test]
async fn h11_a_report_without_an_allowed_origin_is_not_counted() {
    let setup = setup();
    for request in [
        from_client("203.0.113.1", b"network"),
        from_client("203.0.113.1", b"network").insert_header((header::ORIGIN, "null")),
        from_client("203.0.113.1", b"network")
            .insert_header((header::ORIGIN, "https://evil.example")),
        from_page("203.0.113.1", b"network").append_header((header::ORIGIN, APP)),
        from_page("203.0.113.1", b"network").insert_header((header::HOST, "evil.example")),
    ] {
        send(&setup, request).await;
        assert_eq!(all_reports(&setup.0), 0);
    }
    let own = from_client("203.0.113.1", b"network");
    send(
        &setup,
        own.insert_header((header::ORIGIN, "http://localhost")),
    )
    .await;
    assert_eq!(
        sum(
            &setup.0,
            &["sse_client_reports_total{", "origin=\"same_origin\""]
        ),
        1
    );
}

#[actix_web::test]
async fn h11_a_proxys_error_page_is_never_reported_as_blocked_by_cors() {
    let setup = setup();
    let metrics = &setup.0;
    // A proxy answered in our place: we have not seen this client.
    send(&setup, from_page("203.0.113.1", b"unreadable")).await;
    asks(&setup, "203.0.113.2", Method::HEAD);
    send(&setup, from_page("203.0.113.1", b"unreadable")).await;
    // A moment ago its stream worked; the script's request went to the proxy.
    asks(&setup, "203.0.113.1", Method::GET);
    send(&setup, from_page("203.0.113.1", b"unreadable")).await;
    assert_eq!(counted(metrics, Diagnosis::CorsBlocked), 0);
    assert_eq!(counted(metrics, Diagnosis::Unknown), 3);
    send(&setup, from_page("203.0.113.2", b"unreadable")).await;
    assert_eq!(counted(metrics, Diagnosis::CorsBlocked), 1);
    assert_eq!(sum(metrics, &["sse_client_blocked_reports_total{", APP]), 1);
}

#[actix_web::test]
async fn what_is_not_understood_is_dropped_and_answered_alike() {
    let setup = setup();
    let reports: [&[u8]; 8] = [
        b"",
        b"dropped",
        b"unknown",
        b"cors_blocked",
        b"NETWORK",
        b"network\n",
        b"<script>alert(1)</script>",
        &[b'a'; 100_000],
    ];
    for body in reports {
        send(&setup, from_page("203.0.113.1", body)).await;
    }
    assert_eq!(counted(&setup.0, Diagnosis::Dropped), reports.len() as u64);
    assert_eq!(all_reports(&setup.0), reports.len() as u64);
}

#[actix_web::test]
async fn h11_a_flood_from_one_client_behind_a_trusted_proxy_uses_its_own_share() {
    let (metrics, policy) = setup();
    let reports = metrics.reports("/sse-reports", &policy);
    let app = test::init_service(App::new().service(reports)).await;
    for _ in 0..10_000 {
        let request = from_page("203.0.113.1", b"network").to_request();
        test::call_service(&app, request).await;
    }
    let believed = counted(&metrics, Diagnosis::Network);
    // Ten at once, and one more every five seconds.
    assert!((10..=40).contains(&believed), "{believed}");
    assert_eq!(believed + counted(&metrics, Diagnosis::Dropped), 10_000);
    // Others behind the same proxy have theirs.
    for n in 1..=50 {
        let request = from_page(&format!("198.51.100.{n}"), b"network").to_request();
        test::call_service(&app, request).await;
    }
    let others = counted(&metrics, Diagnosis::Network) - believed;
    assert!(others >= 48, "{others} of 50 others are heard");
}

#[actix_web::test]
async fn h11_one_client_is_one_share_and_many_are_several() {
    let setup = setup();
    let shares = |metrics: &Metrics| {
        let text = metrics.text();
        text.lines()
            .filter(|line| line.starts_with("sse_client_blocked_reports_total{"))
            .filter(|line| !line.ends_with(" 0"))
            .count()
    };
    for _ in 0..5 {
        asks(&setup, "203.0.113.1", Method::HEAD);
        send(&setup, from_page("203.0.113.1", b"unreadable")).await;
    }
    assert_eq!(shares(&setup.0), 1);
    for n in 2..20 {
        let client = format!("203.0.113.{n}");
        asks(&setup, &client, Method::HEAD);
        send(&setup, from_page(&client, b"unreadable")).await;
    }
    assert!(shares(&setup.0) >= 3, "{}", shares(&setup.0));
}

#[actix_web::test]
async fn the_script_and_its_types_are_served_to_every_page() {
    let (metrics, policy) = setup();
    let reports = metrics.reports("/sse-reports/", &policy);
    let app = test::init_service(App::new().service(reports)).await;
    for (file, kind, holds) in [
        (
            "client.js",
            "text/javascript; charset=utf-8",
            "export function watch(",
        ),
        (
            "client.d.ts",
            "text/plain; charset=utf-8",
            "export function watch<",
        ),
    ] {
        let request = TestRequest::with_uri(&format!("/sse-reports/{file}")).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(headers.get(header::CONTENT_TYPE).unwrap(), kind);
        assert_eq!(
            headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(),
            "*"
        );
        let body = test::read_body(response).await;
        assert!(String::from_utf8_lossy(&body).contains(holds));
        assert!(body.len() < 1300, "{file} has {} bytes", body.len());
    }
    let request = TestRequest::with_uri("/sse-reports")
        .method(Method::GET)
        .to_request();
    let status = test::call_service(&app, request).await.status();
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}
