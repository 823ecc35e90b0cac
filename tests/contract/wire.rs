//! Groups E and D: the bytes of a stream.

use std::time::{Duration, Instant};

use actix_web_sse_tests::{Block, Demo, LIMIT, Request, Settings};

use crate::{APP, DEMO, expect};

#[test]
fn d01_the_first_block_leaves_at_once_and_heartbeats_follow() {
    let demo = Demo::start(DEMO, &Settings::open());
    let open = || {
        let start = Instant::now();
        let mut stream = Request::stream("/events").open(demo.app);
        let first = stream.block(LIMIT).unwrap();
        assert!(first.is_some(), "a first line");
        (start.elapsed(), stream)
    };
    // The best of several: the machine may have other work. A block that waits for a heartbeat takes a second.
    let opened: Vec<_> = (0..5).map(|_| open()).collect();
    let fastest = opened.iter().map(|(took, _)| *took).min().unwrap();
    assert!(fastest <= Duration::from_millis(500), "{fastest:?}");
    for (_, mut stream) in opened {
        let retry = stream.block(LIMIT).unwrap().and_then(|block| block.retry());
        let retry = retry.expect("retry in the first block");
        // 3 s and 20 % of jitter, in the reference set-up.
        assert!((2400..=3600).contains(&retry), "{retry}");
        // The interval settles after the early heartbeats; there is no upper bound on a machine
        // that is busy, but no two may fall together.
        stream.next_comment();
        stream.next_comment();
        stream.next_comment();
    }
}

#[test]
fn e16_a_heartbeat_is_one_line_and_no_blank_one() {
    let demo = Demo::start(DEMO, &Settings::open());
    let mut stream = Request::stream("/events?topic=quiet").open(demo.app);
    stream.next_comment();
    demo.publish("quiet", "x");
    stream.next_event();
    let after_event = stream.wire().len();
    stream.next_comment();
    stream.next_comment();
    let heartbeats = String::from_utf8(stream.wire()[after_event..].to_vec()).unwrap();
    assert!(
        heartbeats.starts_with(':') && heartbeats.ends_with('\n'),
        "{heartbeats:?}"
    );
    for line in heartbeats.lines() {
        assert!(line.starts_with(':'), "{heartbeats:?}");
    }
}

#[test]
fn e01_to_e04_published_text_arrives_as_it_was() {
    let demo = Demo::start(DEMO, &Settings::open());
    let mut stream = Request::stream("/events?topic=text").open(demo.app);
    for (sent, received) in [
        ("a\nb", "a\nb"),
        ("a\r\nb", "a\nb"),
        ("a\rdata: pwn\r\rb", "a\ndata: pwn\n\nb"),
        ("", ""),
        ("\n", "\n"),
        ("a\n", "a\n"),
        ("\n\n", "\n\n"),
        (" x", " x"),
        (":x", ":x"),
        ("data: x", "data: x"),
        ("id: 9", "id: 9"),
        ("\u{feff}x", "\u{feff}x"),
        ("日本", "日本"),
    ] {
        demo.publish("text", sent);
        let event = stream.next_event();
        assert_eq!(event.data(), Some(received), "{sent:?}");
        assert_eq!(event.event(), None);
    }
}

#[test]
fn e05_and_e13_an_event_name_cannot_carry_a_line() {
    let demo = Demo::start(DEMO, &Settings::open());
    for name in ["a\nb", "a\rb", "a\r\nb", "message\nevent: admin"] {
        let body = serde_json::json!({"data": "x", "event": name}).to_string();
        let response = demo.try_publish("text", "application/json", &body);
        assert_eq!(response.status(), 400, "{name:?}");
    }
    // The hub is none the worse.
    let mut stream = Request::stream("/events?topic=text").open(demo.app);
    stream.next_comment();
    let body = serde_json::json!({"data": "x", "event": "price"}).to_string();
    assert!(demo.try_publish("text", "application/json", &body).status() < 300);
    assert_eq!(stream.next_event().event(), Some("price"));
}

#[test]
fn e14_an_event_that_is_too_large_is_refused_to_its_publisher() {
    let demo = Demo::start(DEMO, &Settings::open());
    let mut stream = Request::stream("/events?topic=large").open(demo.app);
    stream.next_comment();
    let response = demo.try_publish("large", "text/plain", &"x".repeat(65_537));
    assert!(
        (400..500).contains(&response.status()),
        "{}",
        response.status()
    );
    demo.publish("large", "small");
    assert_eq!(stream.next_event().data(), Some("small"));
}

#[test]
fn e18_nothing_hop_by_hop_is_set_by_hand() {
    let demo = Demo::start(DEMO, &Settings::open());
    let request = Request::event_source("/events", APP);
    let stream = expect::ok(&request, &demo, Some(APP));
    let headers = &stream.response().head.headers;
    assert_eq!(
        headers.all("transfer-encoding"),
        ["chunked"],
        "the server's own"
    );
    assert_eq!(headers.get("content-encoding"), None);
}

#[test]
fn e21_nothing_of_a_hostile_request_stands_in_the_answer() {
    let demo = Demo::start(DEMO, &Settings::open());
    let request = Request::stream("/events?topic=%22%3Cscript%3E")
        .header("Origin", "https://\"<script>.example.com");
    let response = request.send(demo.app);
    assert_eq!(response.status(), 403);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    let body = response.text();
    assert!(!body.contains("script"), "{body}");
}

#[test]
fn d13_an_http_1_0_client_gets_no_chunks() {
    let demo = Demo::start(DEMO, &Settings::open());
    let response = Request::stream("/events?topic=old")
        .http_1_0()
        .send(demo.app);
    if response.status() == 505 {
        return; // the contract leaves this open
    }
    assert_eq!(response.status(), 200);
    assert_eq!(response.head.headers.get("transfer-encoding"), None);
    let mut stream = response.events();
    stream.next_comment();
    demo.publish("old", "x");
    assert_eq!(stream.next_event().data(), Some("x"));
    // Without chunks everything between the events is the stream's own text.
    let wire = String::from_utf8(stream.wire().to_vec()).unwrap();
    for line in wire.lines().filter(|line| !line.is_empty()) {
        let field = line.split(':').next().unwrap();
        assert!(
            ["", "retry", "id", "event", "data"].contains(&field),
            "{line:?}"
        );
    }
}

#[test]
fn d24_of_two_pipelined_requests_nothing_is_left() {
    let demo = Demo::start(DEMO, &Settings::open());
    let one = Request::stream("/events").bytes(demo.app);
    let mut connection = actix_web_sse_tests::Connection::open(demo.app);
    connection.send(&[one.clone(), one].concat()).unwrap();
    assert_eq!(connection.head(LIMIT).unwrap().status, 200);
    demo.wait_for_metric("sse_connections_active", &[], 1.0);
    drop(connection);
    demo.wait_for_metric("sse_connections_active", &[], 0.0);
    assert_eq!(
        demo.exposition().sum("sse_connections_opened_total", &[]),
        1.0
    );
}

#[test]
fn events_carry_ids_that_survive_as_a_header() {
    let demo = Demo::start(DEMO, &Settings::open());
    let mut stream = Request::stream("/events?topic=ids").open(demo.app);
    stream.next_comment();
    demo.publish("ids", "x");
    let Block::Event { id: Some(id), .. } = stream.next_event() else {
        panic!("an event of the hub has an id");
    };
    let safe = |byte: u8| byte.is_ascii_graphic() && !br#""():<>?@[\]{}"#.contains(&byte);
    assert!(
        !id.is_empty() && id.len() <= 128 && id.bytes().all(safe),
        "{id:?}"
    );
}
