//! How many bytes a node reads at a time, counted on the wire.

use std::{future::poll_fn, pin::Pin};

use actix_web::body::MessageBody as _;
use actix_web_sse::{Event, Hub};
use actix_web_sse_redis::{RedisBackplane, RedisConfig};

use crate::{
    node::{Node, config, data, others_have_run, read, until},
    relay::Relay,
    server::Server,
};

/// What the README says that a read brings: so many entries of the log, and so many bytes of large events.
const ENTRIES: u64 = 64;
const LARGE: u64 = 4 << 20;

/// The most that an event may have by default, its data and name.
const EVENT: u64 = 64 << 10;

/// More than what an entry has beside its event.
const ENTRY: u64 = 300;

/// Settings of a node that is behind this wire.
fn behind(wire: &Relay, server: &Server) -> RedisConfig {
    let mut config = config(server);
    config.redis = wire.url().into();
    config
}

/// A server whose log is in memory, since these tests write much, and a wire to it.
fn wired() -> (Server, Relay) {
    let server = Server::with(&["--appendonly", "no"]);
    let wire = Relay::to(server.port);
    (server, wire)
}

/// A node whose streams may be far behind: what it reads is measured, not how fast a client of a test is.
fn patient(config: RedisConfig) -> Node {
    let backplane = RedisBackplane::connect(config).unwrap();
    let hub = Hub::builder()
        .with(|hub, _| (hub.subscriber_bytes, hub.subscriber_events) = (256 << 20, 100_000))
        .backplane(backplane.clone())
        .build();
    Node {
        hub: hub.unwrap(),
        backplane,
    }
}

/// The largest answer that a node gets which was cut off while each of many topics got large events.
async fn catches_up(topics: usize, each: usize, event: impl Fn() -> Event) -> u64 {
    let (server, wire) = wired();
    let a = Node::start(config(&server));
    let b = patient(behind(&wire, &server));
    let topics: Vec<_> = (0..topics).map(|number| format!("t{number}")).collect();
    let mut streams = Vec::new();
    for part in topics.chunks(50) {
        let stream = b.open(&part.join(","), None).await;
        streams.push(actix_web::rt::spawn(read(stream, part.len() * each)));
    }
    until(|| b.backplane.stats().topics == topics.len() as u64).await;
    wire.sever();
    until(|| !b.backplane.stats().connected).await;
    for _ in 0..each {
        for topic in &topics {
            a.hub.publish_shared(topic, event()).await.unwrap();
        }
    }
    wire.largest_answer();
    wire.mend();
    for stream in streams {
        let reading = stream.await.unwrap();
        assert!(!reading.ended, "the stream went on");
    }
    until(|| b.backplane.stats().delivered == (topics.len() * each) as u64).await;
    let stats = b.backplane.stats();
    assert_eq!((stats.holes, stats.resets), (0, 0));
    wire.largest_answer()
}

#[actix_web::test]
async fn s82_a_node_that_catches_up_on_many_topics_reads_no_more_than_the_bound_at_a_time() {
    let text = "x".repeat(60_000);
    let largest = catches_up(200, 2, || Event::data(text.clone())).await;
    println!("{largest} bytes of 24 000 000");
    assert!(largest > LARGE / 2, "{largest} bytes: was it counted?");
    assert!(largest <= LARGE + ENTRIES * ENTRY, "{largest} bytes");
}

/// They stand whole in the log, since nobody reads their topics.
#[actix_web::test]
async fn s82_a_node_that_catches_up_on_large_transient_events_reads_no_more_than_the_bound() {
    let text = "x".repeat(60_000);
    let largest = catches_up(200, 2, || Event::data(text.clone()).transient()).await;
    println!("{largest} bytes of 24 000 000");
    assert!(largest > LARGE / 2, "{largest} bytes: was it counted?");
    assert!(largest <= ENTRIES * (EVENT + ENTRY), "{largest} bytes");
}

