//! The reports of browsers: what is believed, and what becomes of the rest.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use actix_web::{
    App,
    http::{Method, StatusCode, header},
    test::{self, TestRequest},
};
use actix_web_sse_metrics::{Diagnosis, Metrics};

fn counted(metrics: &Metrics, diagnosis: Diagnosis) -> u64 {
    let name = format!(
        "sse_client_reports_total{{diagnosis=\"{}\"}} ",
        diagnosis.as_str()
    );
    let text = metrics.text();
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap().parse().unwrap()
}

/// Sends a report; returns the answer's status, after a look at the rest of it.
async fn report(metrics: &Metrics, body: &[u8]) -> StatusCode {
    let app = test::init_service(App::new().service(metrics.reports("/sse-reports"))).await;
    let request = TestRequest::post()
        .uri("/sse-reports?x=1")
        .insert_header((header::CONTENT_TYPE, "text/plain;charset=UTF-8"))
        .insert_header((header::ORIGIN, "https://evil.example"))
        .set_payload(body.to_vec());
    let response = test::call_service(&app, request.to_request()).await;
    for name in response.headers().keys() {
        assert!(!name.as_str().starts_with("access-control"), "{name}");
    }
    let status = response.status();
    assert!(test::read_body(response).await.is_empty());
    status
}

#[actix_web::test]
async fn each_diagnosis_is_counted() {
    let metrics = Metrics::new().unwrap();
    let sent = Diagnosis::ALL
        .iter()
        .filter(|diagnosis| **diagnosis != Diagnosis::Dropped);
    for diagnosis in sent {
        let status = report(&metrics, diagnosis.as_str().as_bytes()).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(counted(&metrics, *diagnosis), 1, "{diagnosis:?}");
    }
    assert_eq!(counted(&metrics, Diagnosis::Dropped), 0);
}

#[actix_web::test]
async fn what_is_not_understood_is_dropped_and_answered_alike() {
    let metrics = Metrics::new().unwrap();
    let reports: [&[u8]; 7] = [
        b"",
        b"dropped",
        b"CORS_BLOCKED",
        b"cors_blocked\n",
        b"<script>alert(1)</script>",
        b"\xff\xfe",
        &[b'a'; 100_000],
    ];
    for body in reports {
        assert_eq!(report(&metrics, body).await, StatusCode::NO_CONTENT);
    }
    assert_eq!(counted(&metrics, Diagnosis::Dropped), reports.len() as u64);
    assert_eq!(counted(&metrics, Diagnosis::CorsBlocked), 0);
}

#[actix_web::test]
async fn a_flood_of_reports_is_counted_as_dropped() {
    let metrics = Metrics::new().unwrap();
    let app = test::init_service(App::new().service(metrics.reports("/sse-reports"))).await;
    for _ in 0..1000 {
        let request = TestRequest::post()
            .uri("/sse-reports")
            .set_payload("cors_blocked");
        test::call_service(&app, request.to_request()).await;
    }
    let (believed, dropped) = (
        counted(&metrics, Diagnosis::CorsBlocked),
        counted(&metrics, Diagnosis::Dropped),
    );
    assert_eq!(believed + dropped, 1000);
    assert!(dropped > 0, "{believed} were believed");
}

#[actix_web::test]
async fn the_script_and_its_types_are_served_to_every_page() {
    let metrics = Metrics::new().unwrap();
    let app = test::init_service(App::new().service(metrics.reports("/sse-reports/"))).await;
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
