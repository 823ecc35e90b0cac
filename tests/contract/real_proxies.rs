//! Group W: what proxies in use say, and where they stand.

use actix_web_sse_tests::{Demo, Request, Settings};

use crate::{DEMO, expect};

/// The page whose server this is.
const OWN: &str = "https://api.example.com";

/// A demo behind this machine and 10.0.0.0/8, which also sends HSTS.
fn behind(forwarded: &str) -> Demo {
    let settings = Settings::open()
        .set("policy.methods", "get-and-post")
        .set(
            "policy.limits.trusted_proxies",
            vec!["127.0.0.1", "10.0.0.0/8"],
        )
        .set("policy.limits.forwarded", forwarded)
        .set("policy.hsts.max_age", "365d");
    Demo::start(DEMO, &settings)
}

fn post() -> Request {
    Request::new("POST", "/events").header("Accept", "text/event-stream")
}

/// What two proxies say, the outer one of a client by https.
fn through_two(forwarded: &str) -> Vec<Request> {
    let hosts = |request: Request| request.header("Host", "inner.internal:8080");
    match forwarded {
        "forwarded" => vec![
            hosts(post()).header(
                "Forwarded",
                "for=198.51.100.7;proto=https;host=api.example.com, for=10.0.0.9;proto=http;host=inner",
            ),
            hosts(post())
                .header("Forwarded", "for=6.6.6.6;proto=http;host=evil.com")
                .header("Forwarded", "for=198.51.100.7;proto=https;host=\"api.example.com:443\"")
                .header("Forwarded", "for=10.0.0.9;proto=http;host=inner"),
        ],
        _ => vec![
            hosts(post())
                .header("X-Forwarded-For", "198.51.100.7, 10.0.0.9")
                .header("X-Forwarded-Proto", "https, http")
                .header("X-Forwarded-Host", "api.example.com, inner"),
            hosts(post())
                .header("X-Forwarded-For", "6.6.6.6, 198.51.100.7")
                .header("X-Forwarded-For", "10.0.0.9")
                .header("X-Forwarded-Proto", "http, https, http")
                .header("X-Forwarded-Host", "evil.com, api.example.com, inner"),
            // The inner one passes on what the outer one has written.
            hosts(post())
                .header("X-Forwarded-For", "198.51.100.7, 10.0.0.9")
                .header("X-Forwarded-Proto", "https")
                .header("X-Forwarded-Host", "api.example.com"),
        ],
    }
}

#[test]
fn w07_scheme_and_host_are_the_outermost_trusted_proxys_word() {
    for forwarded in ["forwarded", "x-forwarded-for"] {
        let demo = behind(forwarded);
        for request in through_two(forwarded) {
            let request = request.header("Origin", OWN);
            let response = request.send(demo.app);
            assert_eq!(response.status(), 200, "own origin: {request:?}");
            let hsts = response.header("strict-transport-security");
            assert!(hsts.is_some(), "https: {request:?}");
            let foreign = request.header("Origin", "x");
            assert_ne!(foreign.send(demo.app).status(), 200);
        }
    }
}

#[test]
fn w07_what_the_client_claims_of_itself_is_not_believed() {
    let demo = behind("x-forwarded-for");
    // One proxy; what stands left of its words is the client's.
    let request = post()
        .header("Host", "inner.internal:8080")
        .header("X-Forwarded-For", "10.0.0.9, 198.51.100.7")
        .header("X-Forwarded-Proto", "https, http")
        .header("X-Forwarded-Host", "api.example.com, evil.com");
    expect::refused(&request, &demo, (421, "host_denied"), None);
    let request = post()
        .header("X-Forwarded-For", "10.0.0.9, 198.51.100.7")
        .header("X-Forwarded-Proto", "https, http")
        .header("X-Forwarded-Host", "evil.com, api.example.com");
    let response = request.send(demo.app);
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("strict-transport-security"), None);
    // Nobody is trusted.
    let demo = Demo::start(DEMO, &Settings::open());
    let request = Request::stream("/events")
        .header("Host", "inner.internal:8080")
        .header("X-Forwarded-Host", "api.example.com");
    expect::refused(&request, &demo, (421, "host_denied"), None);
}

#[test]
fn w08_the_browsers_word_that_a_page_is_the_servers_own_is_believed() {
    let demo = behind("x-forwarded-for");
    let page = "https://www.example.org";
    let request = |site: &str| {
        post()
            // As the proxy has rewritten it.
            .header("Host", "127.0.0.1:8080")
            .header("Origin", page)
            .header("Sec-Fetch-Site", site)
            .header("Sec-Fetch-Mode", "cors")
            .header("Sec-Fetch-Dest", "empty")
    };
    let by = |request: Request, scheme: &str| {
        request
            .header("X-Forwarded-For", "198.51.100.7")
            .header("X-Forwarded-Proto", scheme)
    };
    // From this machine, and by https.
    for own in [request("same-origin"), by(request("same-origin"), "https")] {
        let response = own.send(demo.app);
        assert_eq!(response.status(), 200, "{own:?}");
        expect::readable_from_nowhere(&response.head);
    }
    // A browser does not say it over plain http to another machine: somebody else does.
    let denied = (403, "origin_denied");
    for other in [
        by(request("same-origin"), "http"),
        request("same-site"),
        by(request("cross-site"), "https"),
        by(request("none"), "https"),
    ] {
        expect::refused(&other, &demo, denied, None);
    }
    let extension = post()
        .header("Origin", "chrome-extension://abcd")
        .header("Sec-Fetch-Site", "same-origin");
    expect::refused(&extension, &demo, denied, None);
}
