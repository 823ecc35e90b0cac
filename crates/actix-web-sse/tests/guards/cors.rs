use std::sync::Arc;

use actix_cors::Cors;
use actix_web::{HttpResponse, error::ErrorImATeapot, http::header::HeaderValue, middleware, web};
use actix_web_sse::Policy;

use super::reply::over_both;
use super::support::{
    APP, Ear, Recording, Server, events, reference, reference_server, refusal, streams,
};

fn origin() -> String {
    format!("Origin: {APP}\r\n")
}

/// `/events`, and handlers that end in every unfriendly way, behind the reference policy.
fn unfriendly_server() -> Server {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording).build().unwrap();
    Server::start(&recording, move |config| {
        config.service(
            web::scope("")
                .wrap(middleware::from_fn(|request: actix_web::dev::ServiceRequest, next: middleware::Next<_>| async move {
                    if request.path() == "/fails-outside" {
                        return Err(ErrorImATeapot("no"));
                    }
                    next.call(request).await
                }))
                .wrap(policy.clone())
                .route("/events", web::get().to(events))
                .route("/fails-outside", web::get().to(HttpResponse::Ok))
                .route("/fails", web::get().to(|| async { Err::<HttpResponse, _>(ErrorImATeapot("no")) }))
                .route("/panics", web::get().to(panics))
                .route("/panics-later", web::get().to(panics_later))
                .route("/varies", web::get().to(varies)),
        );
    })
}

async fn panics() -> HttpResponse {
    panic!("provoked")
}

async fn panics_later() -> HttpResponse {
    tokio::task::yield_now().await;
    panic!("provoked")
}

async fn varies() -> HttpResponse {
    let mut response = HttpResponse::Ok().finish();
    let headers = response.headers_mut();
    headers.append(
        actix_web::http::header::VARY,
        HeaderValue::from_static("Accept-Encoding"),
    );
    headers.append(
        actix_web::http::header::VARY,
        HeaderValue::from_static("Cookie"),
    );
    headers.insert(
        actix_web::http::header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}

async fn a_handler_that_panics_is_reported_with_what_the_guards_know() {
    let server = unfriendly_server();
    let lines = format!("Accept: text/event-stream\r\n{}", origin());
    server
        .request("GET", "/panics-later", &lines)
        .await
        .assert_err(500);
    let heard = server.recording.refusals().pop().unwrap();
    assert_eq!((heard.reason, heard.status), ("internal", 500));
    assert_eq!((&*heard.route, &*heard.origin), ("/panics-later", APP));
    assert_eq!(heard.address.as_deref(), Some("127.0.0.1"));
    // The request is gone, and no other stands in for it.
    let lost = &server.recording.lost;
    assert_eq!(lost.load(std::sync::atomic::Ordering::SeqCst), 1);
}

async fn c01_an_allowed_page_can_read_every_refusal() {
    let server = unfriendly_server();
    let accept = format!("Accept: text/event-stream\r\n{}", origin());
    for (method, path, lines, status) in [
        ("GET", "/nowhere", &accept, 404),
        ("GET", "/events/", &accept, 404),
        ("POST", "/events", &accept, 405),
        ("GET", "/events", &origin(), 406),
        ("GET", "/fails", &accept, 418),
        ("GET", "/fails-outside", &accept, 418),
        ("GET", "/panics", &accept, 500),
        ("GET", "/panics-later", &accept, 500),
    ] {
        let reply = server.request(method, path, lines).await;
        assert_eq!(reply.status, status, "{method} {path}");
        reply.assert_readable_by(APP);
        if status != 418 {
            reply.assert_err(status);
        }
    }
    server.request("GET", "/events", &accept).await.assert_ok();
    let reasons: Vec<_> = server
        .recording
        .refusals()
        .iter()
        .map(|heard| heard.reason)
        .collect();
    assert_eq!(
        reasons,
        [
            "not_found",
            "not_found",
            "method_not_allowed",
            "not_acceptable",
            "internal",
            "internal"
        ]
    );
}

async fn c02_a_foreign_page_can_read_nothing() {
    let server = unfriendly_server();
    for (method, path) in [
        ("GET", "/events"),
        ("POST", "/events"),
        ("GET", "/nowhere"),
        ("GET", "/varies"),
    ] {
        let reply = server
            .request(
                method,
                path,
                "Accept: text/event-stream\r\nOrigin: https://evil.com\r\n",
            )
            .await;
        reply.assert_unreadable();
    }
}

async fn c03_the_handlers_vary_survives() {
    let server = unfriendly_server();
    let reply = server
        .request(
            "GET",
            "/varies",
            &format!("Accept: text/event-stream\r\n{}", origin()),
        )
        .await;
    let mut vary = reply.vary();
    vary.sort();
    assert_eq!(vary, ["accept-encoding", "cookie", "origin"]);
    reply.assert_readable_by(APP);
}

async fn c03_two_policies_around_each_other_say_it_once() {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording).build().unwrap();
    let server = Server::start(&recording, move |config| {
        config.service(
            web::scope("")
                .wrap(policy.clone())
                .wrap(policy.api())
                .route("/events", web::get().to(events)),
        );
    });
    let reply = server.get(&origin()).await;
    reply.assert_ok();
    reply.assert_readable_by(APP);
}

