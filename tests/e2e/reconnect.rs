//! A page of another origin follows a stream, with credentials, through everything that can
//! happen to the server and to the wire.

use actix_web_sse_tests::{Answer, Browser, BrowserKind, Demo, Relay, Settings, Site};

use crate::{DEMO, watched_page::WatchedPage};

/// Pages that hold a cookie for their host, whatever the port.
fn pages_with_a_cookie() -> Site {
    Site::serve(|_| Answer::empty_page().header("Set-Cookie", "visitor=7; Path=/; HttpOnly"))
}

/// A demo that pages of this site may read, and whose clients come back soon.
fn settings_for(pages: &Site) -> Settings {
    Settings::open()
        .allow(&[&pages.origin()])
        .set("stream.retry", "300ms")
}

fn events_of(origin: &str) -> String {
    format!("{origin}/events?topic=news")
}

/// The wire is cut, the server lives on: nothing is lost and nothing comes twice.
fn a_cut_wire_is_made_good_by_the_last_event_id(kind: BrowserKind) {
    let pages = pages_with_a_cookie();
    let demo = Demo::start(DEMO, &settings_for(&pages));
    let relay = Relay::to(demo.app);
    let browser = Browser::launch(kind);
    let url = events_of(&format!("http://{}", relay.address()));
    let page = WatchedPage::open(&browser, &pages.origin(), &url);
    page.wait_for_opened(1);
    for number in 1..=3 {
        demo.publish("news", &number.to_string());
    }
    page.wait_for_data(3);
    let last_id = page.last_id();

    relay.sever();
    page.page().wait("source.readyState === 0");
    for number in 4..=8 {
        demo.publish("news", &number.to_string());
    }
    relay.mend();
    page.wait_for_opened(2);
    demo.publish("news", "9");
    let data = page.wait_for_data(9);
    assert_eq!(data, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(page.page().evaluate("resets"), 0);
    assert!(
        page.errors().iter().all(|&state| state == 0),
        "{:?}",
        page.errors()
    );

    let requests = relay.requests_for("/events");
    let (first, last) = (requests.first().unwrap(), requests.last().unwrap());
    for request in [first, last] {
        assert_eq!(request.get("origin"), Some(pages.origin().as_str()));
        assert_eq!(request.get("cookie"), Some("visitor=7"));
    }
    assert_eq!(first.get("last-event-id"), None);
    assert_eq!(last.get("last-event-id"), Some(last_id.as_str()));
    let lines = relay
        .passages()
        .into_iter()
        .flat_map(|passage| passage.requests());
    for (line, _) in lines {
        assert!(line.starts_with("GET "), "no preflight: {line}");
    }
    demo.wait_for_metric("sse_resumes_total", &[("result", "hit")], 1.0);
    demo.wait_for_metric("sse_events_sent_total", &[("kind", "replay")], 5.0);
}

/// The server dies and comes back, then it is asked to go and comes back: the browser returns by
/// itself, is told that its ID is from another life, and goes on.
fn a_restarted_server_is_found_again(kind: BrowserKind) {
    let pages = pages_with_a_cookie();
    // Longer than the demo takes to end, once its streams have.
    let settings = settings_for(&pages).set("stream.retry", "5s");
    let mut demo = Demo::start(DEMO, &settings);
    // A refused connection is final in Firefox, and how long a demo takes to start nobody knows. The wire stays, and
    // closes what it cannot pass on, as a proxy does.
    let relay = Relay::to(demo.app);
    let browser = Browser::launch(kind);
    let url = events_of(&format!("http://{}", relay.address()));
    let page = WatchedPage::open(&browser, &pages.origin(), &url);
    page.wait_for_opened(1);
    demo.publish("news", "before");
    page.wait_for_data(1);

    demo.kill();
    page.page().wait("source.readyState === 0");
    demo.restart();
    page.wait_for_opened(2);
    page.page().wait("resets === 1");
    demo.publish("news", "after the crash");
    page.wait_for_data(2);

    demo.terminate();
    page.page().wait("source.readyState === 0");
    demo.restart();
    page.wait_for_opened(3);
    page.page().wait("resets === 2");
    demo.publish("news", "after the restart");
    assert_eq!(
        page.wait_for_data(3),
        ["before", "after the crash", "after the restart"]
    );
    assert!(
        page.errors().iter().all(|&state| state == 0),
        "{:?}",
        page.errors()
    );
}

/// A page that is not on the list gets nothing, and its browser does not ask again.
fn a_foreign_page_is_refused_for_good(kind: BrowserKind) {
    let pages = pages_with_a_cookie();
    let foreign = Site::empty();
    let demo = Demo::start(DEMO, &settings_for(&pages));
    let relay = Relay::to(demo.app);
    let browser = Browser::launch(kind);
    let url = events_of(&format!("http://{}", relay.address()));
    let page = WatchedPage::open(&browser, &foreign.origin(), &url);
    page.page().wait("errors.length > 0");
    assert_eq!(page.errors(), [2]);
    assert_eq!(page.ready_state(), 2);
    // A page that may read is served after it by the same browser; until then the refused one
    // would have come back, if it did.
    let allowed = WatchedPage::open(&browser, &pages.origin(), &url);
    allowed.wait_for_opened(1);
    demo.publish("news", "for those on the list");
    allowed.wait_for_data(1);
    assert_eq!(page.page().evaluate("data.length + opened"), 0);
    assert_eq!(relay.requests_for("/events").len(), 2);
    let denied = [("reason", "origin_denied")];
    demo.wait_for_metric("sse_connections_rejected_total", &denied, 1.0);
    demo.wait_for_metric("sse_connections_opened_total", &[], 1.0);
}

crate::in_each_browser! {
    a_cut_wire_is_made_good_by_the_last_event_id,
    a_restarted_server_is_found_again,
    a_foreign_page_is_refused_for_good,
}
