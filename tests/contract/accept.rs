//! Group A: what the client must say, and by which method.

use actix_web_sse_tests::{Connection, Demo, LIMIT, Request, Settings};

use crate::{APP, DEMO, expect};

fn accepting(value: &str) -> Request {
    Request::new("GET", "/events").header("Accept", value)
}

#[test]
fn a01_event_streams_are_asked_for_by_name() {
    let demo = Demo::start(DEMO, &Settings::open());
    for accept in [
        "text/event-stream",
        "text/event-stream;q=0.5, text/html",
        "Text/Event-Stream",
        "text/event-stream; charset=utf-8",
        "application/json, text/event-stream",
    ] {
        expect::ok(&accepting(accept), &demo, None);
    }
    let two_lines = accepting("application/json").header("Accept", "text/event-stream");
    expect::ok(&two_lines, &demo, None); // A04
}

#[test]
fn a01b_a_wildcard_is_enough_only_when_negotiating() {
    let explicit = Demo::start(DEMO, &Settings::open());
    let negotiating = Demo::start(DEMO, &Settings::open().set("policy.accept", "negotiate"));
    for request in [
        Request::new("GET", "/events"),
        accepting("*/*"),
        accepting("text/*"),
    ] {
        expect::refused(&request, &explicit, (406, "not_acceptable"), None);
        expect::ok(&request, &negotiating, None);
    }
}

#[test]
fn a02_other_types_are_not_acceptable() {
    let demo = Demo::start(DEMO, &Settings::open());
    for accept in ["application/json", "text/html", "text/event-stream;q=0"] {
        let request = accepting(accept).header("Origin", APP);
        let head = expect::refused(&request, &demo, (406, "not_acceptable"), Some(APP));
        let vary = head.headers.list("vary");
        assert!(vary.contains(&"accept".to_owned()), "{vary:?}");
    }
}

#[test]
fn a05_nonsense_is_answered_not_failed() {
    let demo = Demo::start(DEMO, &Settings::open());
    for accept in [";;;", "text/event-stream;q=abc", &"a/b,".repeat(15_000)] {
        let response = accepting(accept).send(demo.app);
        assert!(
            matches!(response.status(), 200 | 406),
            "{}",
            response.status()
        );
    }
}

#[test]
fn a06_head_returns_the_headers_and_opens_nothing() {
    let demo = Demo::start(DEMO, &Settings::open());
    let request = Request::new("HEAD", "/events")
        .header("Accept", "text/event-stream")
        .header("Origin", APP);
    let mut connection = Connection::open(demo.app);
    for _ in 0..2 {
        // Twice on one connection: nothing of a body stands between the answers.
        connection.send(&request.bytes(demo.app)).unwrap();
        let head = connection.head(LIMIT).unwrap();
        assert_eq!(head.status, 200);
        expect::stream_head(&head, Some(APP));
    }
    assert_eq!(
        demo.exposition()
            .sum_or_zero("sse_connections_opened_total", &[]),
        0.0
    );
}

#[test]
fn a07_other_methods_are_not_allowed() {
    let demo = Demo::start(DEMO, &Settings::open());
    for method in ["POST", "PUT", "TRACE", "FOO"] {
        let request = Request::new(method, "/events").header("Accept", "text/event-stream");
        let head = expect::refused(&request, &demo, (405, "method_not_allowed"), None);
        assert_eq!(
            head.headers.list("allow"),
            ["get", "head", "options"],
            "{method}"
        );
    }
}
