//! S46, facts B12: the script on the page finds out why `EventSource` gave up, and tells.

use std::sync::{Arc, OnceLock};

use actix_web_sse_tests::{Answer, Browser, BrowserKind, LIMIT, Nginx, Site, free_port, until};

use crate::application::Application;

/// Opens a stream on a page and waits until the report about it is counted as this.
fn is_diagnosed(browser: &Browser, application: &Application, page: &str, url: &str, as_: &str) {
    let page = browser.open(page);
    let sample = format!("sse_client_reports_total{{diagnosis=\"{as_}\",");
    let before = application.sum(&sample);
    page.evaluate(&format!(
        "(async () => {{
            const {{ watch }} = await import('{}');
            globalThis.source = new EventSource('{url}', {{ withCredentials: true }});
            watch(source, '{}');
        }})()",
        application.url("/sse-reports/client.js"),
        application.url("/sse-reports"),
    ));
    page.wait("source.readyState === 2");
    until(&format!("{url} is reported as {as_}"), LIMIT, || {
        (application.sum(&sample) > before).then_some(())
    });
    page.close();
}

fn each_diagnosis_is_found_and_counted(kind: BrowserKind) {
    // Of one allowed origin; the page at /strict may connect to nothing but this.
    let may_connect = Arc::new(OnceLock::<String>::new());
    let pages = Site::serve({
        let may_connect = Arc::clone(&may_connect);
        move |visit| match may_connect.get() {
            Some(to) if visit.target == "/strict" => {
                Answer::empty_page().header("Content-Security-Policy", &format!("connect-src {to}"))
            }
            _ => Answer::empty_page(),
        }
    });
    let origin = pages.origin();
    let application = Application::start(&origin);
    let browser = Browser::launch(kind);
    let answers = |status: u16, kind: &'static str| {
        let origin = origin.clone();
        Site::serve(move |_| {
            Answer::status(status)
                .header("Access-Control-Allow-Origin", &origin)
                .header("Access-Control-Allow-Credentials", "true")
                .header("Content-Type", kind)
        })
    };
    let diagnosed = |page: &str, url: &str, as_: &str| {
        is_diagnosed(&browser, &application, page, url, as_);
    };

    // A route without CORS headers: the reply is the application's, and the page may not read it.
    diagnosed(&origin, &application.url("/private"), "cors_blocked");
    let shares = "sse_client_blocked_reports_total{";
    assert_eq!(application.sum(shares), 1);

    let failing = answers(503, "application/json");
    diagnosed(&origin, &failing.origin(), "http_status");
    // The stream, and one look at why there was none.
    let asked: Vec<_> = failing
        .visits()
        .into_iter()
        .map(|visit| visit.method)
        .collect();
    assert_eq!(asked, ["GET", "HEAD"]);

    let confused = answers(200, "text/html");
    diagnosed(&origin, &confused.origin(), "content_type");

    may_connect.set(application.url("")).unwrap();
    let strict = format!("{origin}/strict");
    diagnosed(&strict, &confused.origin(), "csp_blocked");

    // A refused connection is retried for ever, so the browser gives up at a redirect to one.
    let nowhere = format!("http://127.0.0.1:{}/", free_port());
    let lost = Site::serve(move |_| Answer::status(307).header("Location", &nowhere));
    diagnosed(&origin, &lost.origin(), "network");

    // Beside the one stream that was blocked, what the script asked was neither a stream nor the
    // end of one.
    assert_eq!(application.sum("sse_connections_opened_total{"), 1);
    for counter in [
        "sse_connections_opened_total{auth_method=\"none\",origin=\"same_origin\"",
        "sse_connections_rejected_total{",
    ] {
        let samples = application.samples(counter);
        assert!(
            samples.iter().all(|sample| sample.ends_with(" 0")),
            "{samples:?}"
        );
    }
    let dropped = application.sum("sse_client_reports_total{diagnosis=\"dropped\",");
    assert_eq!(dropped, 0);
}

crate::in_each_browser!(each_diagnosis_is_found_and_counted);

/// What the page sees of it is what it sees of a reply without CORS headers; that its stream worked
/// a moment before changes nothing.
fn h11_a_proxys_error_page_is_not_reported_as_blocked_by_cors(kind: BrowserKind) {
    let pages = Site::empty();
    let origin = pages.origin();
    let application = Application::start(&origin);
    let browser = Browser::launch(kind);
    let nowhere = free_port();
    let proxy = Nginx::start(&format!(
        "server {{ listen {{listen}}; location / {{ proxy_pass http://127.0.0.1:{nowhere}; }} }}"
    ));
    let page = browser.open(&origin);
    page.evaluate(&format!(
        "globalThis.working = new EventSource('{}', {{ withCredentials: true }})",
        application.url("/events"),
    ));
    page.wait("working.readyState === 1");
    let stream = format!("http://{}/events", proxy.address());
    is_diagnosed(&browser, &application, &origin, &stream, "unknown");
    let blocked = application.sum("sse_client_reports_total{diagnosis=\"cors_blocked\",");
    assert_eq!(blocked, 0);
}

crate::in_each_browser!(h11_a_proxys_error_page_is_not_reported_as_blocked_by_cors);

/// Anybody can be such a page.
fn h11_a_page_that_is_not_allowed_is_not_counted(kind: BrowserKind) {
    let foreign = Site::empty();
    let application = Application::start("https://app.example.com");
    let browser = Browser::launch(kind);
    let page = browser.open(&foreign.origin());
    page.evaluate(&format!(
        "(async () => {{
            const {{ diagnose }} = await import('{}');
            const source = new EventSource('{}');
            await new Promise((done) => source.addEventListener('error', done));
            globalThis.diagnosis = await diagnose(source);
            await fetch('{}', {{ method: 'POST', mode: 'no-cors', body: diagnosis }});
            globalThis.sent = true;
        }})()",
        application.url("/sse-reports/client.js"),
        application.url("/events"),
        application.url("/sse-reports"),
    ));
    page.wait("globalThis.sent");
    page.wait("diagnosis === 'unreadable'");
    assert_eq!(application.sum("sse_client_reports_total{"), 0);
    // One page was refused; what its script asked afterwards is no more of it.
    assert_eq!(application.sum("sse_connections_rejected_total{"), 1);
    assert_eq!(application.sum("sse_rejected_origins_total{"), 1);
}

crate::in_each_browser!(h11_a_page_that_is_not_allowed_is_not_counted);

fn a_stream_that_works_is_not_reported(kind: BrowserKind) {
    let pages = Site::empty();
    let application = Application::start(&pages.origin());
    let browser = Browser::launch(kind);
    let page = browser.open(&pages.origin());
    page.evaluate(&format!(
        "(async () => {{
            const {{ watch }} = await import('{}');
            globalThis.source = watch(
                new EventSource('{}', {{ withCredentials: true }}), '{}');
        }})()",
        application.url("/sse-reports/client.js"),
        application.url("/events"),
        application.url("/sse-reports"),
    ));
    page.wait("source.readyState === 1");
    page.evaluate("source.close()");
    until("the server sees the close", LIMIT, || {
        let closed = application.samples("sse_connections_closed_total{reason=\"client_gone\"");
        closed
            .iter()
            .any(|sample| sample.ends_with(" 1"))
            .then_some(())
    });
    let reports = application.samples("sse_client_reports_total");
    assert!(
        reports.iter().all(|sample| sample.ends_with(" 0")),
        "{reports:?}"
    );
}

crate::in_each_browser!(a_stream_that_works_is_not_reported);
