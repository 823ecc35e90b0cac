//! What happens when Redis is not there, or not as it was.

use std::time::Duration;

use actix_web::rt::time::sleep;
use actix_web_sse::{PublishError, test::read_events};
use actix_web_sse_redis::{LinkChange, RedisBackplane, RedisConfig, StartError};

use crate::{
    cut::{cut, cuttable, mend},
    node::{Node, config, data, read, until},
    relay::Relay,
    server::{LIMIT, Server},
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
    let mut hurried = config(&server);
    hurried.answer_timeout = Duration::from_secs(6);
    let (a, b) = (Node::start(hurried.clone()), Node::start(hurried));
    let stream = b.follow("t", 1).await;
    a.publish("t", "1").await;
    server.signal("-STOP");
    let refused = a.try_publish("t", "perhaps").await.unwrap_err();
    server.signal("-CONT");
    assert!(refused.to_string().contains("may have stored"), "{refused}");
    // The reader gives the connection up at about this time, or has the answer at the last moment.
    while let Err(refused) = a.try_publish("t", "last").await {
        let why = refused.to_string();
        assert!(why.contains("Redis cannot be reached"), "{why}");
        sleep(Duration::from_millis(20)).await;
    }
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
    slow.answer_timeout = Duration::from_secs(4);
    slow.connect_timeout = Duration::from_secs(4);
    let (a, b) = (Node::start(slow), Node::start(config(&server)));
    let stream = a.follow("t", 1).await;
    b.publish("t", "1").await;
    until(|| a.backplane.stats().delivered == 1).await;
    line.delay(Duration::from_secs(16));
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
    let kept = a.publish("t", "1").await;
    let lost = a.publish("t", "2").await;
    until(|| b.backplane.stats().delivered == 2).await;
    // As after a fail-over to a replica that had not got it yet.
    let script = "local kept, lost = ARGV[1], ARGV[2] \
        redis.call('XDEL', KEYS[1], lost .. '-0') redis.call('XDEL', KEYS[2], lost .. '-0') \
        redis.call('ZADD', KEYS[3], kept, 't') redis.call('HSET', KEYS[4], 'seq', kept) return 1";
    let keys = ["{sse}:log", "{sse}:topic:t", "{sse}:topics", "{sse}:head"];
    let [kept, lost] = [&kept, &lost].map(|id| id.split_once('-').unwrap().1);
    server.command(&[&["EVAL", script, "4"], &keys[..], &[kept, lost]].concat());
    a.publish("t", "3").await;
    let reading = reading.await.unwrap();
    assert!(reading.ended, "{reading:?}");
    assert!(["1", "2", "3"].starts_with(&data(&reading)), "{reading:?}");
    until(|| b.backplane.stats().resets == 1).await;
}

