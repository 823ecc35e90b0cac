//! What nodes share while all is well.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix_web::rt::time::sleep;
use actix_web_sse::{Hub, test::read_events};
use actix_web_sse_redis::{RedisBackplane, RedisConfig};

use crate::{
    node::{Node, config, data, others_have_run, read, until},
    replicas::calls,
    server::{LIMIT, Server},
};

#[actix_web::test]
async fn s82_an_event_reaches_the_streams_of_every_node_with_the_same_id() {
    let server = Server::start();
    let nodes = [0; 3].map(|_| Node::start(config(&server)));
    let mut streams = Vec::new();
    for node in &nodes {
        streams.push(node.follow("t", 1).await);
    }
    let id = nodes[0].publish("t", "x").await;
    for stream in streams {
        let reading = read(stream, 1).await;
        assert_eq!(data(&reading), ["x"]);
        assert_eq!(reading.events[0].last_event_id, id);
    }
}

#[actix_web::test]
async fn s82_a_last_event_id_holds_on_a_node_that_never_followed_the_topic() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let first = a.publish("t", "1").await;
    for data in ["2", "3"] {
        a.publish("t", data).await;
    }
    let stream = b.open("t", Some(&first)).await;
    let live = async { a.publish("t", "4").await };
    let (reading, _) = tokio::join!(read(stream, 3), live);
    assert_eq!(data(&reading), ["2", "3", "4"]);
}

#[actix_web::test]
async fn s82_one_last_event_id_places_a_client_in_several_topics_on_any_node() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let mut ids = Vec::new();
    for (topic, text) in [("x", "1"), ("y", "2"), ("z", "3"), ("x", "4"), ("y", "5")] {
        ids.push(a.publish(topic, text).await);
    }
    // The ID of one topic is good for the others too.
    let reading = read(b.open("x,y", Some(&ids[0])).await, 3).await;
    assert_eq!(data(&reading), ["2", "4", "5"]);
    let reading = read(b.open("x,z", Some(&ids[1])).await, 2).await;
    assert_eq!(data(&reading), ["3", "4"]);
}

#[actix_web::test]
async fn w02_a_client_without_an_event_misses_nothing_when_it_comes_back_to_another_node() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    // Where nothing was ever published, and where something was.
    for (topics, before) in [("t", 0), ("x,y", 2)] {
        let follower = b.open("x", None).await;
        for _ in 0..before {
            a.publish("x", "before").await;
        }
        // The other node has them too; a stream that opens sooner may get one.
        let seen = read_events(follower, before, LIMIT).await;
        assert_eq!(seen.events.len(), before);
        let stream = b.open(topics, None).await;
        let reading = read_events(stream, 1, Duration::from_secs(2)).await;
        assert_eq!(data(&reading), Vec::<&str>::new());
        let anchor = reading.anchor.expect("an ID to come back with");
        let nothing = read_events(
            a.open(topics, Some(&anchor)).await,
            1,
            Duration::from_secs(1),
        );
        assert_eq!(data(&nothing.await), Vec::<&str>::new(), "no reset");
        let topic = topics.split(',').next().unwrap();
        a.publish(topic, "missed").await;
        let reading = read(a.open(topics, Some(&anchor)).await, 1).await;
        assert_eq!(data(&reading), ["missed"]);
        let other = read(a.open("other", Some(&anchor)).await, 1).await;
        assert_eq!(data(&other), [r#"{"reason":"unknown"}"#]);
    }
}

#[actix_web::test]
async fn s82_what_redis_has_trimmed_is_a_gap_and_the_client_gets_a_reset() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let first = a.publish("t", "1").await;
    let second = a.publish("t", "2").await;
    a.publish("t", "3").await;
    server.command(&["XTRIM", "{sse}:topic:t", "MAXLEN", "1"]);
    let reading = read(b.open("t", Some(&first)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#]);
    // Only "2" and events before it are gone: a client that has seen "2" has no gap.
    let reading = read(b.open("t", Some(&second)).await, 1).await;
    assert_eq!(data(&reading), ["3"]);
}

#[actix_web::test]
async fn s82_an_unknown_id_is_answered_as_unknown() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let id = a.publish("t", "1").await;
    let (epoch, _) = id.split_once('-').unwrap();
    for number in ["1", "18446744073709551615"] {
        let forged = format!("{epoch}-{number}");
        let stream = b.open("t", Some(&forged)).await;
        let reading = read(stream, 1).await;
        assert_eq!(reading.events[0].event, "reset", "{forged}");
    }
}

#[actix_web::test]
async fn s82_a_transient_event_reaches_connected_clients_and_no_later_one() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let there = b.follow("t", 1).await;
    let first = a.publish("t", "1").await;
    let typing = actix_web_sse::Event::data("typing").transient();
    let published = a.hub.publish_shared("t", typing).await.unwrap();
    assert_eq!(published.id, None);
    a.publish("t", "2").await;
    assert_eq!(data(&read(there, 3).await), ["1", "typing", "2"]);
    let later = Node::start(config(&server));
    assert_eq!(
        data(&read(later.open("t", Some(&first)).await, 1).await),
        ["2"]
    );
}

