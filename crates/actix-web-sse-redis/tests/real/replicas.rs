//! What `wait_replicas` and Redis's `min-replicas-to-write` promise, and what they cost.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use actix_web_sse::{
    Hub,
    observe::{Observer, Opened, Publication, StreamObserver},
};
use actix_web_sse_redis::{RedisBackplane, RedisConfig, UserLimits};

use crate::{
    failover::{Pair, in_step},
    limits::{Counting, counted},
    node::{Node, data, read, until},
    relay::Relay,
    server::{LIMIT, Server},
    traffic::{TOPICS, Traffic, kept, seeds},
};

/// Settings with a replica to wait for, for at most so long.
fn careful(pair: &Pair, limit: Duration) -> RedisConfig {
    let mut config = pair.config();
    config.wait_replicas = 1;
    config.answer_timeout = limit;
    config
}

/// Counts what is reported as published.
#[derive(Clone, Default)]
struct Counts(Arc<AtomicU64>);

impl Observer for Counts {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(())
    }

    fn published(&self, _: &Publication<'_>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A node, and how many of its publications its observer has counted.
fn counting(config: RedisConfig) -> (Node, Counts) {
    let (backplane, counts) = (RedisBackplane::connect(config).unwrap(), Counts::default());
    let hub = Hub::builder()
        .observer(counts.clone())
        .backplane(backplane.clone());
    let hub = hub.build().unwrap();
    (Node { hub, backplane }, counts)
}

/// How often a command was called.
pub(crate) fn calls(server: &Server, command: &str) -> u64 {
    let stats = server.text(&["INFO", "commandstats"]);
    let start = format!("cmdstat_{command}:calls=");
    let calls = stats.lines().find_map(|line| {
        let line = line.strip_prefix(&start)?;
        line.split(',').next()?.parse().ok()
    });
    calls.unwrap_or_default()
}

/// What was acknowledged and what was not, to its publisher, the stats and the observer.
fn outcomes(node: &Node, counts: &Counts) -> (u64, u64, u64) {
    let stats = node.backplane.stats();
    (stats.published, stats.unpublished, counts.0.load(SeqCst))
}

#[actix_web::test]
async fn s82_while_the_replica_is_gone_a_publication_is_an_error_and_counted_as_none() {
    let pair = Pair::start().await;
    let (node, counts) = counting(careful(&pair, LIMIT));
    node.publish("t", "1").await;
    assert_eq!(pair.replica.data_of("t"), ["1"], "it has it already");
    assert_eq!(outcomes(&node, &counts), (1, 0, 1));
    pair.wire.sever();
    let publishing = actix_web::rt::spawn({
        let node = node.clone();
        async move { node.try_publish("t", "2").await }
    });
    until(|| pair.primary.data_of("t").len() == 2).await;
    pair.primary.give_up_on_replicas();
    let refused = publishing.await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("0 of 1 replicas have it"), "{refused}");
    assert!(refused.contains("wait_replicas"), "{refused}");
    assert_eq!(outcomes(&node, &counts), (1, 1, 1));
    // What is an error may be stored nevertheless.
    assert_eq!(pair.primary.data_of("t"), ["1", "2"]);
    pair.wire.mend();
    in_step(&pair.primary, &pair.replica).await;
    node.publish("t", "3").await;
    assert_eq!(pair.replica.data_of("t"), ["1", "2", "3"]);
    assert_eq!(outcomes(&node, &counts), (2, 1, 2));
    assert!(node.backplane.stats().connected);
    assert_eq!(node.backplane.stats().failures, 0);
}

