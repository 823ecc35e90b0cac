use std::{
    fmt::Write,
    sync::{Arc, atomic::Ordering},
};

use actix_web::{App, HttpServer, web};
use actix_web_sse::{
    config::{ForwardedHeader, LimitOverride, PolicyConfig},
    observe::RefusalMode,
    protect::{Overload, PolicyBuilder},
};

use super::reply::over_both;
use super::support::{
    APP, Recording, Reply, Server, limited_reference, reference, refusal, streams, wait_until,
};

/// As a `fetch` client asks.
const FETCH: &str = "Authorization: Bearer x\r\nOrigin: https://app.example.com\r\n";
/// As a browser's `EventSource` asks.
const EVENT_SOURCE: &str = "Cache-Control: no-cache\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\
     Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example.com\r\n";

fn serve(recording: &Arc<Recording>, builder: PolicyBuilder) -> Server {
    Server::start(recording, streams(builder.build().unwrap()))
}

fn limited() -> Server {
    let recording = Arc::default();
    serve(&recording, limited_reference(&recording))
}

/// Opens streams until one is refused; returns those that are open, and the refusal.
async fn fill(server: &Server, lines: &str) -> (Vec<Reply>, Reply) {
    let mut open = Vec::new();
    loop {
        let reply = server.get(lines).await;
        if reply.status != 200 {
            return (open, reply);
        }
        open.push(reply);
        assert!(open.len() < 200, "no limit");
    }
}

#[track_caller]
fn assert_retry_after(reply: &Reply) {
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
}

async fn l01_the_fifth_stream_from_one_address_is_refused() {
    let server = limited();
    let (open, mut refused) = fill(&server, FETCH).await;
    assert_eq!(open.len(), 4);
    refused.assert_err(429);
    refused.assert_readable_by(APP);
    assert_retry_after(&refused);
    assert_eq!(refused.body().await, refusal("ip_limit"));
}

#[actix_rt::test]
async fn l02_a_slot_is_free_when_its_stream_has_gone() {
    let server = limited();
    for reset in [true, false] {
        let (mut open, _) = fill(&server, FETCH).await;
        let mut gone = open.pop().unwrap();
        // What is left unread would turn the end into a reset.
        gone.first_byte().await;
        let socket = gone.into_socket();
        if reset {
            socket.set_zero_linger().unwrap();
        }
        // There is no heartbeat: what is not noticed by itself never is.
        drop(socket);
        wait_until("three are left", || {
            server.recording.active.load(Ordering::SeqCst) == 3
        })
        .await;
        assert_eq!(server.get(FETCH).await.status, 200);
        drop(open);
        wait_until("none is left", || {
            server.recording.active.load(Ordering::SeqCst) == 0
        })
        .await;
    }
}

async fn l03_a_native_event_source_is_asked_to_come_back() {
    let server = limited();
    let (open, _) = fill(&server, FETCH).await;
    let mut soft = server.get(EVENT_SOURCE).await;
    assert_eq!(soft.status, 200);
    assert_eq!(
        soft.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(soft.header("access-control-allow-origin"), Some(APP));
    let body = String::from_utf8(soft.body().await).unwrap();
    let millis = body
        .strip_prefix("retry: ")
        .unwrap()
        .strip_suffix("\n\n")
        .unwrap();
    assert!(
        (5000..=7500).contains(&millis.parse::<u64>().unwrap()),
        "{body}"
    );
    let heard = server.recording.refusals();
    let last = heard.last().unwrap();
    assert_eq!(
        (last.reason, last.mode, last.status),
        ("ip_limit", RefusalMode::Soft, 200)
    );

    drop(open);
    wait_until("all are gone", || {
        server.recording.active.load(Ordering::SeqCst) == 0
    })
    .await;
    let mut reply = server.get(EVENT_SOURCE).await;
    reply.assert_ok();
    reply.first_byte().await;
}

async fn l03_the_operator_may_answer_all_alike() {
    for (overload, status) in [(Overload::Hard, 429), (Overload::Soft, 200)] {
        let recording = Arc::default();
        let server = serve(&recording, limited_reference(&recording).overload(overload));
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(server.get(FETCH).await);
        }
        for lines in [FETCH, EVENT_SOURCE] {
            let mut reply = server.get(lines).await;
            assert_eq!(reply.status, status, "{overload:?}");
            reply.assert_readable_by(APP);
            let soft = reply.body().await.starts_with(b"retry: ");
            assert_eq!(soft, overload == Overload::Soft);
        }
        assert_eq!(server.recording.opened.load(Ordering::SeqCst), 4);
    }
}

async fn l05_a_peer_that_is_no_proxy_cannot_choose_its_address() {
    let server = limited();
    let (open, _) = fill(&server, FETCH).await;
    for n in 0..100 {
        let reply = server
            .get(&format!("X-Forwarded-For: 1.2.3.{n}\r\n{FETCH}"))
            .await;
        assert_eq!(reply.status, 429);
    }
    assert_eq!(open.len(), 4);
    assert!(
        server
            .recording
            .refusals()
            .iter()
            .all(|heard| heard.address.as_deref() == Some("127.0.0.1"))
    );
}

