//! S42, facts B1: what becomes of a stream that the server opens and the browser keeps from its
//! page, as when a guard is missing or only reports.

use std::time::Duration;

use actix_web_sse_tests::{Browser, BrowserKind, Demo, Settings, Site};

use crate::{DEMO, watched_page::WatchedPage};

/// Which class the close of a blocked stream falls into.
fn blocked_stream_is_closed_as(kind: BrowserKind, class: &str) {
    let foreign = Site::empty();
    // A close just after a write is taken for one that the write noticed: none is near the five seconds.
    let settings = Settings::open()
        .set("policy.origins.mode", "report-only")
        .set("stream.heartbeat", "15s")
        .set("stream.stall", "45s");
    let demo = Demo::start(DEMO, &settings);
    let browser = Browser::launch(kind);
    let url = format!("{}/events", demo.origin());
    let immediate = "sse_connections_immediate_close_total";
    let mut blocked = 0.0;
    let exposition = loop {
        let page = WatchedPage::open(&browser, &foreign.origin(), &url);
        page.page().wait("errors.length > 0");
        assert_eq!(page.errors(), [2]);
        blocked += 1.0;
        let gone = [("reason", "client_gone")];
        demo.wait_for_metric("sse_connections_closed_total", &gone, blocked);
        page.close();
        let exposition = demo.exposition();
        // A browser that has to wait for a core closes too late for any class, and not in the wrong one.
        if exposition.sum_or_zero(immediate, &[]) > 0.0 || blocked >= 5.0 {
            break exposition;
        }
    };
    assert_eq!(exposition.sum_or_zero(immediate, &[("class", class)]), 1.0);
    assert_eq!(exposition.sum(immediate, &[]), 1.0);
    let denied = [("verdict", "denied")];
    assert_eq!(
        exposition.sum("sse_connections_opened_cors_total", &denied),
        blocked
    );
    let reported = [("reason", "origin_denied"), ("mode", "report_only")];
    assert_eq!(
        exposition.sum("sse_connections_rejected_total", &reported),
        blocked
    );
}

#[test]
fn b1_chromium_over_http_1_closes_a_blocked_stream_in_the_drain_class() {
    blocked_stream_is_closed_as(BrowserKind::Chromium, "drain");
}

#[test]
fn b1_firefox_closes_a_blocked_stream_instantly() {
    blocked_stream_is_closed_as(BrowserKind::Firefox, "instant");
}

/// A stream that its page has read is none of these, however soon the page closes it.
fn a_stream_that_was_used_is_no_immediate_close(kind: BrowserKind) {
    let pages = Site::empty();
    let demo = Demo::start(DEMO, &Settings::open().allow(&[&pages.origin()]));
    let browser = Browser::launch(kind);
    let url = format!("{}/events?topic=used", demo.origin());
    let page = WatchedPage::open(&browser, &pages.origin(), &url);
    page.wait_for_opened(1);
    demo.publish("used", "x");
    page.wait_for_data(1);
    // Past the second within which a close is instant, whatever was read.
    demo.wait_for_metric("sse_events_sent_total", &[("kind", "event")], 1.0);
    page.wait_until_open_for(Duration::from_secs(2));
    page.page().evaluate("source.close()");
    demo.wait_for_metric(
        "sse_connections_closed_total",
        &[("reason", "client_gone")],
        1.0,
    );
    let immediate = demo
        .exposition()
        .sum("sse_connections_immediate_close_total", &[]);
    assert_eq!(immediate, 0.0);
}

crate::in_each_browser!(a_stream_that_was_used_is_no_immediate_close);
