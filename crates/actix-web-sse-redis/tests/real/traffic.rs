//! Publishers and clients that keep account of what was acknowledged and of what came.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web_sse::test::read_events;

use crate::{node::Node, server::LIMIT};

pub(crate) const TOPICS: [&str; 3] = ["a", "b", "c"];

/// The seeds of a program of chance: one from the environment, or these.
pub(crate) fn seeds(known: &[u64]) -> Vec<u64> {
    let given = std::env::var("SSE_SEED").ok();
    let seeds = given.map_or_else(|| known.to_vec(), |seed| vec![seed.parse().unwrap()]);
    println!("seeds {seeds:?}; SSE_SEED=n runs one of them");
    seeds
}

/// Publications and streams under way on several nodes.
pub(crate) struct Traffic {
    nodes: Rc<Vec<Node>>,
    over: Rc<Cell<bool>>,
    clients: Vec<actix_web::rt::task::JoinHandle<Seen>>,
    publishers: Vec<actix_web::rt::task::JoinHandle<Sent>>,
}

/// What one publisher did with its topic.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) acknowledged: Vec<u64>,
    /// Not acknowledged, which does not mean that Redis has not got them.
    pub(crate) refused: Vec<u64>,
}

/// What came to a client, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Event { topic: String, number: u64 },
    Reset,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) came: Vec<Came>,
    pub(crate) moves: usize,
}

/// All accounts.
pub(crate) struct Accounts {
    pub(crate) sent: HashMap<&'static str, Sent>,
    pub(crate) clients: Vec<Seen>,
}

impl Traffic {
    /// Six clients, each on some node until it moves to another, and a publisher for each topic.
    pub(crate) async fn start(nodes: &Rc<Vec<Node>>, random: &mut fastrand::Rng) -> Self {
        let over = Rc::new(Cell::new(false));
        // Before anything counts, every client has an ID to go on from.
        let start = nodes[0].publish("a", "0").await;
        let clients = (0..6).map(|_| {
            let client = follow(
                Rc::clone(nodes),
                start.clone(),
                random.fork(),
                Rc::clone(&over),
            );
            actix_web::rt::spawn(client)
        });
        let clients = clients.collect();
        let publishers = TOPICS.iter().map(|topic| {
            let publisher = publish(Rc::clone(nodes), topic, random.fork(), Rc::clone(&over));
            actix_web::rt::spawn(publisher)
        });
        Self {
            nodes: Rc::clone(nodes),
            publishers: publishers.collect(),
            clients,
            over,
        }
    }

    /// Ends the publications, and waits until every client has come to the end of each topic.
    pub(crate) async fn finish(self) -> Accounts {
        self.over.set(true);
        let mut sent = HashMap::new();
        for (topic, publisher) in TOPICS.iter().zip(self.publishers) {
            sent.insert(*topic, publisher.await.unwrap());
        }
        // More than once: who is told of a loss goes on with what comes after.
        let start = Instant::now();
        while !self.clients.iter().all(|client| client.is_finished()) {
            assert!(
                start.elapsed() < LIMIT,
                "clients that never come to the end"
            );
            for topic in TOPICS {
                // That it is refused now and then is no more than load.
                let _ = self.nodes[0]
                    .try_publish(topic, &format!("{topic} over"))
                    .await;
            }
            actix_web::rt::time::sleep(Duration::from_millis(50)).await;
        }
        let mut clients = Vec::new();
        for client in self.clients {
            clients.push(client.await.unwrap());
        }
        Accounts { sent, clients }
    }
}

impl Accounts {
    /// Every client has got each topic's events once and in order, and between two of them
    /// nothing is missing that was acknowledged and is not `lost`, unless it was told by a reset.
    pub(crate) fn check(&self, seed: u64, lost: impl Fn(&str, u64) -> bool) {
        let total: usize = self.sent.values().map(|sent| sent.acknowledged.len()).sum();
        assert!(total > 100, "seed {seed}: only {total} events");
        for seen in &self.clients {
            assert!(seen.moves > 3, "seed {seed}: {} moves", seen.moves);
            for (topic, sent) in &self.sent {
                self::check(seed, topic, sent, seen, &lost);
            }
        }
    }

    /// How often all clients together were told that they had missed something.
    pub(crate) fn resets(&self) -> usize {
        let came = self.clients.iter().flat_map(|seen| &seen.came);
        came.filter(|came| **came == Came::Reset).count()
    }
}

fn check(seed: u64, topic: &str, sent: &Sent, seen: &Seen, lost: &impl Fn(&str, u64) -> bool) {
    // Number 0 is where every client began.
    let (mut last, mut told) = (0, false);
    let mut missing: Vec<u64> = Vec::new();
    for came in &seen.came {
        match came {
            Came::Reset => told = true,
            Came::Event { topic: of, number } if of == topic => {
                let number = *number;
                assert!(
                    number > last,
                    "seed {seed}, {topic}: {number} after {last}: {:?}",
                    seen.came
                );
                let known = sent.acknowledged.contains(&number) || sent.refused.contains(&number);
                assert!(known, "seed {seed}, {topic}: nobody published {number}");
                if !told {
                    let skipped = |one: &&u64| **one > last && **one < number;
                    missing.extend(sent.acknowledged.iter().filter(skipped));
                }
                (last, told) = (number, false);
            }
            Came::Event { .. } => {}
        }
    }
    if !told {
        missing.extend(sent.acknowledged.iter().filter(|one| **one > last));
    }
    missing.retain(|one| !lost(topic, *one));
    assert!(missing.is_empty(), "seed {seed}, {topic}: lost {missing:?}");
}

/// Publishes one number after the other, on whichever node.
async fn publish(
    nodes: Rc<Vec<Node>>,
    topic: &str,
    mut random: fastrand::Rng,
    over: Rc<Cell<bool>>,
) -> Sent {
    let mut sent = Sent::default();
    let mut number = 1;
    while !over.get() {
        let node = &nodes[random.usize(0..nodes.len())];
        match node.try_publish(topic, &format!("{topic} {number}")).await {
            Ok(_) => sent.acknowledged.push(number),
            Err(_) => sent.refused.push(number),
        }
        number += 1;
        actix_web::rt::time::sleep(Duration::from_millis(random.u64(0..5))).await;
    }
    // The word that it is over: with it everything before has come too.
    loop {
        if nodes[0]
            .try_publish(topic, &format!("{topic} over"))
            .await
            .is_ok()
        {
            return sent;
        }
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads a few events on one node, then goes on with another.
async fn follow(
    nodes: Rc<Vec<Node>>,
    start: String,
    mut random: fastrand::Rng,
    over: Rc<Cell<bool>>,
) -> Seen {
    let mut seen = Seen::default();
    let mut last_event_id = start;
    let mut ended = HashSet::new();
    let topics = TOPICS.join(",");
    while ended.len() < TOPICS.len() {
        let node = &nodes[random.usize(0..nodes.len())];
        let stream = node.open(&topics, Some(&last_event_id)).await;
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
                seen.came.push(Came::Reset);
            } else {
                // Which topic it is of, its ID does not say; the data do.
                let (topic, number) = event.data.split_once(' ').unwrap();
                let topic = topic.to_owned();
                if number == "over" {
                    ended.insert(topic);
                } else {
                    let number = number.parse().unwrap();
                    seen.came.push(Came::Event { topic, number });
                }
            }
            last_event_id = event.last_event_id;
        }
    }
    seen
}
