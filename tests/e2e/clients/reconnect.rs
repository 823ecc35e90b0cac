//! Connect, cut, resume, drain: with each client, over a wire that can be cut.

use std::time::Duration;

use actix_web::{App, HttpServer, web};
use actix_web_sse::{Event, Sse, Subscriber, config::StreamConfig};
use actix_web_sse_tests::{InProcess, LIMIT, Relay, no_signals, until};
use futures_util::stream;

use super::{
    server::StreamServer,
    under_test::{Client, Entry, Kind, with_each_client},
};

const CONFIG: &str = "
    [hub]
    replay_events = 10000
    [stream]
    heartbeat = '1s'
    stall = '5s'
    retry = '100ms'
    retry_jitter = 0.0
    drain = '2s'
";

fn url(relay: &Relay) -> String {
    format!("http://{}/events?topic=t", relay.address())
}

/// Five cuts, each in the middle of a burst, and events while the client is away.
fn r01_cuts_lose_nothing_and_double_nothing(kind: Kind) {
    let server = StreamServer::start(CONFIG);
    let relay = Relay::to(server.address);
    let client = Client::start(kind, &url(&relay));
    server.wait_for_subscribers("t", 1);
    let mut published = Vec::new();
    let mut publish = |count: usize| {
        for _ in 0..count {
            let data = published.len().to_string();
            published.push((server.publish("t", &data), data));
        }
        published.clone()
    };
    // One event before the first cut: without any ID a client has nothing to resume from.
    publish(1);
    client.wait_for_data("0");
    for round in 1..=5 {
        publish(10);
        relay.cut();
        let last = publish(10).pop().unwrap().1;
        client.wait_for_data(&last);
        assert_eq!(relay.passages().len(), 1 + round, "one reconnect per cut");
    }
    let last = publish(1).pop().unwrap().1;
    client.wait_for_data(&last);
    let expected = published
        .into_iter()
        .map(|(id, data)| ("message".to_owned(), id, data));
    assert_eq!(client.events(), expected.collect::<Vec<_>>());
    // What it resumed from is what it had seen last: the server replayed nothing on suspicion.
    let headers = relay.requests_for("/events");
    assert_eq!(headers[0].get("last-event-id"), None);
    for request in &headers[1..] {
        let id = request.get("last-event-id").expect("a reconnect has one");
        assert!(client.events().iter().any(|(_, seen, _)| seen == id));
    }
}

/// A cut before any event: what is published meanwhile is not lost, whatever the topic had before,
/// and no event of the name that everybody listens for says so.
fn w02_what_is_published_in_a_cut_before_the_first_event_is_not_lost(kind: Kind) {
    for before in [0, 2] {
        let server = StreamServer::start(CONFIG);
        for _ in 0..before {
            server.publish("t", "before");
        }
        let relay = Relay::to(server.address);
        let client = Client::start(kind, &url(&relay));
        server.wait_for_subscribers("t", 1);
        let anchor = client.wait("has an ID to come back with", |_| client.anchors().pop());
        relay.sever();
        server.wait_for_subscribers("t", 0);
        server.publish("t", "missed");
        relay.mend();
        client.wait_for_data("missed");
        server.publish("t", "after");
        client.wait_for_data("after");
        let again = relay.requests_for("/events").pop().unwrap();
        assert_eq!(again.get("last-event-id"), Some(anchor.as_str()));
        let events = client.events().into_iter();
        let events = events.map(|(name, _, data)| (name, data));
        let expected = ["missed", "after"].map(|data| ("message".to_owned(), data.to_owned()));
        assert_eq!(
            events.collect::<Vec<_>>(),
            expected,
            "no reset, no replay of the past"
        );
        assert_eq!(
            client.anchors(),
            [anchor],
            "none for a client that has an ID"
        );
    }
}

/// SIGTERM: the stream ends cleanly, the client comes back to the next process, and is told that
/// its ID is from another life.
fn d09_a_drain_ends_cleanly_and_the_client_comes_back(kind: Kind) {
    let mut server = StreamServer::start(CONFIG);
    let relay = Relay::to(server.address);
    let client = Client::start(kind, &url(&relay));
    server.wait_for_subscribers("t", 1);
    server.publish("t", "first");
    let at = client.wait_for_data("first");
    server.terminate();
    let next = client.wait("hears the end", |entries| entries.get(at + 1).cloned());
    assert_eq!(next, Entry::Ended, "a clean end, no cut");
    server.restart();
    server.wait_for_subscribers("t", 1);
    server.publish("t", "second");
    client.wait_for_data("second");
    let seen = client
        .events()
        .into_iter()
        .map(|(name, _, data)| (name, data));
    let expected = [
        ("message", "first"),
        ("reset", "{\"reason\":\"unknown\"}"),
        ("message", "second"),
    ];
    let expected = expected.map(|(name, data)| (name.to_owned(), data.to_owned()));
    assert_eq!(seen.collect::<Vec<_>>(), expected);
}

/// An empty ID takes the last one back: the next request names none.
fn e10_after_an_empty_id_a_reconnect_names_none(kind: Kind) {
    let server = InProcess::start(|listener| {
        let stream = async |subscriber: Subscriber| {
            let events = ["1", ""].map(|id| Event::data("x").id(id).unwrap());
            let mut config = StreamConfig::default();
            config.retry = Duration::from_millis(100);
            Sse::from_stream(stream::iter(events), subscriber)
                .config(config)
                .unwrap()
        };
        let server = HttpServer::new(move || App::new().route("/events", web::get().to(stream)));
        let server = server.workers(1).shutdown_signal(no_signals());
        Ok(server.listen(listener)?.run())
    });
    let relay = Relay::to(server.address());
    let client = Client::start(kind, &url(&relay));
    let again = until("the client comes back", LIMIT, || {
        relay.requests_for("/events").get(1).cloned()
    });
    let expected = (kind == Kind::ReqwestEventsource).then_some("");
    assert_eq!(again.get("last-event-id"), expected);
    // What it says comes another way than what it asks.
    let ids = client.wait("says what it got", |_| {
        let ids = client.events().into_iter().map(|(_, id, _)| id);
        let ids: Vec<_> = ids.take(2).collect();
        (ids.len() == 2).then_some(ids)
    });
    assert_eq!(ids, ["1", ""]);
}

with_each_client! {
    e10_after_an_empty_id_a_reconnect_names_none,
    r01_cuts_lose_nothing_and_double_nothing,
    d09_a_drain_ends_cleanly_and_the_client_comes_back,
    w02_what_is_published_in_a_cut_before_the_first_event_is_not_lost,
}
