//! Every fault of a hop is named, and a hop without faults is found clean.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod support;

use std::time::Duration;

use sse_probe::{
    Profile, Target,
    compare::{DiffError, DiffReport, Kind, compare},
};
use support::{APP, Reply, Request, Server, Step, bytes, good};

async fn diff(hop: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> DiffReport {
    let app = Server::start(good).await;
    let edge = Server::start(hop).await;
    compare(&held(&app), &held(&edge)).await.unwrap()
}

fn held(server: &Server) -> Target {
    server.target().hold(Duration::from_millis(1500))
}

/// A hop that changes the stream itself.
async fn stream(change: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> DiffReport {
    diff(move |request| {
        let reply = good(request);
        if reply.is_stream() {
            change(reply)
        } else {
            reply
        }
    })
    .await
}

#[track_caller]
fn named(report: &DiffReport, kinds: &[Kind]) {
    assert_eq!(
        report.kinds(Profile::Strict),
        kinds,
        "{:#?}",
        report.differences
    );
    for difference in &report.differences {
        assert!(!difference.cause.is_empty() && !difference.finding.remedies.is_empty());
    }
}

#[tokio::test]
async fn a_hop_that_changes_nothing_is_clean() {
    named(&diff(good).await, &[]);
}

#[tokio::test]
async fn what_proxies_may_do_is_no_fault() {
    let report = stream(|r| {
        r.without("X-Accel-Buffering")
            .with("Via", "1.1 varnish")
            .with("Server", "nginx")
            .set("Vary", "Accept-Encoding, Origin")
    })
    .await;
    named(&report, &[]);
    assert_eq!(report.software.len(), 2);
}

#[tokio::test]
async fn a_stripped_header_is_named() {
    named(
        &stream(|r| r.without("Access-Control-Allow-Origin")).await,
        &[Kind::Stripped],
    );
    named(&stream(|r| r.without("Vary")).await, &[Kind::Stripped]);
}

#[tokio::test]
async fn a_doubled_header_is_named() {
    named(
        &stream(|r| r.with("Access-Control-Allow-Origin", APP)).await,
        &[Kind::Doubled],
    );
}

#[tokio::test]
async fn an_added_wildcard_is_named() {
    named(
        &stream(|r| r.with("Access-Control-Allow-Origin", "*")).await,
        &[Kind::Wildcard],
    );
    named(
        &stream(|r| r.set("Access-Control-Allow-Origin", "*")).await,
        &[Kind::Wildcard],
    );
}

#[tokio::test]
async fn an_origin_that_is_not_forwarded_is_named() {
    let report = diff(|request| {
        let mut without = request.clone();
        without
            .headers
            .retain(|(n, _)| !n.eq_ignore_ascii_case("origin"));
        good(&without)
    })
    .await;
    // The preflight fails for the same reason.
    named(&report, &[Kind::OriginNotForwarded, Kind::Preflight]);
}

#[tokio::test]
async fn a_redirect_and_another_status_are_named() {
    named(
        &diff(|_| Reply::new(301).with("Location", "https://x/")).await,
        &[Kind::Redirected],
    );
    named(&diff(|_| Reply::new(502)).await, &[Kind::Status]);
}

#[tokio::test]
async fn a_redirect_that_browsers_follow_is_named_and_the_rest_compared() {
    let report = diff(|request| {
        if request.target == "/events" && request.method == "GET" {
            Reply::new(308)
                .with("Location", "/v2/events")
                .with("Access-Control-Allow-Origin", APP)
                .with("Access-Control-Allow-Credentials", "true")
        } else {
            good(request).without("Vary")
        }
    })
    .await;
    named(&report, &[Kind::Redirected, Kind::Stripped]);
    assert_eq!(report.kinds(Profile::Browser), []);
}

#[tokio::test]
async fn a_preflight_that_fails_at_the_edge_is_named() {
    let report = diff(|r| {
        if r.method == "OPTIONS" {
            Reply::new(405)
        } else {
            good(r)
        }
    })
    .await;
    named(&report, &[Kind::Preflight]);
}

#[tokio::test]
async fn a_compressor_is_named() {
    let report = diff(|request| {
        let reply = good(request);
        let gzip = request
            .get("accept-encoding")
            .is_some_and(|e| e.contains("gzip"));
        if reply.is_stream() && gzip {
            reply.with("Content-Encoding", "gzip")
        } else {
            reply
        }
    })
    .await;
    named(&report, &[Kind::Compressed]);
}

#[tokio::test]
async fn a_buffer_is_named() {
    let lumps = b":\n:\n:\n:\n:\n".to_vec();
    let report = stream(move |r| {
        r.body(vec![
            bytes("retry: 3000\n\n:\n"),
            Step::Pause(1150),
            Step::Forever(lumps.clone(), 1150),
        ])
    })
    .await;
    named(&report, &[Kind::Buffered]);
    named(
        &stream(|r| r.body(vec![Step::Hold])).await,
        &[Kind::Buffered],
    );
    let late = stream(|r| {
        let mut body = vec![Step::Pause(1000)];
        body.extend(r.body.clone());
        r.body(body)
    });
    named(&late.await, &[Kind::Buffered]);
}

#[tokio::test]
async fn a_head_that_never_comes_is_a_buffer() {
    let app = Server::start(good).await;
    let edge = Server::start(|request| {
        let mut reply = good(request);
        reply.wait = 60_000;
        reply
    })
    .await;
    let mut limits = sse_probe::http::Limits::default();
    limits.head = Duration::from_millis(500);
    let public = held(&edge).connection(limits, sse_probe::http::Trust::System);
    named(
        &compare(&held(&app), &public).await.unwrap(),
        &[Kind::Buffered],
    );
}

#[tokio::test]
async fn an_idle_timeout_below_the_heartbeat_is_named_with_its_length() {
    let slow = |request: &Request| {
        let reply = good(request);
        if reply.is_stream() {
            reply.body(vec![
                bytes("retry: 3000\n\n"),
                Step::Forever(b":\n".to_vec(), 900),
            ])
        } else {
            reply
        }
    };
    let app = Server::start(slow).await;
    let edge = Server::start(move |request| {
        let reply = slow(request);
        if reply.is_stream() {
            reply.body(vec![bytes(":\n"), Step::Pause(600), Step::Cut])
        } else {
            reply
        }
    })
    .await;
    let report = compare(
        &held(&app).hold(Duration::from_secs(3)),
        &held(&edge).hold(Duration::from_secs(3)),
    )
    .await
    .unwrap();
    named(&report, &[Kind::Cut]);
    assert!(
        report.differences[0].cause.contains("idle timeout"),
        "{:?}",
        report.differences
    );
}

#[tokio::test]
async fn a_cache_is_named() {
    named(&stream(|r| r.with("Age", "7")).await, &[Kind::Cached]);
    // A store without any mark: the same bytes at once, to their end.
    named(
        &stream(|r| r.body(vec![bytes("retry: 3123\n\nid: 1\ndata: a\n\n")])).await,
        &[Kind::Cached],
    );
}

#[tokio::test]
async fn without_a_stream_at_the_application_there_is_nothing_to_compare() {
    let app = Server::start(|_| Reply::new(500)).await;
    let edge = Server::start(good).await;
    let error = compare(&held(&app), &held(&edge)).await.unwrap_err();
    assert!(matches!(error, DiffError::NotOpen(500)), "{error}");
}
