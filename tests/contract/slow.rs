//! Group D: readers that do not keep up, and what they cost the others.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use actix_web_sse_tests::{Demo, EventStream, LIMIT, Request, Settings, until};

use crate::DEMO;

const CLOSED: &str = "sse_connections_closed_total";
const TOPIC: &str = "/events?topic=flood";

/// A kilobyte that begins with its number.
fn kilobyte(number: usize) -> String {
    format!("{number} {:x<1010}", "")
}

fn number(data: &str) -> usize {
    data.split(' ').next().unwrap().parse().unwrap()
}

/// A stream whose reader takes as little as it can.
fn slow_reader(demo: &Demo, last_event_id: Option<&str>) -> EventStream {
    let mut request = Request::stream(TOPIC);
    if let Some(id) = last_event_id {
        request = request.header("Last-Event-ID", id);
    }
    let mut connection = actix_web_sse_tests::Connection::open(demo.app).with_small_window();
    connection.send(&request.bytes(demo.app)).unwrap();
    connection.response(false).events()
}

/// Reads everything, on a thread of its own, until so many events have come.
fn eager_reader(demo: &Demo, count: usize) -> thread::JoinHandle<()> {
    let mut stream = Request::stream(TOPIC).open(demo.app);
    stream.next_comment();
    thread::spawn(move || {
        for expected in 0..count {
            assert_eq!(number(stream.next_event().data().unwrap()), expected);
        }
    })
}

fn evicted(demo: &Demo) {
    until("the slow reader is evicted", LIMIT, || {
        let exposition = demo.exposition();
        let of = |reason| exposition.sum(CLOSED, &[("reason", reason)]);
        (of("slow_consumer") + of("stalled") == 1.0).then_some(())
    });
}

/// Whoever keeps up may lag by a burst; whoever does not is still found out.
fn settings() -> Settings {
    Settings::open().set("hub.subscriber_events", 1000)
}

#[test]
fn d06_a_reader_that_stops_costs_bounded_memory_and_nobody_else() {
    let demo = Demo::start(DEMO, &settings());
    let stalled = slow_reader(&demo, None);
    let eager = eager_reader(&demo, 10_000);
    let before = demo.process().memory();
    demo.publish_all("flood", (0..10_000).map(kilobyte));
    eager.join().expect("the eager reader gets everything");
    evicted(&demo);
    let grown = demo.process().memory().saturating_sub(before);
    // Ten megabytes were published; the log holds a hundred events, a reader 256 KiB.
    assert!(grown < 8 << 20, "{grown} bytes");
    drop(stalled);
}

#[test]
fn d07_a_reader_that_drips_is_evicted_by_its_lag() {
    let demo = Demo::start(DEMO, &settings());
    let mut dripping = slow_reader(&demo, None).into_connection();
    demo.wait_for_metric("sse_connections_active", &[], 1.0);
    let evicted = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Each byte is progress; a stall would never be seen.
            while !evicted.load(Ordering::SeqCst) {
                dripping.byte(LIMIT).expect("a byte is there");
                thread::sleep(Duration::from_millis(20));
            }
        });
        demo.publish_all("flood", (0..10_000).map(kilobyte));
        demo.wait_for_metric(CLOSED, &[("reason", "slow_consumer")], 1.0);
        evicted.store(true, Ordering::SeqCst);
    });
}

#[test]
fn d08_an_evicted_reader_resumes_without_a_silent_gap() {
    let demo = Demo::start(
        DEMO,
        &settings()
            .set("hub.replay_events", 20_000)
            .set("hub.replay_bytes", 40 << 20),
    );
    let mut stalled = slow_reader(&demo, None);
    stalled.next_comment();
    demo.publish_all("flood", (0..8_000).map(kilobyte));
    evicted(&demo);
    // What was on its way still arrives: without a gap, up to the end, clean or not.
    let mut next = 0;
    let mut last_id = None;
    while let Ok(Some(block)) = stalled.block(LIMIT) {
        if let Some(data) = block.data() {
            assert_eq!(number(data), next);
            next += 1;
            last_id = block.id().map(str::to_owned);
        }
    }
    assert!(next < 8_000, "the reader was evicted before the end");
    // The rest comes by the last ID, all of it.
    let mut request = Request::stream(TOPIC);
    if let Some(id) = &last_id {
        request = request.header("Last-Event-ID", id);
    } else {
        panic!("not one event arrived");
    }
    let mut resumed = request.open(demo.app);
    for expected in next..8_000 {
        assert_eq!(number(resumed.next_event().data().unwrap()), expected);
    }
}

#[test]
fn r10_a_long_replay_to_a_reader_that_does_not_read_costs_no_memory() {
    let settings = settings()
        .set("hub.replay_events", 20_000)
        .set("hub.replay_bytes", 40 << 20);
    let demo = Demo::start(DEMO, &settings);
    let mut first = Request::stream(TOPIC).open(demo.app);
    first.next_comment();
    demo.publish("flood", &kilobyte(0));
    let id = first.next_event().id().unwrap().to_owned();
    drop(first);
    demo.publish_all("flood", (1..10_000).map(kilobyte));
    let before = demo.process().memory();
    let readers: Vec<_> = (0..10).map(|_| slow_reader(&demo, Some(&id))).collect();
    until("all of them are given up", LIMIT, || {
        let closed = demo.exposition().sum(CLOSED, &[]);
        (closed == 11.0).then_some(())
    });
    let grown = demo.process().memory().saturating_sub(before);
    // A hundred megabytes of replay were asked for.
    assert!(grown < 16 << 20, "{grown} bytes");
    drop(readers);
}
