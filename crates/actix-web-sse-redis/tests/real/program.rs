//! A seeded program of moves and faults: per topic nothing is lost, doubled or out of order.

use std::{cell::Cell, collections::HashMap, rc::Rc, time::Duration};

use actix_web_sse::test::read_events;

use crate::{
    node::{Node, config, until},
    server::Server,
};

const TOPICS: [&str; 3] = ["a", "b", "c"];

#[derive(Default)]
struct Seen {
    /// By topic, the numbers in the order in which they came.
    numbers: HashMap<String, Vec<u64>>,
    last_event_id: Option<String>,
    moves: usize,
    resets: usize,
}

#[actix_web::test]
async fn s82_moved_clients_and_a_killed_redis_lose_double_and_reorder_nothing() {
    let seeds = std::env::var("SSE_SEED").ok();
    let seeds = seeds.map_or_else(|| vec![1, 2, 3], |seed| vec![seed.parse().unwrap()]);
    for seed in seeds {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut server = Server::start();
    let nodes = Rc::new([0; 3].map(|_| Node::start(config(&server))));
    let over = Rc::new(Cell::new(false));

    // Before anything counts, every client has an ID to go on from.
    let start = nodes[0].publish("a", "0").await;
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let client = follow(
                Rc::clone(&nodes),
                start.clone(),
                random.fork(),
                Rc::clone(&over),
            );
            actix_web::rt::spawn(client)
        })
        .collect();
    let publishers: Vec<_> = TOPICS
        .iter()
        .map(|topic| {
            let publisher = publish(Rc::clone(&nodes), topic, random.fork(), Rc::clone(&over));
            actix_web::rt::spawn(publisher)
        })
        .collect();

    for _ in 0..6 {
        actix_web::rt::time::sleep(Duration::from_millis(random.u64(100..400))).await;
        if random.bool() {
            server.kill();
            actix_web::rt::time::sleep(Duration::from_millis(random.u64(0..300))).await;
            server.restart();
        } else {
            server.signal("-STOP");
            actix_web::rt::time::sleep(Duration::from_millis(random.u64(0..300))).await;
            server.signal("-CONT");
        }
        until(|| nodes.iter().all(|node| node.backplane.stats().connected)).await;
    }
    over.set(true);

    let mut sent = HashMap::new();
    for (topic, publisher) in TOPICS.iter().zip(publishers) {
        sent.insert(*topic, publisher.await.unwrap());
    }
    let total: usize = sent.values().map(|sent| sent.acknowledged.len()).sum();
    assert!(
        total > 100,
        "seed {seed}: only {total} events: nothing was tried"
    );
    for client in clients {
        let seen = client.await.unwrap();
        assert_eq!(seen.resets, 0, "seed {seed}: Redis kept everything");
        assert!(seen.moves > 3, "seed {seed}");
        for (topic, sent) in &sent {
            let got = seen.numbers.get(*topic).cloned().unwrap_or_default();
            let rising = got.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(
                rising,
                "seed {seed}, {topic}: doubled or out of order: {got:?}"
            );
            let lost: Vec<_> = sent
                .acknowledged
                .iter()
                .filter(|number| !got.contains(number))
                .collect();
            assert!(lost.is_empty(), "seed {seed}, {topic}: lost {lost:?}");
            let invented: Vec<_> = got
                .iter()
                .filter(|number| {
                    !sent.acknowledged.contains(number) && !sent.refused.contains(number)
                })
                .collect();
            assert!(invented.is_empty(), "seed {seed}, {topic}: {invented:?}");
        }
    }
}

#[derive(Default)]
struct Sent {
    acknowledged: Vec<u64>,
    /// Not acknowledged, which does not mean that Redis has not got them.
    refused: Vec<u64>,
}

/// Publishes one number after the other, on whichever node.
async fn publish(
    nodes: Rc<[Node; 3]>,
    topic: &str,
    mut random: fastrand::Rng,
    over: Rc<Cell<bool>>,
) -> Sent {
    let mut sent = Sent::default();
    let mut number = 1;
    while !over.get() {
        let node = &nodes[random.usize(0..3)];
        match node.try_publish(topic, &format!("{topic} {number}")).await {
            Ok(_) => sent.acknowledged.push(number),
            Err(_) => sent.refused.push(number),
        }
        number += 1;
        actix_web::rt::time::sleep(Duration::from_millis(random.u64(0..5))).await;
    }
    // The word that it is over: with it everything before has come too.
    loop {
        if nodes[0].try_publish(topic, "over").await.is_ok() {
            return sent;
        }
    }
}

/// Reads a few events on one node, then goes on with another.
async fn follow(
    nodes: Rc<[Node; 3]>,
    start: String,
    mut random: fastrand::Rng,
    over: Rc<Cell<bool>>,
) -> Seen {
    let mut seen = Seen {
        last_event_id: Some(start),
        ..Seen::default()
    };
    let mut ended = 0;
    let topics = TOPICS.join(",");
    while ended < TOPICS.len() {
        let node = &nodes[random.usize(0..3)];
        let stream = node.open(&topics, seen.last_event_id.as_deref()).await;
        let few = if over.get() {
            1000
        } else {
            random.usize(1..60)
        };
        let patience = Duration::from_millis(random.u64(50..1500));
        let reading = read_events(stream, few, patience).await;
        seen.moves += 1;
        for event in reading.events {
            if event.event == "reset" {
                seen.resets += 1;
            } else if event.data.ends_with("over") {
                ended += 1;
            } else {
                // Which topic it is of, its ID does not say; the data do.
                let (topic, number) = event.data.split_once(' ').unwrap();
                let numbers = seen.numbers.entry(topic.to_owned()).or_default();
                numbers.push(number.parse().unwrap());
            }
            seen.last_event_id = Some(event.last_event_id);
        }
    }
    seen
}
