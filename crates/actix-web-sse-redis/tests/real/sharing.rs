//! What nodes share while all is well.

use std::time::Duration;

use actix_web_sse::{PublishError, test::read_events};

use crate::{
    node::{Node, config, data, read, until},
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
    let all = futures_util::future::join_all((0..5).map(|_| a.try_publish("t", "x")));
    let outcomes = actix_web::rt::time::timeout(LIMIT, all).await.unwrap();
    server.signal("-CONT");
    let failures = |text: &str| {
        let fits = |outcome: &&Result<String, PublishError>| {
            outcome
                .as_ref()
                .is_err_and(|error| error.to_string().contains(text))
        };
        outcomes.iter().filter(fits).count()
    };
    assert_eq!(failures("wait for Redis already"), 2, "{outcomes:?}");
    assert_eq!(a.backplane.stats().pending, 0);
    assert_eq!(a.backplane.stats().unpublished, 5);
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
    careful.answer_timeout = std::time::Duration::from_secs(2);
    let node = Node::start(careful);
    node.publish("t", "1").await;
    assert_eq!(pair.replica.data_of("t"), ["1"]);
    pair.wire.sever();
    let refused = node.try_publish("t", "2").await.unwrap_err();
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
    actix_web::rt::task::yield_now().await;
    server.signal("-CONT");
    for stream in streams {
        assert_eq!(data(&stream.await.unwrap()), ["2"]);
    }
    let stats = server.text(&["INFO", "commandstats"]);
    // Each time it is asked it looks at the first entry of the topic and then at the others.
    let calls = stats.split_once("cmdstat_xrange:calls=").unwrap().1;
    let calls: u64 = calls.split(',').next().unwrap().parse().unwrap();
    assert!(calls < 100, "{calls} calls of XRANGE");
}

/// Ten thousand topics cost a node no more than one: in what it sends while it is idle, and in what an
/// event takes.
#[actix_web::test]
async fn s82_a_node_with_ten_thousand_topics_is_as_fast_as_one_with_one() {
    let server = Server::with(&["--appendonly", "no"]);
    let nodes = [0; 3].map(|_| Node::start(config(&server)));
    let [publisher, few, many] = &nodes;
    let topics: Vec<_> = (0..9999).map(|number| format!("m{number}")).collect();
    let mut streams = vec![few.open("t", None).await, many.open("t", None).await];
    for part in topics.chunks(100) {
        streams.push(many.open(&part.join(","), None).await);
    }
    until(|| many.backplane.stats().topics == 10_000).await;
    let mut times = [Vec::new(), Vec::new()];
    for number in 1..=200_u64 {
        let start = std::time::Instant::now();
        publisher.publish("t", "x").await;
        let mut waiting = [true; 2];
        while waiting != [false; 2] {
            for (at, node) in [few, many].into_iter().enumerate() {
                if waiting[at] && node.backplane.stats().delivered == number {
                    waiting[at] = false;
                    times[at].push(start.elapsed());
                }
            }
        }
    }
    let [few, many] = times.map(|mut times| {
        times.sort_unstable();
        times[100]
    });
    println!("median {few:?} with one topic, {many:?} with ten thousand");
    assert!(many < few * 2, "{few:?} {many:?}");
    // A handshake and a read a second for each node.
    let input = || {
        let stats = server.text(&["INFO", "stats"]);
        let (_, rest) = stats.split_once("total_net_input_bytes:").unwrap();
        rest.split_once('\r').unwrap().0.parse::<u64>().unwrap()
    };
    let before = input();
    actix_web::rt::time::sleep(std::time::Duration::from_secs(2)).await;
    let sent = input() - before;
    assert!(sent < 20_000, "{sent} bytes in two seconds");
    drop(streams);
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
    actix_web::rt::task::yield_now().await;
    server.signal("-CONT");
    for (at, stream) in streams {
        let reading = stream.await.unwrap();
        let rest: Vec<_> = (at + 1..40).map(|number| number.to_string()).collect();
        match at < 9 {
            true => assert_eq!(data(&reading), [r#"{"reason":"gap"}"#], "{at}"),
            false => assert_eq!(data(&reading), rest, "{at}"),
        }
    }
    let stats = server.text(&["INFO", "commandstats"]);
    let calls = stats.split_once("cmdstat_xrange:calls=").unwrap().1;
    let calls: u64 = calls.split(',').next().unwrap().parse().unwrap();
    assert!(calls < 40, "{calls} calls of XRANGE");
}
