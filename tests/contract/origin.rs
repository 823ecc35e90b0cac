//! Group O: which origins and hosts are let in.

use actix_web_sse_tests::{Demo, LIMIT, Request, Settings};

use crate::{APP, DEMO, expect};

fn from(origin: impl AsRef<[u8]>) -> Request {
    Request::stream("/events").header("Origin", origin)
}

#[track_caller]
fn all_denied<T: AsRef<[u8]>>(origins: &[T]) {
    let demo = Demo::start(DEMO, &Settings::open());
    for origin in origins {
        expect::refused(&from(origin), &demo, (403, "origin_denied"), None);
    }
}

#[test]
fn o01_an_allowed_origin_opens_the_stream() {
    let demo = Demo::start(DEMO, &Settings::open());
    expect::ok(&from(APP), &demo, Some(APP));
    demo.wait_for_metric("sse_connections_opened_total", &[("origin", APP)], 1.0);
}

#[test]
fn o02_to_o05_neighbours_of_an_allowed_origin_are_denied() {
    all_denied(&[
        "https://evilapp.example.com",
        "https://evil-app.example.com",
        "https://app.example.com.evil.com",
        "https://appXexample.com",
        "http://app.example.com",
    ]);
}

#[test]
fn o06_an_explicit_port_is_another_origin() {
    all_denied(&[
        "https://app.example.com:8443",
        "https://app.example.com:443",
    ]);
}

#[test]
fn o07_origins_are_compared_byte_by_byte() {
    all_denied(&["HTTPS://APP.EXAMPLE.COM", "https://app.example.com/"]);
}

#[test]
fn o08_what_an_url_parser_would_split_is_denied() {
    all_denied(&[
        "https://app.example.com@evil.com",
        "https://evil.com#.tenant.example.net",
        "https://evil.com/.tenant.example.net",
        "https://evil.com?.tenant.example.net",
    ]);
}

#[test]
fn o09_null_is_denied() {
    all_denied(&["null"]);
}

#[test]
fn o11_a_pattern_allows_one_or_more_labels() {
    let demo = Demo::start(DEMO, &Settings::open());
    for origin in [
        "https://a.tenant.example.net",
        "https://a.b.tenant.example.net",
        "https://a_b.tenant.example.net", // O13: browsers do serialise `_`
    ] {
        expect::ok(&from(origin), &demo, Some(origin));
    }
    let pattern = [("origin", "https://*.tenant.example.net")];
    demo.wait_for_metric("sse_connections_opened_total", &pattern, 3.0);
}

#[test]
fn o12_neighbours_of_a_pattern_are_denied() {
    all_denied(&[
        "https://tenant.example.net",
        "https://xtenant.example.net",
        "https://a.tenant.example.net.evil.com",
        "https://a.tenant.example.net:444",
        "http://a.tenant.example.net",
    ]);
}

#[test]
fn o13_special_bytes_in_host_names_are_denied() {
    all_denied(&[
        "https://app.example.com`.evil.com",
        "https://app.example.com_.evil.com",
        "https://app.example.com{.evil.com",
        "https://app.example.com!.evil.com",
        "https://app.example.com%60.evil.com",
        "https://x`.tenant.example.net",
    ]);
}

#[test]
fn o15_what_is_not_one_origin_is_malformed() {
    let demo = Demo::start(DEMO, &Settings::open());
    for origin in [
        "https://app.example.com, https://evil.com",
        "https://app.example.com https://evil.com",
        "",
    ] {
        expect::refused(&from(origin), &demo, (403, "origin_malformed"), None);
    }
    let twice = from(APP).header("Origin", APP);
    expect::refused(&twice, &demo, (403, "origin_malformed"), None);
}

#[test]
fn o16_an_origin_of_60000_bytes_is_refused() {
    let demo = Demo::start(DEMO, &Settings::open());
    let request = from(format!("https://{}.com", "a".repeat(59_988)));
    expect::refused(&request, &demo, (403, "origin_malformed"), None);
    let line = demo.process().wait_for_line("the refusal", LIMIT, |line| {
        line.contains("origin_malformed").then(|| line.to_owned())
    });
    assert!(line.contains(&"a".repeat(200)), "{line}");
    assert!(!line.contains(&"a".repeat(257)), "{} bytes", line.len());
}

