//! T12: what becomes of a ticket when the browser reconnects by itself.

use actix_web_sse_tests::{Browser, BrowserKind, Claims, Demo, Relay, Request, Site};

use crate::{DEMO, guarded, watched_page::WatchedPage};

const EVENTS: &str = "/events?topic=demo";

struct Scene {
    pages: Site,
    demo: Demo,
    relay: Relay,
}

impl Scene {
    fn with_tickets(mode: &str) -> Self {
        let pages = guarded::pages();
        let settings = guarded::settings(&[&pages.origin()]).set("auth.ticket.mode", mode);
        let demo = Demo::start(DEMO, &settings);
        let relay = Relay::to(demo.app);
        Self { pages, demo, relay }
    }

    fn stream(&self) -> String {
        format!("http://{}{EVENTS}", self.relay.address())
    }

    /// A ticket as the page of the site would fetch it.
    fn ticket(&self) -> String {
        let token = self.demo.token(&Claims::of("ada"));
        let response = Request::new("POST", "/ticket?topic=demo")
            .bearer(&token)
            .header("Origin", self.pages.origin())
            .header("Content-Length", "0")
            .send(self.demo.app);
        assert_eq!(response.status(), 200);
        let body = response.json();
        assert_eq!(body["expires_in"], 60);
        body["ticket"].as_str().unwrap().to_owned()
    }
}

fn t12_a_resumable_ticket_survives_the_browsers_own_reconnect(kind: BrowserKind) {
    let scene = Scene::with_tickets("resumable");
    let browser = Browser::launch(kind);
    let url = format!("{}&ticket={}", scene.stream(), scene.ticket());
    let page = WatchedPage::open(&browser, &scene.pages.origin(), &url);
    page.wait_for_opened(1);
    scene.demo.publish("demo", "1");
    page.wait_for_data(1);
    let id = page.last_id();
    scene.relay.sever();
    page.page().wait("source.readyState === 0");
    scene.demo.publish("demo", "2");
    scene.relay.mend();
    page.wait_for_opened(2);
    scene.demo.publish("demo", "3");
    assert_eq!(page.wait_for_data(3), ["1", "2", "3"]);
    let requests = scene.relay.requests_for("/events");
    assert_eq!(
        requests.last().unwrap().get("last-event-id"),
        Some(id.as_str())
    );
    let by_ticket = [("auth_method", "ticket")];
    scene
        .demo
        .wait_for_metric("sse_connections_opened_total", &by_ticket, 2.0);
}

fn t12_a_single_use_ticket_ends_the_browsers_own_event_source(kind: BrowserKind) {
    let scene = Scene::with_tickets("single-use");
    let browser = Browser::launch(kind);
    let url = format!("{}&ticket={}", scene.stream(), scene.ticket());
    let page = WatchedPage::open(&browser, &scene.pages.origin(), &url);
    page.wait_for_opened(1);
    scene.relay.cut();
    // It comes back once, with the ticket that is used up, and is told so for good.
    page.page().wait("source.readyState === 2");
    assert_eq!(page.page().evaluate("opened"), 1);
    let invalid = [("reason", "invalid_ticket")];
    scene
        .demo
        .wait_for_metric("sse_connections_rejected_total", &invalid, 1.0);
}

fn t12_the_documented_client_fetches_a_new_ticket_and_misses_nothing(kind: BrowserKind) {
    let scene = Scene::with_tickets("single-use");
    let browser = Browser::launch(kind);
    let page = WatchedPage::blank(&browser, &scene.pages.origin());
    let token = scene.demo.token(&Claims::of("ada"));
    let relay = scene.relay.address();
    page.watch_source(&format!(
        "new (await import('/sse-client.js')).LastingEventSource(async () => {{
           const reply = await fetch('http://{relay}/ticket?topic=demo', {{
             method: 'POST',
             headers: {{ Authorization: 'Bearer {token}' }},
           }});
           const {{ ticket }} = await reply.json();
           return `http://{relay}{EVENTS}&ticket=${{ticket}}`;
         }})"
    ));
    page.wait_for_opened(1);
    scene.demo.publish("demo", "1");
    page.wait_for_data(1);
    scene.relay.cut();
    // What it is now may be over before anybody looks.
    page.page().wait("errors.length > 0");
    scene.demo.publish("demo", "2");
    page.wait_for_opened(2);
    scene.demo.publish("demo", "3");
    assert_eq!(page.wait_for_data(3), ["1", "2", "3"]);
    assert_eq!(page.page().evaluate("resets"), 0);
}

