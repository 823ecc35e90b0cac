//! Publishers and clients that keep account of what was acknowledged and of what came.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web_sse::test::read_events;

use crate::{
    node::{Node, until},
    server::{LIMIT, Server},
};

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
    /// How often a client has moved.
    moves: Rc<Cell<usize>>,
    clients: Vec<actix_web::rt::task::JoinHandle<Seen>>,
    publishers: Vec<actix_web::rt::task::JoinHandle<Sent>>,
}

/// What one publisher did with its topic.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Redis may have stored events that it did not acknowledge.
    pub(crate) acknowledged: Vec<u64>,
}

/// What came to a client, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Event {
        topic: String,
        number: u64,
        id: String,
    },
    Reset,
    /// Nothing came: the client has moved to this node.
    Moved(usize),
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
        let moves = Rc::new(Cell::new(0));
        // Before anything counts, every client has an ID to go on from.
        let start = nodes[0].publish("a", "0").await;
        let clients = (0..6).map(|_| {
            let client = follow(
                Rc::clone(nodes),
                start.clone(),
                random.fork(),
                (Rc::clone(&over), Rc::clone(&moves)),
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
            moves,
        }
    }

    /// Waits until so many events more have been acknowledged.
    pub(crate) async fn more(&self, events: u64) {
        let count = |node: &Node| node.backplane.stats().published;
        let published = || self.nodes.iter().map(count).sum::<u64>();
        let before = published();
        until(|| published() >= before + events).await;
    }

    /// Ends the publications, and waits until every client has come to the end of each topic.
    pub(crate) async fn finish(self) -> Accounts {
        // In the end each reads all that is left at one node.
        until(|| self.moves.get() > 12).await;
        self.over.set(true);
        let mut sent = HashMap::new();
        for (topic, publisher) in TOPICS.iter().zip(self.publishers) {
            sent.insert(*topic, publisher.await.unwrap());
        }
        // More than once: a client that gets a reset continues with later events.
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
    /// Every client has got what Redis has of each topic, once and in its order; nothing is left
    /// out without a reset in its place.
    pub(crate) fn check(&self, seed: u64, redis: &Server) {
        let total: usize = self.sent.values().map(|sent| sent.acknowledged.len()).sum();
        assert!(total > 100, "seed {seed}: only {total} events");
        let moves: usize = self.clients.iter().map(|seen| seen.moves).sum();
        assert!(moves > 12, "seed {seed}: only {moves} moves");
        for topic in TOPICS {
            let kept = kept(redis, topic);
            for seen in &self.clients {
                if let Err(why) = follows(&kept, topic, &seen.came) {
                    panic!("seed {seed}, {topic}: {why}: {:?}", seen.came);
                }
            }
        }
    }

    /// What was acknowledged and is no longer there.
    pub(crate) fn lost(&self, redis: &Server) -> Vec<(&'static str, u64)> {
        let lost = TOPICS.map(|topic| {
            let kept = kept(redis, topic);
            let acknowledged = self.sent[topic].acknowledged.iter();
            let lost = acknowledged.filter(|number| !kept.contains(number));
            lost.map(|number| (topic, *number)).collect::<Vec<_>>()
        });
        lost.concat()
    }

    /// The number of resets that all clients together got.
    pub(crate) fn resets(&self) -> usize {
        let came = self.clients.iter().flat_map(|seen| &seen.came);
        came.filter(|came| **came == Came::Reset).count()
    }
}

/// The numbers that Redis has of a topic, in its order. It is not always that of the publisher:
/// what was not acknowledged may have been taken late.
pub(crate) fn kept(redis: &Server, topic: &str) -> Vec<u64> {
    let number = |data: &String| data.split_once(' ').and_then(|(_, n)| n.parse().ok());
    let all = redis.data_of(topic);
    all.iter()
        .filter_map(number)
        .filter(|number| *number != 0)
        .collect()
}

fn follows(kept: &[u64], topic: &str, came: &[Came]) -> Result<(), String> {
    // How many of those that are kept the client has behind it; and whether it got a reset since.
    let (mut behind, mut told) = (0, false);
    // The last one is no longer there, so that a reset has to come before anything else.
    let mut lost = None;
    for came in came {
        let number = match came {
            Came::Reset => {
                (told, lost) = (true, None);
                continue;
            }
            Came::Event {
                topic: of, number, ..
            } if of == topic => *number,
            Came::Event { .. } | Came::Moved(_) => continue,
        };
        let Some(place) = kept.iter().position(|kept| *kept == number) else {
            lost = Some(number);
            continue;
        };
        if let Some(lost) = lost {
            return Err(format!("{lost} is lost, and {number} came after it"));
        }
        // After a reset a node that is behind the others goes on from where it is; the page has loaded the state anew.
        if place < behind && !told {
            return Err(format!("{number} is doubled or out of order"));
        }
        if place > behind && !told {
            return Err(format!("{:?} are missing", &kept[behind..place]));
        }
        (behind, told) = (place + 1, false);
    }
    match behind < kept.len() && !told {
        true => Err(format!("{:?} are missing at the end", &kept[behind..])),
        false => Ok(()),
    }
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
        let published = node.try_publish(topic, &format!("{topic} {number}")).await;
        if published.is_ok() {
            sent.acknowledged.push(number);
        }
        number += 1;
        actix_web::rt::time::sleep(Duration::from_millis(random.u64(0..5))).await;
    }
    // The last event: everything before it has come too.
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
    (over, moves): (Rc<Cell<bool>>, Rc<Cell<usize>>),
) -> Seen {
    let mut seen = Seen::default();
    let mut last_event_id = start;
    let mut ended = HashSet::new();
    let topics = TOPICS.join(",");
    while ended.len() < TOPICS.len() {
        let at = random.usize(0..nodes.len());
        let stream = nodes[at].open(&topics, Some(&last_event_id)).await;
        seen.came.push(Came::Moved(at));
        let few = if over.get() {
            1000
        } else {
            random.usize(1..60)
        };
        let patience = Duration::from_millis(random.u64(50..1500));
        let reading = read_events(stream, few, patience).await;
        seen.moves += 1;
        moves.set(moves.get() + 1);
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
                    seen.came.push(Came::Event {
                        topic,
                        number: number.parse().unwrap(),
                        id: event.last_event_id.clone(),
                    });
                }
            }
            last_event_id = event.last_event_id;
        }
    }
    seen
}
