use std::sync::{Arc, atomic::Ordering};

use actix_web_sse::{
    config::{CandidateConfig, Enforcement, PolicyConfig},
    observe::RefusalMode,
};

use super::reply::over_both;
use super::support::{APP, Server, reference, reference_server, refusal, streams, wait_until};

async fn refused(origins: &[&str]) {
    let server = reference_server();
    for origin in origins {
        let mut reply = server.get(&format!("Origin: {origin}\r\n")).await;
        reply.assert_err(403);
        reply.assert_unreadable();
        let body = reply.body().await;
        assert!(
            body == refusal("origin_denied") || body == refusal("origin_malformed"),
            "{origin}: {body:?}"
        );
    }
    let heard = server.recording.refusals();
    assert_eq!(heard.len(), origins.len());
    for heard in heard {
        assert_eq!((heard.status, heard.cors), (403, "denied"));
        assert!(matches!(&*heard.origin, "other" | "null"));
        assert_eq!(heard.route, "/events");
    }
    assert_eq!(server.recording.opened.load(Ordering::SeqCst), 0);
}

async fn o01_an_allowed_origin_reads_the_stream() {
    let server = reference_server();
    let mut reply = server.get(&format!("Origin: {APP}\r\n")).await;
    reply.assert_ok();
    reply.assert_readable_by(APP);
    reply.first_byte().await;
    assert!(server.recording.refusals().is_empty());

    drop(reply);
    wait_until("the stream ends with its client", || {
        server.recording.active.load(Ordering::SeqCst) == 0
    })
    .await;
}

async fn o02_another_domain_that_ends_alike_is_foreign() {
    refused(&[
        "https://evilapp.example.com",
        "https://evil-app.example.com",
    ])
    .await;
}

async fn o03_a_domain_that_begins_alike_is_foreign() {
    refused(&["https://app.example.com.evil.com"]).await;
}

async fn o04_a_dot_is_a_dot() {
    refused(&["https://appXexample.com"]).await;
}

async fn o05_another_scheme_is_another_origin() {
    refused(&["http://app.example.com"]).await;
}

async fn o06_an_explicit_port_443_is_another_origin() {
    refused(&[
        "https://app.example.com:8443",
        "https://app.example.com:443",
    ])
    .await;
}

async fn o07_origins_are_compared_byte_by_byte() {
    refused(&["HTTPS://APP.EXAMPLE.COM", "https://app.example.com/"]).await;
}

async fn o08_what_a_url_parser_would_read_otherwise_is_foreign() {
    refused(&[
        "https://app.example.com@evil.com",
        "https://evil.com#.tenant.example.net",
        "https://evil.com/.tenant.example.net",
        "https://evil.com?.tenant.example.net",
    ])
    .await;
}

async fn o09_null_is_nobody() {
    refused(&["null"]).await;
}

async fn o11_sub_domains_of_a_pattern_read_the_stream() {
    let server = reference_server();
    for origin in [
        "https://a.tenant.example.net",
        "https://a.b.tenant.example.net",
        "https://a_b.tenant.example.net",
    ] {
        let reply = server.get(&format!("Origin: {origin}\r\n")).await;
        reply.assert_ok();
        reply.assert_readable_by(origin);
    }
}

async fn o12_what_is_no_sub_domain_of_the_pattern_is_foreign() {
    refused(&[
        "https://tenant.example.net",
        "https://xtenant.example.net",
        "https://a.tenant.example.net.evil.com",
        "https://a.tenant.example.net:444",
        "http://a.tenant.example.net",
    ])
    .await;
}

async fn o13_special_bytes_are_foreign() {
    refused(&[
        "https://app.example.com`.evil.com",
        "https://app.example.com_.evil.com",
        "https://app.example.com{.evil.com",
        "https://app.example.com!.evil.com",
        "https://app.example.com%60.evil.com",
        "https://x`.tenant.example.net",
        "https://a b.tenant.example.net",
    ])
    .await;
}

async fn o15_what_is_not_one_origin_is_malformed() {
    let server = reference_server();
    for lines in [
        "Origin: https://app.example.com, https://evil.com\r\n",
        "Origin: https://app.example.com https://evil.com\r\n",
        "Origin:\r\n",
        "Origin: https://app.example.com\r\nOrigin: https://app.example.com\r\n",
    ] {
        let mut reply = server.get(lines).await;
        reply.assert_err(403);
        reply.assert_unreadable();
        assert_eq!(reply.body().await, refusal("origin_malformed"), "{lines}");
    }
}

async fn o16_a_huge_origin_is_refused() {
    refused(&[&format!("https://{}.com", "a".repeat(60_000))]).await;
}

async fn o17_bytes_that_are_no_ascii_are_refused_without_a_panic() {
    let server = reference_server();
    for origin in ["https://\u{430}pp.example.com".as_bytes(), b"\xff\xff"] {
        let mut request =
            b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nOrigin: "
                .to_vec();
        request.extend_from_slice(origin);
        request.extend_from_slice(b"\r\n\r\n");
        let reply = server.raw(request).await;
        reply.assert_err(403);
        reply.assert_unreadable();
    }
}

async fn o18_loopback_has_three_names() {
    refused(&["http://[::1]:5173", "http://127.0.0.1:5173"]).await;
    let server = reference_server();
    server
        .get("Origin: http://localhost:5173\r\n")
        .await
        .assert_readable_by("http://localhost:5173");
}

async fn o19_a_same_origin_event_source_sends_no_origin() {
    let server = reference_server();
    let reply = server
        .get("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n")
        .await;
    reply.assert_ok();
    reply.assert_unreadable();
}

