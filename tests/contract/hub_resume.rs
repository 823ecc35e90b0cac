//! Group R without guards: what needs a small hub, a reader that does not read, or many rounds.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use actix_web_sse::{
    Event, Hub,
    config::{HubConfig, StreamConfig},
    observe::{CloseReason, Resume},
};
use actix_web_sse_tests::{Connection, EventStream, Request};
use fastrand::Rng;

use crate::served::{Served, Setup};

fn serve(replay_events: usize) -> Served {
    let mut hub = HubConfig::default();
    hub.replay_events = replay_events;
    hub.replay_bytes = 64 << 20;
    let mut stream = StreamConfig::default();
    stream.heartbeat = Duration::from_secs(1);
    stream.stall = Duration::from_secs(2);
    Served::new(Setup::ForEventStreams, hub, stream)
}

fn publish(hub: &Hub, number: usize) -> String {
    let published = hub.publish("t", Event::data(number.to_string())).unwrap();
    published.id.expect("an ID")
}

/// The next event: its ID and its number.
#[track_caller]
fn next(stream: &mut EventStream) -> (String, usize) {
    let event = stream.next_event();
    assert_eq!(event.event(), None, "{event:?}");
    let number = event.data().expect("data").parse().expect("a number");
    (event.id().expect("an ID").to_owned(), number)
}

/// 10 MiB of backlog, and nobody takes them: they stay where they are, once.
#[test]
fn r10_a_backlog_waits_in_the_log_and_not_in_the_connection() {
    let served = serve(10_000);
    let first = publish(&served.hub, 0);
    for _ in 0..10_000 {
        served
            .hub
            .publish("t", Event::data("x".repeat(1024)))
            .unwrap();
    }
    let mut connection = Connection::open(served.address()).with_small_window();
    let request = Request::stream("/events").header("Last-Event-ID", &first);
    connection.send(&request.bytes(served.address())).unwrap();
    let end = served.recorder.wait_for_ends(1)[0];
    assert_eq!(served.recorder.look().opened, [Resume::Hit]);
    let evicted = [
        CloseReason::Stalled,
        CloseReason::SlowConsumer,
        CloseReason::ClientGone,
    ];
    assert!(evicted.contains(&end.reason), "{end:?}");
    assert!(end.bytes < 1 << 20, "{end:?}");
    assert!(end.duration < Duration::from_secs(10), "{end:?}");
    drop(connection);
}

#[test]
fn r13_events_without_an_id_do_not_move_the_place_to_resume_from() {
    let served = serve(100);
    let mut stream = served.open();
    let id = publish(&served.hub, 1);
    let passing = Event::data("2").transient();
    assert_eq!(served.hub.publish("t", passing).unwrap().id, None);
    assert_eq!(next(&mut stream), (id.clone(), 1));
    let event = stream.next_event();
    assert_eq!((event.id(), event.data()), (None, Some("2")));
    drop(stream);
    publish(&served.hub, 3);
    let mut stream = served.back_with(&id);
    assert_eq!(next(&mut stream).1, 3, "what has no ID is not replayed");
    assert_eq!(served.recorder.look().opened, [Resume::Fresh, Resume::Hit]);
}

/// A thousand cuts while another thread publishes without pause: each event exactly once.
#[test]
fn r15_a_thousand_reconnects_lose_nothing_and_double_nothing() {
    let served = serve(100_000);
    let mut rng = Rng::new();
    let mut last = (publish(&served.hub, 0), 0);
    let over = AtomicBool::new(false);
    let published = thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            let mut count = 1;
            while !over.load(Ordering::SeqCst) {
                publish(&served.hub, count);
                count += 1;
                if count % 8 == 0 {
                    // Bursts, and pauses in which a client catches up and waits.
                    thread::sleep(Duration::from_millis(2));
                }
            }
            count
        });
        for _ in 0..1000 {
            let request = Request::stream("/events").header("Last-Event-ID", &last.0);
            let mut stream = request.open(served.address());
            for _ in 0..rng.usize(1..12) {
                let event = next(&mut stream);
                assert_eq!(event.1, last.1 + 1, "after {last:?}");
                last = event;
            }
        }
        over.store(true, Ordering::SeqCst);
        publisher.join().unwrap()
    });
    let mut stream = served.back_with(&last.0);
    while last.1 + 1 < published {
        let event = next(&mut stream);
        assert_eq!(event.1, last.1 + 1);
        last = event;
    }
    let resumed = served.recorder.look().opened;
    assert_eq!(resumed.len(), 1001);
    assert!(
        resumed.iter().all(|resume| *resume == Resume::Hit),
        "no gap and no reset"
    );
}