#[test]
fn a_candidate_list_is_counted_beside_the_enforced_one() {
    let settings = Settings::open().set(
        "policy.candidate.allow",
        vec!["https://*.tenant.example.net"],
    );
    let demo = Demo::start(DEMO, &settings);
    // The list that is in force lets both in, and refuses a third; the candidate misses the first.
    expect::ok(&from(APP), &demo, Some(APP));
    let tenant = "https://a.tenant.example.net";
    expect::ok(&from(tenant), &demo, Some(tenant));
    let evil = from("https://evil.com").send(demo.app);
    assert_eq!(evil.status(), 403);
    for (mode, refused) in [("report_only", 1.0), ("hard", 1.0), ("soft", 0.0)] {
        let labels = [("reason", "origin_denied"), ("mode", mode)];
        demo.wait_for_metric("sse_connections_rejected_total", &labels, refused);
    }
    demo.wait_for_metric("sse_connections_opened_total", &[], 2.0);
}

#[test]
fn o17_bytes_above_ascii_are_refused() {
    let demo = Demo::start(DEMO, &Settings::open());
    for origin in [
        "https://\u{430}pp.example.com".as_bytes(),
        b"https://\xff.example.com",
    ] {
        let response = from(origin).send(demo.app);
        assert_eq!(response.status(), 403, "{origin:?}");
        expect::readable_from_nowhere(&response.head);
    }
}

#[test]
fn o18_a_loopback_address_is_not_localhost() {
    all_denied(&["http://[::1]:5173", "http://127.0.0.1:5173"]);
}

#[test]
fn o19_a_same_origin_event_source_sends_no_origin_and_needs_no_cors() {
    let demo = Demo::start(DEMO, &Settings::open());
    let request = Request::stream("/events")
        .header("Sec-Fetch-Site", "same-origin")
        .header("Sec-Fetch-Mode", "cors")
        .header("Sec-Fetch-Dest", "empty");
    expect::ok(&request, &demo, None);
}

#[test]
fn o20_a_client_that_is_no_browser_sends_no_origin() {
    let demo = Demo::start(DEMO, &Settings::open());
    expect::ok(&Request::stream("/events"), &demo, None);
}

#[test]
fn o22_a_foreign_host_is_refused() {
    let demo = Demo::start(DEMO, &Settings::open());
    for host in [
        "evil.com",
        "api.example.com.evil.com",
        "api.example.com:80@evil",
    ] {
        let request = Request::stream("/events").with("Host", host);
        expect::refused(&request, &demo, (421, "host_denied"), None);
    }
    let request = Request::stream("/events").with("Host", "api.example.com:443");
    expect::ok(&request, &demo, None);
}

#[test]
fn o23_origins_of_other_schemes_are_denied() {
    all_denied(&["chrome-extension://abcd", "file://", "app://-"]);
}

#[test]
fn w13_previews_and_extensions_are_let_in_by_entries_that_say_so() {
    let previews = "https://*--name.netlify.app";
    let extensions = "moz-extension://*";
    let settings = Settings::open()
        .allow(&[previews, extensions, "capacitor://localhost"])
        .set("policy.origins.dangerous_label_wildcards", true)
        .set("policy.origins.dangerous_public_suffixes", true)
        .set("policy.origins.dangerous_whole_schemes", true);
    let demo = Demo::start(DEMO, &settings);
    for (origin, entry) in [
        ("https://deploy-preview-7--name.netlify.app", previews),
        (
            "moz-extension://c0ffee00-1234-4abc-8def-0123456789ab",
            extensions,
        ),
        ("capacitor://localhost", "capacitor://localhost"),
    ] {
        expect::ok(&from(origin), &demo, Some(origin));
        demo.wait_for_metric("sse_connections_opened_total", &[("origin", entry)], 1.0);
    }
    for origin in [
        "https://name.netlify.app",
        "https://--name.netlify.app",
        "https://a.b--name.netlify.app",
        "https://a--name.netlify.app.evil.com",
        "https://a--name.netlify.app:8443",
        "http://a--name.netlify.app",
        "moz-extension://",
        "moz-extension://a.b",
        "chrome-extension://abcd",
        "capacitor://localhost.evil",
        "ionic://localhost",
    ] {
        expect::refused(&from(origin), &demo, (403, "origin_denied"), None);
    }
}
