//! What happens when Redis is not there, or not as it was.

use std::time::Duration;

use actix_web_sse::PublishError;
use actix_web_sse_redis::{RedisBackplane, RedisConfig, StartError};

use crate::{
    node::{Node, config, data, read, until},
    server::Server,
};

#[actix_web::test]
async fn s82_no_redis_at_the_start_is_told_without_the_password() {
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
async fn s82_a_wrong_password_is_told_without_it() {
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
async fn s82_a_redis_that_hangs_is_told_to_publishers_and_found_again() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let stream = b.follow("t", 1).await;
    a.publish("t", "1").await;
    server.signal("-STOP");
    let refused = a.try_publish("t", "perhaps").await.unwrap_err();
    server.signal("-CONT");
    assert!(refused.to_string().contains("may have taken"), "{refused}");
    until(|| a.backplane.stats().connected).await;
    a.publish("t", "last").await;
    // What nobody acknowledged may be there or not; in any case in its place.
    let reading = read(stream, 2).await;
    let seen = data(&reading);
    let with = ["1", "perhaps", "last"].starts_with(&seen);
    assert!(with || seen == ["1", "last"], "{seen:?}");
}

#[actix_web::test]
async fn s82_a_redis_without_memory_refuses_and_the_publisher_is_told() {
    let server = Server::start();
    let a = Node::start(config(&server));
    let stream = a.follow("t", 1).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = a.try_publish("t", "x").await.unwrap_err();
    assert!(refused.to_string().contains("OOM"), "{refused}");
    assert!(a.backplane.stats().connected, "no reason to reconnect");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    a.publish("t", "y").await;
    assert_eq!(data(&read(stream, 1).await), ["y"]);
}

#[actix_web::test]
async fn s82_a_flushed_redis_sends_every_client_back_and_each_is_told() {
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
async fn s82_a_flush_is_noticed_although_nobody_publishes() {
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
    let stream = b.follow("t", 1).await;
    a.publish("t", "1").await;
    let lost = a.publish("t", "2").await;
    until(|| b.backplane.stats().delivered == 2).await;
    // As after a fail-over to a replica that had not got it yet.
    let number = lost.split_once('-').unwrap().1;
    server.command(&["XDEL", "{sse}:topic:t", &format!("{number}-0")]);
    a.publish("t", "3").await;
    let reading = read(stream, 9).await;
    assert!(reading.ended, "{reading:?}");
    assert_eq!(data(&reading)[..2], ["1", "2"]);
    until(|| b.backplane.stats().resets == 1).await;
}

#[actix_web::test]
async fn s82_a_node_that_was_away_for_too_long_tells_its_clients_of_the_hole() {
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
async fn s82_a_revocation_in_an_outage_is_told_when_redis_is_back() {
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
    let back = async {
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
        server.restart();
    };
    let (reading, ()) = tokio::join!(read(stream, 1), back);
    assert_eq!(data(&reading), ["2"]);
}

#[actix_web::test]
async fn s82_after_a_very_long_outage_clients_are_told_of_what_may_have_expired() {
    let server = Server::start();
    let mut brief = config(&server);
    brief.keep_age = Duration::from_secs(10);
    let (a, b) = (Node::start(brief.clone()), Node::start(brief));
    let stream = b.follow("t", 1).await;
    a.publish("t", "1").await;
    until(|| b.backplane.stats().delivered == 1).await;
    server.signal("-STOP");
    actix_web::rt::time::sleep(Duration::from_millis(5500)).await;
    server.signal("-CONT");
    let reading = read(stream, 9).await;
    assert!(reading.ended, "{reading:?}");
    assert_eq!(b.backplane.stats().holes, 1);
}
