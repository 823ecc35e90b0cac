//! Row H02: one address floods, the others open their streams.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{Claims, Connection, Demo, EventStream, Request, Settings};

use crate::DEMO;

/// Where the flood comes from.
const FLOODING: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

/// How many others open a stream, and how often one of them does: half of the shared rate.
const OTHERS: u8 = 100;
const PAUSE: Duration = Duration::from_millis(40);

/// How many requests go out together.
const BATCH: usize = 16;

/// Sends the same request again and again, as fast as it is answered.
fn flood(app: SocketAddr, request: &[u8], over: &AtomicBool, sent: &AtomicUsize) {
    let batch = request.repeat(BATCH);
    while !over.load(Relaxed) {
        let Ok(connection) = Connection::try_open_from(FLOODING, app) else {
            continue;
        };
        let mut socket = connection.into_socket();
        let timeout = socket.set_read_timeout(Some(Duration::from_secs(1)));
        timeout.expect("a time-out");
        while !over.load(Relaxed)
            && socket.write_all(&batch).is_ok()
            && answers(&mut socket, BATCH, sent).is_some()
        {}
    }
}

/// Reads so many answers, whatever they are, and counts them.
fn answers(socket: &mut TcpStream, mut wanted: usize, sent: &AtomicUsize) -> Option<()> {
    const START: &[u8] = b"HTTP/1.1 ";
    let mut buffer = [0; 16 * 1024];
    let mut kept = 0;
    while wanted > 0 {
        let read = socket.read(buffer.get_mut(kept..)?).ok()?;
        if read == 0 {
            return None;
        }
        let text = buffer.get(..kept + read)?;
        let found = text.windows(START.len()).filter(|at| *at == START);
        let found = found.count();
        sent.fetch_add(found, Relaxed);
        wanted = wanted.saturating_sub(found);
        // The start of an answer may be cut.
        let tail = text.len().saturating_sub(START.len() - 1);
        let end = text.len();
        buffer.copy_within(tail..end, 0);
        kept = end - tail;
    }
    Some(())
}

/// Opens streams and cuts them, as fast as they open.
fn cut(app: SocketAddr, request: &[u8], over: &AtomicBool, sent: &AtomicUsize) {
    while !over.load(Relaxed) {
        let Ok(mut connection) = Connection::try_open_from(FLOODING, app) else {
            continue;
        };
        if connection.send(request).is_ok() {
            let _ = connection.head(Duration::from_secs(1));
            sent.fetch_add(1, Relaxed);
        }
        connection.reset();
    }
}

/// Opens a stream from an address of its own; `None` if that is refused. How long it took.
fn open(demo: &Demo, n: u8) -> Option<(EventStream, Duration)> {
    let since = Instant::now();
    let token = demo.token(&Claims::of(&format!("user {n}")));
    let address = Ipv4Addr::new(127, 0, 1, n);
    let mut connection = Connection::try_open_from(address, demo.app).ok()?;
    let request = Request::stream("/events?topic=quiet").bearer(&token);
    connection.send(&request.bytes(demo.app)).ok()?;
    let response = connection.response(false);
    let stream = response.header("transfer-encoding") == Some("chunked");
    let opened = response.status() == 200 && stream;
    opened.then(|| (response.events(), since.elapsed()))
}

/// The others open their streams one after the other, but for one of them, and within a second. A busy machine stands
/// still for longer now and then, which makes a few late; a server that lets the flood go first makes most of them late.
#[track_caller]
fn others_opened(what: &str, opened: &[(EventStream, Duration)]) {
    let late = opened
        .iter()
        .filter(|(_, took)| *took >= Duration::from_secs(1));
    let late = late.count();
    assert!(
        opened.len() >= usize::from(OTHERS) - 1 && late <= usize::from(OTHERS) / 10,
        "{what}: {} opened, {late} of them late",
        opened.len()
    );
}

type Attack = fn(SocketAddr, &[u8], &AtomicBool, &AtomicUsize);

#[track_caller]
fn others_open_while(demo: &Demo, what: &str, attack: Attack, request: &Request) {
    let request = request.bytes(demo.app);
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let since = Instant::now();
    let open = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| attack(demo.app, &request, &over, &sent));
        }
        // It has begun, and taken what it can.
        while sent.load(Relaxed) < 10 && since.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(1));
        }
        let mut open = Vec::new();
        for n in 0..OTHERS {
            thread::sleep(PAUSE);
            open.extend(open_caught(demo, n));
        }
        over.store(true, Relaxed);
        open
    });
    let (sent, took) = (sent.into_inner(), since.elapsed());
    let rate = sent as f64 / took.as_secs_f64();
    println!(
        "{what}: {rate:.0} requests a second; {} of {OTHERS} opened",
        open.len()
    );
    assert!(sent >= 10, "{what}: there was no flood");
    others_opened(what, &open);
    drop(open);
    demo.wait_for_metric("sse_connections_active", &[], 0.0);
}

