//! What a hostile client must not get, where nobody else need measure.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{Demo, LIMIT, Request, Settings, until};

use crate::{DEMO, frames, setup::Setup, target::Target};

/// H10: a page of any site can make its visitor's browser ask a loopback address under a name of
/// its own (DNS rebinding); a proxy on the same host asks for everybody.
#[test]
fn h10_the_operators_endpoint_is_closed_to_a_foreign_host() {
    for setup in Setup::ALL {
        // As it is configured, nobody is an operator.
        let demo = Demo::start(DEMO, &setup.settings());
        for address in [demo.app, demo.metrics] {
            let answer = Request::new("GET", "/operators").send(address);
            assert!(
                [401, 403, 404].contains(&answer.status()),
                "{setup}: {answer:?}"
            );
        }
        let settings = setup.settings().set("metrics.operators", "token");
        let demo = Demo::start(DEMO, &settings);
        let status = Request::new("GET", "/operators")
            .send(demo.metrics)
            .status();
        assert!([401, 403].contains(&status), "{setup}, no token: {status}");
        let settings = setup
            .settings()
            .set("metrics.operators", "loopback-without-token");
        let demo = Demo::start(DEMO, &settings);
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
        ] {
            let request = Request::new("GET", "/operators").header("Host", host);
            let status = request.send(demo.metrics).status();
            assert!(
                [403, 421].contains(&status),
                "{setup}, Host {host}: {status}"
            );
        }
        for (name, value) in [
            ("X-Forwarded-For", "203.0.113.9"),
            ("Forwarded", "for=203.0.113.9"),
        ] {
            let request = Request::new("GET", "/operators").header(name, value);
            let status = request.send(demo.metrics).status();
            assert!([403, 421].contains(&status), "{setup}, {name}: {status}");
        }
    }
}

/// H11: what pages people must come from a page of an allowed origin.
#[test]
fn h11_reports_of_foreign_pages_are_not_counted() {
    for setup in Setup::ALL {
        let demo = Demo::start(DEMO, &setup.settings());
        for _ in 0..50 {
            for origin in [None, Some("https://evil.example"), Some("null")] {
                report(&demo, origin);
            }
        }
        assert_eq!(counted(&demo), 0.0, "{setup}: reports that count");
    }
}

/// H11: one client's share, whatever it sends.
#[test]
fn h11_ten_thousand_reports_of_one_client_are_its_share() {
    for setup in Setup::ALL {
        let origin = match setup {
            Setup::Defaults => "http://localhost:8080",
            Setup::Reference => "https://app.example.com",
        };
        let demo = Demo::start(DEMO, &setup.settings());
        let request = Request::new("POST", "/sse-reports")
            .header("Origin", origin)
            .body("text/plain", "cors_blocked");
        let target = target(&demo, setup, Duration::from_secs(2));
        let bytes = request.bytes(demo.app);
        target.flood(8, move |_| bytes.clone());
        let counted = counted(&demo);
        assert!(
            counted <= 100.0,
            "{setup}: {counted} reports of one client count"
        );
    }
}

fn report(demo: &Demo, origin: Option<&str>) {
    let mut request = Request::new("POST", "/sse-reports");
    if let Some(origin) = origin {
        request = request.header("Origin", origin);
    }
    let status = request
        .body("text/plain", "cors_blocked")
        .send(demo.app)
        .status();
    assert!((200..500).contains(&status), "{origin:?}: {status}");
}

/// All reports but those that were dropped.
fn counted(demo: &Demo) -> f64 {
    let seen = demo.exposition();
    let all = seen.sum("sse_client_reports_total", &[]);
    all - seen.sum("sse_client_reports_total", &[("diagnosis", "dropped")])
}

fn target(demo: &Demo, setup: Setup, time: Duration) -> Target {
    Target {
        app: demo.app,
        from: [127, 66, 1, 1].into(),
        token: setup.token().map(|sign| sign("mallory", false)),
        until: Instant::now() + time,
        per_address: setup.per_address(),
        busy_topic: "busy",
        streams: Arc::default(),
    }
}

/// H03: a drain waits for nobody who takes nothing, be the window closed or the reader asleep.
#[test]
fn h03_a_drain_does_not_wait_for_closed_windows() {
    // Whoever waits for a peer that takes nothing waits in vain.
    let settings = Settings::reference()
        .set("server.workers", 2)
        .set("stream.stall", "120s");
    let mut demo = Demo::start(DEMO, &settings);
    let target = target(&demo, Setup::Reference, Duration::from_secs(60));
    let mut h2 = TcpStream::connect(demo.app).unwrap();
    h2.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut bytes = frames::preface(&[(frames::INITIAL_WINDOW_SIZE, 0)]);
    for stream in [1, 3] {
        let block = frames::stream_block(target.app, target.token.as_deref(), "busy");
        let flags = frames::END_HEADERS | frames::END_STREAM;
        bytes.extend(frames::frame(frames::HEADERS, flags, stream, &block));
    }
    h2.write_all(&bytes).unwrap();
    let h1 = TcpStream::connect(demo.app).unwrap();
    socket2::SockRef::from(&h1).set_recv_buffer_size(1).unwrap();
    (&h1).write_all(&target.stream("busy")).unwrap();
    demo.wait_for_metric("sse_connections_active", &[], 3.0);
    // More than the sockets hold.
    for _ in 0..40 {
        demo.publish("busy", &"x".repeat(60_000));
    }
    let took = demo.terminate();
    // The drain window of the reference set-up is two seconds; the rest is for a busy machine.
    assert!(took < Duration::from_secs(20), "it took {took:?}");
    // What is left is an end, not a silence.
    let mut rest = Vec::new();
    let _ = h2.read_to_end(&mut rest);
}

/// H01, the other way round: what bounds the bytes behind a stream bounds them there only. A
/// publisher that pipelines is no hostile client.
#[test]
fn h01_requests_behind_requests_are_all_answered() {
    for setup in Setup::ALL {
        let demo = Demo::start(DEMO, &setup.settings());
        // With bodies that do not fit into one read, actix itself says `Connection: close` in the
        // middle, when an answer leaves before the next body is there.
        for size in [10, 100, 1000] {
            demo.publish_all("pipelined", (0..64).map(|_| "x".repeat(size)));
        }
    }
}

/// Every test above attacks a demo that lives on.
#[test]
fn a_demo_serves_after_bytes_that_are_no_http() {
    for setup in Setup::ALL {
        let demo = Demo::start(DEMO, &setup.settings());
        for junk in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            b"\0\0\0\0",
            b"\r\n\r\n",
        ] {
            let mut socket = TcpStream::connect(demo.app).unwrap();
            socket.write_all(junk).unwrap();
        }
        until("the demo answers", LIMIT, || {
            let answer = Request::new("GET", "/healthz").try_send(demo.app).ok()?;
            (answer.status() == 200).then_some(())
        });
    }
}
