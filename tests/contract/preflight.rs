//! Group P: what a `fetch` client's browser asks first.

use actix_web_sse_tests::{Demo, Request, Response, Settings};

use crate::{APP, DEMO, expect};

const HEADERS: &str = "authorization,last-event-id";

fn ask(demo: &Demo, origin: &str, method: &str, headers: &str) -> Response {
    Request::preflight("/events", origin, method, headers).send(demo.app)
}

#[test]
fn p01_and_p02_a_preflight_of_an_allowed_page_lists_what_it_may_send() {
    let demo = Demo::start(DEMO, &Settings::open());
    let response = ask(&demo, APP, "GET", HEADERS);
    assert_eq!(response.status(), 204);
    expect::readable_from(&response.head, APP);
    let headers = &response.head.headers;
    assert!(
        headers
            .list("access-control-allow-methods")
            .contains(&"get".to_owned())
    );
    let allowed = headers.list("access-control-allow-headers");
    for name in ["authorization", "last-event-id"] {
        assert!(allowed.contains(&name.to_owned()), "{allowed:?}");
    }
    assert!(!allowed.contains(&"*".to_owned()));
    assert_eq!(headers.get("access-control-max-age"), Some("600"));
    let vary = headers.list("vary");
    for name in [
        "origin",
        "access-control-request-method",
        "access-control-request-headers",
    ] {
        assert!(vary.contains(&name.to_owned()), "{vary:?}");
    }
    assert_eq!(response.text(), "");
    demo.wait_for_metric("sse_connections_opened_total", &[], 0.0);
}

#[test]
fn p04_a_header_that_is_not_allowed_is_never_echoed() {
    let demo = Demo::start(DEMO, &Settings::open());
    let response = ask(&demo, APP, "GET", "x-evil");
    assert!(matches!(response.status(), 204 | 403));
    let allowed = response.head.headers.list("access-control-allow-headers");
    assert!(!allowed.contains(&"x-evil".to_owned()), "{allowed:?}");
}

#[test]
fn p07_header_names_are_compared_without_case() {
    let demo = Demo::start(DEMO, &Settings::open());
    let response = ask(&demo, APP, "GET", "Authorization,LAST-EVENT-ID");
    assert_eq!(response.status(), 204);
}

#[test]
fn p08_methods_are_compared_with_case() {
    let demo = Demo::start(DEMO, &Settings::open());
    for method in ["get", "DELETE", "G ET"] {
        let response = ask(&demo, APP, method, HEADERS);
        assert!(
            matches!(response.status(), 400 | 403),
            "{method}: {}",
            response.status()
        );
        let methods = response.head.headers.list("access-control-allow-methods");
        assert!(methods.is_empty(), "{method}: {methods:?}");
    }
}

#[test]
fn p09_and_p10_half_a_preflight_is_none() {
    let demo = Demo::start(DEMO, &Settings::open());
    let no_method = Request::new("OPTIONS", "/events")
        .header("Origin", APP)
        .send(demo.app);
    assert_eq!(no_method.status(), 405);
    let allow = no_method.head.headers.list("allow");
    assert_eq!(allow, ["get", "head", "options"]);
    for name in [
        "access-control-allow-methods",
        "access-control-allow-headers",
    ] {
        assert_eq!(no_method.header(name), None);
    }
    let no_origin = Request::new("OPTIONS", "/events")
        .header("Access-Control-Request-Method", "GET")
        .send(demo.app);
    assert!(matches!(no_origin.status(), 400 | 405));
    expect::readable_from_nowhere(&no_origin.head);
}

#[test]
fn p11_a_foreign_page_learns_nothing() {
    let demo = Demo::start(DEMO, &Settings::open());
    let request = Request::preflight("/events", "https://evil.com", "GET", HEADERS);
    let head = expect::refused(&request, &demo, (403, "origin_denied"), None);
    let vary = head.headers.list("vary");
    for name in [
        "access-control-request-method",
        "access-control-request-headers",
    ] {
        assert!(vary.contains(&name.to_owned()), "{vary:?}");
    }
}

#[test]
fn p12_private_network_access_is_not_granted() {
    let demo = Demo::start(DEMO, &Settings::open());
    for origin in [APP, "https://evil.com"] {
        let response = Request::preflight("/events", origin, "GET", HEADERS)
            .header("Access-Control-Request-Private-Network", "true")
            .send(demo.app);
        assert_eq!(
            response.header("access-control-allow-private-network"),
            None
        );
    }
}
