use std::{
    fmt::Write,
    sync::{Arc, atomic::Ordering},
};

use actix_web::{HttpResponse, web};

use super::reply::over_both;
use super::support::{APP, Recording, Reply, Server, reference, reference_server};

async fn preflight(server: &Server, origin: &str, method: &str, headers: &str) -> Reply {
    let mut lines = String::new();
    if !origin.is_empty() {
        write!(lines, "Origin: {origin}\r\n").unwrap();
    }
    if !method.is_empty() {
        write!(lines, "Access-Control-Request-Method: {method}\r\n").unwrap();
    }
    if !headers.is_empty() {
        write!(lines, "Access-Control-Request-Headers: {headers}\r\n").unwrap();
    }
    server.request("OPTIONS", "/events", &lines).await
}

fn assert_vary_of_a_preflight(reply: &Reply) {
    let mut vary = reply.vary();
    vary.sort();
    assert_eq!(
        vary,
        [
            "access-control-request-headers",
            "access-control-request-method",
            "origin"
        ]
    );
}

async fn p01_p02_an_allowed_preflight_needs_no_credentials() {
    let server = reference_server();
    let mut reply = preflight(&server, APP, "GET", "authorization,last-event-id").await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), Some(APP));
    assert_eq!(
        reply.header("access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(
        reply.header("access-control-allow-methods"),
        Some("GET, HEAD")
    );
    assert_eq!(
        reply.header("access-control-allow-headers"),
        Some("authorization, last-event-id, cache-control, x-request-id")
    );
    assert_eq!(reply.header("access-control-max-age"), Some("600"));
    assert_vary_of_a_preflight(&reply);
    assert_eq!(reply.body().await, b"");
}

async fn p04_an_unknown_header_is_refused_and_never_echoed() {
    let server = reference_server();
    let reply = preflight(&server, APP, "GET", "x-evil").await;
    reply.assert_err(403);
    reply.assert_readable_by(APP);
    assert_vary_of_a_preflight(&reply);
    assert_eq!(reply.header("access-control-allow-headers"), None);
    assert_eq!(server.recording.last_reason(), Some("preflight_denied"));
}

async fn p04_a_second_line_of_requested_headers_is_read() {
    let server = reference_server();
    let reply = server
        .request(
            "OPTIONS",
            "/events",
            &format!(
                "Origin: {APP}\r\nAccess-Control-Request-Method: GET\r\n\
                 Access-Control-Request-Headers: authorization\r\n\
                 Access-Control-Request-Headers: x-evil\r\n"
            ),
        )
        .await;
    reply.assert_err(403);
}

async fn p07_names_of_headers_have_no_case() {
    let server = reference_server();
    let reply = preflight(&server, APP, "GET", "Authorization,LAST-EVENT-ID").await;
    assert_eq!(reply.status, 204);
}

async fn p08_methods_are_taken_as_they_are() {
    let server = reference_server();
    for method in ["get", "DELETE", "G ET"] {
        let reply = preflight(&server, APP, method, "").await;
        reply.assert_err(403);
    }
}

async fn p09_options_without_a_requested_method_is_no_preflight() {
    let server = reference_server();
    let reply = preflight(&server, APP, "", "").await;
    reply.assert_err(405);
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(reply.header("access-control-allow-methods"), None);
    assert_eq!(reply.header("access-control-allow-headers"), None);
}

async fn p10_options_without_an_origin_is_no_preflight() {
    let server = reference_server();
    let reply = preflight(&server, "", "GET", "").await;
    reply.assert_err(405);
    reply.assert_unreadable();
}

async fn p11_a_foreign_preflight_is_refused() {
    let server = reference_server();
    let reply = preflight(&server, "https://evil.com", "GET", "authorization").await;
    reply.assert_err(403);
    reply.assert_unreadable();
    assert_vary_of_a_preflight(&reply);
}

async fn p12_private_network_access_is_not_answered() {
    let server = reference_server();
    for origin in [APP, "https://evil.com"] {
        let reply = server
            .request(
                "OPTIONS",
                "/events",
                &format!(
                    "Origin: {origin}\r\nAccess-Control-Request-Method: GET\r\n\
                     Access-Control-Request-Private-Network: true\r\n"
                ),
            )
            .await;
        assert_eq!(reply.header("access-control-allow-private-network"), None);
    }
}

async fn a_companion_of_the_streams_has_the_same_origins_and_its_own_methods() {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording).build().unwrap();
    let server = Server::start(&recording, move |config| {
        config.service(
            web::resource("/publish")
                .wrap(policy.api())
                .route(web::post().to(HttpResponse::Accepted)),
        );
    });
    let lines = format!(
        "Origin: {APP}\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: content-type, authorization\r\n"
    );
    let reply = server.request("OPTIONS", "/publish", &lines).await;
    assert_eq!(reply.status, 204);

    let reply = server
        .request(
            "POST",
            "/publish",
            &format!("Origin: {APP}\r\nContent-Length: 0\r\n"),
        )
        .await;
    assert_eq!(reply.status, 202);
    reply.assert_readable_by(APP);

    let reply = server
        .request(
            "POST",
            "/publish",
            "Origin: https://evil.com\r\nContent-Length: 0\r\n",
        )
        .await;
    reply.assert_err(403);

    let reply = server
        .request("GET", "/publish", &format!("Origin: {APP}\r\n"))
        .await;
    assert_eq!(reply.status, 405);
    reply.assert_readable_by(APP);
    assert_eq!(recording.attempts.load(Ordering::SeqCst), 4);
}

over_both! {
    p01_p02_an_allowed_preflight_needs_no_credentials,
    p04_an_unknown_header_is_refused_and_never_echoed,
    p04_a_second_line_of_requested_headers_is_read,
    p07_names_of_headers_have_no_case,
    p08_methods_are_taken_as_they_are,
    p09_options_without_a_requested_method_is_no_preflight,
    p10_options_without_an_origin_is_no_preflight,
    p11_a_foreign_preflight_is_refused,
    p12_private_network_access_is_not_answered,
    a_companion_of_the_streams_has_the_same_origins_and_its_own_methods,
}