/// A node is cut off while so much is published that the log does not go back to where it was.
#[actix_web::test]
async fn s82_a_node_that_was_away_for_too_long_sends_its_clients_to_the_topics() {
    let server = Server::start();
    let mut brief = config(&server);
    brief.log_events = 1;
    let mut away = cuttable(&server);
    away.log_events = 1;
    let (a, b) = (Node::start(brief), Node::start(away));
    // Read as it comes: what has not been sent when its place is lost is not sent any more.
    let there = actix_web::rt::spawn(read(b.follow("t", 1).await, 999));
    let fresh = b.open("t", None).await;
    let first = a.publish("t", "1").await;
    assert_eq!(data(&read(fresh, 1).await), ["1"]);
    let fresh = b.open("other", None).await;
    cut(&server);
    until(|| !b.backplane.stats().connected).await;
    for number in 2..400 {
        a.publish("t", &number.to_string()).await;
    }
    mend(&server);
    let reading = there.await.unwrap();
    assert!(reading.ended, "{reading:?}");
    assert_eq!(data(&reading), ["1"], "it comes back with its ID");
    assert_eq!(b.backplane.stats().holes, 1);
    // The topic has everything.
    let reading = read(b.open("t", Some(&first)).await, 398).await;
    assert_eq!(reading.events[397].data, "399");
    // Without an ID it is told at once.
    let reading = read(fresh, 9).await;
    assert!(reading.ended, "{reading:?}");
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#]);
    // And if the topic has not everything either, it says so.
    server.command(&["XTRIM", "{sse}:topic:t", "MAXLEN", "1"]);
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
async fn s82_after_an_outage_longer_than_all_is_kept_clients_get_a_reset_for_what_has_expired() {
    let server = Server::start();
    let brief = |mut config: RedisConfig| {
        config.keep_age = Duration::from_secs(10);
        config
    };
    let (a, b) = (
        Node::start(brief(config(&server))),
        Node::start(brief(cuttable(&server))),
    );
    let (stream, quiet) = (b.follow("t", 1).await, b.follow("quiet", 2).await);
    let first = a.publish("t", "1").await;
    until(|| b.backplane.stats().delivered == 1).await;
    cut(&server);
    a.publish("t", "2").await;
    until(|| server.command(&["EXISTS", "{sse}:log", "{sse}:topic:t"]) == ":0\r\n").await;
    a.publish("t", "3").await;
    mend(&server);
    let reading = read(stream, 9).await;
    assert!(reading.ended, "{reading:?}");
    assert_eq!(data(&read(quiet, 9).await), [r#"{"reason":"gap"}"#]);
    let reading = read(b.open("t", Some(&first)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#]);
}

/// However long it was: what has not been published has not expired.
#[actix_web::test]
async fn s82_after_a_long_outage_in_which_nothing_was_published_streams_go_on() {
    let server = Server::start();
    let mut brief = config(&server);
    brief.keep_age = Duration::from_secs(10);
    brief.answer_timeout = Duration::from_secs(6);
    let (a, b) = (Node::start(brief.clone()), Node::start(brief));
    let stream = b.follow("t", 1).await;
    a.publish("t", "1").await;
    until(|| b.backplane.stats().delivered == 1).await;
    server.signal("-STOP");
    let is_out = |node: &Node| node.backplane.stats().failures > 0;
    until(|| b.backplane.stats().silent > Duration::from_secs(11) && is_out(&a) && is_out(&b))
        .await;
    server.signal("-CONT");
    until(|| a.backplane.stats().connected && b.backplane.stats().connected).await;
    a.publish("t", "2").await;
    assert_eq!(data(&read(stream, 2).await), ["1", "2"]);
    assert_eq!(b.backplane.stats().holes, 0);
}

#[actix_web::test]
async fn s82_a_listener_that_panics_stops_nothing() {
    let mut server = Server::start();
    let backplane = RedisBackplane::connect_observed(config(&server), |_| panic!("listener"));
    let backplane = backplane.unwrap();
    let hub = actix_web_sse::Hub::builder().backplane(backplane.clone());
    let node = Node {
        hub: hub.build().unwrap(),
        backplane,
    };
    server.kill();
    until(|| !node.backplane.stats().connected).await;
    server.restart();
    until(|| node.backplane.stats().connected).await;
    let stream = node.follow("t", 1).await;
    node.publish("t", "x").await;
    assert_eq!(data(&read(stream, 1).await), ["x"]);
}

struct Panics;

impl actix_web_sse::observe::Observer for Panics {
    fn opened(
        &self,
        _: &actix_web_sse::observe::Opened<'_>,
    ) -> Box<dyn actix_web_sse::observe::StreamObserver> {
        Box::new(())
    }

    fn relayed(&self, _: &actix_web_sse::observe::Relayed<'_>) {
        panic!("observer");
    }
}

#[actix_web::test]
async fn s82_an_observer_that_panics_stops_nothing_and_loses_nothing() {
    let server = Server::start();
    let backplane = RedisBackplane::connect(config(&server)).unwrap();
    let hub = actix_web_sse::Hub::builder()
        .observer(Panics)
        .backplane(backplane.clone());
    let node = Node {
        hub: hub.build().unwrap(),
        backplane,
    };
    let stream = node.follow("t", 1).await;
    for data in ["1", "2", "3"] {
        node.publish("t", data).await;
    }
    assert_eq!(data(&read(stream, 3).await), ["1", "2", "3"]);
}

#[actix_web::test]
async fn s82_resp3_in_the_url_is_served() {
    let server = Server::start();
    let mut new = config(&server);
    new.redis = format!("{}?protocol=resp3", server.url()).into();
    let (a, b) = (Node::start(new.clone()), Node::start(new));
    let stream = b.follow("t", 1).await;
    let first = a.publish("t", "0").await;
    a.publish("t", "1").await;
    assert_eq!(data(&read(stream, 2).await), ["0", "1"]);
    assert_eq!(data(&read(b.open("t", Some(&first)).await, 1).await), ["1"]);
}

#[actix_web::test]
async fn s82_a_key_of_another_type_stops_its_topic_and_no_other() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    server.command(&["SET", "{sse}:topic:broken", "x"]);
    let both = b.follow("broken,t", 2).await;
    let refused = a.try_publish("broken", "x").await.unwrap_err();
    assert!(refused.to_string().contains("WRONGTYPE"), "{refused}");
    a.publish("t", "1").await;
    assert_eq!(data(&read(both, 1).await), ["1"]);
    for node in [&a, &b] {
        assert_eq!(node.backplane.stats().failures, 0);
    }
}

/// The places of the log, the numbering and the rest: there it is no application's key.
#[actix_web::test]
async fn s82_a_key_of_another_type_at_a_place_of_the_crate_stops_nothing_for_long() {
    for place in ["head", "log", "topics", "revoked"] {
        let server = Server::start();
        let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
        let stream = b.follow("t", 1).await;
        let key = format!("{{sse}}:{place}");
        server.command(&["DEL", &key]);
        server.command(&["SET", &key, "x"]);
        let start = std::time::Instant::now();
        while a.try_publish("t", "1").await.is_err() {
            assert!(start.elapsed() < LIMIT, "{place}");
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
        // Of a new numbering where the old one is gone, which this node may notice later.
        let first = read(stream, 1).await;
        let reset = first.events.iter().any(|event| event.event == "reset");
        assert!(
            data(&first) == ["1"] || reset || first.ended,
            "{place}: {first:?}"
        );
        // And it goes on.
        while {
            let next = b.follow("t", 1).await;
            let published = a.try_publish("t", "2").await;
            published.is_err() || data(&read(next, 1).await) != ["2"]
        } {
            assert!(start.elapsed() < LIMIT, "{place}");
        }
    }
}

#[actix_web::test]
async fn s82_a_link_that_comes_and_goes_is_not_hammered() {
    let server = Server::start();
    let mut patient = config(&server);
    patient.backoff_least = Duration::from_millis(50);
    patient.backoff_most = Duration::from_secs(10);
    let waits = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = std::sync::Arc::clone(&waits);
    let backplane = RedisBackplane::connect_observed(patient, move |change| {
        if let LinkChange::Lost { retry_in, .. } = change {
            noted.lock().unwrap().push(*retry_in);
        }
    });
    let backplane = backplane.unwrap();
    for lost in 1..=5 {
        until(|| backplane.stats().connected).await;
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        until(|| waits.lock().unwrap().len() >= lost).await;
    }
    let waits = waits.lock().unwrap().clone();
    assert!(waits[4] >= Duration::from_millis(400), "{waits:?}");
}
