use std::sync::Arc;

use actix_web_sse::config::{HstsConfig, PolicyConfig};

use super::reply::over_both;
use super::support::{APP, Recording, Server, reference, streams};

async fn hsts_is_sent_on_https_only() {
    let recording: Arc<Recording> = Arc::default();
    let mut config = PolicyConfig::default();
    config.limits.trusted_proxies = vec!["127.0.0.2".into()];
    let mut hsts = HstsConfig::default();
    hsts.include_subdomains = true;
    config.hsts = Some(hsts);
    let policy = reference(&recording).config(config).build().unwrap();
    let server = Server::start(&recording, streams(policy));
    let request = "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n";
    let https = format!("{request}X-Forwarded-Proto: https\r\n\r\n");

    let reply = server.raw_from("127.0.0.2", &https).await;
    assert_eq!(
        reply.header("strict-transport-security"),
        Some("max-age=31536000; includeSubDomains")
    );
    let reply = server.raw_from("127.0.0.3", &https).await;
    assert_eq!(
        reply.header("strict-transport-security"),
        None,
        "not a trusted proxy"
    );
    let plain = format!("{request}X-Forwarded-Proto: http\r\n\r\n");
    let reply = server.raw_from("127.0.0.2", &plain).await;
    assert_eq!(reply.header("strict-transport-security"), None);
    let reply = server.get("").await;
    assert_eq!(reply.header("strict-transport-security"), None);
}

async fn an_operators_header_goes_over_the_librarys() {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording)
        .header("Content-Security-Policy", "default-src 'none'")
        .header("X-Served-By", "eu-1")
        .build()
        .unwrap();
    let server = Server::start(&recording, streams(policy));
    let accept = format!("Accept: text/event-stream\r\nOrigin: {APP}\r\n");
    for method in ["GET", "HEAD"] {
        let reply = server.request(method, "/events", &accept).await;
        reply.assert_ok();
        assert_eq!(
            reply.header("content-security-policy"),
            Some("default-src 'none'")
        );
        assert_eq!(reply.header("x-served-by"), Some("eu-1"));
    }
    let refusal = server.request("GET", "/events", "").await;
    refusal.assert_err(406);
    assert_eq!(refusal.header("x-served-by"), None);
}

over_both! {
    hsts_is_sent_on_https_only,
    an_operators_header_goes_over_the_librarys,
}
