//! The command line: forms of the report, exit codes, following.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly"
)]

mod support;

use std::process::{Command, Output};

use support::{APP, Server, good, refusing, steadily};

async fn probe(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sse-probe"));
    command
        .args(arguments)
        .env("SSE_PROBE_BEARER", "token")
        .env_remove("SSE_PROBE_COOKIE");
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn check<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "check",
        url,
        "--origin",
        APP,
        "--credentials",
        "--hold",
        "2s",
        "--quiet",
    ];
    arguments.extend(more);
    arguments
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", out(output));
}

async fn without_vary() -> Server {
    Server::start(|request| good(request).without("Vary")).await
}

#[tokio::test]
async fn a_good_stream_ends_with_0_and_a_summary_line() {
    let server = Server::start(good).await;
    let (url, is_good) = (server.url(), |output: &Output| ended(output, 0));
    let output = steadily(async || probe(&check(&url, &[])).await, is_good).await;
    let text = out(&output);
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with("good: ") && last.contains("0 failed"),
        "{last}"
    );
    assert!(!text.contains('\u{1b}'), "no colour into a pipe");
    assert!(!text.contains("token"));
}

#[tokio::test]
async fn findings_end_with_1_and_say_what_to_change() {
    let server = without_vary().await;
    let output = probe(&check(
        &server.url(),
        &["--only", "vary", "--profile", "strict"],
    ))
    .await;
    assert_eq!(output.status.code(), Some(1));
    let text = out(&output);
    for part in [
        "FAIL  Replies that depend",
        "no Vary",
        "why: ",
        "more: docs/src/sse-probe.md#vary",
        "actix: ",
        "nginx: ",
        "HAProxy: ",
        "Varnish: ",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let output = probe(&check(
        &server.url(),
        &["--only", "vary", "--proxy", "caddy"],
    ))
    .await;
    assert!(out(&output).contains("Caddy: ") && !out(&output).contains("nginx: "));
    let output = probe(&check(&server.url(), &["--only", "vary"])).await;
    assert_eq!(output.status.code(), Some(0), "advice does not fail a run");
    assert!(out(&output).contains("note  Replies that depend"));
}

#[tokio::test]
async fn findings_with_one_reason_give_it_once() {
    let server = Server::start(|request| {
        let origin = request.get("origin").unwrap_or("null").to_owned();
        support::Reply::new(200)
            .with("Content-Type", "text/event-stream")
            .with("Access-Control-Allow-Origin", &origin)
            .with("Access-Control-Allow-Credentials", "true")
            .body(vec![support::bytes("retry: 3000\n\n"), support::Step::Hold])
    })
    .await;
    let output = probe(&check(&server.url(), &["--only", "origins"])).await;
    assert_eq!(output.status.code(), Some(1));
    let text = out(&output);
    let opened = text.matches("insecure: ").count();
    assert!(opened > 5, "{opened} in {text}");
    for once in ["why: any such page", "actix: compare whole", "more: "] {
        assert_eq!(text.matches(once).count(), 1, "`{once}` in {text}");
    }
}

#[tokio::test]
async fn colour_can_be_forced() {
    let server = Server::start(good).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_sse-probe"));
    let url = server.url();
    command
        .args(check(&url, &["--only", "status"]))
        .env("CLICOLOR_FORCE", "1");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(
        out(&output).contains("\u{1b}[32m") || out(&output).contains("\u{1b}[1m"),
        "{}",
        out(&output)
    );
}

#[tokio::test]
async fn json_is_one_object_with_every_check() {
    let server = without_vary().await;
    let output = probe(&check(
        &server.url(),
        &["--format", "json", "--profile", "strict"],
    ))
    .await;
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["passed"], false);
    assert_eq!(json["reason"], "vary");
    assert_eq!(json["facts"]["browserOpens"], true);
    assert_eq!(json["facts"]["retrySeconds"], 3.0);
    assert_eq!(
        json["checks"].as_array().unwrap().len(),
        sse_probe::checks::names().count()
    );
    assert_eq!(json["facts"]["status"], 200);
    let vary = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["check"] == "vary")
        .unwrap();
    assert_eq!(vary["findings"][0]["kind"], "advice");
    assert_eq!(vary["link"], "docs/src/sse-probe.md#vary");
    assert_eq!(vary["findings"][0]["remedies"][0]["software"], "actix");
}