fn public() -> Server {
    let recording: Arc<Recording> = Arc::default();
    let policy = Policy::builder()
        .allow_origin("*")
        .observer(Ear(Arc::clone(&recording)))
        .build()
        .unwrap();
    Server::start(&recording, streams(policy))
}

async fn c06_a_public_stream_is_the_same_for_all() {
    let server = public();
    for lines in [
        "",
        "Origin: https://anybody.example\r\n",
        "Origin: null\r\n",
    ] {
        let reply = server.get(lines).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        assert_eq!(reply.header("vary"), None);
    }
}

async fn c09_a_navigation_never_becomes_a_stream_tab() {
    let server = reference_server();
    let mut reply = server
        .get("Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n")
        .await;
    reply.assert_err(403);
    assert_eq!(reply.body().await, refusal("fetch_metadata_denied"));
}

async fn c10_a_stream_route_never_redirects() {
    let server = reference_server();
    for path in ["/events/", "//events", "/events//", "/./events"] {
        let reply = server
            .request(
                "GET",
                path,
                &format!("Accept: text/event-stream\r\n{}", origin()),
            )
            .await;
        reply.assert_err(404);
        reply.assert_readable_by(APP);
    }
}

#[actix_rt::test]
async fn e21_nothing_of_the_request_comes_back_in_a_refusal() {
    let server = unfriendly_server();
    let evil = "<script>\u{202e}";
    for request in [
        format!("GET /events HTTP/1.1\r\nHost: {evil}\r\n\r\n"),
        format!("GET /events HTTP/1.1\r\nHost: localhost\r\nOrigin: {evil}\r\n\r\n"),
        format!("GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: {evil}\r\n\r\n"),
        "GET /%3Cscript%3E HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".into(),
        "GET /events?ticket=%3Cscript%3E HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
    ] {
        let mut reply = server.raw(&request).await;
        let status = reply.status;
        assert!((400..500).contains(&status), "{request}");
        reply.assert_err(status);
        let body = reply.body().await;
        let shown = format!("{:?}{}", reply.headers, String::from_utf8_lossy(&body));
        assert!(
            !shown.contains("script") && !shown.contains("%3C"),
            "{shown}"
        );
    }
}

async fn c11_conditional_and_range_requests_get_the_whole_stream() {
    let server = reference_server();
    for line in [
        "If-None-Match: *\r\n",
        "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
        "Range: bytes=0-\r\n",
    ] {
        let reply = server.get(line).await;
        reply.assert_ok();
        assert_eq!(reply.header("etag"), None);
    }
}

async fn actix_cors_around_the_policy_doubles_nothing() {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording).build().unwrap();
    let server = Server::start(&recording, move |config| {
        config.service(
            web::scope("")
                .wrap(policy.clone())
                .wrap(
                    Cors::default()
                        .allowed_origin(APP)
                        .allowed_methods(["GET"])
                        .supports_credentials(),
                )
                .route("/events", web::get().to(events)),
        );
    });
    let reply = server.get(&origin()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), Some(APP));
    assert_eq!(
        reply.header("access-control-allow-credentials"),
        Some("true")
    );

    let reply = server.get("Origin: https://evil.com\r\n").await;
    assert!(matches!(reply.status, 400 | 403), "{}", reply.status);
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

async fn actix_cors_inside_the_policy_has_not_the_last_word() {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording).build().unwrap();
    let server = Server::start(&recording, move |config| {
        config.service(
            web::scope("")
                .wrap(Cors::permissive())
                .wrap(policy.clone())
                .route("/events", web::get().to(events)),
        );
    });
    let reply = server.get(&origin()).await;
    reply.assert_ok();
    reply.assert_readable_by(APP);
    let reply = server.get("").await;
    reply.assert_ok();
    reply.assert_unreadable();
}

over_both! {
    a_handler_that_panics_is_reported_with_what_the_guards_know,
    c01_an_allowed_page_can_read_every_refusal,
    c02_a_foreign_page_can_read_nothing,
    c03_the_handlers_vary_survives,
    c03_two_policies_around_each_other_say_it_once,
    c06_a_public_stream_is_the_same_for_all,
    c09_a_navigation_never_becomes_a_stream_tab,
    c10_a_stream_route_never_redirects,
    c11_conditional_and_range_requests_get_the_whole_stream,
    actix_cors_around_the_policy_doubles_nothing,
    actix_cors_inside_the_policy_has_not_the_last_word,
}
