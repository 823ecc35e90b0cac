//! What else stops a page.

use std::{
    env,
    process::{Command, Output},
    time::Duration,
};

use sse_probe::{AttemptError, FindingKind, Target, check_with, checks::CheckResult};
use tokio::time::Instant;

use super::{
    checked, found,
    support::{Reply, Server, bytes, good, refusing},
};

async fn page_with(policy: &'static str) -> Server {
    Server::start(move |_| {
        Reply::new(200)
            .with("Content-Type", "text/html")
            .with("Content-Security-Policy", policy)
            .body(vec![bytes("<!doctype html><title>page</title>")])
    })
    .await
}

#[tokio::test]
async fn a_page_whose_policy_does_not_name_the_stream_is_blocked() {
    for (policy, good_policy) in [
        ("connect-src 'self'", false),
        ("default-src 'none'", false),
        ("connect-src http://127.0.0.1:*", true),
        ("connect-src *", true),
    ] {
        let page = page_with(policy).await;
        let origin = format!("http://{}", page.address);
        let allowed = origin.clone();
        let server = Server::start(move |request| {
            if request.get("origin") == Some(allowed.as_str()) {
                return Reply::new(200)
                    .with("Content-Type", "text/event-stream")
                    .with("Access-Control-Allow-Origin", &allowed)
                    .body(vec![bytes("data: x\n\n")]);
            }
            good(request)
        })
        .await;
        let target = Target::new(&server.url())
            .unwrap()
            .page(&origin)
            .unwrap()
            .only("page")
            .unwrap()
            .hold(Duration::from_millis(300));
        let report = checked(target).await;
        assert_eq!(report.facts.browser_opens, good_policy, "{policy}");
        if !good_policy {
            found(
                &report,
                "page",
                FindingKind::Blocked,
                "Content-Security-Policy blocks",
            );
        }
    }
}

#[tokio::test]
async fn a_page_that_gives_no_answer_is_advice_and_no_verdict_on_the_stream() {
    let (_held, page) = refusing();
    let server = Server::start(good).await;
    let target = server.target().page(&page).unwrap().only("page").unwrap();
    let report = checked(target).await;
    found(
        &report,
        "page",
        FindingKind::Advice,
        "the page gave no answer",
    );
    report.assert_clean();
    assert!(report.facts.browser_opens);
}

#[tokio::test]
async fn a_page_that_is_still_awaited_when_the_time_is_up_is_not_judged() {
    let stuck = Server::start(|request| {
        let mut reply = good(request);
        reply.wait = 60_000;
        reply
    })
    .await;
    let page = format!("http://{}/", stuck.address);
    let server = Server::start(good).await;
    let target = server.target().page(&page).unwrap().only("page").unwrap();
    let deadline = Instant::now() + Duration::from_secs(6);
    let report = check_with(target, Some(deadline), &|_| {}).await.unwrap();
    let outcome = report.outcome("page").unwrap();
    assert_eq!(outcome.result, CheckResult::Skipped);
    let why = AttemptError::OutOfTime.to_string();
    assert!(outcome.seen.contains(&why), "{}", outcome.seen);
    assert_eq!(stuck.requests().len(), 1);
}

/// An address of the Internet (RFC 5737 keeps it for documents) and one of a private network.
const PUBLIC: &str = "203.0.113.1";
const PRIVATE: &str = "192.168.77.1";

