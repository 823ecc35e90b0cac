//! A real Prometheus scrapes the demo, and its figures are what the browsers did.

use actix_web_sse_tests::{
    Browser, BrowserKind, Demo, Prometheus, Relay, Settings, Site, check_metrics,
};

use crate::{DEMO, watched_page::WatchedPage};

fn prometheus_counts_what_the_browser_did(kind: BrowserKind) {
    let pages = Site::empty();
    let foreign = Site::empty();
    let settings = Settings::open()
        .allow(&[&pages.origin()])
        .set("stream.retry", "300ms");
    let demo = Demo::start(DEMO, &settings);
    let relay = Relay::to(demo.app);
    let prometheus = Prometheus::scraping(&[("demo", demo.metrics)], &[]);
    let browser = Browser::launch(kind);
    let url = format!("http://{}/events?topic=counted", relay.address());

    // Two pages that may read, one of which is cut off once; one page that may not.
    let first = WatchedPage::open(&browser, &pages.origin(), &url);
    first.wait_for_opened(1);
    for number in 0..4 {
        demo.publish("counted", &number.to_string());
    }
    first.wait_for_data(4);
    relay.cut();
    first.wait_for_opened(2);
    let second = WatchedPage::open(&browser, &pages.origin(), &url);
    second.wait_for_opened(1);
    let refused = WatchedPage::open(&browser, &foreign.origin(), &url);
    refused.page().wait("source.readyState === 2");
    demo.publish("counted", "for both");
    first.wait_for_data(5);
    second.wait_for_data(1);

    let origin = pages.origin();
    prometheus.wait_for("sum(sse_connection_attempts_total{route='/events'})", 4.0);
    let opened = format!("sum(sse_connections_opened_total{{origin='{origin}'}})");
    prometheus.wait_for(&opened, 3.0);
    prometheus.wait_for("sum(sse_connections_opened_total)", 3.0);
    prometheus.wait_for(
        "sum(sse_connections_rejected_total{reason='origin_denied'})",
        1.0,
    );
    prometheus.wait_for("sum(sse_connections_rejected_total)", 1.0);
    prometheus.wait_for("sum(sse_rejected_origins_total)", 1.0);
    prometheus.wait_for("sum(sse_connections_active)", 2.0);
    prometheus.wait_for("sum(sse_connections_closed_total)", 1.0);
    // Four before the cut, one for each of the two streams after it.
    prometheus.wait_for("sum(sse_events_sent_total{kind='event'})", 6.0);
    prometheus.wait_for("sse_events_published_total", 5.0);

    drop(browser);
    prometheus.wait_for("sum(sse_connections_active)", 0.0);
    prometheus.wait_for(
        "sum(sse_connections_closed_total{reason='client_gone'})",
        3.0,
    );
    prometheus.wait_for("sum(sse_connection_duration_seconds_count)", 3.0);
    prometheus.wait_for("up{job='demo'}", 1.0);

    let checked = check_metrics(&demo.exposition().text);
    assert_eq!(
        (checked.code, checked.stderr.as_slice()),
        (Some(0), &[][..]),
        "{checked:?}"
    );
}

crate::in_each_browser!(prometheus_counts_what_the_browser_did);
