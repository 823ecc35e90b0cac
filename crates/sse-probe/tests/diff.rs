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
use support::{APP, Reply, Request, Server, Step, bytes, good, steadily};

/// What is found of a hop in front of the good stream, which are these kinds of differences.
async fn diff(
    hop: impl Fn(&Request) -> Reply + Clone + Send + Sync + 'static,
    kinds: &[Kind],
) -> DiffReport {
    let measure = async || {
        let app = Server::start(good).await;
        let edge = Server::start(hop.clone()).await;
        compare(&held(&app), &held(&edge)).await.unwrap()
    };
    steadily(measure, |report| named(report, kinds)).await
}

fn held(server: &Server) -> Target {
    server.target().hold(Duration::from_millis(1500))
}

/// The same of a hop that changes the stream itself.
async fn stream(
    change: impl Fn(Reply) -> Reply + Clone + Send + Sync + 'static,
    kinds: &[Kind],
) -> DiffReport {
    let hop = move |request: &Request| {
        let reply = good(request);
        if reply.is_stream() {
            change(reply)
        } else {
            reply
        }
    };
    diff(hop, kinds).await
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
    diff(good, &[]).await;
}

#[tokio::test]
async fn what_proxies_may_do_is_no_fault() {
    let changed = |r: Reply| {
        r.without("X-Accel-Buffering")
            .with("Via", "1.1 varnish")
            .with("Server", "nginx")
            .set("Vary", "Accept-Encoding, Origin")
    };
    let report = stream(changed, &[]).await;
    assert_eq!(report.software.len(), 2);
}

#[tokio::test]
async fn a_stripped_header_is_named() {
    stream(
        |r| r.without("Access-Control-Allow-Origin"),
        &[Kind::Stripped],
    )
    .await;
    stream(|r| r.without("Vary"), &[Kind::Stripped]).await;
}

#[tokio::test]
async fn a_doubled_header_is_named() {
    stream(
        |r| r.with("Access-Control-Allow-Origin", APP),
        &[Kind::Doubled],
    )
    .await;
}

#[tokio::test]
async fn an_added_wildcard_is_named() {
    stream(
        |r| r.with("Access-Control-Allow-Origin", "*"),
        &[Kind::Wildcard],
    )
    .await;
    stream(
        |r| r.set("Access-Control-Allow-Origin", "*"),
        &[Kind::Wildcard],
    )
    .await;
}

#[tokio::test]
async fn an_origin_that_is_not_forwarded_is_named() {
    let hop = |request: &Request| {
        let mut without = request.clone();
        without
            .headers
            .retain(|(n, _)| !n.eq_ignore_ascii_case("origin"));
        good(&without)
    };
    // The preflight fails for the same reason.
    diff(hop, &[Kind::OriginNotForwarded, Kind::Preflight]).await;
}

#[tokio::test]
async fn a_redirect_and_another_status_are_named() {
    diff(
        |_| Reply::new(301).with("Location", "https://x/"),
        &[Kind::Redirected],
    )
    .await;
    diff(|_| Reply::new(502), &[Kind::Status]).await;
}

#[tokio::test]
async fn a_redirect_that_browsers_follow_is_named_and_the_rest_compared() {
    let hop = |request: &Request| {
        if request.target == "/events" && request.method == "GET" {
            Reply::new(308)
                .with("Location", "/v2/events")
                .with("Access-Control-Allow-Origin", APP)
                .with("Access-Control-Allow-Credentials", "true")
        } else {
            good(request).without("Vary")
        }
    };
    let report = diff(hop, &[Kind::Redirected, Kind::Stripped]).await;
    assert_eq!(report.kinds(Profile::Browser), []);
}

#[tokio::test]
async fn a_preflight_that_fails_at_the_edge_is_named() {
    let hop = |r: &Request| {
        if r.method == "OPTIONS" {
            Reply::new(405)
        } else {
            good(r)
        }
    };
    diff(hop, &[Kind::Preflight]).await;
}

#[tokio::test]
async fn a_compressor_is_named() {
    let hop = |request: &Request| {
        let reply = good(request);
        let gzip = request
            .get("accept-encoding")
            .is_some_and(|e| e.contains("gzip"));
        if reply.is_stream() && gzip {
            reply.with("Content-Encoding", "gzip")
        } else {
            reply
        }
    };
    diff(hop, &[Kind::Compressed]).await;
}

#[tokio::test]
async fn a_buffer_is_named() {
    let lumps = |r: Reply| {
        r.body(vec![
            bytes("retry: 3000\n\n:\n"),
            Step::Pause(1150),
            Step::Forever(b":\n:\n:\n:\n:\n".to_vec(), 1150),
        ])
    };
    stream(lumps, &[Kind::Buffered]).await;
    stream(|r| r.body(vec![Step::Hold]), &[Kind::Buffered]).await;
    let late = |r: Reply| {
        let mut body = vec![Step::Pause(1000)];
        body.extend(r.body.clone());
        r.body(body)
    };
    stream(late, &[Kind::Buffered]).await;
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
    let [app, edge] = [&app, &edge].map(|server| held(server).hold(Duration::from_secs(3)));
    let measure = async || compare(&app, &edge).await.unwrap();
    let judge = |report: &DiffReport| {
        named(report, &[Kind::Cut]);
        assert!(
            report.differences[0].cause.contains("idle timeout"),
            "{:?}",
            report.differences
        );
    };
    steadily(measure, judge).await;
}

#[tokio::test]
async fn a_cache_is_named() {
    stream(|r| r.with("Age", "7"), &[Kind::Cached]).await;
    // A store without any mark: the same bytes at once, to their end.
    stream(
        |r| r.body(vec![bytes("retry: 3123\n\nid: 1\ndata: a\n\n")]),
        &[Kind::Cached],
    )
    .await;
}

#[tokio::test]
async fn without_a_stream_at_the_application_there_is_nothing_to_compare() {
    let app = Server::start(|_| Reply::new(500)).await;
    let edge = Server::start(good).await;
    let error = compare(&held(&app), &held(&edge)).await.unwrap_err();
    assert!(matches!(error, DiffError::NotOpen(500)), "{error}");
}