/// The address that the policy sees behind a trusted proxy at 127.0.0.2.
async fn address(forwarded: Option<ForwardedHeader>, lines: &str) -> Option<String> {
    let recording = Arc::default();
    let mut config = PolicyConfig::default();
    config.limits.trusted_proxies = vec!["127.0.0.2".into(), "10.0.0.0/8".into()];
    config.limits.forwarded = forwarded;
    let server = serve(&recording, reference(&recording).config(config));
    let request = format!(
        "GET /events HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.com\r\n{lines}\r\n"
    );
    server.raw_from("127.0.0.2", request).await.assert_err(403);
    server.recording.refusals()[0].address.clone()
}

async fn l06_l07_l10_the_client_behind_a_trusted_proxy() {
    for (lines, expected) in [
        ("X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\n", "198.51.100.7"),
        (
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 198.51.100.7, 10.0.0.9\r\n",
            "198.51.100.7",
        ),
        ("X-Forwarded-For: 198.51.100.7:4711\r\n", "198.51.100.7"),
        ("X-Forwarded-For: \"[2001:db8::1]\"\r\n", "2001:db8::1"),
        ("", "127.0.0.2"),
    ] {
        assert_eq!(
            address(None, lines).await.as_deref(),
            Some(expected),
            "{lines}"
        );
    }
}

async fn l09_only_the_header_of_the_proxies_is_read() {
    let lines = "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 198.51.100.7\r\n";
    assert_eq!(address(None, lines).await.as_deref(), Some("198.51.100.7"));
    assert_eq!(
        address(Some(ForwardedHeader::Forwarded), lines)
            .await
            .as_deref(),
        Some("6.6.6.6")
    );
}

/// Opens a stream over a Unix socket; returns it with its status.
#[cfg(unix)]
async fn open_unix(path: &std::path::Path) -> (tokio::net::UnixStream, u16) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut socket = tokio::net::UnixStream::connect(path).await.unwrap();
    let request = "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    socket.read_exact(&mut head).await.unwrap();
    let status = std::str::from_utf8(&head[9..]).unwrap().parse().unwrap();
    (socket, status)
}

#[cfg(unix)]
#[actix_rt::test]
async fn l14_peers_without_an_address_share_one_limit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let recording: Arc<Recording> = Arc::default();
    let policy = limited_reference(&recording).build().unwrap();
    let data = web::Data::from(Arc::clone(&recording));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .configure(streams(policy.clone()))
    })
    .workers(1)
    .shutdown_timeout(0)
    .disable_signals()
    .bind_uds(&path)
    .unwrap()
    .run();
    let handle = server.handle();
    actix_rt::spawn(server);
    let mut open = Vec::new();
    for _ in 0..4 {
        let (socket, status) = open_unix(&path).await;
        assert_eq!(status, 200);
        open.push(socket);
    }
    assert_eq!(open_unix(&path).await.1, 429);
    assert_eq!(recording.refusals()[0].address, None);
    drop(open);
    handle.stop(false).await;
}

async fn l16_the_process_has_a_limit() {
    let recording = Arc::default();
    let server = serve(&recording, reference(&recording).streams(3));
    let (open, mut refused) = fill(&server, FETCH).await;
    assert_eq!(open.len(), 3);
    refused.assert_err(503);
    refused.assert_readable_by(APP);
    assert_retry_after(&refused);
    assert_eq!(refused.body().await, refusal("capacity"));
    assert_eq!(
        server.get(EVENT_SOURCE).await.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
}

async fn l18_the_limit_of_an_address_depends_on_its_network() {
    let recording = Arc::default();
    let mut config = PolicyConfig::default();
    config.limits.per_ip = Some(1);
    config.limits.overrides = vec![LimitOverride::new("127.0.0.1", Some(3))];
    let server = serve(&recording, reference(&recording).config(config));
    let (open, _) = fill(&server, "").await;
    assert_eq!(open.len(), 3);

    let request = "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    let first = server.raw_from("127.0.0.3", request).await;
    first.assert_ok();
    server.raw_from("127.0.0.3", request).await.assert_err(429);
}

async fn p13_a_preflight_takes_no_slot() {
    let server = limited();
    let mut lines = String::new();
    write!(
        lines,
        "Origin: {APP}\r\nAccess-Control-Request-Method: GET\r\n"
    )
    .unwrap();
    for _ in 0..1000 {
        assert_eq!(
            server.request("OPTIONS", "/events", &lines).await.status,
            204
        );
    }
    assert_eq!(server.recording.opened.load(Ordering::SeqCst), 0);
    let (open, _) = fill(&server, FETCH).await;
    assert_eq!(open.len(), 4);
}

async fn a06_a_head_gives_its_slot_back() {
    let server = limited();
    for _ in 0..20 {
        let reply = server
            .request("HEAD", "/events", "Accept: text/event-stream\r\n")
            .await;
        reply.assert_ok();
    }
    let (open, _) = fill(&server, FETCH).await;
    assert_eq!(open.len(), 4);
}

over_both! {
    l01_the_fifth_stream_from_one_address_is_refused,
    l03_a_native_event_source_is_asked_to_come_back,
    l03_the_operator_may_answer_all_alike,
    l05_a_peer_that_is_no_proxy_cannot_choose_its_address,
    l06_l07_l10_the_client_behind_a_trusted_proxy,
    l09_only_the_header_of_the_proxies_is_read,
    l16_the_process_has_a_limit,
    l18_the_limit_of_an_address_depends_on_its_network,
    p13_a_preflight_takes_no_slot,
    a06_a_head_gives_its_slot_back,
}
