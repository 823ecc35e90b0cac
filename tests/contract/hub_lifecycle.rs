//! Group D without guards: what the hub and the server's settings do.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use actix_web_sse::{
    Event,
    config::{HubConfig, SlowConsumer, StreamConfig},
    observe::CloseReason,
};
use actix_web_sse_tests::{Connection, LIMIT, Request, until};

use crate::served::{Served, Setup};

fn every(heartbeat: Duration) -> StreamConfig {
    let mut config = StreamConfig::default();
    config.heartbeat = heartbeat;
    config
}

fn serve(setup: Setup, heartbeat: Duration) -> Served {
    Served::new(setup, HubConfig::default(), every(heartbeat))
}

/// With `for_event_streams` it needs no write to notice: not one heartbeat has left.
#[test]
fn d02_a_client_that_closes_is_noticed_before_the_next_heartbeat() {
    let served = serve(Setup::ForEventStreams, Duration::from_secs(15));
    let mut stream = served.open();
    // Nothing may be left unread, or the kernel sends RST in place of FIN.
    stream.next_comment();
    drop(stream);
    let end = served.recorder.wait_for_ends(1)[0];
    assert_eq!((end.reason, end.heartbeats), (CloseReason::ClientGone, 0));
    assert_eq!(served.hub.subscribers("t"), 0);
    served.wait_until_nobody_is_counted();
}

/// Left to itself actix takes a FIN for a half-close; the second heartbeat after it fails.
#[test]
fn d02_plain_actix_needs_two_heartbeats_to_notice() {
    let served = serve(Setup::PlainActix, Duration::from_secs(1));
    let mut stream = served.open();
    stream.next_comment();
    drop(stream);
    let before = served.recorder.look().heartbeats as u64;
    let end = served.recorder.wait_for_ends(1)[0];
    // Counted, not timed: each is a second on a machine that is free.
    let after = end.heartbeats - before;
    assert!(after <= 2, "{after} heartbeats after the client has gone");
    assert_eq!(end.reason, CloseReason::ClientGone);
    served.wait_until_nobody_is_counted();
}

#[test]
fn d03_a_reset_is_noticed_before_the_next_heartbeat() {
    for setup in [Setup::ForEventStreams, Setup::PlainActix] {
        let served = serve(setup, Duration::from_secs(15));
        let mut stream = served.open();
        stream.next_comment();
        stream.into_connection().reset();
        let end = served.recorder.wait_for_ends(1)[0];
        assert_eq!(
            (end.reason, end.heartbeats),
            (CloseReason::ClientGone, 0),
            "{setup:?}"
        );
    }
}

/// actix's default, for clients that shut down their sending side and go on reading (nc, some
/// proxies).
#[test]
fn d04_plain_actix_goes_on_after_a_half_close() {
    let served = serve(Setup::PlainActix, Duration::from_secs(1));
    let mut stream = served.open();
    stream.response().connection().half_close();
    // Long enough for the server to have seen it: it has written since.
    stream.next_comment();
    stream.next_comment();
    served.hub.publish("t", Event::data("after")).unwrap();
    assert_eq!(stream.next_event().data(), Some("after"));
    assert_eq!(served.recorder.look().closed.len(), 0);
}

#[test]
fn d04_for_event_streams_ends_at_a_half_close() {
    let served = serve(Setup::ForEventStreams, Duration::from_secs(15));
    let mut stream = served.open();
    stream.next_comment();
    stream.response().connection().half_close();
    let end = served.recorder.wait_for_ends(1)[0];
    assert_eq!((end.reason, end.heartbeats), (CloseReason::ClientGone, 0));
}

#[test]
fn d20_a_slow_head_is_given_up_and_takes_no_slot() {
    let served = serve(Setup::ForEventStreams, Duration::from_secs(15));
    let mut connection = Connection::open(served.address());
    let start = Instant::now();
    connection
        .send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n")
        .unwrap();
    let head = loop {
        match connection.head(Duration::from_secs(1)) {
            Ok(head) => break head,
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                // Five seconds for all of it, and not after each line; much more for a busy machine.
                let took = start.elapsed();
                assert!(took < Duration::from_secs(25), "no 408 after {took:?}");
                // It may have answered and closed meanwhile.
                let _ = connection.send(b"X-Slow: 1\r\n");
            }
            Err(error) => panic!("no 408 but {error}"),
        }
    };
    assert_eq!(head.status, 408);
    assert_eq!(served.recorder.look().opened.len(), 0);
    assert_eq!(served.hub.stats().streams, 0);
}

