//! The tour of the demo's page: each incident shows what the browser, the log, the metrics and the
//! alerts make of it.

use std::time::Duration;

use actix_web_sse_tests::{
    Browser, BrowserKind, Demo, LIMIT, Page, Request, Settings, free_port, until,
};

use crate::DEMO;

/// The longest incident waits for a browser to come back, and for Chromium to let go.
const INCIDENT: Duration = Duration::from_secs(90);

fn settings() -> Settings {
    Settings::open()
        .set("server.foreign", format!("127.0.0.1:{}", free_port()))
        .set("server.sign_in", true)
        .set("server.tick", "200ms")
        .set("stream.retry", "1s")
        .set("stream.heartbeat", "15s")
        .set("stream.stall", "30s")
        .set("policy.origins.mode", "enforce")
        .remove("metrics")
        .allow(&["http://localhost:*"])
}

/// A demo whose page may read the stream at its other name, and whose second listener is foreign to it.
fn demo() -> Demo {
    let mut demo = Demo::start(DEMO, &settings());
    let own = format!("http://localhost:{}", demo.app.port());
    demo.reload(&settings().allow(&[&own]));
    let read = "the policy was read again";
    demo.process()
        .wait_for_line(read, LIMIT, |line| line.contains(read).then_some(()));
    demo
}

fn open<'a>(browser: &'a Browser, demo: &Demo) -> Page<'a> {
    let page = browser.open(&format!("http://localhost:{}", demo.app.port()));
    page.wait("document.querySelectorAll('#incidents button').length === 5");
    page.evaluate(
        "window.violations = []; document.addEventListener('securitypolicyviolation', ({ \
         violatedDirective, blockedURI }) => violations.push(`${violatedDirective} ${blockedURI}`))",
    );
    page
}

/// Presses a button, and sees that all goes as it should.
#[track_caller]
fn run(page: &Page<'_>, incident: &str) {
    let state = press(page, incident);
    let said = text(page, "tour-result");
    assert_eq!(state, "done", "{incident}: {said}");
}

/// Presses a button, and waits for the end of what it began.
#[track_caller]
fn press(page: &Page<'_>, incident: &str) -> String {
    page.evaluate(&format!(
        "document.getElementById('incident-{incident}').focus(); document.activeElement.click()"
    ));
    page.wait_at_most(
        INCIDENT,
        &format!(
            "(({{ incident, state }}) => incident === '{incident}' && state !== 'running')\
             (document.getElementById('tour-result').dataset)"
        ),
    );
    assert_eq!(
        page.evaluate("document.activeElement.id"),
        format!("incident-{incident}"),
        "the focus stays"
    );
    let state = page.evaluate("document.getElementById('tour-result').dataset.state");
    state.as_str().expect("a state").to_owned()
}

fn text(page: &Page<'_>, id: &str) -> String {
    let text = page.evaluate(&format!("document.getElementById('{id}').textContent"));
    text.as_str().expect("text").to_owned()
}

#[track_caller]
fn says(page: &Page<'_>, id: &str, parts: &[&str]) {
    let text = text(page, id);
    for part in parts {
        assert!(text.contains(part), "{id} lacks {part}: {text}");
    }
}

#[track_caller]
fn rises(page: &Page<'_>, metric: &str) {
    let rise = rise(page, metric);
    assert!(rise > 0.0, "{metric}: {rise}");
}

/// By how much the page shows a metric to have risen.
fn rise(page: &Page<'_>, metric: &str) -> f64 {
    let rise = page.evaluate(&format!(
        "(({{ from, to }}) => to - from)(document.querySelector('#part-metric [data-metric={metric}]').dataset)"
    ));
    rise.as_f64().expect("a number")
}

#[track_caller]
fn alert(page: &Page<'_>, name: &str, met: bool) {
    says(page, "part-alert", &[name]);
    let verdict = "document.querySelector('#part-alert .verdict').dataset.met";
    assert_eq!(page.evaluate(verdict), met.to_string(), "{name}");
    let link = page.evaluate("document.querySelector('#part-alert a').getAttribute('href')");
    assert_eq!(link, format!("/tour/runbook#{name}"));
}

#[track_caller]
fn fits(page: &Page<'_>, width: u32) {
    let wide = page.evaluate("document.documentElement.scrollWidth");
    assert!(
        wide.as_u64().is_some_and(|wide| wide <= u64::from(width)),
        "{wide} of {width}"
    );
}

