//! L03: a browser that finds the server full comes back by itself.

use actix_web_sse_tests::{Browser, BrowserKind, Demo, Relay, Settings, Site};

use crate::{DEMO, watched_page::WatchedPage};

fn l03_a_third_stream_waits_until_there_is_room(kind: BrowserKind) {
    let pages = Site::empty();
    let settings = Settings::open()
        .allow(&[&pages.origin()])
        .set("policy.limits.per_ip", 2)
        .set("stream.retry", "300ms");
    let demo = Demo::start(DEMO, &settings);
    let relay = Relay::to(demo.app);
    let browser = Browser::launch(kind);
    let url = format!("http://{}/events?topic=full", relay.address());
    let first = WatchedPage::open(&browser, &pages.origin(), &url);
    first.wait_for_opened(1);
    let second = WatchedPage::open(&browser, &pages.origin(), &url);
    second.wait_for_opened(1);
    let third = WatchedPage::open(&browser, &pages.origin(), &url);
    let soft = [("reason", "ip_limit"), ("mode", "soft")];
    demo.wait_for_metric("sse_connections_rejected_total", &soft, 1.0);
    // The soft answer is a stream that opens and ends: the browser waits, and does not give up.
    third.page().wait("errors.length === 1");
    assert_eq!(third.errors(), [0]);
    demo.publish("full", "for two");
    first.wait_for_data(1);
    second.wait_for_data(1);
    first.page().evaluate("source.close()");
    let gone = [("reason", "client_gone")];
    demo.wait_for_metric("sse_connections_closed_total", &gone, 1.0);
    // It comes back after five seconds at the least, perhaps at this moment, and holds the place that is free now.
    demo.wait_for_metric("sse_connections_active", &[], 2.0);
    demo.publish("full", "for the others");
    assert_eq!(third.wait_for_data(1), ["for the others"]);
    assert_eq!(second.wait_for_data(2), ["for two", "for the others"]);
    assert!(third.errors().iter().all(|&state| state == 0));
}

crate::in_each_browser!(l03_a_third_stream_waits_until_there_is_room);
