//! S82: several demos that share a hub through a real Redis.

mod balanced;
mod paused;
mod program;

use actix_web_sse_tests::{
    Browser, BrowserKind, Claims, Demo, EventStream, LIMIT, Redis, Relay, Request, Settings, Site,
};

use crate::{DEMO, watched_page::WatchedPage};

const STREAM: &str = "/events?topic=shared";

fn with(redis: &Redis, settings: Settings) -> Settings {
    settings
        .set("backplane.redis", format!("redis://{}", redis.address()))
        .set("backplane.backoff_least", "20ms")
        .set("backplane.backoff_most", "200ms")
        // Longer than a Redis stands still that has to wait for a core.
        .set("backplane.answer_timeout", "10s")
}

/// A node's own log is short, so that much has to come from Redis.
fn short_log() -> Settings {
    Settings::open().set("hub.replay_events", 20)
}

fn nodes<const N: usize>(redis: &Redis, settings: &Settings) -> [Demo; N] {
    [(); N].map(|()| Demo::start(DEMO, &with(redis, settings.clone())))
}

/// Publishes, and hands out the ID; `None` if the demo says that Redis did not take it.
fn publish(demo: &Demo, data: &str) -> Option<String> {
    let response = demo.try_publish("shared", "text/plain", data);
    match response.status() {
        200 => {
            let answer: serde_json::Value = serde_json::from_str(&response.text()).unwrap();
            Some(answer["id"].as_str().unwrap().to_owned())
        }
        503 => None,
        status => panic!("publish: {status} {}", response.text()),
    }
}

fn connected(demo: &Demo, expected: bool) {
    demo.wait_for_metric(
        "sse_backplane_connected",
        &[],
        f64::from(u8::from(expected)),
    );
}

fn follow(demo: &Demo, last_event_id: Option<&str>) -> EventStream {
    let mut request = Request::stream(STREAM);
    if let Some(id) = last_event_id {
        request = request.header("Last-Event-ID", id);
    }
    request.open(demo.app)
}

/// A browser whose way to one node is cut finds itself on another, and misses nothing.
fn s82_a_browser_is_moved_between_nodes_in_mid_stream(kind: BrowserKind) {
    let redis = Redis::start();
    let pages = Site::empty();
    let settings = short_log()
        .allow(&[&pages.origin()])
        .set("stream.retry", "300ms");
    let [mut a, b, c] = nodes::<3>(&redis, &settings);
    let balancer = Relay::to(a.app);
    let browser = Browser::launch(kind);
    let url = format!("http://{}{STREAM}", balancer.address());
    let page = WatchedPage::open(&browser, &pages.origin(), &url);
    page.wait_for_opened(1);
    a.wait_for_metric("sse_backplane_topics", &[], 1.0);
    let mut expected = Vec::new();
    let mut publish_three = |on: &Demo| {
        for _ in 0..3 {
            expected.push((expected.len() + 1).to_string());
            publish(on, expected.last().unwrap()).expect("Redis is there");
        }
        expected.clone()
    };
    let seen = publish_three(&b);
    assert_eq!(page.wait_for_data(3), seen);

    // To the second node, as a deployment would; meanwhile events are published.
    balancer.sever();
    page.page().wait("source.readyState === 0");
    publish_three(&c);
    balancer.turn_to(b.app);
    balancer.mend();
    page.wait_for_opened(2);
    let seen = publish_three(&a);
    assert_eq!(page.wait_for_data(seen.len()), seen);

    // To the third, from one that dies.
    balancer.turn_to(a.app);
    balancer.cut();
    page.wait_for_opened(3);
    a.kill();
    page.page().wait("source.readyState === 0");
    publish_three(&b);
    balancer.turn_to(c.app);
    page.wait_for_opened(4);
    let seen = publish_three(&c);
    assert_eq!(page.wait_for_data(seen.len()), seen);
    assert_eq!(page.page().evaluate("resets"), 0);
}

crate::in_each_browser!(s82_a_browser_is_moved_between_nodes_in_mid_stream);

#[test]
fn s82_a_single_use_ticket_opens_one_stream_whichever_node_it_is_shown_to() {
    let redis = Redis::start();
    let [a, b] = nodes::<2>(&redis, &Settings::reference());
    let token = a.token(&Claims::of("visitor"));
    let ticket = || {
        let response = Request::new("POST", "/ticket?topic=shared")
            .bearer(&token)
            .send(a.app);
        assert_eq!(response.status(), 200, "{}", response.text());
        let answer: serde_json::Value = serde_json::from_str(&response.text()).unwrap();
        answer["ticket"].as_str().unwrap().to_owned()
    };
    let shown = |ticket: &str, to: &Demo| {
        Request::stream(&format!("{STREAM}&ticket={ticket}"))
            .open(to.app)
            .response()
            .status()
    };
    let one = ticket();
    assert_eq!(shown(&one, &b), 200, "issued by one, shown to the other");
    for node in [&a, &b] {
        let again = Request::stream(&format!("{STREAM}&ticket={one}")).send(node.app);
        assert_ne!(again.status(), 200, "{}", again.text());
    }
}

#[test]
fn s82_who_signs_out_on_one_node_loses_the_streams_of_all() {
    let redis = Redis::start();
    let settings = Settings::reference().set("server.sign_in", true);
    let [a, b] = nodes::<2>(&redis, &settings);
    let token = a.token(&Claims::of("visitor"));
    let mut stream = Request::stream(STREAM).bearer(&token).open(b.app);
    stream.next_comment();
    let out = Request::new("DELETE", "/session")
        .bearer(&token)
        .send(a.app);
    assert_eq!(out.status(), 200, "{}", out.text());
    stream.until_end(LIMIT);
}

#[test]
fn s82_an_outage_fails_publications_and_is_exported() {
    let mut redis = Redis::durable();
    let [a, b] = nodes::<2>(&redis, &short_log());
    let mut stream = follow(&b, None);
    stream.next_comment();
    b.wait_for_metric("sse_backplane_topics", &[], 1.0);
    publish(&a, "1").unwrap();
    redis.kill();
    connected(&a, false);
    connected(&b, false);
    assert_eq!(publish(&a, "2"), None);
    redis.restart();
    connected(&a, true);
    publish(&a, "3").unwrap();
    let data = [stream.next_event(), stream.next_event()];
    let data: Vec<_> = data.iter().map(|block| block.data().unwrap()).collect();
    assert_eq!(data, ["1", "3"], "the stream stayed open and caught up");
    let seen = a.exposition();
    assert_eq!(seen.sum("sse_backplane_unpublished_total", &[]), 1.0);
    assert_eq!(seen.sum("sse_backplane_published_total", &[]), 2.0);
    assert!(seen.sum("sse_backplane_failures_total", &[]) >= 1.0);
}