#[tokio::test]
async fn junit_counts_cases_and_failures() {
    let server = without_vary().await;
    let output = probe(&check(
        &server.url(),
        &["--format", "junit", "--profile", "strict"],
    ))
    .await;
    let text = out(&output);
    let cases = text.matches("<testcase ").count();
    assert_eq!(cases, sse_probe::checks::names().count());
    let counted = format!("tests=\"{cases}\"");
    assert!(text.contains(&counted), "{text}");
    assert!(text.contains("failures=\"1\""), "{text}");
    assert_eq!(text.matches("<failure ").count(), 1);
    assert!(text.contains("<skipped "), "{text}");
}

#[tokio::test]
async fn prom_has_the_metrics_of_the_catalogue() {
    let server = Server::start(good).await;
    let output = probe(&check(&server.url(), &["--format", "prom"])).await;
    let text = out(&output);
    for line in [
        "probe_success 1",
        "probe_sse_browser_opens 1",
        "probe_http_redirects 0",
        "probe_http_status_code 200",
        "probe_http_version 1.1",
        "probe_http_ssl 0",
        "probe_sse_retry_seconds 3",
        "probe_sse_buffering_detected 0",
        "probe_sse_resume_supported 1",
        "probe_sse_auth_bypass 0",
        "probe_sse_check_passed{check=\"cors\"} 1",
        "probe_sse_cors_verdict{credentials=\"include\",origin_role=\"allowed\",verdict=\"allowed\"} 1",
        "probe_sse_cors_verdict{credentials=\"include\",origin_role=\"foreign\",verdict=\"allowed\"} 0",
        "probe_sse_cors_verdict{credentials=\"omit\",origin_role=\"null\",verdict=\"blocked\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "no `{line}` in {text}");
    }
    for name in [
        "probe_duration_seconds ",
        "probe_http_duration_seconds{phase=\"processing\"} ",
        "probe_sse_time_to_first_byte_seconds ",
        "probe_sse_time_to_first_event_seconds ",
        "probe_sse_heartbeat_interval_seconds_max ",
    ] {
        assert!(
            text.lines().any(|l| l.starts_with(name)),
            "no `{name}` in {text}"
        );
    }
}

/// All of it on its standard output, and no secret anywhere.
fn says_that_nothing_answers(output: &Output, parts: &[&str]) {
    assert_eq!(output.status.code(), Some(3));
    let text = out(output);
    for part in parts {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !text.contains("s3cret") && !errors.contains("s3cret"),
        "{text}{errors}"
    );
}

#[tokio::test]
async fn every_form_is_printed_when_nothing_answers() {
    let (_held, url) = refusing();
    let url = format!("{url}?token=s3cret");
    for (format, parts) in [
        ("json", ["\"reason\": \"connect\"", "\"passed\": false"]),
        ("junit", ["errors=\"1\"", "type=\"connect\""]),
        ("github", ["::error title=", "refuses the connection"]),
        (
            "prom",
            [
                "probe_success 0",
                "probe_sse_failure_info{reason=\"connect\"} 1",
            ],
        ),
    ] {
        let output = probe(&["check", &url, "--format", format]).await;
        says_that_nothing_answers(&output, &parts);
    }
}

#[tokio::test]
async fn diff_prints_its_form_when_nothing_answers() {
    let (_held, url) = refusing();
    let nobody = format!("{url}?token=s3cret");
    let server = Server::start(good).await;
    for (direct, public, side) in [
        (&nobody, &server.url(), "at the application"),
        (&server.url(), &nobody, "at the public URL"),
    ] {
        for (format, parts) in [
            (
                "json",
                ["\"passed\": false", "\"reason\": \"connect\"", side],
            ),
            (
                "github",
                [
                    "::error title=sse-probe diff%3A http",
                    "refuses the connection",
                    side,
                ],
            ),
        ] {
            let more = ["--bearer", "token", "--hold", "300ms", "--format", format];
            let output = probe(&[&["diff", direct, public], &more[..]].concat()).await;
            says_that_nothing_answers(&output, &parts);
        }
    }
}

