//! How soon the application learns that a client has gone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod support;

use std::{
    process::{Command, Output},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use support::{Reply, Server, Step, bytes};

/// A server with a stream, on which something comes all the time, and metrics that count a close so long after it is asked for
/// the first time after it.
async fn server(late: Option<Duration>) -> Server {
    let (streams, counted) = (AtomicU32::new(0), AtomicU32::new(0));
    let asked = Mutex::new(None::<Instant>);
    Server::start(move |request| {
        if request.target == "/metrics" {
            let open = streams.load(Ordering::SeqCst);
            if open > counted.load(Ordering::SeqCst) {
                let since = *asked.lock().unwrap().get_or_insert_with(Instant::now);
                if late.is_some_and(|late| since.elapsed() >= late) {
                    counted.store(open, Ordering::SeqCst);
                    *asked.lock().unwrap() = None;
                }
            }
            let text = format!(
                "sse_build_info{{version=\"1\"}} 1\nsse_probe_closes_total{{route=\"/events\"}} {}\n",
                counted.load(Ordering::SeqCst)
            );
            return Reply::new(200)
                .with("Content-Type", "text/plain")
                .with("Connection", "close")
                .body(vec![bytes(&text)]);
        }
        streams.fetch_add(1, Ordering::SeqCst);
        Reply::new(200)
            .with("Content-Type", "text/event-stream")
            .body(vec![
                bytes("retry: 3000\n\n"),
                Step::Forever(b":\n".to_vec(), 100),
            ])
    })
    .await
}

async fn closes(server: &Server, more: &[&str]) -> Output {
    let metrics = format!("http://{}/metrics", server.address);
    let mut command = Command::new(env!("CARGO_BIN_EXE_sse-probe"));
    command.args([
        "closes",
        &server.url(),
        "--metrics",
        &metrics,
        "--times",
        "2",
    ]);
    command.args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn closes_that_are_counted_at_once_are_good() {
    let server = server(Some(Duration::ZERO)).await;
    let mut output = closes(&server, &[]).await;
    // A program that stands still for a second sees a close late whoever is in front: which of the two did, is not known here.
    for _ in 0..5 {
        if output.status.code() == Some(0) {
            break;
        }
        eprintln!("once more: {}", text(&output));
        output = closes(&server, &[]).await;
    }
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).ends_with("good: closes are passed on at once\n"));
}

#[tokio::test]
async fn a_front_that_tells_late_is_found_and_the_remedy_is_named() {
    let server = server(Some(Duration::from_millis(1500))).await;
    let output = closes(&server, &[]).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("late: 2 of 2"), "{}", text(&output));
    assert!(text(&output).contains("alpn h2"));
}

#[tokio::test]
async fn a_close_that_is_never_counted_is_late_as_well() {
    let server = server(None).await;
    let output = closes(&server, &["--patience", "200ms"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("did not count the close within 200ms"));
}

#[tokio::test]
async fn metrics_of_something_else_are_wrong_usage() {
    let server = Server::start(|_| {
        Reply::new(200)
            .with("Connection", "close")
            .body(vec![bytes("up 1\n")])
    })
    .await;
    let output = closes(&server, &[]).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("actix-web-sse-metrics"));
}