fn each_incident_shows_its_four_parts(kind: BrowserKind) {
    let demo = demo();
    let browser = Browser::launch(kind);
    let page = open(&browser, &demo);
    page.viewport(360, 740);

    run(&page, "foreign");
    says(&page, "part-browser", &["readyState 2 CLOSED"]);
    says(&page, "part-log", &["sse_reject", "origin_denied", "403"]);
    rises(&page, "sse_connections_rejected_total");
    rises(&page, "sse_rejected_origins_total");
    alert(&page, "SSERejectedOriginSpike", false);
    fits(&page, 360);

    // Chromium's end is known by its time, which a busy machine can miss.
    for _ in 0..3 {
        run(&page, "lost");
        if rise(&page, "sse_connections_immediate_close_total") > 0.0 {
            break;
        }
    }
    says(&page, "part-browser", &["readyState 2 CLOSED"]);
    says(
        &page,
        "part-log",
        &["sse_connect", "sse_close", "client_gone"],
    );
    rises(&page, "sse_connections_opened_cors_total");
    rises(&page, "sse_connections_immediate_close_total");
    alert(&page, "SSECorsRegression", false);
    fits(&page, 360);

    // The token holds for three seconds, which a busy machine can miss.
    if press(&page, "expired") != "done" && press(&page, "expired") != "done" {
        run(&page, "expired");
    }
    says(
        &page,
        "part-browser",
        &["auth_expired", "401", "readyState 2 CLOSED"],
    );
    says(
        &page,
        "part-log",
        &["expired", "sse_reject", "invalid_token"],
    );
    rises(&page, "sse_connections_closed_total");
    rises(&page, "sse_connections_rejected_total");
    alert(&page, "SSEAuthFailureSpike", false);
    fits(&page, 360);
    // Not a token, nor the session's key.
    let log = text(&page, "part-log");
    assert!(!log.contains("eyJ") && !log.contains("tour="), "{log}");

    run(&page, "cut");
    says(
        &page,
        "part-browser",
        &["readyState 0 CONNECTING", "each once and in order"],
    );
    says(&page, "part-log", &["client_gone", "lastEventId"]);
    rises(&page, "sse_connections_closed_total");
    rises(&page, "sse_resumes_total");
    alert(&page, "SSEReconnectStorm", false);
    fits(&page, 360);

    run(&page, "crowd");
    says(
        &page,
        "part-browser",
        &["2 of 4", "429", "came in by itself"],
    );
    says(&page, "part-log", &["ip_limit", "soft", "hint"]);
    rises(&page, "sse_connections_rejected_total");
    alert(&page, "SSEIpLimitSaturated", true);
    fits(&page, 360);

    assert_eq!(page.evaluate("violations.join()"), "");
    // Firefox calls "uncaught" what it says of a stream that failed, with its address.
    let console = browser.console();
    let bad = |line: &&String| {
        let of_a_stream = line.contains("tour=");
        (line.starts_with("uncaught") && !of_a_stream) || line.contains("Security")
    };
    let bad: Vec<_> = console.iter().filter(bad).collect();
    assert_eq!(bad, Vec::<&String>::new());
    demo.wait_for_metric("sse_connections_active", &[], 0.0);
}

/// A stream that may take its socket over stays where the tour can cut it.
#[test]
fn the_wire_can_be_cut_where_streams_take_their_sockets_over() {
    let demo = Demo::start(DEMO, &settings().set("server.socket_lane", true));
    let browser = Browser::launch(BrowserKind::Chromium);
    let page = open(&browser, &demo);
    run(&page, "cut");
    says(&page, "part-browser", &["each once and in order"]);
}

fn session(demo: &Demo) -> String {
    let reply = Request::new("POST", "/tour/session").send(demo.app).json();
    reply["tour"].as_str().expect("a key").to_owned()
}

fn lines(demo: &Demo, key: &str) -> Vec<String> {
    let reply = Request::new("GET", &format!("/tour/lines?tour={key}")).send(demo.app);
    let json = reply.json();
    let lines = json["lines"].as_array().expect("lines");
    lines
        .iter()
        .map(|line| line.as_str().expect("a line").to_owned())
        .collect()
}

#[test]
fn a_session_has_the_lines_of_its_own_streams_and_no_others() {
    let demo = demo();
    let (own, other) = (session(&demo), session(&demo));
    let stream = Request::stream(&format!("/events?tour={own}")).send(demo.app);
    assert_eq!(stream.status(), 200);
    let without = Request::stream("/events").send(demo.app);
    assert_eq!(without.status(), 200);
    drop((stream, without));
    demo.wait_for_metric("sse_connections_active", &[], 0.0);
    let told = until("the session has the end of its stream", LIMIT, || {
        let told = lines(&demo, &own);
        told.iter()
            .any(|line| line.contains("sse_close"))
            .then_some(told)
    });
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("\"event\":\"sse_connect\""), "{told:?}");
    // They are what the log has, byte for byte.
    for line in &told {
        demo.process()
            .wait_for_line(line, LIMIT, |logged| (logged == line).then_some(()));
        assert!(!line.contains(&own), "{line}");
    }
    assert_eq!(lines(&demo, &other), Vec::<String>::new());
    let unknown = Request::new("GET", "/tour/lines?tour=0123").send(demo.app);
    assert_eq!(unknown.status(), 404);
}

#[test]
fn there_is_no_tour_where_one_must_sign_in_or_cannot() {
    let required = settings()
        .set("auth.required", true)
        .set("auth.jwt_hs256_secret", "0123456789abcdef0123456789abcdef");
    for settings in [required, settings().set("server.sign_in", false)] {
        let demo = Demo::start(DEMO, &settings);
        for (method, path) in [
            ("POST", "/tour/session"),
            ("GET", "/tour/lines"),
            ("GET", "/tour/lost-header"),
            ("GET", "/tour/cut-wire"),
        ] {
            let reply = Request::new(method, path).send(demo.app);
            assert_eq!(reply.status(), 404, "{path}");
        }
        let page = Request::new("GET", "/").send(demo.app).text();
        assert!(!page.contains(" tour "), "the page offers none");
    }
}

crate::in_each_browser!(each_incident_shows_its_four_parts);
