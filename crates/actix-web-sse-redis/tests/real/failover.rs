//! A primary that dies, and its replica that takes over.

use std::rc::Rc;

use actix_web_sse::test::read_events;
use actix_web_sse_redis::RedisConfig;

use crate::{
    node::{Node, config, data, read, until, until_within},
    relay::Relay,
    sentinel::Sentinel,
    server::{LIMIT, Server},
    traffic::{TOPICS, Traffic, kept, seeds},
};

/// A primary and its replica, which gets what is written over a wire that can be cut.
pub(crate) struct Pair {
    pub(crate) primary: Server,
    pub(crate) wire: Relay,
    pub(crate) replica: Server,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let primary = Server::with(&["--repl-diskless-sync-delay", "0"]);
        let wire = Relay::to(primary.port);
        let replica = Server::replica_of(wire.port);
        let pair = Self {
            primary,
            wire,
            replica,
        };
        in_step(&pair.primary, &pair.replica).await;
        pair
    }

    pub(crate) fn config(&self) -> RedisConfig {
        both(&self.primary, &self.replica)
    }

    pub(crate) fn fail_over(&mut self) {
        self.primary.kill();
        self.replica.command(&["REPLICAOF", "NO", "ONE"]);
    }
}

fn both(one: &Server, other: &Server) -> RedisConfig {
    let mut config = config(one);
    config.redis = format!("{}, {}", one.url(), other.url()).into();
    config
}

/// Waits until the replica has all that was written, and gets what will be: a link that is up does
/// not say so, for a primary begins to send only when it has heard from its new replica.
pub(crate) async fn in_step(primary: &Server, replica: &Server) {
    until(|| replica.says(&["INFO", "replication"], "master_link_status:up")).await;
    primary.replicate();
}

async fn all_connected(nodes: &[Node]) {
    until(|| nodes.iter().all(|node| node.backplane.stats().connected)).await;
}

/// Waits until these have noticed that their Redis is gone, and have found another.
async fn went_over(nodes: &[&Node]) {
    let has = |node: &&Node| {
        let stats = node.backplane.stats();
        stats.failures > 0 && stats.connected
    };
    until(|| nodes.iter().all(has)).await;
}

/// Twice: the first time the primary dies, the second time the one that followed it, which the
/// first has come back to as a replica.
#[actix_web::test]
async fn s82_a_fail_over_under_load_keeps_what_was_replicated_and_resets_for_the_rest() {
    for seed in seeds(&[1, 2]) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::start().await;
        let nodes = Rc::new(
            (0..3)
                .map(|_| Node::start(pair.config()))
                .collect::<Vec<_>>(),
        );
        let traffic = Traffic::start(&nodes, &mut random).await;
        let mut kept_by_replica = <[Vec<u64>; 3]>::default();
        for turn in 0..2 {
            traffic.more(random.u64(100..300)).await;
            if turn == 0 && random.bool() {
                // What is acknowledged from now on is lost.
                pair.wire.sever();
                traffic.more(random.u64(1..50)).await;
            }
            pair.fail_over();
            // Publications to the new primary come on top, which only adds to what is kept.
            kept_by_replica = TOPICS.map(|topic| kept(&pair.replica, topic));
            all_connected(&nodes).await;
            if turn == 0 {
                let port = pair.replica.port.to_string();
                pair.primary
                    .restart_with(&["--replicaof", "127.0.0.1", &port]);
                in_step(&pair.replica, &pair.primary).await;
                std::mem::swap(&mut pair.primary, &mut pair.replica);
            }
        }
        let accounts = traffic.finish().await;
        for (topic, numbers) in TOPICS.iter().zip(kept_by_replica) {
            let last = kept(&pair.replica, topic);
            assert!(last.starts_with(&numbers), "seed {seed}: {topic}");
        }
        accounts.check(seed, &pair.replica);
        let lost = accounts.lost(&pair.replica);
        let count = lost.len();
        println!("seed {seed}: lost {count}, {} resets", accounts.resets());
        if !lost.is_empty() {
            // The node that had the acknowledgement has detected it, and every client got a reset.
            assert!(accounts.resets() >= accounts.clients.len(), "seed {seed}");
        }
    }
}

