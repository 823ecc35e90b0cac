//! A server that is full is not misjudged.

use super::{
    only,
    support::{Reply, bytes},
};

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
