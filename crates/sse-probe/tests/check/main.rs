//! Every check, on a good stream and on a bad one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod auth;
mod buffering;
mod capacity;
mod cors;
mod flow;
mod head;
mod page;
mod redirects;
mod requests;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use sse_probe::{CheckReport, FindingKind, Profile, Target, checks::CheckResult};
use support::{Reply, Request, Server, good, steadily};

async fn checked(target: Target) -> CheckReport {
    sse_probe::check(target).await.unwrap()
}

/// Runs one check against the good stream with one thing changed.
async fn only(
    check: &str,
    change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
) -> CheckReport {
    let server = Server::start(move |request| change(request, good(request))).await;
    checked(server.target().only(check).unwrap()).await
}

/// The change concerns the stream itself, which is held for long enough on a busy machine to show several bursts.
async fn long_stream(
    check: &str,
    change: impl Fn(Reply) -> Reply + Send + Sync + 'static,
) -> CheckReport {
    let server = Server::start(move |request| {
        let reply = good(request);
        if reply.is_stream() {
            change(reply)
        } else {
            reply
        }
    })
    .await;
    let target = server.target().only(check).unwrap();
    checked(target.hold(Duration::from_secs(4))).await
}

/// The change concerns the stream itself only.
async fn stream(
    check: &str,
    change: impl Fn(Reply) -> Reply + Send + Sync + 'static,
) -> CheckReport {
    only(check, move |_, reply| {
        if reply.is_stream() {
            change(reply)
        } else {
            reply
        }
    })
    .await
}

#[track_caller]
fn found(report: &CheckReport, check: &str, kind: FindingKind, text: &str) {
    let outcome = report.outcome(check).unwrap();
    let hit = outcome.findings.iter().find(|f| f.seen.contains(text));
    let Some(finding) = hit else {
        panic!("no finding with `{text}` in {outcome:#?}");
    };
    assert_eq!(finding.kind, kind, "{finding:#?}");
    assert!(!finding.why.is_empty() && !finding.remedies.is_empty());
}

#[tokio::test]
async fn a_good_stream_is_clean_and_every_check_is_run() {
    let server = Server::start(good).await;
    let judge = |report: &CheckReport| {
        report.assert_passes(Profile::Strict);
        let skipped: Vec<_> = report
            .outcomes
            .iter()
            .filter(|o| o.result == CheckResult::Skipped)
            .map(|o| o.check)
            .collect();
        assert_eq!(
            skipped,
            ["certificate", "allowed_origins", "expected_headers"]
        );
        assert_eq!(report.outcomes.len(), sse_probe::checks::names().count());
        assert_eq!(report.facts.resume, Some(true));
        assert_eq!(report.facts.retry, Some(Duration::from_secs(3)));
    };
    steadily(|| checked(server.target()), judge).await;
}

#[tokio::test]
async fn every_request_names_the_probe_and_looks_like_a_browsers() {
    let server = Server::start(good).await;
    checked(server.target()).await;
    let requests = server.requests();
    assert!(requests.len() > 10);
    for request in &requests {
        assert!(request.get("user-agent").unwrap().starts_with("sse-probe/"));
        assert_eq!(request.get("sec-fetch-mode"), Some("cors"));
        assert!(request.get("host").is_some());
    }
    let preflights = requests.iter().filter(|r| r.method == "OPTIONS");
    for preflight in preflights {
        assert_eq!(
            preflight.get("authorization"),
            None,
            "a preflight has no credentials"
        );
        assert_eq!(preflight.get("cookie"), None);
    }
}

#[tokio::test]
async fn a_same_origin_page_sends_no_origin_and_needs_no_cors() {
    let server = Server::start(good).await;
    let target = Target::new(&server.url())
        .unwrap()
        .cookie("sid=1")
        .hold(Duration::from_millis(900));
    let report = checked(target).await;
    report.assert_clean();
    assert_eq!(report.outcome("cors").unwrap().result, CheckResult::Skipped);
    assert!(server.requests().iter().all(|r| r.get("origin").is_none()));
}
