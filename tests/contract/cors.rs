//! Group C: who may read the answers.

use actix_web_sse_tests::{Demo, Request, Settings};

use crate::{APP, DEMO, expect};

#[test]
fn c01_an_allowed_origin_can_read_every_refusal() {
    let demo = Demo::start(DEMO, &Settings::open());
    let stream = |target| Request::stream(target).header("Origin", APP);
    let refused = stream("/events").with("Accept", "text/html");
    expect::refused(&refused, &demo, (406, "not_acceptable"), Some(APP));
    let delete = Request::new("DELETE", "/events").header("Origin", APP);
    expect::refused(&delete, &demo, (405, "method_not_allowed"), Some(APP));
}

#[test]
fn c02_a_foreign_origin_can_read_none() {
    let demo = Demo::start(DEMO, &Settings::open());
    for request in [
        Request::stream("/events"),
        Request::new("GET", "/events").header("Accept", "text/html"),
        Request::new("DELETE", "/events"),
    ] {
        let response = request.header("Origin", "https://evil.com").send(demo.app);
        assert!(response.status() >= 400);
        expect::readable_from_nowhere(&response.head);
    }
}

#[test]
fn c09_a_navigation_never_shows_a_stream() {
    let demo = Demo::start(DEMO, &Settings::open());
    let navigation = Request::stream("/events")
        .header("Sec-Fetch-Site", "none")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document");
    let response = navigation.send(demo.app);
    assert!(
        matches!(response.status(), 403 | 406),
        "{:?}",
        response.head
    );
}

#[test]
fn c10_the_stream_route_never_redirects() {
    let demo = Demo::start(DEMO, &Settings::open());
    for target in ["/events/", "//events"] {
        let response = Request::stream(target).send(demo.app);
        assert_eq!(response.status(), 404, "{target}");
        assert_eq!(response.header("location"), None);
    }
}

#[test]
fn c11_conditional_and_range_requests_get_the_whole_stream() {
    let demo = Demo::start(DEMO, &Settings::open());
    for (name, value) in [
        ("If-None-Match", "*"),
        ("If-Modified-Since", "Sat, 29 Oct 2033 19:43:31 GMT"),
        ("Range", "bytes=0-"),
    ] {
        expect::ok(&Request::stream("/events").header(name, value), &demo, None);
    }
}
