//! Group D: readers that do not keep pace.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read},
    net::TcpStream,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use actix_web_sse::{
    Event,
    config::{HubConfig, SlowConsumer},
    observe::CloseReason,
};
use actix_web_sse_tests::{
    App, Block, Connection, EventStream, Front, LIMIT, Request, reference_hub, reference_stream,
};

/// How long a reader may take nothing where it is not to be ended for that.
const PATIENT: Duration = Duration::from_secs(60);

/// A KiB of data that begins with a number.
fn kibibyte(number: u64) -> Event {
    Event::data(format!("{number:08} {}", "x".repeat(1015)))
}

fn number(block: &Block) -> u64 {
    let data = block.data().expect("an event with data");
    data[..8].parse().expect("its number")
}

/// Publishes in the pace of a good reader, so that only those fall behind who do not read.
struct Publisher<'a> {
    app: &'a App,
    good: EventStream,
    published: u64,
}

impl<'a> Publisher<'a> {
    fn new(app: &'a App) -> Self {
        let mut good = Request::stream("/events").open(app.address);
        good.next_comment();
        Self {
            app,
            good,
            published: 0,
        }
    }

    fn publish(&mut self, count: u64) {
        for batch in (0..count).step_by(50) {
            let batch = 50.min(count - batch);
            for _ in 0..batch {
                let event = kibibyte(self.published);
                self.app.hub.publish("demo", event).expect("published");
                self.published += 1;
            }
            for expected in self.published - batch..self.published {
                assert_eq!(number(&self.good.next_event()), expected);
            }
        }
    }

    /// Publishes until the hub has ended a stream.
    fn publish_until_one_is_ended(&mut self) -> CloseReason {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            self.publish(10);
            for reason in [CloseReason::SlowConsumer, CloseReason::Stalled] {
                if self.app.account.closed_as(reason) == 1 {
                    return reason;
                }
            }
        }
        panic!("nobody was ended: {:?}", self.app);
    }
}

/// A stream whose client has read the head and nothing more.
fn stalled(app: &App) -> Connection {
    let mut connection = Connection::open(app.address).with_small_window();
    let request = Request::stream("/events").bytes(app.address);
    connection.send(&request).expect("the request leaves");
    let head = connection.head(LIMIT).expect("a head");
    assert_eq!(head.status, 200);
    connection
}

#[test]
fn d06_a_reader_that_stops_is_ended_and_the_others_get_everything() {
    for front in Front::ALL {
        let mut stream = reference_stream();
        // A worker that gets no processor for a while finds it stalled before it finds it slow. And an `HttpServer` closes
        // its connection as late as that.
        stream.stall = Duration::from_secs(6);
        let app = App::on(front, 2, reference_hub(), stream, |_| {});
        let mut publisher = Publisher::new(&app);
        let _stalled = stalled(&app);
        app.wait_for_subscribers("demo", 2);
        publisher.publish(10_000);
        app.account.wait_for(CloseReason::SlowConsumer, 1);
        assert_eq!(app.hub.subscribers("demo"), 1, "the good reader stays");
        // Not only the account: the connection goes too, with all that it held.
        app.wait_for_connections(1);
        publisher.publish(100);
    }
}

#[test]
fn d06_a_reader_that_stops_on_a_quiet_topic_is_stalled() {
    for front in Front::ALL {
        // If the worker has no processor at the moment at which the time is over, the kernel is first, and of actix's
        // body lane nobody can tell then why the connection has failed. That does not come five times.
        let ends = (0..5).map(|_| end_on_a_quiet_topic(front));
        let ends = ends.take_while(|closed| closed.contains_key("client_gone"));
        let gone = ends.collect::<Vec<_>>();
        assert!(gone.len() < 5, "not as if the client had gone: {gone:?}");
    }
}

/// How a stream ended of which nothing is read.
fn end_on_a_quiet_topic(front: Front) -> BTreeMap<&'static str, u64> {
    let app = App::on(front, 1, reference_hub(), reference_stream(), |_| {});
    let _stalled = stalled(&app);
    app.wait_for_subscribers("demo", 1);
    // Enough to fill what the kernel and actix hold, and too little to be behind by much.
    let mut hub = 0;
    while app.account.closed().is_empty() && hub < 10_000 {
        app.hub.publish("demo", kibibyte(hub)).expect("published");
        hub += 1;
        thread::yield_now();
    }
    app.wait_for_connections(0);
    let closed = app.account.closed();
    let ends = ["stalled", "slow_consumer", "client_gone"];
    let ends = ends.map(|reason| closed.get(reason).copied().unwrap_or(0));
    assert_eq!(ends.iter().sum::<u64>(), 1, "{closed:?}");
    closed
}

