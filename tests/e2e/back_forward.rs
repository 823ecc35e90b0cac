//! D23: a page is navigated away from and comes back, from the back/forward cache or anew.

use actix_web_sse_tests::{
    Answer, Browser, BrowserKind, Demo, LIMIT, Page, Relay, Settings, Site, until,
};

use crate::DEMO;

/// A page that remembers over navigations what it has seen, and resumes by the last ID.
fn page_with_a_memory(stream: &str) -> String {
    format!(
        r#"<!doctype html><title>memory</title><script>
          const memory = JSON.parse(sessionStorage.getItem("memory") ?? '{{"data": [], "id": ""}}');
          globalThis.memory = memory;
          globalThis.restored = 0;
          addEventListener("pageshow", (event) => {{ if (event.persisted) restored++; }});
          const resume = memory.id && `&lastEventId=${{memory.id}}`;
          globalThis.source = new EventSource("{stream}" + resume, {{ withCredentials: true }});
          source.onmessage = (event) => {{
            memory.data.push(event.data);
            memory.id = event.lastEventId;
            sessionStorage.setItem("memory", JSON.stringify(memory));
          }};
        </script>"#
    )
}

fn wait_for_data(page: &Page<'_>, count: usize) -> String {
    page.wait(&format!("globalThis.memory?.data.length >= {count}"));
    page.evaluate("memory.data.join(' ')")
        .as_str()
        .unwrap()
        .to_owned()
}

fn d23_a_page_that_comes_back_gets_every_event(kind: BrowserKind) {
    // The page must know the stream's address, and the stream the page's origin: the address of
    // the page is known first.
    let stream = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let served = std::sync::Arc::clone(&stream);
    let pages = Site::serve(move |visit| match visit.target.as_str() {
        "/" => Answer::page(&page_with_a_memory(served.get().unwrap())),
        _ => Answer::empty_page(),
    });
    let settings = Settings::open()
        .allow(&[&pages.origin()])
        .set("stream.retry", "300ms");
    let demo = Demo::start(DEMO, &settings);
    let relay = Relay::to(demo.app);
    stream
        .set(format!("http://{}/events?topic=back", relay.address()))
        .unwrap();
    let browser = Browser::launch(kind);
    let page = browser.open(&pages.origin());
    demo.wait_for_metric("sse_connections_active", &[], 1.0);
    demo.publish("back", "1");
    assert_eq!(wait_for_data(&page, 1), "1");

    page.goto(&format!("{}/elsewhere", pages.origin()));
    for number in 2..=5 {
        demo.publish("back", &number.to_string());
    }
    gauge_is_what_the_browser_holds(&demo, &relay);
    page.back();
    assert_eq!(wait_for_data(&page, 5), "1 2 3 4 5");
    demo.publish("back", "6");
    assert_eq!(wait_for_data(&page, 6), "1 2 3 4 5 6");
    gauge_is_what_the_browser_holds(&demo, &relay);

    page.goto(&format!("{}/elsewhere", pages.origin()));
    page.close();
    drop(browser);
    demo.wait_for_metric("sse_connections_active", &[], 0.0);
}

/// The server counts as open what the browser has not closed (facts B2: Chromium keeps the stream
/// of a page that it may come back to).
fn gauge_is_what_the_browser_holds(demo: &Demo, relay: &Relay) {
    until("the gauge is what the browser holds", LIMIT, || {
        let passages = relay.passages().into_iter();
        let held =
            passages.filter(|passage| passage.client_left.is_none() && !passage.sent.is_empty());
        let active = demo.exposition().sum("sse_connections_active", &[]);
        (active == f64::from(u32::try_from(held.count()).unwrap())).then_some(())
    });
}

crate::in_each_browser!(d23_a_page_that_comes_back_gets_every_event);
