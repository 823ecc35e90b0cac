//! Group R without guards: what needs a small hub, a reader that does not read, or many rounds.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
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

fn serve(replay_events: usize, stall: Duration) -> Served {
    let mut hub = HubConfig::default();
    hub.replay_events = replay_events;
    hub.replay_bytes = 64 << 20;
    let mut stream = StreamConfig::default();
    stream.heartbeat = Duration::from_secs(1);
    stream.stall = stall;
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
    let served = serve(10_000, Duration::from_secs(2));
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
    // `stall` and a little, and much more for a busy machine.
    assert!(end.duration < Duration::from_secs(25), "{end:?}");
    drop(connection);
}

#[test]
fn r13_events_without_an_id_do_not_move_the_place_to_resume_from() {
    let served = serve(100, PATIENT);
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

/// Ends the publisher when it is dropped, by a panic too.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// How long a reader may take nothing where that is not what the test is about: it is another thread of this machine.
const PATIENT: Duration = Duration::from_secs(60);

/// How far the publisher of a test may be ahead of its reader.
const AHEAD: usize = 5000;

/// A thousand cuts while another thread publishes without pause: each event exactly once.
#[test]
fn r15_a_thousand_reconnects_lose_nothing_and_double_nothing() {
    let served = serve(2 * AHEAD, PATIENT);
    let mut rng = Rng::new();
    let mut last = (publish(&served.hub, 0), 0);
    let (over, read) = (AtomicBool::new(false), AtomicUsize::new(0));
    let published = thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            let mut count = 1;
            while !over.load(Ordering::SeqCst) {
                // However slow the machine makes the reader, what it has not read is kept.
                if count < read.load(Ordering::SeqCst) + AHEAD {
                    publish(&served.hub, count);
                    count += 1;
                    if count % 8 != 0 {
                        continue;
                    }
                }
                // Bursts, and pauses in which a client catches up and waits.
                thread::sleep(Duration::from_millis(2));
            }
            count
        });
        let ends = Over(&over);
        for _ in 0..1000 {
            let request = Request::stream("/events").header("Last-Event-ID", &last.0);
            let mut stream = request.open(served.address());
            for _ in 0..rng.usize(1..12) {
                let event = next(&mut stream);
                assert_eq!(event.1, last.1 + 1, "after {last:?}");
                last = event;
            }
            read.store(last.1, Ordering::SeqCst);
        }
        drop(ends);
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