#[actix_web::test]
async fn s82_a_topic_is_disconnected_on_every_node() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let on_b = b.follow("t", 1).await;
    a.hub.disconnect_topic("t");
    assert!(read(on_b, 1).await.ended);
}

/// The topic is left and joined again before the node has read anything of it, while events come.
#[actix_web::test]
async fn s82_a_client_that_leaves_and_comes_back_at_once_misses_nothing() {
    let server = Server::start();
    let a = Node::start(config(&server));
    let start = a.publish("other", "x").await;
    for turn in 0..50 {
        let b = Node::start(config(&server));
        let topic = format!("t{turn}");
        let there = b.open(&topic, Some(&start)).await;
        until(|| b.backplane.stats().topics == 1).await;
        let publish = async {
            for data in ["1", "2", "3", "4", "5"] {
                a.publish(&topic, data).await;
            }
        };
        let come_back = async {
            drop(there);
            read(b.open(&topic, Some(&start)).await, 5).await
        };
        let (reading, ()) = tokio::join!(come_back, publish);
        assert_eq!(data(&reading), ["1", "2", "3", "4", "5"], "turn {turn}");
    }
}

#[actix_web::test]
async fn s82_another_namespace_is_another_hub() {
    let server = Server::start();
    let a = Node::start(config(&server));
    let mut other = config(&server);
    other.namespace = "other".to_owned();
    let b = Node::start(other);
    let id = a.publish("t", "1").await;
    let reading = read(b.open("t", Some(&id)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"unknown"}"#]);
}

#[actix_web::test]
async fn s82_a_topic_without_streams_is_no_longer_read() {
    let server = Server::start();
    let a = Node::start(config(&server));
    drop(a.follow("t", 1).await);
    until(|| a.hub.stats().topics == 0).await;
    until(|| a.backplane.stats().topics == 0).await;
    a.publish("t", "1").await;
    assert_eq!(a.backplane.stats().delivered, 0);
}

#[actix_web::test]
async fn s82_more_publications_than_may_wait_are_refused_at_once() {
    let server = Server::start();
    let mut few = config(&server);
    few.max_pending = 3;
    let a = Node::start(few);
    server.signal("-STOP");
    let waiting = [(); 3].map(|()| {
        let a = a.clone();
        actix_web::rt::spawn(async move { a.try_publish("t", "x").await })
    });
    until(|| a.backplane.stats().pending == 3).await;
    // Redis says nothing before these are refused.
    for _ in 0..2 {
        let refused = a.try_publish("t", "x").await.unwrap_err().to_string();
        assert!(refused.contains("wait for Redis already"), "{refused}");
    }
    server.signal("-CONT");
    for published in waiting {
        published.await.unwrap().unwrap();
    }
    let stats = a.backplane.stats();
    assert_eq!((stats.pending, stats.published), (0, 3), "{stats:?}");
    assert_eq!(stats.unpublished, 2);
}

/// As after an eviction, which takes exactly the keys with a time to live.
#[actix_web::test]
async fn s82_a_topic_that_was_evicted_is_a_gap_and_the_client_gets_a_reset() {
    let server = Server::start();
    let a = Node::start(config(&server));
    let first = a.publish("t", "1").await;
    let second = a.publish("t", "2").await;
    server.command(&["DEL", "{sse}:topic:t"]);
    let b = Node::start(config(&server));
    let reading = read(b.open("t", Some(&first)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#]);
    // Who has seen the last one has missed nothing, and an event that follows shows what is missing.
    a.publish("t", "3").await;
    assert_eq!(
        data(&read(b.open("t", Some(&second)).await, 1).await),
        ["3"]
    );
    let reading = read(b.open("t", Some(&first)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#]);
}

/// What a topic is kept for is its publisher's to say, not the node's that is asked.
#[actix_web::test]
async fn s82_a_topic_that_expired_sooner_than_the_asking_node_believes_is_a_gap() {
    let server = Server::start();
    let mut brief = config(&server);
    brief.keep_age = std::time::Duration::from_secs(10);
    let (a, b) = (Node::start(brief), Node::start(config(&server)));
    let first = a.publish("other", "x").await;
    a.publish("t", "1").await;
    until(|| server.number(&["EXISTS", "{sse}:topic:t"]) == 0).await;
    let reading = read(b.open("t", Some(&first)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#]);
}

#[actix_web::test]
async fn s82_large_events_come_whole_and_in_their_order() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let stream = actix_web::rt::spawn(read(b.follow("x,y", 2).await, 40));
    let texts: Vec<_> = (0..40)
        .map(|n| format!("{n} {}", "x".repeat(if n % 3 == 0 { 60_000 } else { 10 })))
        .collect();
    let all = texts.iter().enumerate();
    for (n, text) in all {
        a.publish(["x", "y"][n % 2], text).await;
    }
    assert_eq!(data(&stream.await.unwrap()), texts);
}

#[actix_web::test]
async fn s82_more_bytes_than_a_client_may_be_told_are_a_gap() {
    let server = Server::start();
    let mut few = config(&server);
    few.history_bytes = 10_000;
    let (a, b) = (Node::start(config(&server)), Node::start(few));
    let first = a.publish("t", "1").await;
    for _ in 0..3 {
        a.publish("t", &"x".repeat(5000)).await;
    }
    let reading = read(b.open("t", Some(&first)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#]);
}

#[actix_web::test]
async fn s82_a_redis_that_evicts_is_refused_unless_it_is_allowed() {
    let arguments = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let server = Server::with(&arguments);
    let refused = actix_web_sse_redis::RedisBackplane::connect(config(&server)).unwrap_err();
    assert!(
        refused.to_string().contains("maxmemory-policy"),
        "{refused}"
    );
    let mut allowed = config(&server);
    allowed.allow_eviction = true;
    let node = Node::start(allowed);
    let told = node.backplane.stats().last_error.unwrap();
    assert!(told.contains("maxmemory-policy"), "{told}");
    node.publish("t", "x").await;
}

/// With replicas to wait for, an acknowledged event is on them; without them it is an error.
#[actix_web::test]
async fn s82_an_event_counts_as_published_when_the_replicas_have_it() {
    let pair = crate::failover::Pair::start().await;
    let mut careful = pair.config();
    careful.wait_replicas = 1;
    let node = Node::start(careful);
    node.publish("t", "1").await;
    assert_eq!(pair.replica.data_of("t"), ["1"]);
    pair.wire.sever();
    let publishing = actix_web::rt::spawn(async move { node.try_publish("t", "2").await });
    until(|| pair.primary.data_of("t").len() == 2).await;
    pair.primary.give_up_on_replicas();
    let refused = publishing.await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("0 of 1 replicas"), "{refused}");
}

/// The rights that the page about several nodes names are enough.
#[actix_web::test]
async fn s82_a_user_with_the_documented_rights_is_enough() {
    let page = include_str!("../../README.md");
    let (_, rights) = page.split_once("`ACL SETUSER sse on ").unwrap();
    let (rights, _) = rights.split_once('`').unwrap();
    let server = Server::start();
    let mut command = vec!["ACL", "SETUSER", "sse", "on", ">pass"];
    command.extend(rights.split_whitespace().skip(1));
    assert_eq!(server.command(&command), "+OK\r\n");
    let mut restricted = config(&server);
    restricted.redis = format!("redis://sse:pass@127.0.0.1:{}", server.port).into();
    restricted.wait_replicas = 0;
    let (a, b) = (Node::start(restricted.clone()), Node::start(restricted));
    let stream = b.follow("t", 1).await;
    let first = a.publish("t", "1").await;
    a.publish("t", &"x".repeat(1000)).await;
    a.hub.disconnect("nobody");
    assert_eq!(read(stream, 2).await.events.len(), 2);
    assert_eq!(
        read(a.open("t", Some(&first)).await, 1).await.events.len(),
        1
    );
    for node in [&a, &b] {
        let stats = node.backplane.stats();
        assert_eq!((stats.failures, stats.last_error), (0, None));
    }
}

/// Many clients come back at once with the same ID: Redis is asked a few times, not by each.
#[actix_web::test]
async fn s82_clients_that_come_back_together_share_an_answer() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let first = a.publish("t", "1").await;
    a.publish("t", "2").await;
    server.signal("-STOP");
    let mut streams = Vec::new();
    for _ in 0..200 {
        let stream = b.open("t", Some(&first)).await;
        streams.push(actix_web::rt::spawn(read(stream, 1)));
    }
    // All of them wait before the first one is answered.
    others_have_run().await;
    server.signal("-CONT");
    for stream in streams {
        assert_eq!(data(&stream.await.unwrap()), ["2"]);
    }
    // Each time it is asked it looks at the first entry of the topic and then at the others.
    let calls = ranges(&server);
    assert!(calls < 20, "{calls} calls of XRANGE");
}

/// How often `XRANGE` was called, but for the handshakes: each calls it once for the newest event, and is made each second
/// for as long as the test takes.
fn ranges(server: &Server) -> u64 {
    calls(server, "xrange").saturating_sub(calls(server, "persist"))
}

/// Ten thousand topics cost a node no more than one: in what it sends while it is idle, and in what an
/// event takes.
#[actix_web::test]
async fn s82_a_node_with_ten_thousand_topics_is_as_fast_as_one_with_one() {
    let server = Server::with(&["--appendonly", "no"]);
    let publisher = Node::start(config(&server));
    let [(few, one), (many, other)] = [(); 2].map(|()| Thread::of_node(config(&server)));
    let threads = [one, other];
    let topics: Vec<_> = (0..9999).map(|number| format!("m{number}")).collect();
    let mut streams = vec![few.open("t", None).await, many.open("t", None).await];
    for part in topics.chunks(100) {
        streams.push(many.open(&part.join(","), None).await);
    }
    until(|| many.backplane.stats().topics == 10_000).await;
    // What their threads compute, since how long they wait for a processor says nothing of them.
    let computed = || threads.each_ref().map(|thread| thread.computed());
    let before = computed();
    for number in 1..=500_u64 {
        publisher.publish("t", "x").await;
        let has_it = |node: &Node| node.backplane.stats().delivered == number;
        until(|| has_it(&few) && has_it(&many)).await;
    }
    let after = computed();
    let [few, many] = [0, 1].map(|at| after[at] - before[at]);
    println!("{few:?} with one topic, {many:?} with ten thousand, for 500 events");
    assert!(many < few * 2, "{few:?} {many:?}");
    // A handshake and a read a second for each node.
    let input = || {
        let stats = server.text(&["INFO", "stats"]);
        let (_, rest) = stats.split_once("total_net_input_bytes:").unwrap();
        rest.split_once('\r').unwrap().0.parse::<u64>().unwrap()
    };
    let (before, handshakes) = (input(), calls(&server, "persist"));
    let start = Instant::now();
    let (sent, handshakes) = loop {
        sleep(Duration::from_secs(1)).await;
        let made = calls(&server, "persist") - handshakes;
        if made >= 6 {
            break (input() - before, made);
        }
        assert!(start.elapsed() < LIMIT, "{made} handshakes");
    };
    assert!(
        sent < 3500 * handshakes,
        "{sent} bytes for {handshakes} handshakes"
    );
    drop(streams);
}

/// The thread of a backplane, as the kernel shows it.
#[derive(Clone, Default)]
struct Thread(Arc<Mutex<PathBuf>>);

impl Thread {
    /// A node, whose backplane tells in its thread which that is.
    fn of_node(config: RedisConfig) -> (Node, Self) {
        let thread = Self::default();
        let noted = thread.clone();
        let backplane = RedisBackplane::connect_observed(config, move |_| {
            let own = fs::read_link("/proc/thread-self").unwrap();
            *noted.0.lock().unwrap() = PathBuf::from("/proc").join(own);
        });
        let backplane = backplane.unwrap();
        let hub = Hub::builder().backplane(backplane.clone()).build().unwrap();
        (Node { hub, backplane }, thread)
    }

    /// For how long it has had a processor.
    fn computed(&self) -> Duration {
        let path = self.0.lock().unwrap().join("schedstat");
        let nanos = fs::read_to_string(path).unwrap();
        Duration::from_nanos(nanos.split(' ').next().unwrap().parse().unwrap())
    }
}

/// Each has another ID: the node asks once for all who wait, and each gets what it alone would get.
#[actix_web::test]
async fn s82_clients_that_come_back_together_with_ids_of_their_own_share_questions() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(a.publish("t", &number.to_string()).await);
    }
    // The first ones lack something that is gone.
    server.command(&["XTRIM", "{sse}:topic:t", "MAXLEN", "30"]);
    server.command(&["CONFIG", "RESETSTAT"]);
    server.signal("-STOP");
    let mut streams = Vec::new();
    for (at, id) in ids.iter().enumerate().take(39).cycle().take(39 * 5) {
        let stream = b.open("t", Some(id)).await;
        let left = if at < 9 { 1 } else { 39 - at };
        streams.push((at, actix_web::rt::spawn(read(stream, left))));
    }
    others_have_run().await;
    server.signal("-CONT");
    for (at, stream) in streams {
        let reading = stream.await.unwrap();
        let rest: Vec<_> = (at + 1..40).map(|number| number.to_string()).collect();
        match at < 9 {
            true => assert_eq!(data(&reading), [r#"{"reason":"gap"}"#], "{at}"),
            false => assert_eq!(data(&reading), rest, "{at}"),
        }
    }
    let calls = ranges(&server);
    assert!(calls < 40, "{calls} calls of XRANGE");
}
