//! D22: a stream that ends because it is old is resumed by its browser, and nothing is missed.

use actix_web_sse_tests::{Browser, BrowserKind, Demo, LIMIT, Settings, Site, until};

use crate::{DEMO, watched_page::WatchedPage};

fn d22_streams_that_end_by_age_are_resumed_exactly(kind: BrowserKind) {
    let pages = Site::empty();
    let settings = Settings::open()
        .allow(&[&pages.origin()])
        .set("stream.max_lifetime", "1s")
        .set("stream.retry", "200ms")
        // Enough for what is published while the browser is away: Firefox waits half a second.
        .set("hub.replay_events", 100_000);
    let demo = Demo::start(DEMO, &settings);
    let browser = Browser::launch(kind);
    let url = format!("{}/events?topic=ages", demo.origin());
    let page = WatchedPage::open(&browser, &pages.origin(), &url);
    page.wait_for_opened(1);
    let mut expected = Vec::new();
    // Published without pause over several lives of the stream.
    while page.page().evaluate("opened").as_u64() < Some(4) {
        expected.push(expected.len().to_string());
        demo.publish("ages", expected.last().unwrap());
    }
    assert_eq!(page.wait_for_data(expected.len()), expected);
    assert_eq!(page.page().evaluate("resets"), 0);
    assert!(
        page.errors().iter().all(|&state| state == 0),
        "{:?}",
        page.errors()
    );
    // The page may hear of an end before it is counted.
    until("three ends by age are counted", LIMIT, || {
        let lifetime = [("reason", "lifetime")];
        let ended = demo.exposition();
        let ended = ended.sum("sse_connections_closed_total", &lifetime);
        (ended >= 3.0).then_some(())
    });
    let resumed = demo.exposition();
    assert!(resumed.sum("sse_resumes_total", &[("result", "hit")]) >= 3.0);
}

crate::in_each_browser!(d22_streams_that_end_by_age_are_resumed_exactly);
