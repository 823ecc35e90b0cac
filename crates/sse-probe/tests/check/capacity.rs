//! A server that is full is not misjudged.

use sse_probe::FindingKind;

use super::{
    checked, found, only,
    support::{APP, Reply, Server, bytes},
};

#[tokio::test]
async fn a_refusal_for_want_of_room_is_a_result_with_its_cors_headers() {
    for status in [429, 503] {
        let full = move || Reply::new(status).with("Retry-After", "1");
        let server = Server::start(move |_| full()).await;
        let report = checked(server.target()).await;
        assert_eq!(report.facts.status, status);
        assert!(!report.facts.browser_opens);
        found(&report, "status", FindingKind::Blocked, &status.to_string());
        found(&report, "error_cors", FindingKind::Advice, "cannot be read");
        let server = Server::start(move |_| {
            full()
                .with("Access-Control-Allow-Origin", APP)
                .with("Access-Control-Allow-Credentials", "true")
        })
        .await;
        checked(server.target()).await.assert_passed("error_cors");
    }
}

#[tokio::test]
async fn a_stream_that_only_asks_to_come_back_is_a_result() {
    let report = only("status", |_, _| {
        Reply::new(200)
            .with("Content-Type", "text/event-stream")
            .with("Access-Control-Allow-Origin", APP)
            .with("Access-Control-Allow-Credentials", "true")
            .body(vec![bytes("retry: 100\n\n")])
    })
    .await;
    found(
        &report,
        "status",
        FindingKind::Blocked,
        "the server is full",
    );
    assert!(!report.facts.browser_opens);
}

#[tokio::test]
async fn a_server_that_is_full_is_asked_again() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let report = only("accept", move |_, reply| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if n == 1 {
            Reply::new(429).with("Retry-After", "0")
        } else {
            reply
        }
    })
    .await;
    report.assert_passed("accept");
}

#[tokio::test]
async fn a_full_server_that_asks_event_sources_to_come_back_is_not_misjudged() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let report = only("auth", move |request, reply| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if n == 1 && request.get("authorization").is_none() {
            Reply::new(200)
                .with("Content-Type", "text/event-stream")
                .body(vec![bytes("retry: 100\n\n")])
        } else {
            reply
        }
    })
    .await;
    report.assert_passed("auth");
}