/// A connection that breaks is a stream that did not open.
fn open_caught(demo: &Demo, n: u8) -> Option<(EventStream, Duration)> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| open(demo, n)))
        .ok()
        .flatten()
}

#[test]
fn h02_one_address_floods_and_the_others_open_their_streams() {
    let demo = Demo::start(DEMO, &Settings::reference());
    let stream = || Request::stream("/events?topic=quiet");
    let good = demo.token(&Claims::of("flooding"));
    let forged = Claims::of("flooding").sign("another secret, of at least 32 bytes!");
    let guess = "A".repeat(120);
    for (what, attack, request) in [
        ("no token", flood as Attack, stream()),
        ("a forged token", flood, stream().bearer(&forged)),
        (
            "a foreign origin",
            flood,
            stream().header("Origin", "https://evil.example"),
        ),
        (
            "preflights",
            flood,
            Request::preflight("/events", "https://app.example.com", "GET", "authorization"),
        ),
        (
            "HEAD",
            flood,
            Request::new("HEAD", "/events?topic=quiet")
                .header("Accept", "text/event-stream")
                .bearer(&good),
        ),
        (
            "ticket guesses",
            flood,
            Request::stream(&format!("/events?topic=quiet&ticket={guess}")),
        ),
        (
            "requests for tickets",
            flood,
            Request::new("POST", "/ticket?topic=quiet")
                .header("Content-Length", "0")
                .bearer(&forged),
        ),
        (
            "reports",
            flood,
            Request::new("POST", "/sse-reports").body("text/plain", "cors_blocked"),
        ),
        ("open and cut", cut, stream().bearer(&good)),
    ] {
        others_open_while(&demo, what, attack, &request);
    }
}

#[test]
fn h02_an_address_that_keeps_its_streams_and_requests_more_stops_no_other() {
    let demo = Demo::start(DEMO, &Settings::reference());
    let good = demo.token(&Claims::of("flooding"));
    let request = Request::stream("/events?topic=quiet").bearer(&good);
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut connection = Connection::try_open_from(FLOODING, demo.app).expect("a connection");
        connection
            .send(&request.bytes(demo.app))
            .expect("it leaves");
        let response = connection.response(false);
        assert_eq!(response.status(), 200);
        held.push(response.events());
    }
    let bytes = request.bytes(demo.app);
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let opened = thread::scope(|scope| {
        scope.spawn(|| flood(demo.app, &bytes, &over, &sent));
        let open: Vec<_> = (0..OTHERS)
            .filter_map(|n| {
                thread::sleep(PAUSE);
                open_caught(&demo, n)
            })
            .collect();
        over.store(true, Relaxed);
        open
    });
    assert!(sent.into_inner() >= BATCH, "there was no flood");
    others_opened("over its own limit", &opened);
}

#[test]
fn h07_a_name_that_no_topic_can_have_is_refused_wherever_it_comes_in() {
    let demo = Demo::start(DEMO, &Settings::reference());
    let reader = demo.token(&Claims::of("reader"));
    let publisher = demo.token(&Claims::of("publisher").publisher());
    for (topic, message) in [
        // The guards read no query of that length.
        ("x".repeat(60_000), ""),
        ("x".repeat(300), "max_topic_bytes is 256"),
        ("a%0Ab".to_owned(), "control character"),
    ] {
        let stream = Request::stream(&format!("/events?topic={topic}")).bearer(&reader);
        let publication = Request::new("POST", &format!("/publish?topic={topic}"))
            .bearer(&publisher)
            .body("text/plain", "x");
        for request in [stream, publication] {
            let response = request.send(demo.app);
            assert_eq!(response.status(), 400);
            let body = response.text();
            assert!(body.contains(r#""error":"invalid_request""#), "{body}");
            assert!(body.contains(message), "{body}");
        }
        let ticket = Request::new("POST", &format!("/ticket?topic={topic}"))
            .header("Content-Length", "0")
            .bearer(&reader);
        // The policy does not know the hub's bound, only what no hub allows: 1024 bytes.
        let issued = topic.len() == 300;
        let status = if issued { 200 } else { 400 };
        assert_eq!(ticket.send(demo.app).status(), status);
    }
    demo.wait_for_metric("sse_connections_active", &[], 0.0);
}