/// Reads a byte at a time, with so long a pause between, until it is told to stop or there is
/// nothing more.
fn drip(connection: Connection, pause: Duration) -> mpsc::Sender<()> {
    let (stop, stopped) = mpsc::channel::<()>();
    let mut socket: TcpStream = connection.into_socket();
    thread::spawn(move || {
        let mut byte = [0];
        // A time-out is the pause; anything else is the end of the test.
        while stopped.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
            match socket.read(&mut byte) {
                Ok(1) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    });
    stop
}

#[test]
fn d07_a_reader_that_drips_is_ended() {
    for front in Front::ALL {
        let app = App::on(front, 2, reference_hub(), reference_stream(), |_| {});
        let mut publisher = Publisher::new(&app);
        let stop = drip(stalled(&app), Duration::from_millis(100));
        app.wait_for_subscribers("demo", 2);
        publisher.publish_until_one_is_ended();
        app.wait_for_connections(1);
        publisher.publish(100);
        drop(stop);
    }
}

/// Everything that comes up to the end or the cut: events in order, and what was said to be
/// missed.
fn take_all(stream: &mut EventStream, until: u64) -> (Vec<u64>, u64) {
    let (mut numbers, mut missed) = (Vec::new(), 0);
    while numbers.last() != Some(&until) {
        let block = stream.next_event();
        if block.event() == Some("lagged") {
            let data = block.data().expect("what was missed");
            let told: serde_json::Value = serde_json::from_str(data).expect("JSON");
            missed += told["missed"].as_u64().expect("a count");
        } else {
            numbers.push(number(&block));
        }
    }
    (numbers, missed)
}

#[test]
fn d08_a_slow_reader_gets_the_exact_number_of_skipped_events() {
    for front in Front::ALL {
        let mut hub = reference_hub();
        hub.slow_consumer = SlowConsumer::Skip;
        let mut stream = reference_stream();
        // It pauses for longer than the hub waits, and not for so long that it counts as stalled.
        stream.stall = PATIENT;
        let app = App::on(front, 2, hub, stream, |_| {});
        let mut publisher = Publisher::new(&app);
        let mut slow = Request::stream("/events").open(app.address);
        slow.next_comment();
        app.wait_for_subscribers("demo", 2);
        publisher.publish(10_000);
        // Heartbeats are the clock: after a second the hub lets go what the slow one has not taken.
        for _ in 0..3 {
            publisher.good.next_comment();
        }
        publisher.publish(1);
        let (numbers, missed) = take_all(&mut slow, publisher.published - 1);
        assert!(numbers.is_sorted_by(|a, b| a < b), "in order, and once");
        assert!(missed > 0, "ten MiB do not fit into the buffers");
        assert_eq!(numbers.len() as u64 + missed, publisher.published);
        assert_eq!(app.account.lagged(), missed);
    }
}

/// The last ID and all numbers that a stream holds, up to its end or its cut.
fn take_what_came(stream: &mut EventStream) -> (String, Vec<u64>) {
    let (mut last, mut numbers) = (String::new(), Vec::new());
    while let Ok(Some(block)) = stream.block(LIMIT) {
        if block.data().is_some() {
            numbers.push(number(&block));
            block.id().expect("an ID").clone_into(&mut last);
        }
    }
    (last, numbers)
}

#[test]
fn d08_a_slow_reader_that_was_ended_resumes_without_a_gap() {
    for front in Front::ALL {
        let mut hub: HubConfig = reference_hub();
        hub.replay_events = 100_000;
        hub.replay_bytes = 100 * 1024 * 1024;
        let mut stream = reference_stream();
        // It takes megabytes when it is back, and is not to be ended once more.
        stream.stall = PATIENT;
        let app = App::on(front, 2, hub, stream, |_| {});
        let mut publisher = Publisher::new(&app);
        let mut slow = Request::stream("/events").open(app.address);
        slow.next_comment();
        app.wait_for_subscribers("demo", 2);
        publisher.publish_until_one_is_ended();
        publisher.publish(10);
        let (id, mut numbers) = take_what_came(&mut slow);
        let mut back = Request::stream("/events")
            .header("Last-Event-ID", id)
            .open(app.address);
        let (rest, missed) = take_all(&mut back, publisher.published - 1);
        numbers.extend(rest);
        assert_eq!(missed, 0);
        assert!(numbers.iter().copied().eq(0..publisher.published));
    }
}