/// The primary hands over by itself, as for an upgrade.
#[actix_web::test]
async fn s82_a_planned_fail_over_under_load_loses_nothing() {
    for seed in seeds(&[3]) {
        let mut random = fastrand::Rng::with_seed(seed);
        let primary = Server::with(&["--repl-diskless-sync-delay", "0"]);
        let replica = Server::replica_of(primary.port);
        in_step(&primary, &replica).await;
        let nodes: Vec<_> = (0..3)
            .map(|_| Node::start(both(&primary, &replica)))
            .collect();
        let nodes = Rc::new(nodes);
        let traffic = Traffic::start(&nodes, &mut random).await;
        for (from, to) in [(&primary, &replica), (&replica, &primary)] {
            traffic.more(random.u64(100..300)).await;
            from.command(&["FAILOVER"]);
            until(|| to.says(&["ROLE"], "master")).await;
            until(|| from.says(&["INFO", "replication"], "master_link_status:up")).await;
            all_connected(&nodes).await;
        }
        let accounts = traffic.finish().await;
        accounts.check(seed, &primary);
        assert_eq!(accounts.lost(&primary), [], "seed {seed}");
        assert_eq!(accounts.resets(), 0, "seed {seed}");
    }
}

/// Events that had not reached the replica are lost: every client of every node gets a reset, however
/// soon another node publishes on the new primary.
#[actix_web::test]
async fn s82_a_fail_over_that_loses_events_resets_every_client() {
    let mut pair = Pair::start().await;
    let (a, b) = (Node::start(pair.config()), Node::start(pair.config()));
    // Read as it comes: what has not been sent when a numbering ends is not sent any more.
    let reading = actix_web::rt::spawn(read(b.follow("t", 1).await, 9));
    let first = a.publish("t", "kept").await;
    in_step(&pair.primary, &pair.replica).await;
    pair.wire.sever();
    let lost = a.publish("t", "lost").await;
    until(|| b.backplane.stats().delivered == 2).await;
    pair.fail_over();
    // A third node knows of nothing, and is there first: the numbers are beyond the lost one.
    let third = Node::start(config(&pair.replica));
    third.publish("other", "x").await;
    let reading = reading.await.unwrap();
    assert!(reading.ended, "{reading:?}");
    assert!(["kept", "lost"].starts_with(&data(&reading)), "{reading:?}");
    for node in [&a, &b, &third] {
        // The third may have come after the new numbering began.
        let was_there = !std::ptr::eq(node, &third);
        until(|| node.backplane.stats().resets == 1 || !was_there).await;
        for id in [&first, &lost] {
            let reading = read(node.open("t", Some(id)).await, 1).await;
            // Until it knows of the new numbering, it is a gap of the old one.
            let gap = !was_there && data(&reading) == [r#"{"reason":"gap"}"#];
            assert!(
                gap || data(&reading) == [r#"{"reason":"unknown"}"#],
                "{reading:?}"
            );
        }
    }
    let stream = b.follow("t", 1).await;
    // The handshake counts the reset, and publications fail until the session is complete.
    until(|| a.backplane.stats().connected).await;
    let new = a.publish("t", "new").await;
    assert_eq!(data(&read(stream, 1).await), ["new"]);
    third.publish("t", "newer").await;
    assert_eq!(
        data(&read(b.open("t", Some(&new)).await, 1).await),
        ["newer"]
    );
}

/// No node had read it, but the node that got the acknowledgement knows it.
#[actix_web::test]
async fn s82_a_lost_event_that_no_node_read_resets_every_client() {
    let mut pair = Pair::start().await;
    let (a, b) = (Node::start(pair.config()), Node::start(pair.config()));
    let first = a.publish("t", "kept").await;
    in_step(&pair.primary, &pair.replica).await;
    pair.wire.sever();
    a.publish("t", "lost").await;
    pair.fail_over();
    until(|| a.backplane.stats().resets == 1).await;
    until(|| b.backplane.stats().resets == 1).await;
    let reading = read(b.open("t", Some(&first)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"unknown"}"#]);
}

/// A client that lost nothing gets no reset.
#[actix_web::test]
async fn s82_a_fail_over_that_loses_nothing_resets_no_client() {
    let mut pair = Pair::start().await;
    let (a, b) = (Node::start(pair.config()), Node::start(pair.config()));
    let stream = b.follow("t", 1).await;
    let first = a.publish("t", "1").await;
    a.publish("t", "2").await;
    until(|| b.backplane.stats().delivered == 2).await;
    in_step(&pair.primary, &pair.replica).await;
    pair.fail_over();
    went_over(&[&a, &b]).await;
    a.publish("t", "3").await;
    assert_eq!(data(&read(stream, 3).await), ["1", "2", "3"]);
    let reading = read(a.open("t", Some(&first)).await, 2).await;
    assert_eq!(data(&reading), ["2", "3"]);
    for node in [&a, &b] {
        assert_eq!(node.backplane.stats().resets, 0);
    }
}

/// A node that starts while its first address is a replica, or nothing at all, takes the next.
#[actix_web::test]
async fn s82_a_node_starts_at_whichever_address_is_the_primary() {
    let mut pair = Pair::start().await;
    let order = pair.config();
    pair.fail_over();
    let node = Node::start(order.clone());
    node.publish("t", "1").await;
    let port = pair.replica.port.to_string();
    pair.primary
        .restart_with(&["--replicaof", "127.0.0.1", &port]);
    in_step(&pair.replica, &pair.primary).await;
    let later = Node::start(order);
    let stats = later.backplane.stats();
    let why = stats.last_error.unwrap();
    assert!(why.contains("ReadOnly"), "{why}");
    let stream = later.follow("t", 1).await;
    later.publish("t", "2").await;
    assert_eq!(data(&read(stream, 1).await), ["2"]);
    assert_eq!(later.backplane.stats().unpublished, 0);
}

/// Nobody promotes by hand here. The nodes know both addresses, or only the Sentinel's.
async fn a_sentinel_fails_over(config: impl Fn(&Server, &Server, &Sentinel) -> RedisConfig) {
    let mut primary = Server::with(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::replica_of(primary.port);
    in_step(&primary, &replica).await;
    let sentinel = Sentinel::over(&primary).await;
    let order = config(&primary, &replica, &sentinel);
    let (a, b) = (Node::start(order.clone()), Node::start(order.clone()));
    // Read as it comes, for a client that takes nothing for half a minute is given up.
    let stream = b.follow("t", 1).await;
    let reading = actix_web::rt::spawn(read_events(stream, 2, LIMIT * 4));
    a.publish("t", "1").await;
    in_step(&primary, &replica).await;
    primary.kill();
    // One that has had no processor for two seconds does nothing for thirty, and takes a replica only that has lost its
    // primary for no longer than ten times of this before the Sentinel itself noticed.
    sentinel.be_patient_for("6000");
    until_within(LIMIT * 3, || replica.says(&["ROLE"], "master")).await;
    sentinel.be_patient_for("60000");
    went_over(&[&a, &b]).await;
    a.publish("t", "2").await;
    assert_eq!(data(&reading.await.unwrap()), ["1", "2"]);

    // The old one stays a primary for a while, until the Sentinel demotes it.
    primary.restart();
    until_within(LIMIT * 3, || primary.says(&["ROLE"], "slave")).await;
    in_step(&replica, &primary).await;
    let late = Node::start(order);
    let stream = late.follow("t", 1).await;
    late.publish("t", "3").await;
    assert_eq!(data(&read(stream, 1).await), ["3"]);
    for node in [&a, &b, &late] {
        let stats = node.backplane.stats();
        assert_eq!(stats.resets, 0, "{stats:?}");
    }
}

#[actix_web::test]
async fn s82_a_sentinel_fails_over_and_nodes_with_both_addresses_follow() {
    a_sentinel_fails_over(|primary, replica, _| both(primary, replica)).await;
}

#[actix_web::test]
async fn s82_a_sentinel_fails_over_and_nodes_that_ask_it_follow() {
    a_sentinel_fails_over(|primary, _, sentinel| {
        let mut config = config(primary);
        config.redis = sentinel.url().into();
        config
    })
    .await;
}

/// One event in its topic, and it is lost. Whoever publishes there next does so before the node that knows
/// it is back: its entry looks as if the topic had just begun.
#[actix_web::test]
async fn s82_the_loss_of_the_only_event_of_a_topic_is_told_however_the_topic_goes_on() {
    let mut pair = Pair::start().await;
    let a = Node::start(pair.config());
    let reading = actix_web::rt::spawn(read(a.follow("t", 1).await, 9));
    a.publish("other", "kept").await;
    in_step(&pair.primary, &pair.replica).await;
    pair.wire.sever();
    a.publish("t", "lost").await;
    until(|| a.backplane.stats().delivered == 1).await;
    pair.fail_over();
    let third = Node::start(config(&pair.replica));
    for number in 0..20 {
        third.publish("t", &number.to_string()).await;
    }
    let reading = reading.await.unwrap();
    assert!(reading.ended, "{reading:?}");
    until(|| a.backplane.stats().resets == 1).await;
}