/// It is connected, and takes nothing. The publications do not wait one after the other, which would take fifty
/// times as long: all `WAIT`s together have the time of one publication.
#[actix_web::test]
async fn s82_while_the_replica_is_behind_publications_are_errors_in_time_together() {
    let pair = Pair::start().await;
    // Redis's time is three quarters of it; whoever waits for the answer has the rest.
    let (node, counts) = counting(careful(&pair, Duration::from_secs(12)));
    node.publish("t", "1").await;
    pair.replica.signal("-STOP");
    let before = calls(&pair.primary, "wait");
    let all = (0..50).map(|number| {
        let text = number.to_string();
        let node = node.clone();
        async move { node.try_publish("t", &text).await }
    });
    let all = futures_util::future::join_all(all).await;
    pair.replica.signal("-CONT");
    for answer in all {
        let refused = answer.unwrap_err().to_string();
        assert!(refused.contains("0 of 1 replicas have it"), "{refused}");
    }
    let waits = calls(&pair.primary, "wait") - before;
    assert!((1..10).contains(&waits), "{waits}");
    assert_eq!(outcomes(&node, &counts), (1, 50, 1));
    in_step(&pair.primary, &pair.replica).await;
    node.publish("t", "last").await;
}

/// Users' limits, what clients have missed and streams that are to end need no replica.
#[actix_web::test]
async fn s82_nothing_but_publications_waits_for_a_replica_that_is_gone() {
    let pair = Pair::start().await;
    let limits = Counting::start(careful(&pair, LIMIT * 2), UserLimits::Shared);
    let hub = Hub::builder().backplane(limits.backplane.clone());
    let node = Node {
        hub: hub.build().unwrap(),
        backplane: limits.backplane.clone(),
    };
    let first = node.publish("t", "1").await;
    let other = Node::start(pair.config());
    let stream = other.follow("u", 1).await;
    pair.wire.sever();
    let publishing: Vec<_> = (0..5)
        .map(|_| {
            let node = node.clone();
            actix_web::rt::spawn(async move { node.try_publish("t", "2").await })
        })
        .collect();
    // One that was sent after the first was answered waits behind the first one's `WAIT`.
    until(|| pair.primary.data_of("t").len() > 1).await;
    let stored = pair.primary.data_of("t").len() - 1;
    let slot = limits.opened().await;
    until(|| counted(&pair.primary) == [1]).await;
    drop(slot);
    until(|| counted(&pair.primary) == [0_i64; 0]).await;
    let missed = read(node.open("t", Some(&first)).await, stored).await;
    assert_eq!(data(&missed), vec!["2"; stored]);
    node.hub.disconnect_topic("u");
    assert!(read(stream, 1).await.ended);
    let stats = node.backplane.stats();
    assert_eq!(stats.pending, 5, "{stats:?}");
    // And the replica that comes back has them all at once.
    pair.wire.mend();
    for published in publishing {
        published.await.unwrap().unwrap();
    }
}

/// Whatever was acknowledged is there after the fail-over, although the replica was cut off before.
#[actix_web::test]
async fn s82_with_wait_replicas_a_fail_over_loses_nothing_that_was_acknowledged() {
    for seed in seeds(&[1, 2]) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::start().await;
        let order = careful(&pair, Duration::from_secs(4));
        let nodes: Vec<_> = (0..3).map(|_| Node::start(order.clone())).collect();
        let nodes = Rc::new(nodes);
        let traffic = Traffic::start(&nodes, &mut random).await;
        traffic.more(random.u64(100..200)).await;
        let refused = || {
            let count = |node: &Node| node.backplane.stats().unpublished;
            nodes.iter().map(count).sum::<u64>()
        };
        let before = refused();
        pair.wire.sever();
        until(|| refused() >= before + 3).await;
        pair.fail_over();
        let by_replica = TOPICS.map(|topic| kept(&pair.replica, topic));
        let port = pair.replica.port.to_string();
        pair.primary
            .restart_with(&["--replicaof", "127.0.0.1", &port]);
        in_step(&pair.replica, &pair.primary).await;
        traffic.more(50).await;
        let accounts = traffic.finish().await;
        accounts.check(seed, &pair.replica);
        assert_eq!(accounts.lost(&pair.replica), [], "seed {seed}");
        for (topic, numbers) in TOPICS.iter().zip(by_replica) {
            let last = kept(&pair.replica, topic);
            assert!(last.starts_with(&numbers), "seed {seed}: {topic}");
        }
    }
}

