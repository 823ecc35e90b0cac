//! Group D: how streams end, and who is told.

use std::time::{Duration, Instant};

use actix_web_sse_tests::{Demo, EventStream, LIMIT, Request, Settings, Signal, until};

use crate::{APP, DEMO};

const CLOSED: &str = "sse_connections_closed_total";

/// A stream that counts as open.
fn opened(demo: &Demo) -> EventStream {
    let mut stream = Request::stream("/events").open(demo.app);
    stream.next_comment();
    demo.wait_for_metric("sse_connections_active", &[], 1.0);
    stream
}

#[track_caller]
fn ends_as(demo: &Demo, reason: &str) {
    demo.wait_for_metric(CLOSED, &[("reason", reason)], 1.0);
    demo.wait_for_metric("sse_connections_active", &[], 0.0);
    // Opened and closed are one each, whatever the labels: nothing is counted twice.
    let exposition = demo.exposition();
    assert_eq!(exposition.sum(CLOSED, &[]), 1.0);
    assert_eq!(exposition.sum("sse_connections_opened_total", &[]), 1.0);
}

#[test]
fn d02_a_client_that_closes_is_noticed() {
    let demo = Demo::start(DEMO, &Settings::open());
    let start = Instant::now();
    drop(opened(&demo));
    ends_as(&demo, "client_gone");
    // 2 × heartbeat + 1 s, and much more for a busy machine.
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn d03_a_reset_is_noticed() {
    let demo = Demo::start(DEMO, &Settings::open());
    opened(&demo).into_connection().reset();
    ends_as(&demo, "client_gone");
}

#[test]
fn d04_a_half_close_ends_the_stream() {
    let demo = Demo::start(DEMO, &Settings::open());
    let connection = opened(&demo).into_connection();
    connection.half_close();
    ends_as(&demo, "client_gone");
}

#[test]
fn d09_sigterm_ends_every_stream_cleanly() {
    let mut demo = Demo::start(DEMO, &Settings::open());
    let mut streams: Vec<_> = (0..50)
        .map(|_| Request::stream("/events?topic=quiet").open(demo.app))
        .collect();
    for stream in &mut streams {
        stream.next_comment();
    }
    demo.process().signal(Signal::TERM);
    let mut retries: Vec<_> = streams
        .iter_mut()
        .map(|stream| {
            // Cleanly: with the last chunk, not cut off.
            let last = stream.until_end(LIMIT);
            last.iter()
                .rev()
                .find_map(|block| block.retry())
                .expect("retry at the end")
        })
        .collect();
    retries.sort_unstable();
    retries.dedup();
    assert!(
        retries.len() > 10,
        "the clients come back spread: {retries:?}"
    );
    let took = demo.terminate();
    // The drain window is 2 s; the rest is for a busy machine.
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn d10_a_draining_server_refuses_new_streams_and_says_that_it_is_not_ready() {
    // Long enough, and with enough of them, that the drain is not over before it is seen.
    let demo = Demo::start(DEMO, &Settings::open().set("stream.drain", "60s"));
    let mut held: Vec<_> = (0..50)
        .map(|_| Request::stream("/events").open(demo.app))
        .collect();
    for stream in &mut held {
        stream.next_comment();
    }
    demo.process().signal(Signal::TERM);
    until("it says that it is not ready", LIMIT, || {
        let ready = Request::new("GET", "/readyz").send(demo.app);
        (ready.status() == 503).then_some(())
    });
    let refused = Request::stream("/events")
        .bearer("a fetch client")
        .send(demo.app);
    assert_eq!(refused.status(), 503);
    let after = refused.header("retry-after").map(str::parse::<u32>);
    assert!(matches!(after, Some(Ok(1..))), "{after:?}");
    assert_eq!(refused.json()["error"], "draining");
    let soft = Request::event_source("/events", APP).send(demo.app);
    let blocks = soft.events().until_end(LIMIT);
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    assert!(blocks[0].retry() >= Some(5000), "{blocks:?}");
}