/// A snippet of the documentation, by the function that it defines.
fn documented(function: &str) -> String {
    let docs = include_str!("../../crates/actix-web-sse/src/protect/mod.rs");
    let text: Vec<_> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .collect();
    let text = text.join("\n");
    let snippets = text.split("```js").skip(1);
    let mut snippets = snippets.filter_map(|rest| rest.split("```").next());
    let wanted = format!("async function {function}(");
    let snippet = snippets.find(|snippet| snippet.contains(&wanted));
    snippet.expect("a snippet of the documentation").to_owned()
}

/// A page whose user has a session cookie for the host of the stream.
fn signed_in<'a>(scene: &Scene, browser: &'a Browser) -> WatchedPage<'a> {
    let page = WatchedPage::blank(browser, &scene.pages.origin());
    let token = scene.demo.token(&Claims::of("ada"));
    page.page()
        .goto(&format!("{}/login?sid={token}", scene.pages.origin()));
    page
}

fn t12_the_snippet_for_resumable_tickets_does_what_it_says(kind: BrowserKind) {
    let scene = Scene::with_tickets("resumable");
    let browser = Browser::launch(kind);
    let page = signed_in(&scene, &browser);
    page.watch_source(&format!(
        "await (async () => {{
           const api = 'http://{}';
           {}
           return open('demo');
         }})()",
        scene.relay.address(),
        documented("open"),
    ));
    page.wait_for_opened(1);
    scene.demo.publish("demo", "1");
    page.wait_for_data(1);
    scene.relay.cut();
    page.wait_for_opened(2);
    scene.demo.publish("demo", "2");
    assert_eq!(page.wait_for_data(2), ["1", "2"]);
}

fn t12_the_snippet_for_single_use_tickets_does_what_it_says(kind: BrowserKind) {
    let scene = Scene::with_tickets("single-use");
    let browser = Browser::launch(kind);
    let page = signed_in(&scene, &browser);
    page.page().evaluate(&format!(
        "(() => {{
           const api = 'http://{}';
           {}
           window.got = [];
           follow('demo', (event) => got.push(event.data));
           return 0;
         }})()",
        scene.relay.address(),
        documented("follow"),
    ));
    let by_ticket = [("auth_method", "ticket")];
    let opened = |times| {
        scene
            .demo
            .wait_for_metric("sse_connections_opened_total", &by_ticket, times);
    };
    opened(1.0);
    scene.demo.publish("demo", "1");
    page.page().wait("got.length === 1");
    scene.relay.cut();
    // The browser's own attempt comes with the ticket that is used up, and ends its EventSource.
    let invalid = [("reason", "invalid_ticket")];
    scene
        .demo
        .wait_for_metric("sse_connections_rejected_total", &invalid, 1.0);
    scene.demo.publish("demo", "2");
    opened(2.0);
    scene.demo.publish("demo", "3");
    page.page().wait("got.length === 3");
    assert_eq!(page.page().evaluate("got.join()"), "1,2,3");
}

crate::in_each_browser! {
    t12_a_resumable_ticket_survives_the_browsers_own_reconnect,
    t12_a_single_use_ticket_ends_the_browsers_own_event_source,
    t12_the_documented_client_fetches_a_new_ticket_and_misses_nothing,
    t12_the_snippet_for_resumable_tickets_does_what_it_says,
    t12_the_snippet_for_single_use_tickets_does_what_it_says,
}