/// Runs one test of this program where this machine has both addresses: in a network namespace of its own, which takes root
/// or the right to make user namespaces.
fn in_a_network_with_both(test: &str, inside: &str) -> Result<Output, String> {
    let script = format!(
        "ip link set lo up && ip address add {PUBLIC}/32 dev lo && ip address add {PRIVATE}/32 dev lo || exit 99; exec \"$@\""
    );
    let program = env::current_exe().unwrap();
    let mut failures = Vec::new();
    for way in [
        "unshare --net",
        "unshare --map-root-user --net",
        "sudo -n unshare --net",
    ] {
        let mut words = way.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .args(["env", &format!("{inside}=1"), "sh", "-c", &script, "sh"]);
        command.arg(&program).args(["--exact", test, "--nocapture"]);
        match command.output() {
            Ok(output) if output.status.code() == Some(0) => return Ok(output),
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let text = text + &String::from_utf8_lossy(&output.stderr);
                assert!(!text.contains("running 1 test"), "{text}");
                failures.push(format!("{way}: {text}"));
            }
            Err(why) => failures.push(format!("{way}: {why}")),
        }
    }
    Err(failures.join("\n"))
}

#[tokio::test]
async fn a_stream_in_a_nearer_network_than_its_page_is_advice() {
    const INSIDE: &str = "SSE_PROBE_TEST_HAS_BOTH_ADDRESSES";
    if env::var_os(INSIDE).is_none() {
        let test = "page::a_stream_in_a_nearer_network_than_its_page_is_advice";
        match in_a_network_with_both(test, INSIDE) {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(text.contains("1 passed"), "{text}");
            }
            // Where no namespace can be made there is no private network to be had.
            Err(why) => {
                assert!(env::var_os("CI").is_none(), "{why}");
                eprintln!("skipped, there is no network namespace: {why}");
            }
        }
        return;
    }
    for (page, stream, nearer) in [
        (PUBLIC, PRIVATE, true),
        (PUBLIC, "127.0.0.1", true),
        (PRIVATE, "127.0.0.1", true),
        (PRIVATE, PUBLIC, false),
        (PRIVATE, PRIVATE, false),
        (PUBLIC, PUBLIC, false),
    ] {
        let page = Server::start_at(&format!("{page}:0"), |_| {
            let html = Reply::new(200).with("Content-Type", "text/html");
            html.body(vec![bytes("<!doctype html><title>page</title>")])
        })
        .await;
        let server = Server::start_at(&format!("{stream}:0"), |_| {
            let reply = Reply::new(200).with("Content-Type", "text/event-stream");
            reply
                .with("Access-Control-Allow-Origin", "*")
                .body(vec![bytes("data: x\n\n")])
        })
        .await;
        let target = Target::new(&server.url()).unwrap();
        let url = format!("http://{}/", page.address);
        let target = target.page(&url).unwrap().only("page").unwrap();
        let report = checked(target.hold(Duration::from_millis(300))).await;
        report.assert_clean();
        let text = format!("the stream is at {stream}, nearer than the page");
        if nearer {
            found(&report, "page", FindingKind::Advice, &text);
        } else {
            let findings = &report.outcome("page").unwrap().findings;
            assert!(
                !findings.iter().any(|f| f.seen.contains("nearer")),
                "{findings:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_page_on_https_may_not_open_plain_http_elsewhere() {
    let server = Server::start(good).await;
    let port = server.address.port();
    let mut target = Target::new(&format!("http://api.example.com:{port}/events")).unwrap();
    target = target.pin("api.example.com", port, server.address);
    let target = target
        .origin("https://app.example.com")
        .unwrap()
        .bearer("token")
        .only("page")
        .unwrap()
        .hold(Duration::from_millis(300));
    let report = checked(target).await;
    found(&report, "page", FindingKind::Blocked, "mixed content");
}

#[tokio::test]
async fn cookies_across_sites_are_advice() {
    let server = Server::start(good).await;
    let report = checked(server.target().cookie("sid=1").only("page").unwrap()).await;
    found(&report, "page", FindingKind::Advice, "another site");
}

#[tokio::test]
async fn http_3_is_mentioned_where_it_is_offered() {
    let server =
        Server::start(|request| good(request).with("Alt-Svc", "h3=\":443\"; ma=86400")).await;
    let report = checked(server.target().only("page").unwrap()).await;
    let seen = &report.outcome("page").unwrap().seen;
    assert!(seen.contains("HTTP/3 is offered"), "{seen}");
}
