//! M11: a look at the metrics while very many streams are open.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{Connection, Demo, LIMIT, Request, Settings};
use rustix::process::{Resource, getrlimit};

use crate::DEMO;

/// The performance goal's number, where the machine's descriptor limit allows it; a quarter of the
/// limit is left to the tests that run beside this one.
fn as_many_as_there_may_be() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit / 4 * 3)
        .unwrap_or(usize::MAX)
        .min(19_000)
}

fn open(demo: &Demo, count: usize) -> Vec<Connection> {
    let request = Request::stream("/events?topic=idle").bytes(demo.app);
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        // A burst of requests, then their answers: not a round trip for each. A connection without a request is closed
        // after five seconds, which may pass on a busy machine before two hundred are there.
        let burst = (count - streams.len()).min(200);
        let mut opened = Vec::with_capacity(burst);
        for _ in 0..burst {
            let mut stream = Connection::open(demo.app);
            stream.send(&request).unwrap();
            opened.push(stream);
        }
        for stream in &mut opened {
            assert_eq!(stream.head(LIMIT).unwrap().status, 200);
        }
        streams.append(&mut opened);
    }
    streams
}

/// How long each of so many publications took, one after the other over one connection: several
/// thousand a second.
fn publications(demo: &Demo, count: usize) -> Vec<Duration> {
    let request = Request::new("POST", "/publish?topic=busy").body("text/plain", "an event");
    let bytes = request.bytes(demo.app);
    let mut connection = Connection::open(demo.app);
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        connection.send(&bytes).unwrap();
        let mut answer = connection.response(false);
        assert_eq!(answer.status(), 200);
        while answer.piece(LIMIT).unwrap().is_some() {}
        connection = answer.into_connection();
        took.push(began.elapsed());
    }
    took
}

/// How long one scrape after the other took, and of a hundred publications beside them the slowest
/// but one.
fn while_scraped(demo: &Demo, count: usize) -> (Vec<Duration>, Duration) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut took = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let began = Instant::now();
                let exposition = demo.exposition();
                took.push(began.elapsed());
                let active = exposition.sum("sse_connections_active", &[]);
                assert!(active >= count as f64, "{active} of {count}");
            }
            took
        });
        let busy = percentile(publications(demo, 1_000), 99);
        done.store(true, Ordering::Relaxed);
        (scraper.join().unwrap(), busy)
    })
}

/// The time that so many of a hundred stay below.
fn percentile(mut times: Vec<Duration>, of_a_hundred: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * of_a_hundred / 100).min(times.len() - 1)]
}

#[test]
fn m11_a_scrape_with_very_many_streams_is_quick_and_delays_no_stream() {
    let settings = Settings::open()
        .set("stream.heartbeat", "55s")
        .set("stream.stall", "60s");
    let demo = Demo::start(DEMO, &settings);
    let count = as_many_as_there_may_be();
    let streams = open(&demo, count);
    let reader = Request::stream("/events?topic=busy").open(demo.app);
    // What a scrape adds, it adds in every round; what other work on the machine adds, it does not.
    let most = |quiet: Duration| quiet.mul_f64(1.1) + Duration::from_millis(20);
    let mut rounds = Vec::new();
    let good = (0..5).any(|_| {
        let quiet = percentile(publications(&demo, 1_000), 99);
        let (scrapes, busy) = while_scraped(&demo, count);
        let typical = percentile(scrapes, 50);
        rounds.push(format!(
            "a scrape {typical:.1?}, a publication {quiet:.1?}, while scraped {busy:.1?}"
        ));
        typical < Duration::from_millis(100) && busy < most(quiet)
    });
    println!("{count} streams: {}", rounds.join("; "));
    assert!(good, "{}", rounds.join("\n"));
    drop((streams, reader));
}
