//! `/metrics` as Prometheus and people ask for it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use actix_web::{
    App,
    http::{Method, StatusCode, header},
    test,
};
use actix_web_sse_metrics::{CATALOGUE, Metrics, PROCESS_CATALOGUE};

#[actix_web::test]
async fn get_and_head_are_answered_and_nothing_else() {
    let metrics = Metrics::builder().route("/events").build().unwrap();
    let app = test::init_service(App::new().service(metrics.endpoint("/metrics"))).await;
    for (method, status) in [
        (Method::GET, StatusCode::OK),
        (Method::HEAD, StatusCode::OK),
        (Method::POST, StatusCode::METHOD_NOT_ALLOWED),
        (Method::OPTIONS, StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let request = test::TestRequest::with_uri("/metrics").method(method.clone());
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), status, "{method}");
        let headers = response.headers();
        assert_eq!(headers.get(header::CACHE_CONTROL).unwrap(), "no-store");
        assert_eq!(
            headers.get(header::X_CONTENT_TYPE_OPTIONS).unwrap(),
            "nosniff"
        );
        if status == StatusCode::OK {
            assert_eq!(
                headers.get(header::CONTENT_TYPE).unwrap(),
                "text/plain; version=0.0.4; charset=utf-8",
            );
        } else {
            assert_eq!(headers.get(header::ALLOW).unwrap(), "GET, HEAD");
        }
    }
}

#[actix_web::test]
async fn m13_an_origin_changes_nothing() {
    let metrics = Metrics::new().unwrap();
    let app = test::init_service(App::new().service(metrics.endpoint("/metrics"))).await;
    let request = test::TestRequest::with_uri("/metrics")
        .insert_header((header::ORIGIN, "https://evil.example"))
        .to_request();
    let response = test::call_service(&app, request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let cors = response
        .headers()
        .keys()
        .filter(|name| name.as_str().starts_with("access-control"));
    assert_eq!(cors.count(), 0);
}

#[actix_web::test]
async fn every_row_of_the_catalogue_is_exported_and_nothing_else() {
    let metrics = Metrics::builder()
        .route("/events")
        .origin("https://app.example.com")
        .build()
        .unwrap();
    metrics.set_limit(actix_web_sse_metrics::LimitScope::Total, 1000);
    let text = metrics.text();
    let mut exported: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(str::to_owned)
        .collect();
    let mut rows: Vec<_> = CATALOGUE
        .iter()
        .chain(if cfg!(target_os = "linux") {
            PROCESS_CATALOGUE
        } else {
            &[]
        })
        // Exported once a policy has reported itself.
        .filter(|row| row.name != "sse_cors_policy_info")
        // Exported once something was refused.
        .filter(|row| row.name != "sse_connections_rejected_cors_total")
        // Exported once a topic with settings had an event; `recorder.rs` tests it.
        .filter(|row| !row.name.starts_with("sse_topic_"))
        // Exported where there is a hub; `hubs.rs` tests them.
        .filter(|row| {
            !row.name.starts_with("sse_hub_")
                && row.name != "sse_worker_tick_age_seconds"
                && row.name != "sse_connection_lifetime_limit_seconds"
        })
        // Exported where a hub has a backplane; `backplane.rs` tests them.
        .filter(|row| !row.name.starts_with("sse_backplane_"))
        .map(|row| format!("{} {}", row.name, row.kind))
        .collect();
    exported.sort_unstable();
    rows.sort_unstable();
    assert_eq!(exported, rows);
}

#[actix_web::test]
async fn a_listener_of_its_own_serves_the_metrics() {
    let metrics = Metrics::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = metrics.serve(listener).unwrap();
    let handle = server.handle();
    let running = actix_web::rt::spawn(server);
    let text = actix_web::rt::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
    .await
    .unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("\nsse_build_info{version="), "{text}");
    handle.stop(false).await;
    running.await.unwrap().unwrap();
}

/// Asks for the metrics with these headers; returns content type, coding and body.
async fn ask(headers: &[(header::HeaderName, &str)]) -> (String, Option<String>, Vec<u8>) {
    let metrics = Metrics::builder().route("/events").build().unwrap();
    let app = test::init_service(App::new().service(metrics.endpoint("/metrics"))).await;
    let mut request = test::TestRequest::with_uri("/metrics");
    for (name, value) in headers {
        request = request.insert_header((name.clone(), *value));
    }
    let response = test::call_service(&app, request.to_request()).await;
    let text = |name| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let content_type = text(header::CONTENT_TYPE).unwrap();
    let coding = text(header::CONTENT_ENCODING);
    assert_eq!(text(header::VARY).unwrap(), "Accept, Accept-Encoding");
    (
        content_type,
        coding,
        test::read_body(response).await.to_vec(),
    )
}

#[actix_web::test]
async fn openmetrics_is_given_to_whom_it_asks() {
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let (content_type, _, body) = ask(&[(header::ACCEPT, accept)]).await;
    assert_eq!(
        content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = String::from_utf8(body).unwrap();
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("# TYPE sse_connections_opened counter\n"));
    assert!(
        text.contains("\nsse_connections_closed_total{reason=\"drain\",route=\"/events\"} 0\n")
    );
}

#[actix_web::test]
async fn gzip_is_given_to_whom_it_asks() {
    use std::io::Read;

    let (_, coding, plain) = ask(&[]).await;
    assert_eq!(coding, None);
    let (_, coding, body) = ask(&[(header::ACCEPT_ENCODING, "gzip")]).await;
    assert_eq!(coding.as_deref(), Some("gzip"));
    assert!(
        body.len() * 2 < plain.len(),
        "{} of {} bytes",
        body.len(),
        plain.len()
    );
    let mut text = String::new();
    flate2::read::GzDecoder::new(&body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("sse_build_info{version="));
}
