//! Whatever is given and whatever a server sends: a clear error, bounded memory, the right exit code.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod support;

use std::{
    process::{Command, Output},
    time::Duration,
};

use sse_probe::{AttemptError, FindingKind, Target};
use support::{Reply, Server, Step, good, refusing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs the program while the server of the test goes on.
async fn probe(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sse-probe"));
    command
        .args(arguments)
        .env_remove("SSE_PROBE_BEARER")
        .env_remove("SSE_PROBE_COOKIE");
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32, text: &str) {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(text), "no `{text}` in {said}");
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_says_why() {
    for (arguments, text) in [
        (vec![], "Usage"),
        (vec!["check"], "<URL>"),
        (vec!["check", "api.example.com/events"], "cannot be probed"),
        (vec!["check", "ftp://x/"], "only http and https"),
        (vec!["check", "http://u:p@x/"], "user names and passwords"),
        (
            vec!["check", "http://x/", "--origin", "app.example.com"],
            "not an origin",
        ),
        (
            vec!["check", "http://x/", "--origin", "https://App.example.com/"],
            "it would be `https://app.example.com`",
        ),
        (
            vec!["check", "http://x/", "--deny-origin", "*"],
            "not an origin",
        ),
        (
            vec!["check", "http://x/", "--expect", "colour=red"],
            "there are: heartbeat",
        ),
        (
            vec!["check", "http://x/", "--skip", "vari"],
            "there are: status",
        ),
        (
            vec!["check", "http://x/", "--header", "nothing"],
            "not a header line",
        ),
        (
            vec!["check", "http://x/", "--bearer", "a", "--cookie", "b"],
            "not both",
        ),
        (
            vec!["check", "http://x/", "--bearer", "@/nowhere"],
            "/nowhere",
        ),
        (
            vec!["check", "http://x/", "--bearer", "a\nb"],
            "no header can carry",
        ),
        (
            vec![
                "check",
                "http://x/",
                "--origin",
                "https://a.example",
                "--cookie",
                "a=b",
            ],
            "add --credentials",
        ),
        (vec!["check", "http://x/", "--hold", "soon"], "--hold"),
        (
            vec!["check", "http://x/", "--hold", "18446744073709551615s"],
            "--hold: write a time",
        ),
        (
            vec!["check", "http://x/", "--deadline", "18446744073709551615s"],
            "--deadline",
        ),
        (vec!["check", "http://x/", "--timeout", "0s"], "--timeout"),
        (
            vec!["check", "http://x/", "--resolve", "x"],
            "HOST:PORT:ADDRESS",
        ),
        (
            vec!["check", "https://x/", "--ca-file", "/nowhere"],
            "/nowhere",
        ),
        (vec!["diff", "http://x/"], "<PUBLIC>"),
        (vec!["watch", "--config", "/nowhere"], "/nowhere"),
        (vec!["tail", ""], "cannot be probed"),
    ] {
        ended(&probe(&arguments).await, 2, text);
    }
}

#[tokio::test]
async fn a_refused_connection_ends_with_3() {
    let (_held, url) = refusing();
    for command in ["check", "tail"] {
        ended(&probe(&[command, &url]).await, 3, "refuses the connection");
    }
    ended(
        &probe(&["diff", &url, &url]).await,
        3,
        "refuses the connection",
    );
    let output = probe(&["check", &url, "--format", "prom"]).await;
    ended(&output, 3, "probe_success 0");
}

#[tokio::test]
async fn a_name_without_address_ends_with_3() {
    ended(
        &probe(&["check", "http://sse-probe.invalid/"]).await,
        3,
        "cannot be resolved",
    );
}

#[tokio::test]
async fn tls_with_a_server_that_does_not_speak_it_ends_with_3() {
    // One that answers in plain HTTP, as most do, and one that says nothing.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let plain = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut hello = [0; 16];
        socket.read_exact(&mut hello).await.unwrap();
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    });
    ended(
        &probe(&["check", &url]).await,
        3,
        "TLS with `127.0.0.1` failed",
    );
    plain.await.unwrap();
    let server = Server::start(good).await;
    let url = format!("https://{}/", server.address);
    let output = probe(&["check", &url, "--timeout", "4s"]).await;
    ended(&output, 3, "no TLS handshake within 4s");
}

#[tokio::test]
async fn a_reply_that_is_no_http_ends_with_3() {
    let server = Server::start(|_| Reply::raw("SSH-2.0-OpenSSH_9\r\n\r\n")).await;
    ended(&probe(&["check", &server.url()]).await, 3, "not HTTP");
    let server = Server::start(|_| Reply::raw("")).await;
    ended(
        &probe(&["check", &server.url()]).await,
        3,
        "closed before a reply",
    );
}

#[tokio::test]
async fn a_server_that_never_answers_ends_with_3_in_time() {
    let server = Server::start(|_| {
        let mut reply = Reply::new(200);
        reply.wait = 60_000;
        reply
    })
    .await;
    ended(
        &probe(&["check", &server.url(), "--timeout", "4s"]).await,
        3,
        "no reply within 4s",
    );
}