/// One client with almost as much as it may get, and one with more.
#[actix_web::test]
async fn s82_a_client_that_comes_back_gets_history_bytes_and_what_is_above_is_not_even_read() {
    const MOST: u64 = 1 << 20;
    let (server, wire) = wired();
    let mut few = behind(&wire, &server);
    few.history_bytes = usize::try_from(MOST).unwrap();
    let (a, b) = (Node::start(config(&server)), Node::start(few));
    let _there = b.follow("other", 1).await;
    let text = "x".repeat(10_000);
    for (turn, topic, events, fits) in [(1, "fits", 104, true), (2, "more", 105, false)] {
        let first = a.publish(topic, "0").await;
        for _ in 0..events {
            a.publish(topic, &text).await;
        }
        // It reads them in the log as well, before this.
        a.publish("other", "1").await;
        until(|| b.backplane.stats().delivered == turn).await;
        wire.largest_answer();
        let reading = read(
            b.open(topic, Some(&first)).await,
            if fits { events } else { 1 },
        )
        .await;
        let largest = wire.largest_answer();
        println!("{topic}: {largest} bytes");
        match fits {
            true => {
                assert_eq!(reading.events.len(), events);
                assert!(largest > MOST * 9 / 10, "{largest} bytes: was it counted?");
                assert!(largest <= MOST + events as u64 * ENTRY, "{largest} bytes");
            }
            false => {
                assert_eq!(data(&reading), [r#"{"reason":"gap"}"#]);
                assert!(largest < 100 * ENTRY, "{largest} bytes");
            }
        }
    }
}

/// Each with topics of its own: that is a question each, and all of them at once would be a gigabyte by default.
#[actix_web::test]
async fn s82_of_a_storm_of_clients_that_come_back_eight_are_asked_for_at_a_time() {
    const CLIENTS: usize = 100;
    let (server, wire) = wired();
    let (a, b) = (
        Node::start(config(&server)),
        Node::start(behind(&wire, &server)),
    );
    let text = "x".repeat(50_000);
    let start = a.publish("before", "0").await;
    let _there = b.follow("other", 1).await;
    for number in 0..CLIENTS {
        a.publish(&format!("own{number}"), &text).await;
        a.publish(&format!("own{number}"), &text).await;
    }
    a.publish("other", "1").await;
    until(|| b.backplane.stats().delivered == 1).await;
    // The answers wait, so that all of the questions that are sent are under way.
    server.signal("-STOP");
    wire.listen();
    let mut streams = Vec::new();
    for number in 0..CLIENTS {
        let stream = b.open(&format!("own{number}"), Some(&start)).await;
        streams.push(actix_web::rt::spawn(read(stream, 2)));
    }
    until(|| wire.heard("}:topic:own") >= 8).await;
    // A ninth would be sent before what the node sends later.
    let later = actix_web::rt::spawn(async move { b.publish("later", "1").await });
    until(|| wire.heard("}:topic:later") >= 1).await;
    assert_eq!(wire.heard("}:topic:own"), 8);
    server.signal("-CONT");
    later.await.unwrap();
    for stream in streams {
        assert_eq!(stream.await.unwrap().events.len(), 2);
    }
    assert_eq!(wire.heard("}:topic:own"), CLIENTS);
}

/// Of the same topic: what they lack comes over the wire once for those who wait together.
#[actix_web::test]
async fn s82_a_storm_of_clients_of_one_topic_brings_what_they_lack_once() {
    const CLIENTS: usize = 100;
    let (server, wire) = wired();
    let (a, b) = (
        Node::start(config(&server)),
        Node::start(behind(&wire, &server)),
    );
    let text = "x".repeat(50_000);
    let start = a.publish("t", "0").await;
    let _there = b.follow("other", 1).await;
    for _ in 0..10 {
        a.publish("t", &text).await;
    }
    a.publish("other", "1").await;
    until(|| b.backplane.stats().delivered == 1).await;
    server.signal("-STOP");
    wire.listen();
    let mut streams = Vec::new();
    for _ in 0..CLIENTS {
        let stream = b.open("t", Some(&start)).await;
        streams.push(actix_web::rt::spawn(read(stream, 10)));
    }
    until(|| wire.heard("}:topic:t") >= 1).await;
    // All of them wait before the first one is answered.
    others_have_run().await;
    server.signal("-CONT");
    for stream in streams {
        assert_eq!(stream.await.unwrap().events.len(), 10);
    }
    let asked = wire.heard("}:topic:t");
    println!(
        "{asked} questions, the largest answer {}",
        wire.largest_answer()
    );
    assert!(asked <= 4, "{asked} questions of half a megabyte");
}

/// A client that does not take what it missed keeps room from others for as long as it is there.
#[actix_web::test]
async fn s82_what_waits_for_slow_clients_has_a_bound_in_total() {
    const EVENTS: usize = 90;
    let (server, wire) = wired();
    let mut small = behind(&wire, &server);
    (small.history_bytes, small.history_total_bytes) = (1 << 20, 3 << 19);
    let (a, b) = (Node::start(config(&server)), Node::start(small));
    let text = "x".repeat(10_000);
    let start = a.publish("before", "0").await;
    let _there = b.follow("other", 1).await;
    for topic in ["slow", "next"] {
        for _ in 0..EVENTS {
            a.publish(topic, &text).await;
        }
    }
    a.publish("other", "1").await;
    until(|| b.backplane.stats().delivered == 1).await;
    let mut slow = b.open("slow", Some(&start)).await.into_body();
    loop {
        let piece = poll_fn(|cx| Pin::new(&mut slow).poll_next(cx)).await;
        if piece.unwrap().unwrap().starts_with(b"id: ") {
            break;
        }
    }
    wire.listen();
    let next = b.open("next", Some(&start)).await;
    let next = actix_web::rt::spawn(read(next, EVENTS));
    let later = actix_web::rt::spawn(async move { b.publish("later", "1").await });
    later.await.unwrap();
    assert_eq!(
        wire.heard("}:topic:next"),
        0,
        "there is no room for its answer"
    );
    drop(slow);
    assert_eq!(next.await.unwrap().events.len(), EVENTS);
}
