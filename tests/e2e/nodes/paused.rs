//! A node that stands still for a while, as a virtual machine that is moved, and goes on.

use std::time::Duration;

use actix_web_sse_tests::{Demo, EventStream, LIMIT, Redis, Settings, Signal, until};

use super::{follow, nodes, publish, short_log};

/// A stream of the second node that has got one event.
fn one_seen(a: &Demo, b: &Demo) -> (EventStream, String) {
    let mut stream = follow(b, None);
    stream.next_comment();
    b.wait_for_metric("sse_backplane_topics", &[], 1.0);
    publish(a, "0").unwrap();
    let event = stream.next_event();
    assert_eq!(event.data(), Some("0"));
    (stream, event.id().unwrap().to_owned())
}

/// What is published while the node stands still is more than its own log holds.
fn meanwhile(a: &Demo, b: &Demo) -> Vec<String> {
    b.process().signal(Signal::STOP);
    let texts: Vec<_> = (1..=500).map(|number| number.to_string()).collect();
    a.publish_all("shared", &texts);
    texts
}

#[test]
fn s82_a_node_that_stood_still_catches_up_on_open_streams() {
    let redis = Redis::start();
    let settings = Settings::open().set("hub.replay_events", 1000);
    let [a, b] = nodes::<2>(&redis, &settings);
    let (mut stream, _) = one_seen(&a, &b);
    let texts = meanwhile(&a, &b);
    b.process().signal(Signal::CONT);
    for text in &texts {
        assert_eq!(stream.next_event().data(), Some(text.as_str()));
    }
    let seen = b.exposition();
    assert_eq!(seen.sum("sse_backplane_holes_total", &[]), 0.0);
    assert_eq!(seen.sum("sse_backplane_resets_total", &[]), 0.0);
}

/// Its own log is too short for the streams that it has open: they end, and their clients get the
/// rest from Redis.
#[test]
fn s82_clients_of_a_node_that_stood_still_get_the_rest_from_redis() {
    let redis = Redis::start();
    let [a, b] = nodes::<2>(&redis, &short_log());
    let (mut stream, mut last_event_id) = one_seen(&a, &b);
    let texts = meanwhile(&a, &b);
    b.process().signal(Signal::CONT);
    let mut got = Vec::new();
    until("every event has come", LIMIT, || {
        while let Ok(Some(block)) = stream.block(Duration::from_secs(1)) {
            if let (Some(data), Some(id)) = (block.data(), block.id()) {
                assert_eq!(block.event(), None, "{block:?}");
                got.push(data.to_owned());
                id.clone_into(&mut last_event_id);
            }
            if got.len() == texts.len() {
                return Some(());
            }
        }
        stream = follow(&b, Some(&last_event_id));
        None
    });
    assert_eq!(got, texts);
}

/// The client comes back to a reset, and then gets what is new; before that perhaps the last of
/// what came meanwhile, if the node is not through with it yet.
fn is_told(a: &Demo, b: &Demo, mut stream: EventStream, last_event_id: &str, texts: &[String]) {
    stream.until_end(LIMIT);
    let mut stream = follow(b, Some(last_event_id));
    let told = stream.next_event();
    assert_eq!(told.event(), Some("reset"));
    // What its log and Redis have dropped, neither can tell from what was never there.
    let reasons = [r#"{"reason":"gap"}"#, r#"{"reason":"unknown"}"#];
    assert!(reasons.map(Some).contains(&told.data()), "{told:?}");
    publish(a, "new").unwrap();
    let mut rest = Vec::new();
    while rest.last().is_none_or(|last| last != "new") {
        let event = stream.next_event();
        assert_eq!(event.event(), None, "told once: {event:?}");
        rest.push(event.data().unwrap().to_owned());
    }
    rest.pop();
    assert!(texts.ends_with(&rest), "{rest:?}");
}

/// It stood still for longer than Redis keeps events: there are more by now than it keeps.
#[test]
fn s82_a_node_that_was_stopped_for_too_many_events_resets_its_clients() {
    let redis = Redis::start();
    let settings = short_log()
        .set("backplane.log_events", 10)
        .set("backplane.keep_events", 10);
    let [a, b] = nodes::<2>(&redis, &settings);
    let (stream, last_event_id) = one_seen(&a, &b);
    let texts = meanwhile(&a, &b);
    b.process().signal(Signal::CONT);
    is_told(&a, &b, stream, &last_event_id, &texts);
    // A hole, or, where nothing shows whether it is one, a new numbering.
    until("the loss is counted", LIMIT, || {
        let seen = b.exposition();
        let counted = |name| seen.sum_or_zero(name, &[]);
        let both = counted("sse_backplane_holes_total") + counted("sse_backplane_resets_total");
        (both >= 1.0).then_some(())
    });
}

/// It stood still until everything had expired, so that Redis has nothing that shows the hole.
#[test]
fn s82_a_node_that_was_stopped_for_too_long_resets_its_clients() {
    let redis = Redis::start();
    let settings = short_log().set("backplane.keep_age", "10s");
    let [a, b] = nodes::<2>(&redis, &settings);
    let (stream, last_event_id) = one_seen(&a, &b);
    let texts = meanwhile(&a, &b);
    until("the topic has expired", LIMIT, || {
        (redis.ask(&["EXISTS", "{sse}:topic:shared"]) == "0").then_some(())
    });
    b.process().signal(Signal::CONT);
    is_told(&a, &b, stream, &last_event_id, &texts);
    b.wait_for_metric("sse_backplane_holes_total", &[], 1.0);
}
