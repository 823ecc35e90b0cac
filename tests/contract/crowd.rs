//! Group D: many at once, and what is left of them.

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{Connection, Demo, LIMIT, Request, Settings, Signal, until};

use crate::DEMO;

/// A hub from which nobody falls out for being slow on a busy machine.
fn patient() -> Settings {
    Settings::open()
        .set("hub.replay_events", 100_000)
        .set("hub.replay_bytes", 64 << 20)
        .set("hub.subscriber_events", 100_000)
        .set("hub.subscriber_bytes", 64 << 20)
}

#[test]
fn d17_all_subscribers_see_one_order() {
    const PUBLISHERS: usize = 8;
    const EACH: usize = 500;
    let demo = Demo::start(DEMO, &patient().set("server.workers", 4));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = Request::stream("/events?topic=order").open(demo.app);
            stream.next_comment();
            thread::spawn(move || {
                let read = |_| stream.next_event().data().unwrap().to_owned();
                (0..PUBLISHERS * EACH).map(read).collect::<Vec<_>>()
            })
        })
        .collect();
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let demo = &demo;
            let texts = (0..EACH).map(move |number| format!("{publisher}:{number}"));
            scope.spawn(move || demo.publish_all("order", texts));
        }
    });
    let mut orders = readers.into_iter().map(|reader| reader.join().unwrap());
    let first = orders.next().unwrap();
    for other in orders {
        assert!(other == first, "two subscribers saw two orders");
    }
    for publisher in 0..PUBLISHERS {
        let prefix = format!("{publisher}:");
        let own: Vec<_> = first
            .iter()
            .filter_map(|text| text.strip_prefix(&prefix))
            .collect();
        let expected: Vec<_> = (0..EACH).map(|number| number.to_string()).collect();
        assert_eq!(own, expected, "the order of one publisher");
    }
}

#[test]
fn d18_a_churn_of_clients_leaves_nothing_behind() {
    let demo = Demo::start(DEMO, &Settings::open());
    let churn = |count: usize| {
        thread::scope(|scope| {
            for worker in 0..4 {
                let demo = &demo;
                scope.spawn(move || {
                    for turn in 0..count / 4 {
                        let mut stream = Request::stream("/events").open(demo.app);
                        stream.block(LIMIT).unwrap();
                        // By turns as a browser closes, and as one that crashes does.
                        if (turn + worker) % 2 == 0 {
                            stream.into_connection().reset();
                        }
                    }
                });
            }
        });
        demo.wait_for_metric("sse_connections_active", &[], 0.0);
    };
    // What is allocated once is allocated by the first of them.
    churn(1000);
    let (memory, descriptors) = (demo.process().memory(), demo.process().descriptors());
    churn(4000);
    until("the descriptors are back", LIMIT, || {
        (demo.process().descriptors() <= descriptors).then_some(())
    });
    let grown = demo.process().memory().saturating_sub(memory);
    assert!(grown < 2 << 20, "{grown} bytes after 4000 more streams");
    let exposition = demo.exposition();
    let closed = exposition.sum("sse_connections_closed_total", &[]);
    assert_eq!(closed, exposition.sum("sse_connections_opened_total", &[]));
    assert_eq!(closed, 5000.0);
}

#[test]
fn d21_a_paused_process_makes_no_burst_of_heartbeats() {
    let demo = Demo::start(DEMO, &Settings::open());
    let mut stream = Request::stream("/events?topic=quiet").open(demo.app);
    for _ in 0..4 {
        stream.next_comment();
    }
    demo.process().signal(Signal::STOP);
    // Time passes for the demo; the test has nothing to wait for but the clock.
    thread::sleep(Duration::from_secs(5));
    // What was on its way before the stop.
    while stream.block(Duration::from_millis(1)).is_ok() {}
    let resumed = Instant::now();
    demo.process().signal(Signal::CONT);
    stream.next_comment();
    let mut beats = 1;
    while resumed.elapsed() < Duration::from_secs(2) {
        if matches!(stream.block(Duration::from_millis(500)), Ok(Some(_))) {
            beats += 1;
        }
    }
    // One that was due, one that may have been late, and those of the time since, each after 0.9 s at the least;
    // never the five that were missed.
    let most = 2 + (resumed.elapsed().as_secs_f64() / 0.9) as usize;
    assert!(beats <= most, "{beats} heartbeats, {most} at the most");
}

#[test]
fn d14_a_body_on_a_stream_request_is_not_kept() {
    let demo = Demo::start(DEMO, &Settings::open());
    let request = Request::stream("/events").header("Transfer-Encoding", "chunked");
    let mut connection = Connection::open(demo.app);
    connection.send(&request.bytes(demo.app)).unwrap();
    // What the first request makes it allocate is not what the body costs.
    connection.head(LIMIT).unwrap();
    let before = demo.process().memory();
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    // 64 MiB, or as much as the server takes.
    for _ in 0..1024 {
        if connection.send(&chunk).is_err() {
            break;
        }
    }
    let grown = demo.process().memory().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes");
}

#[test]
fn d19_without_descriptors_the_server_waits_and_recovers() {
    let demo = Demo::start(DEMO, &Settings::open());
    demo.process().limit_descriptors(64);
    let request = Request::stream("/events").bytes(demo.app);
    let crowd: Vec<_> = (0..200)
        .map(|_| {
            let mut connection = Connection::open(demo.app);
            connection.send(&request).unwrap();
            connection
        })
        .collect();
    // Some are served, the others wait in the backlog; that is no reason to spin.
    until("there is no descriptor left", LIMIT, || {
        (demo.process().descriptors() >= 60).then_some(())
    });
    let (start, computed) = (Instant::now(), demo.process().cpu_time());
    thread::sleep(Duration::from_secs(2));
    let computed = demo.process().cpu_time() - computed;
    assert!(
        computed < start.elapsed() / 2,
        "{computed:?} of {:?}",
        start.elapsed()
    );
    drop(crowd);
    Request::stream("/events").open(demo.app).next_comment();
}