/// A primary that refuses to write without a replica that was there in the last minute.
async fn strict() -> Pair {
    let primary = Server::with(&[
        "--repl-diskless-sync-delay",
        "0",
        "--min-replicas-max-lag",
        "60",
    ]);
    let wire = Relay::to(primary.port);
    let replica = Server::replica_of(wire.port);
    in_step(&primary, &replica).await;
    primary.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    Pair {
        primary,
        wire,
        replica,
    }
}

#[actix_web::test]
async fn s82_with_min_replicas_redis_refuses_to_write_when_the_replica_is_gone() {
    let pair = strict().await;
    let (a, counts) = counting(pair.config());
    let b = Node::start(pair.config());
    let stream = b.follow("t", 1).await;
    for data in ["1", "2"] {
        a.publish("t", data).await;
    }
    pair.wire.sever();
    until(|| {
        pair.primary
            .says(&["INFO", "replication"], "connected_slaves:0")
    })
    .await;
    let refused = a.try_publish("t", "3").await.unwrap_err().to_string();
    assert!(refused.contains("NOREPLICAS"), "{refused}");
    assert_eq!(outcomes(&a, &counts), (2, 1, 2));
    assert_eq!(pair.primary.data_of("t"), ["1", "2"]);
    assert_eq!(pair.primary.number(&["XLEN", "{sse}:log"]), 2);

    // It may have a successor: none connects to it.
    let refused = RedisBackplane::connect(pair.config()).unwrap_err();
    assert!(refused.to_string().contains("NOREPLICAS"), "{refused}");

    pair.wire.mend();
    let again = || pair.primary.says(&["SET", "probe", "1"], "OK");
    until(again).await;
    until(|| a.backplane.stats().connected).await;
    a.publish("t", "3").await;
    assert_eq!(data(&read(stream, 3).await), ["1", "2", "3"]);
    for node in [&a, &b] {
        assert_eq!(node.backplane.stats().resets, 0);
    }
}

/// It promises less: until Redis has noticed, it acknowledges what the replica does not get.
#[actix_web::test]
async fn s82_with_min_replicas_what_was_acknowledged_until_redis_noticed_is_lost_and_told() {
    let mut pair = strict().await;
    let (a, b) = (Node::start(pair.config()), Node::start(pair.config()));
    let first = a.publish("t", "kept").await;
    in_step(&pair.primary, &pair.replica).await;
    let reading = actix_web::rt::spawn(read(b.follow("t", 1).await, 999));
    // The connection stays, and nothing gets through.
    pair.wire.delay(LIMIT * 10);
    a.publish("t", "lost").await;
    // Not sooner, for a replica that only has no processor for two seconds is not missed before.
    pair.primary
        .command(&["CONFIG", "SET", "min-replicas-max-lag", "2"]);
    let start = std::time::Instant::now();
    let refused = loop {
        assert!(start.elapsed() < LIMIT, "never refused");
        match a.try_publish("t", "lost too").await {
            Ok(_) => actix_web::rt::time::sleep(Duration::from_millis(50)).await,
            Err(refused) => break refused.to_string(),
        }
    };
    assert!(refused.contains("NOREPLICAS"), "{refused}");
    pair.fail_over();
    assert_eq!(pair.replica.data_of("t"), ["kept"]);
    assert!(reading.await.unwrap().ended);
    for node in [&a, &b] {
        until(|| node.backplane.stats().resets == 1).await;
        let reading = read(node.open("t", Some(&first)).await, 1).await;
        assert_eq!(data(&reading), [r#"{"reason":"unknown"}"#]);
    }
}