/// A stream whose peer takes nothing is not polled. What is published for it wakes nobody, and
/// must not put the worker to sleep on the streams of other topics.
#[test]
fn d06_a_stuck_stream_delays_no_other() {
    let mut hub = HubConfig::default();
    hub.subscriber_events = 1_000_000;
    hub.subscriber_bytes = 1 << 30;
    let served = Served::new(Setup::ForEventStreams, hub, every(Duration::from_secs(15)));
    let stuck = Connection::open(served.address()).with_small_window();
    let mut stuck = stuck;
    let request = Request::stream("/events/stuck").bytes(served.address());
    stuck.send(&request).unwrap();
    until("the stuck stream follows", LIMIT, || {
        (served.hub.subscribers("stuck") == 1).then_some(())
    });
    let mut live = served.open();
    // Until what is handed to the stuck connection grows no more.
    let event = || Event::data("x".repeat(60_000));
    let mut handed = 0;
    until("the stuck stream is stuck", LIMIT, || {
        let before = std::mem::replace(&mut handed, served.recorder.look().bytes);
        served.hub.publish("stuck", event()).unwrap();
        (before > 60_000 && before == handed).then_some(())
    });
    let mut delays: Vec<_> = (0..30)
        .map(|_| {
            served.hub.publish("stuck", event()).unwrap();
            // The worker takes this in first, in a turn of its own.
            std::thread::sleep(Duration::from_millis(5));
            let published = Instant::now();
            served.hub.publish("t", Event::data("y")).unwrap();
            assert_eq!(live.next_event().data(), Some("y"));
            published.elapsed()
        })
        .collect();
    delays.sort();
    // The better ones: a busy machine delays some. Those of a worker that sleeps all end with its next timer,
    // a quarter of a second later.
    assert!(delays[5] < Duration::from_millis(100), "{delays:?}");
}

/// The other way with slow consumers: the stream goes on, and what it missed is told to the event.
#[test]
fn d08_a_reader_that_may_skip_gets_the_exact_number_of_skipped_events() {
    let mut hub = HubConfig::default();
    hub.subscriber_events = 2;
    hub.slow_consumer = SlowConsumer::Skip;
    let served = Served::new(Setup::ForEventStreams, hub, every(Duration::from_secs(15)));
    let mut stream = served.open();
    // Not read meanwhile: more than the kernel holds for it, and more than its share of the log.
    let published = 5000;
    let padding = "x".repeat(4096);
    for number in 0..published {
        let event = Event::data(format!("{number}\n{padding}"));
        served.hub.publish("t", event).unwrap();
    }
    let (mut next, mut told) = (0, 0);
    while next < published {
        let event = stream.next_event();
        let data = event.data().expect("data");
        if event.event() == Some("lagged") {
            let lagged: serde_json::Value = serde_json::from_str(data).unwrap();
            let missed = lagged["missed"].as_u64().expect("a number") as usize;
            assert!(missed > 0, "{lagged}");
            next += missed;
            told += missed;
        } else {
            let number: usize = data.split('\n').next().unwrap().parse().unwrap();
            assert_eq!(number, next, "what comes after is what was announced");
            next += 1;
        }
    }
    assert_eq!(next, published);
    assert!(told > 0, "the reader was slow");
    assert_eq!(served.recorder.look().lagged, told as u64);
    assert_eq!(served.recorder.look().closed.len(), 0, "the stream goes on");
}

/// A filter is the application's code, and runs for one subscriber.
#[test]
fn d12_a_panic_in_one_subscribers_filter_ends_that_stream_only() {
    let served = serve(Setup::ForEventStreams, Duration::from_secs(15));
    let mut other = served.open();
    let mut panics = served.open_with(&Request::stream("/panics-on-bad"));
    let publish = |name: &'static str| {
        let event = Event::data("x").name(name).unwrap();
        served.hub.publish("t", event).unwrap();
    };
    publish("good");
    assert_eq!(panics.next_event().event(), Some("good"));
    publish("bad");
    publish("good");
    let rest = panics.until_end(LIMIT);
    assert!(rest.iter().all(|block| block.data().is_none()), "{rest:?}");
    let end = served.recorder.wait_for_ends(1)[0];
    assert_eq!((end.reason, end.events), (CloseReason::Error, 1));
    for name in ["good", "bad", "good"] {
        assert_eq!(other.next_event().event(), Some(name));
    }
    // The worker lives on, and takes new streams.
    let mut next = served.open();
    publish("good");
    assert_eq!(next.next_event().event(), Some("good"));
}