#[tokio::test]
async fn a_stream_whose_head_is_held_back_is_a_finding() {
    let server = Server::start(|request| {
        let mut reply = good(request);
        if reply.is_stream() {
            reply.wait = 60_000;
        }
        reply
    })
    .await;
    let arguments = [
        "check",
        &server.url(),
        "--bearer",
        "token",
        "--timeout",
        "4s",
        "--format",
        "prom",
    ];
    let output = probe(&arguments).await;
    ended(&output, 1, "not even the head of the stream came within 4s");
    ended(&output, 1, "probe_sse_buffering_detected 1");
}

#[tokio::test]
async fn a_head_that_browsers_read_is_no_error() {
    for lines in [
        "X-Folded: a\r\n b\r\n".to_owned(),
        "X-Space : a\r\n".to_owned(),
        "no colon\r\n".to_owned(),
        "X(Y): a\r\n".to_owned(),
        "X-Control: a\u{1}b\r\n".to_owned(),
        format!("X-Long: {}\r\n", "a".repeat(200 * 1024)),
        "X-Line: a\r\n".repeat(1000),
    ] {
        let shown: String = lines.chars().take(20).collect();
        let kind = "Content-Type : text/event-stream\r\n";
        let head = format!("HTTP/1.1 200 OK\r\n{lines}{kind}\r\ndata: x\n\n");
        let server = Server::start(move |_| Reply::raw(head.clone())).await;
        let target = Target::new(&server.url()).unwrap();
        let target = target.hold(Duration::from_millis(300));
        let report = sse_probe::check(target).await;
        let report = report.unwrap_or_else(|why| panic!("{shown:?}: {why}"));
        assert!(report.facts.browser_opens, "{shown:?}");
    }
}

#[tokio::test]
async fn an_endless_head_ends_with_3() {
    for head in [
        format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(4 * 1024 * 1024)),
        format!("HTTP/1.1 200 OK\r\n{}", "x: a\r\n".repeat(50_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: a\r\n".repeat(5000)),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(300 * 1024)),
    ] {
        let server = Server::start(move |_| Reply::raw(head.clone())).await;
        let error = sse_probe::check(server.target()).await.unwrap_err();
        assert!(matches!(error, AttemptError::HeadTooLarge(_)), "{error}");
        ended(&probe(&["check", &server.url()]).await, 3, "goes on beyond");
    }
}

/// A stream of `body` again and again, as fast as it is read.
async fn flood(body: Vec<u8>) -> Server {
    Server::start(move |request| {
        let reply = good(request);
        if reply.is_stream() {
            reply.body(vec![Step::Forever(body.clone(), 0)])
        } else {
            reply
        }
    })
    .await
}

#[tokio::test]
async fn a_line_that_never_ends_is_found_in_bounded_memory() {
    let server = flood(vec![b'x'; 256 * 1024]).await;
    let report = sse_probe::check(
        server
            .target()
            .only("format")
            .unwrap()
            .hold(Duration::from_secs(600)),
    )
    .await
    .unwrap();
    let outcome = report.outcome("format").unwrap();
    assert!(
        outcome
            .findings
            .iter()
            .any(|f| f.seen.contains("line 1, byte 0: a line of more than 1 MiB")),
        "{outcome:#?}"
    );
    assert!(
        outcome
            .findings
            .iter()
            .any(|f| f.seen.contains("the rest was not read")),
        "{outcome:#?}"
    );
}

#[tokio::test]
async fn events_of_10_mb_are_found_in_bounded_memory() {
    let mut event = b"data: ".to_vec();
    event.extend(vec![b'x'; 10 * 1024 * 1024]);
    event.extend(b"\n\n");
    let server = flood(event).await;
    let report = sse_probe::check(
        server
            .target()
            .only("format")
            .unwrap()
            .hold(Duration::from_secs(600)),
    )
    .await
    .unwrap();
    let outcome = report.outcome("format").unwrap();
    let levels: Vec<_> = outcome.findings.iter().map(|f| f.kind).collect();
    assert!(
        levels.iter().all(|l| *l == FindingKind::Advice),
        "{outcome:#?}"
    );
    assert!(
        outcome
            .findings
            .iter()
            .any(|f| f.seen.contains("an event of more than 1 MiB")),
        "{outcome:#?}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_program_stays_small_under_a_flood() {
    for body in [
        vec![b'x'; 256 * 1024],
        b"data: x\n\n".repeat(10_000),
        b":\n".repeat(100_000),
        b"bad\n".repeat(50_000),
    ] {
        let server = flood(body).await;
        let script = format!(
            "ulimit -v 400000; exec {} check {} --bearer token --only format --profile strict --hold 10m --quiet",
            env!("CARGO_BIN_EXE_sse-probe"),
            server.url()
        );
        let output = tokio::task::spawn_blocking(move || {
            Command::new("bash").args(["-c", &script]).output().unwrap()
        })
        .await
        .unwrap();
        ended(&output, 1, "the rest was not read");
    }
}
