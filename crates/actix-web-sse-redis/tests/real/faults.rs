//! What happens when Redis is not there, or not as it was.

use std::time::Duration;

use actix_web_sse::{PublishError, test::read_events};
use actix_web_sse_redis::{RedisBackplane, RedisConfig, StartError};

use crate::{
    node::{Node, config, data, read, until},
    relay::Relay,
    server::Server,
};

#[actix_web::test]
async fn s82_no_redis_at_the_start_is_an_error_without_the_password() {
    let mut server = Server::start();
    server.kill();
    let url = format!("redis://me:hunter2@127.0.0.1:{}", server.port);
    let error = RedisBackplane::connect(RedisConfig::at(url)).unwrap_err();
    assert!(matches!(error, StartError::Redis { .. }), "{error}");
    let told = error.to_string();
    assert!(
        told.contains(&format!("127.0.0.1:{}", server.port)),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[actix_web::test]
async fn s82_a_wrong_password_is_an_error_without_it() {
    let server = Server::with(&["--requirepass", "correct"]);
    let url = format!("redis://:hunter2@127.0.0.1:{}", server.port);
    let error = RedisBackplane::connect(RedisConfig::at(url)).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let url = format!("redis://:correct@127.0.0.1:{}", server.port);
    RedisBackplane::connect(RedisConfig::at(url)).unwrap();
}

#[actix_web::test]
async fn s82_a_node_may_start_without_redis_and_joins_it_later() {
    let mut server = Server::start();
    server.kill();
    let mut degraded = config(&server);
    degraded.start_degraded = true;
    let node = Node::start(degraded);
    assert!(!node.backplane.stats().connected);
    let refused = node.try_publish("t", "x").await;
    assert!(
        matches!(refused, Err(PublishError::Backplane(_))),
        "{refused:?}"
    );
    server.restart();
    until(|| node.backplane.stats().connected).await;
    let stream = node.follow("t", 1).await;
    node.publish("t", "x").await;
    assert_eq!(data(&read(stream, 1).await), ["x"]);
}

#[actix_web::test]
async fn s82_streams_stay_open_through_an_outage_and_catch_up() {
    let mut server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let stream = b.follow("t", 1).await;
    a.publish("t", "1").await;
    server.kill();
    until(|| !a.backplane.stats().connected && !b.backplane.stats().connected).await;
    let refused = a.try_publish("t", "lost").await;
    assert!(
        matches!(refused, Err(PublishError::Backplane(_))),
        "{refused:?}"
    );
    server.restart();
    until(|| a.backplane.stats().connected).await;
    // Perhaps before `b` is back.
    a.publish("t", "2").await;
    assert_eq!(data(&read(stream, 2).await), ["1", "2"]);
    assert_eq!(b.backplane.stats().resets, 0);
}

#[actix_web::test]
async fn s82_a_redis_that_hangs_fails_publications_and_is_used_again() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let stream = b.follow("t", 1).await;
    a.publish("t", "1").await;
    server.signal("-STOP");
    let refused = a.try_publish("t", "perhaps").await.unwrap_err();
    server.signal("-CONT");
    assert!(refused.to_string().contains("may have stored"), "{refused}");
    until(|| a.backplane.stats().connected).await;
    a.publish("t", "last").await;
    // What nobody acknowledged may be there or not: the question lay in a socket of a Redis that
    // stood still, and whether it is read depends on who closed that first. But it is the same
    // for all: the stream gets what Redis has, in its order.
    let has = server.data_of("t");
    assert!(
        has == ["1", "perhaps", "last"] || has == ["1", "last"],
        "{has:?}"
    );
    assert_eq!(data(&read(stream, has.len()).await), has);
}

/// A Redis at the other end of a slow line.
#[actix_web::test]
async fn s82_a_slow_redis_is_slow_and_no_outage() {
    let server = Server::start();
    let line = Relay::to(server.port);
    let mut slow = config(&server);
    slow.redis = line.url().into();
    let (a, b) = (Node::start(slow.clone()), Node::start(slow));
    let stream = b.follow("t", 1).await;
    let first = a.publish("t", "0").await;
    line.delay(Duration::from_millis(300));
    let texts: Vec<_> = (1..30).map(|number| number.to_string()).collect();
    let all = texts.iter().map(|text| a.publish("t", text));
    futures_util::future::join_all(all).await;
    let reading = read(stream, 30).await;
    let seen = data(&reading);
    assert_eq!(seen[0], "0");
    assert_eq!(seen[1..], texts);
    // A client that comes back waits a little longer.
    let reading = read(a.open("t", Some(&first)).await, 29).await;
    assert_eq!(data(&reading), texts);
    for node in [&a, &b] {
        let stats = node.backplane.stats();
        assert_eq!((stats.failures, stats.unpublished), (0, 0), "{stats:?}");
    }
    assert!(b.backplane.stats().lag >= Duration::from_millis(300));
}

#[actix_web::test]
async fn s82_a_redis_too_slow_to_wait_for_is_an_outage_and_nothing_is_lost_in_it() {
    let server = Server::start();
    let line = Relay::to(server.port);
    let mut slow = config(&server);
    slow.redis = line.url().into();
    slow.answer_timeout = Duration::from_millis(500);
    slow.connect_timeout = Duration::from_millis(500);
    let (a, b) = (Node::start(slow), Node::start(config(&server)));
    let stream = a.follow("t", 1).await;
    b.publish("t", "1").await;
    until(|| a.backplane.stats().delivered == 1).await;
    line.delay(Duration::from_secs(2));
    let refused = a.try_publish("t", "perhaps").await.unwrap_err();
    assert!(refused.to_string().contains("may have stored"), "{refused}");
    until(|| a.backplane.stats().failures > 0).await;
    b.publish("t", "2").await;
    line.delay(Duration::ZERO);
    until(|| a.backplane.stats().connected).await;
    b.publish("t", "3").await;
    let has = server.data_of("t");
    assert_eq!(data(&read(stream, has.len()).await), has);
}

#[actix_web::test]
async fn s82_a_redis_without_memory_refuses_and_the_publisher_gets_an_error() {
    let server = Server::start();
    let a = Node::start(config(&server));
    let stream = a.follow("t", 1).await;
    let other = Node::start(config(&server));
    let first = other.publish("v", "first").await;
    for topic in ["t", "u"] {
        other.publish(topic, topic).await;
    }
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = a.try_publish("t", "x").await.unwrap_err();
    assert!(refused.to_string().contains("OOM"), "{refused}");
    assert!(a.backplane.stats().connected, "no reason to reconnect");
    // Reading goes on: of a topic that this node has followed, and of one that it has not.
    for topic in ["t", "u"] {
        let reading = read(a.open(topic, Some(&first)).await, 1).await;
        assert_eq!(data(&reading), [topic]);
    }
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    a.publish("t", "y").await;
    assert_eq!(data(&read(stream, 2).await), ["t", "y"]);
    assert_eq!(a.backplane.stats().failures, 0);
}

#[actix_web::test]
async fn s82_a_flushed_redis_ends_every_stream_and_resets_each_client() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let stream = b.follow("t", 1).await;
    let old = a.publish("t", "1").await;
    server.command(&["FLUSHALL"]);
    let new = a.publish("t", "2").await;
    assert_ne!(old.split('-').next(), new.split('-').next());
    let reading = read(stream, 5).await;
    assert!(reading.ended, "{reading:?}");
    for node in [&a, &b] {
        until(|| node.backplane.stats().resets == 1).await;
        let reading = read(node.open("t", Some(&old)).await, 1).await;
        assert_eq!(data(&reading), [r#"{"reason":"unknown"}"#]);
    }
    // And the new numbering works as the old one did.
    a.publish("t", "3").await;
    assert_eq!(data(&read(b.open("t", Some(&new)).await, 1).await), ["3"]);
}

#[actix_web::test]
async fn s82_a_flush_is_noticed_without_a_publication() {
    let server = Server::start();
    let b = Node::start(config(&server));
    b.follow("t", 1).await;
    server.command(&["FLUSHALL"]);
    until(|| b.backplane.stats().resets == 1).await;
}

#[actix_web::test]
async fn s82_a_redis_that_forgot_what_it_gave_out_begins_a_new_numbering() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let reading = actix_web::rt::spawn(read(b.follow("t", 1).await, 9));
    a.publish("t", "1").await;
    let lost = a.publish("t", "2").await;
    until(|| b.backplane.stats().delivered == 2).await;
    // As after a fail-over to a replica that had not got it yet.
    let number = lost.split_once('-').unwrap().1;
    server.command(&["XDEL", "{sse}:topic:t", &format!("{number}-0")]);
    a.publish("t", "3").await;
    let reading = reading.await.unwrap();
    assert!(reading.ended, "{reading:?}");
    assert!(["1", "2", "3"].starts_with(&data(&reading)), "{reading:?}");
    until(|| b.backplane.stats().resets == 1).await;
}

#[actix_web::test]
async fn s82_a_node_that_was_away_for_too_long_reports_the_gap_to_its_clients() {
    let server = Server::start();
    let mut brief = config(&server);
    brief.keep_events = 1;
    let (a, b) = (Node::start(brief.clone()), Node::start(brief));
    let stream = b.follow("t", 1).await;
    let first = a.publish("t", "1").await;
    until(|| b.backplane.stats().delivered == 1).await;
    // In one step, so that no reader comes between.
    let script = "for i = 1, 3 do \
        local n = redis.call('HINCRBY', '{sse}:head', 'seq', 1000000) \
        local p = redis.call('XREVRANGE', '{sse}:topic:t', '+', '-', 'COUNT', 1)[1][1] \
        redis.call('XADD', '{sse}:topic:t', 'MAXLEN', 1, string.format('%.0f-0', n), \
            'e', redis.call('HGET', '{sse}:head', 'epoch'), 'p', string.match(p, '%d+'), 'd', i) \
        end return 1";
    server.command(&["EVAL", script, "2", "{sse}:head", "{sse}:topic:t"]);
    let reading = read(stream, 9).await;
    assert!(reading.ended, "{reading:?}");
    assert_eq!(b.backplane.stats().holes, 1);
    let reading = read(b.open("t", Some(&first)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#]);
}

#[actix_web::test]
async fn s82_a_revocation_in_an_outage_is_sent_when_redis_is_back() {
    let mut server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let on_b = b.follow("t", 1).await;
    server.kill();
    until(|| !a.backplane.stats().connected).await;
    a.hub.disconnect_topic("t");
    server.restart();
    assert!(read(on_b, 1).await.ended);
}

#[actix_web::test]
async fn s82_a_client_that_comes_back_in_an_outage_is_served_when_redis_is_back() {
    let mut server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let first = a.publish("t", "1").await;
    a.publish("t", "2").await;
    server.kill();
    until(|| !b.backplane.stats().connected).await;
    let stream = b.open("t", Some(&first)).await;
    // The stream is open and has nothing to say yet.
    let early = read_events(stream, 1, Duration::from_millis(1)).await;
    assert_eq!(data(&early), [""; 0]);
    let stream = b.open("t", Some(&first)).await;
    server.restart();
    assert_eq!(data(&read(stream, 1).await), ["2"]);
}

#[actix_web::test]
async fn s82_after_a_very_long_outage_clients_get_a_reset_for_what_may_have_expired() {
    let server = Server::start();
    let mut brief = config(&server);
    brief.keep_age = Duration::from_secs(10);
    let (a, b) = (Node::start(brief.clone()), Node::start(brief));
    let stream = b.follow("t", 1).await;
    a.publish("t", "1").await;
    until(|| b.backplane.stats().delivered == 1).await;
    server.signal("-STOP");
    until(|| b.backplane.stats().silent > Duration::from_secs(5)).await;
    server.signal("-CONT");
    let reading = read(stream, 9).await;
    assert!(reading.ended, "{reading:?}");
    assert_eq!(b.backplane.stats().holes, 1);
}