async fn o20_a_server_client_sends_no_origin() {
    let reply = reference_server().get("").await;
    reply.assert_ok();
    reply.assert_unreadable();
}

async fn o21_a_post_stream_from_the_own_page_is_no_foreigner() {
    let recording = Arc::default();
    let mut config: PolicyConfig = toml::from_str(r#"methods = "get-and-post""#).unwrap();
    config.hosts = vec!["api.example.com".into()];
    let policy = actix_web_sse::Policy::builder()
        .config(config)
        .build()
        .unwrap();
    let server = Server::start(&recording, streams(policy));
    let own =
        "Accept: text/event-stream\r\nOrigin: https://api.example.com\r\nContent-Length: 0\r\n";
    let reply = server
        .request(
            "POST",
            "/events",
            &format!("{own}Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"),
        )
        .await;
    reply.assert_ok();
    reply.assert_unreadable();

    let reply = server
        .request(
            "POST",
            "/events",
            &format!("{own}Sec-Fetch-Site: same-site\r\n"),
        )
        .await;
    reply.assert_err(403);
}

#[actix_rt::test]
async fn o22_only_the_names_that_we_serve() {
    let server = reference_server();
    let get = |host: &str| {
        format!(
            "GET /events HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\nOrigin: {APP}\r\n\r\n"
        )
    };
    for host in [
        "evil.com",
        "api.example.com.evil.com",
        "api.example.com:80@evil",
    ] {
        let mut reply = server.raw(get(host)).await;
        reply.assert_err(421);
        reply.assert_readable_by(APP);
        assert_eq!(reply.body().await, refusal("host_denied"), "{host}");
    }
    for host in ["api.example.com:443", "api.example.com", "127.0.0.1:8080"] {
        server.raw(get(host)).await.assert_ok();
    }
    let two = get("api.example.com\r\nHost: api.example.com");
    assert!(matches!(server.raw(two).await.status, 400 | 421));
    let absolute = get("api.example.com").replace("/events", "http://evil.com/events");
    server.raw(absolute).await.assert_err(421);
}

async fn o23_other_schemes_are_foreign_unless_configured() {
    refused(&["chrome-extension://abcd", "file://", "app://-"]).await;
    let recording = Arc::default();
    let policy = reference(&recording)
        .allow_origin("chrome-extension://abcd")
        .build()
        .unwrap();
    let server = Server::start(&recording, streams(policy));
    let reply = server.get("Origin: chrome-extension://abcd\r\n").await;
    reply.assert_ok();
    reply.assert_readable_by("chrome-extension://abcd");
}

async fn a_candidate_policy_is_counted_beside_the_enforced_one() {
    let recording = Arc::default();
    let mut config = PolicyConfig::default();
    config.origins.allow = vec![APP.into(), "https://old.example.com".into()];
    let mut candidate = CandidateConfig::default();
    candidate.allow = vec![APP.into()];
    config.candidate = Some(candidate);
    let policy = reference(&recording).config(config).build().unwrap();
    let server = Server::start(&recording, streams(policy));

    server.get(&format!("Origin: {APP}\r\n")).await.assert_ok();
    server.get("").await.assert_ok();
    assert!(server.recording.refusals().is_empty());

    let reply = server.get("Origin: https://old.example.com\r\n").await;
    reply.assert_ok();
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://old.example.com")
    );
    let heard = server.recording.refusals();
    assert_eq!(heard.len(), 1);
    assert_eq!(
        (heard[0].reason, heard[0].mode, heard[0].status),
        ("origin_denied", RefusalMode::ReportOnly, 403)
    );
}

async fn report_only_opens_a_stream_that_the_page_cannot_read() {
    let recording = Arc::default();
    let mut config = PolicyConfig::default();
    config.origins.allow = vec![APP.into()];
    config.origins.mode = Enforcement::ReportOnly;
    let policy = reference(&recording).config(config).build().unwrap();
    let server = Server::start(&recording, streams(policy));
    let reply = server.get("Origin: https://evil.com\r\n").await;
    reply.assert_ok();
    reply.assert_unreadable();
    let heard = server.recording.refusals();
    assert_eq!(heard[0].mode, RefusalMode::ReportOnly);
}

over_both! {
    o01_an_allowed_origin_reads_the_stream,
    o02_another_domain_that_ends_alike_is_foreign,
    o03_a_domain_that_begins_alike_is_foreign,
    o04_a_dot_is_a_dot,
    o05_another_scheme_is_another_origin,
    o06_an_explicit_port_443_is_another_origin,
    o07_origins_are_compared_byte_by_byte,
    o08_what_a_url_parser_would_read_otherwise_is_foreign,
    o09_null_is_nobody,
    o11_sub_domains_of_a_pattern_read_the_stream,
    o12_what_is_no_sub_domain_of_the_pattern_is_foreign,
    o13_special_bytes_are_foreign,
    o15_what_is_not_one_origin_is_malformed,
    o16_a_huge_origin_is_refused,
    o17_bytes_that_are_no_ascii_are_refused_without_a_panic,
    o18_loopback_has_three_names,
    o19_a_same_origin_event_source_sends_no_origin,
    o20_a_server_client_sends_no_origin,
    o21_a_post_stream_from_the_own_page_is_no_foreigner,
    o23_other_schemes_are_foreign_unless_configured,
    a_candidate_policy_is_counted_beside_the_enforced_one,
    report_only_opens_a_stream_that_the_page_cannot_read,
}