#[tokio::test]
async fn annotations_are_one_line_each() {
    let server = without_vary().await;
    let output = probe(&check(
        &server.url(),
        &["--format", "github", "--only", "vary", "--only", "status"],
    ))
    .await;
    let text = out(&output);
    let notices: Vec<_> = text
        .lines()
        .filter(|l| l.starts_with("::notice "))
        .collect();
    assert_eq!(notices.len(), 2, "{text}");
    assert!(
        notices[0].contains("title=sse-probe vary%3A http%3A"),
        "{text}"
    );
    assert!(
        text.lines()
            .last()
            .unwrap()
            .starts_with("good, with advice")
    );
}

#[tokio::test]
async fn diff_resolves_each_side_by_itself() {
    let app = Server::start(good).await;
    let edge = Server::start(|request| good(request).without("Vary")).await;
    let url = "http://api.example.com:8080/events";
    let to = |server: &Server| format!("api.example.com:8080:{}", server.address);
    let (direct, public) = (to(&app), to(&edge));
    let output = probe(&[
        "diff",
        url,
        url,
        "--resolve-direct",
        &direct,
        "--resolve-public",
        &public,
        "--origin",
        APP,
        "--credentials",
        "--hold",
        "1s",
        "--profile",
        "strict",
    ])
    .await;
    assert_eq!(output.status.code(), Some(1), "{}", out(&output));
    assert!(out(&output).contains("vary"), "{}", out(&output));
    assert!(!app.requests().is_empty() && !edge.requests().is_empty());
}

#[tokio::test]
async fn diff_takes_a_host_for_each_side() {
    let with_host = |request: &support::Request| {
        if request.get("host") == Some("api.example.com") {
            good(request)
        } else {
            support::Reply::new(421)
        }
    };
    let app = Server::start(with_host).await;
    let edge = Server::start(good).await;
    let (direct, public) = (app.url(), edge.url());
    let mut arguments = vec![
        "diff",
        &direct,
        &public,
        "--origin",
        APP,
        "--credentials",
        "--hold",
        "1s",
    ];
    ended(&probe(&arguments).await, 3);
    arguments.extend(["--host-direct", "api.example.com", "--format", "github"]);
    let the_same = |output: &Output| ended(output, 0);
    steadily(async || probe(&arguments).await, the_same).await;
}

#[tokio::test]
async fn tail_shows_events_and_resumes_after_an_id() {
    let server = Server::start(good).await;
    let url = server.url();
    let output = probe(&["tail", &url, "--origin", APP, "-n", "3"]).await;
    assert_eq!(output.status.code(), Some(0));
    for part in ["message", "e1", "e3"] {
        assert!(out(&output).contains(part), "{}", out(&output));
    }
    let output = probe(&[
        "tail",
        &url,
        "--origin",
        APP,
        "--data-only",
        "-n",
        "1",
        "--last-event-id",
        "e2",
    ])
    .await;
    assert_eq!(out(&output), "3\n");
}

#[tokio::test]
async fn tail_ends_with_1_where_an_event_source_would_end_for_good() {
    let server = Server::start(|_| support::Reply::new(204)).await;
    let output = probe(&["tail", &server.url()]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("204"));
}

#[tokio::test]
async fn diff_ends_with_0_or_1() {
    let app = Server::start(good).await;
    let edge = Server::start(|request| good(request).without("Access-Control-Allow-Origin")).await;
    let (app_url, edge_url) = (app.url(), edge.url());
    let with = |public| {
        [
            "diff",
            &app_url,
            public,
            "--origin",
            APP,
            "--credentials",
            "--for",
            "1s",
        ]
        .map(str::to_owned)
    };
    let same = with(&app_url);
    let same: Vec<_> = same.iter().map(String::as_str).collect();
    steadily(async || probe(&same).await, |output| ended(output, 0)).await;
    let other = with(&edge_url);
    let output = probe(&other.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(output.status.code(), Some(1), "{}", out(&output));
    assert!(out(&output).contains("stripped"), "{}", out(&output));
}
