//! Group W in browsers: a cut before the first event, a planned end, a stream that is over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{App, HttpResponse, Responder, web};
use actix_web_sse::{Event, EventServer, Hub, Sse, Subscriber};
use actix_web_sse_tests::{
    Browser, BrowserKind, Demo, InProcess, LIMIT, Relay, Settings, Site, no_signals, until,
};
use futures_util::stream;

use crate::{DEMO, watched_page::WatchedPage};

/// The page has no event yet, and so no ID of one, when its wire is cut.
fn w02_what_is_published_in_a_cut_before_the_first_event_is_not_lost(kind: BrowserKind) {
    let pages = Site::empty();
    let settings = Settings::open()
        .allow(&[&pages.origin()])
        .set("stream.retry", "300ms");
    let demo = Demo::start(DEMO, &settings);
    let relay = Relay::to(demo.app);
    let browser = Browser::launch(kind);
    for (topic, before) in [("empty", 0), ("full", 2)] {
        for _ in 0..before {
            demo.publish(topic, "before");
        }
        let url = format!("http://{}/events?topic={topic}", relay.address());
        let page = WatchedPage::open(&browser, &pages.origin(), &url);
        page.wait_for_opened(1);
        page.page().wait("anchors.length === 1");
        relay.sever();
        page.page().wait("source.readyState === 0");
        demo.publish(topic, "missed");
        relay.mend();
        assert_eq!(page.wait_for_data(1), ["missed"], "{topic}");
        demo.publish(topic, "live");
        assert_eq!(page.wait_for_data(2), ["missed", "live"], "{topic}");
        // Nothing was told to those who listen for events without a name.
        assert_eq!(page.page().evaluate("messages"), 2);
        assert_eq!(page.page().evaluate("resets"), 0);
        assert_eq!(page.page().evaluate("anchors.length"), 1);
        let sent = relay.requests_for("/events").pop().unwrap();
        let sent = sent.get("last-event-id").map(str::to_owned);
        assert_eq!(page.page().evaluate("anchors[0]").as_str(), sent.as_deref());
        page.close();
    }
}

/// The end of a stream by its age: the browser is back within three seconds, although it would wait
/// for half a minute after a cut.
fn w03_a_planned_end_leaves_a_page_without_events_for_three_seconds_at_most(kind: BrowserKind) {
    let pages = Site::empty();
    let settings = Settings::open()
        .allow(&[&pages.origin()])
        .set("stream.retry", "30s")
        .set("stream.max_lifetime", "2s");
    let demo = Demo::start(DEMO, &settings);
    let browser = Browser::launch(kind);
    let url = format!("{}/events?topic=ages", demo.origin());
    let page = WatchedPage::open(&browser, &pages.origin(), &url);
    page.page().evaluate(
        "(() => {
           globalThis.dark = [];
           let since;
           source.addEventListener('error', () => { since = performance.now(); });
           source.addEventListener('open', () => {
             if (since !== undefined) dark.push(performance.now() - since);
           });
         })()",
    );
    // A browser that has to wait for a core is away for longer; after a cut it would be for half a minute.
    page.page()
        .wait_at_most(LIMIT * 2, "dark.filter((time) => time <= 3000).length >= 3");
    let dark = page.page().evaluate("dark");
    for time in dark.as_array().unwrap() {
        assert!(time.as_f64().unwrap() <= 15_000.0, "{dark} ms");
    }
    assert!(page.errors().iter().all(|&state| state == 0));
}

/// A stream that is over for good ends its `EventSource`, which would ask for it for ever.
fn w_08_a_stream_that_is_over_is_not_asked_for_again(kind: BrowserKind) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = InProcess::start(move |listener| {
        let hub = Hub::builder().build().expect("a hub");
        let app_hub = hub.clone();
        let application = move || {
            let count = Arc::clone(&count);
            let countdown = move |subscriber: Subscriber| {
                count.fetch_add(1, Ordering::SeqCst);
                let numbers = (0..3).rev().map(|number| Event::data(number.to_string()));
                let stream = Sse::from_stream(stream::iter(numbers), subscriber).once();
                async move { stream }
            };
            App::new()
                .app_data(app_hub.clone())
                .route("/countdown", web::get().to(countdown))
                .route("/", web::get().to(page))
        };
        let server = EventServer::new(application).workers(1).hub(&hub);
        Ok(server.shutdown_signal(no_signals()).listen(listener)?.run())
    });
    let browser = Browser::launch(kind);
    let origin = format!("http://{}", server.address());
    let page = WatchedPage::open(&browser, &origin, &format!("{origin}/countdown"));
    page.page().wait("source.readyState === 2");
    assert_eq!(page.wait_for_data(3), ["2", "1", "0"]);
    assert_eq!(page.page().evaluate("messages"), 3);
    assert_eq!(asked.load(Ordering::SeqCst), 2, "the stream, and the 204");
    // Another one begins anew: it is no matter of the server's memory.
    page.watch(&format!("{origin}/countdown"));
    until("it runs again", LIMIT, || {
        (asked.load(Ordering::SeqCst) >= 3).then_some(())
    });
    assert_eq!(page.wait_for_data(3), ["2", "1", "0"]);
    page.page()
        .wait_at_most(Duration::from_secs(30), "source.readyState === 2");
}

async fn page() -> impl Responder {
    HttpResponse::Ok()
        .content_type("text/html")
        .body("<!doctype html><title>countdown</title>")
}

crate::in_each_browser! {
    w02_what_is_published_in_a_cut_before_the_first_event_is_not_lost,
    w03_a_planned_end_leaves_a_page_without_events_for_three_seconds_at_most,
    w_08_a_stream_that_is_over_is_not_asked_for_again,
}
