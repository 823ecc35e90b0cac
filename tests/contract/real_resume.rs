//! Group W: a client that is cut before its first event.

use std::time::Duration;

use actix_web_sse::{
    Event, Hub,
    config::{HubConfig, StreamConfig},
    observe::Resume,
};
use actix_web_sse_tests::{Block, EventStream, LIMIT, Request};

use crate::served::{Served, Setup};

fn serve(change: impl FnOnce(&mut HubConfig)) -> Served {
    let mut hub = HubConfig::default();
    change(&mut hub);
    let mut stream = StreamConfig::default();
    stream.heartbeat = Duration::from_secs(1);
    Served::new(Setup::ForEventStreams, hub, stream)
}

fn publish(hub: &Hub, topic: &str, data: &str) -> String {
    let published = hub.publish(topic, Event::data(data.to_owned())).unwrap();
    published.id.expect("an ID")
}

/// The first block with an ID.
#[track_caller]
fn first_block(stream: &mut EventStream) -> Block {
    loop {
        let block = stream.block(LIMIT).expect("a block").expect("no end");
        if block.id().is_some() || block.data().is_some() {
            return block;
        }
    }
}

/// The ID that a client without one gets, in an event that no page waits for.
#[track_caller]
fn anchor(stream: &mut EventStream) -> String {
    loop {
        if let Some(id) = stream.anchor() {
            return id.to_owned();
        }
        let block = stream.block(LIMIT).expect("a block").expect("no end");
        assert_eq!(block.data(), None, "an event before the anchor");
    }
}

/// The stream of a topic, after this event.
fn after(served: &Served, topic: &str, id: &str) -> EventStream {
    let request = Request::stream(&format!("/events/{topic}"));
    served.open_with(&request.header("Last-Event-ID", id))
}

#[test]
fn w02_what_comes_before_the_first_event_of_a_client_is_not_lost() {
    let served = serve(|_| {});
    // Of a topic without events, and of one that has some.
    for (topic, before) in [("empty", 0), ("full", 3)] {
        for number in 0..before {
            publish(&served.hub, topic, &number.to_string());
        }
        publish(&served.hub, "other", "x");
        let mut stream = served.open_with(&Request::stream(&format!("/events/{topic}")));
        let id = anchor(&mut stream);
        drop(stream);
        publish(&served.hub, "other", "y");
        for data in ["missed", "missed too"] {
            publish(&served.hub, topic, data);
        }
        let mut stream = after(&served, topic, &id);
        for data in ["missed", "missed too"] {
            assert_eq!(first_block(&mut stream).data(), Some(data), "{topic}");
        }
        publish(&served.hub, topic, "live");
        assert_eq!(stream.next_event().data(), Some("live"));
    }
    let resumes = served.recorder.look().opened;
    assert_eq!(
        resumes,
        [Resume::Fresh, Resume::Hit, Resume::Fresh, Resume::Hit]
    );
}

#[test]
fn w02_a_client_that_missed_nothing_gets_nothing_and_may_be_cut_again() {
    let served = serve(|_| {});
    let mut stream = served.open();
    let id = anchor(&mut stream);
    drop(stream);
    for _ in 0..3 {
        let mut stream = served.back_with(&id);
        stream.next_comment();
        stream.next_comment();
        let wire = String::from_utf8_lossy(stream.wire()).into_owned();
        assert!(!wire.contains("data"), "{wire}");
        assert_eq!(stream.anchor(), None);
    }
    publish(&served.hub, "t", "at last");
    assert_eq!(
        first_block(&mut served.back_with(&id)).data(),
        Some("at last")
    );
}

#[test]
fn w02_events_that_are_no_longer_kept_are_a_reset() {
    let served = serve(|hub| hub.replay_events = 3);
    let mut stream = served.open();
    let id = anchor(&mut stream);
    drop(stream);
    for number in 0..4 {
        publish(&served.hub, "t", &number.to_string());
    }
    let mut stream = served.back_with(&id);
    assert_eq!(stream.next_event().event(), Some("reset"));
}

#[test]
fn w02_r08_an_anchor_of_another_topic_is_a_reset_and_names_nobodys_event() {
    let served = serve(|_| {});
    let secret = publish(&served.hub, "secret", "x");
    let mut stream = served.open_with(&Request::stream("/events/a"));
    let id = anchor(&mut stream);
    let wire = String::from_utf8_lossy(stream.wire()).into_owned();
    assert!(!wire.contains(&secret), "{wire}");
    publish(&served.hub, "b", "y");
    let mut other = after(&served, "b", &id);
    let reset = other.next_event();
    assert_eq!(reset.event(), Some("reset"));
    assert_eq!(reset.data(), Some(r#"{"reason":"unknown"}"#));
}

#[test]
fn w02_there_is_no_anchor_where_there_is_no_replay_or_another_id() {
    let served = serve(|hub| hub.resume = false);
    let mut stream = served.open();
    let id = publish(&served.hub, "t", "x");
    assert_eq!(first_block(&mut stream).data(), Some("x"));
    assert_eq!(stream.anchor(), None);
    drop(stream);
    let served = serve(|hub| hub.last_value = true);
    let mut stream = served.open();
    let empty = anchor(&mut stream);
    publish(&served.hub, "t", "first");
    assert_eq!(stream.next_event().data(), Some("first"));
    drop(stream);
    // The last value has an ID of its own.
    assert_eq!(first_block(&mut served.open()).data(), Some("first"));
    assert_eq!(
        first_block(&mut served.back_with(&empty)).data(),
        Some("first")
    );
    // An ID of another life.
    assert_eq!(served.back_with(&id).next_event().event(), Some("reset"));
}
