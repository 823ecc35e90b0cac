//! A seeded program of faults that keeps account of every event and every revocation: an event is delivered
//! once and in its order, or its publisher got an error, or the client was told `reset`; a revocation is
//! applied by every node, or told as lost.
//!
//! `SSE_SEED=n` runs one seed, `SSE_PROGRAM_SECONDS=n` lets it take that long.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

use actix_web::rt::{
    spawn,
    task::JoinHandle,
    time::{sleep, timeout},
};
use actix_web_sse::test::{Reading, read_events};

use crate::{
    engine::Engine,
    node::{Node, until},
    revocation::Guarded,
    server::LIMIT,
    signed_out::SignedOut,
    traffic::{TOPICS, seeds},
};

/// How many nodes there are.
const NODES: usize = 3;

/// Stands among what a client got where it was told that something is missing.
const RESET: &str = "reset";

/// A publication: when it began, and whether it was acknowledged.
struct Sent {
    topic: String,
    began: Instant,
    acknowledged: bool,
}

/// What all tasks share.
struct Scene {
    nodes: Vec<Node>,
    over: Cell<bool>,
    sent: RefCell<HashMap<String, Sent>>,
    faults: RefCell<Vec<String>>,
}

impl Scene {
    /// Publishes, and notes what became of it.
    async fn publish(&self, node: usize, topic: &str, text: String) -> bool {
        let began = Instant::now();
        let outcome = self.nodes[node].try_publish(topic, &text).await;
        let sent = Sent {
            topic: topic.to_owned(),
            began,
            acknowledged: outcome.is_ok(),
        };
        self.sent.borrow_mut().insert(key(&text), sent);
        outcome.is_ok()
    }

    fn node(&self, random: &mut fastrand::Rng) -> usize {
        random.usize(0..self.nodes.len())
    }
}

/// The name of an event: what stands before the filling.
fn key(text: &str) -> String {
    text.split('|').next().unwrap().to_owned()
}

/// A client: what it got, and when it was told that something is missing.
#[derive(Default)]
struct Seen {
    name: usize,
    /// From here on it has to get everything.
    since: Option<Instant>,
    got: Vec<(String, String)>,
    resets: Vec<Instant>,
}

impl Seen {
    fn note(&mut self, reading: &Reading, id: &mut Option<String>) {
        for event in &reading.events {
            if event.event == "reset" {
                self.resets.push(Instant::now());
                self.got.push((RESET.to_owned(), String::new()));
            } else {
                self.got
                    .push((key(&event.data), event.last_event_id.clone()));
            }
            // Without one a client keeps the one that it has.
            if !event.last_event_id.is_empty() {
                *id = Some(event.last_event_id.clone());
            }
        }
    }

    /// # Errors
    /// What is missing, doubled or out of order, untold.
    fn check(&self, sent: &HashMap<String, Sent>) -> Result<(), String> {
        let mut known = HashSet::new();
        let mut before: Option<(&str, u64)> = None;
        let got: HashSet<&str> = self.got.iter().map(|(text, _)| text.as_str()).collect();
        for (text, id) in &self.got {
            if text == RESET {
                // It begins anew where its node stands, perhaps before what another one gave it.
                known.clear();
                before = None;
                continue;
            }
            if !known.insert(text.as_str()) {
                return Err(format!("{text} came twice"));
            }
            let (epoch, number) = id.split_once('-').unwrap();
            let number = number.parse().unwrap();
            if before.is_some_and(|(of, last)| of == epoch && last >= number) {
                return Err(format!("{text} is out of order"));
            }
            before = Some((epoch, number));
        }
        let since = self.since.unwrap();
        let told = self.resets.last();
        for (text, sent) in sent {
            let is_due = TOPICS.contains(&&*sent.topic)
                && sent.acknowledged
                && sent.began > since
                && told.is_none_or(|told| sent.began > *told);
            if is_due && !got.contains(text.as_str()) {
                return Err(format!("{text} is missing, and nobody told"));
            }
        }
        Ok(())
    }
}

/// Follows the topics, now on this node, now on that one, until it has seen the end of each.
async fn follow(scene: Rc<Scene>, name: usize, mut random: fastrand::Rng) -> Seen {
    let mut seen = Seen {
        name,
        ..Seen::default()
    };
    let (mut id, mut ended) = (None::<String>, HashSet::new());
    let topics = TOPICS.join(",");
    while ended.len() < TOPICS.len() {
        let node = scene.node(&mut random);
        let stream = scene.nodes[node].open(&topics, id.as_deref()).await;
        if id.is_none() {
            seen.since = Some(Instant::now());
        }
        let few = if scene.over.get() {
            1000
        } else {
            random.usize(1..200)
        };
        let patience = Duration::from_millis(random.u64(50..1500));
        let reading = read_events(stream, few, patience).await;
        seen.note(&reading, &mut id);
        assert!(
            !reading.ended || id.is_some(),
            "client {name}: its stream ended, and it has no ID and was told nothing"
        );
        let over = reading
            .events
            .iter()
            .filter_map(|event| event.data.strip_suffix(" over"));
        ended.extend(over.map(str::to_owned));
    }
    // The last events have many copies: which of them came says nothing.
    seen.got.retain(|(text, _)| !text.ends_with(" over"));
    seen
}

async fn publish(scene: Rc<Scene>, topic: &'static str, mut random: fastrand::Rng) {
    let mut number = 0;
    while !scene.over.get() {
        number += 1;
        let filling = if random.u8(..) < 20 {
            random.usize(500..5000)
        } else {
            0
        };
        let text = format!("{topic} {number}|{}", "x".repeat(filling));
        let node = scene.node(&mut random);
        scene.publish(node, topic, text).await;
        sleep(Duration::from_millis(random.u64(0..20))).await;
    }
}

/// Opens a stream of a topic that nobody has had, publishes there, and reads it.
async fn fresh(scene: Rc<Scene>, name: usize, mut random: fastrand::Rng) -> usize {
    let mut number = 0;
    while !scene.over.get() {
        number += 1;
        let topic = format!("fresh-{name}-{number}");
        let (at, from) = (scene.node(&mut random), scene.node(&mut random));
        let mut stream = scene.nodes[at].open(&topic, None).await;
        if !scene.publish(from, &topic, topic.clone()).await {
            continue;
        }
        let start = Instant::now();
        let mut id: Option<String> = None;
        loop {
            let reading = read_events(stream, 1, LIMIT).await;
            let event = reading.events.first();
            if event.is_some_and(|event| event.event == "reset" || event.data == topic) {
                break;
            }
            assert!(!reading.ended || id.is_some(), "{topic}: ended untold");
            assert!(start.elapsed() < LIMIT, "{topic}: never came: {reading:?}");
            id = event.map(|event| event.last_event_id.clone()).or(id);
            stream = scene.nodes[at].open(&topic, id.as_deref()).await;
        }
    }
    number
}

/// The faults so far, and what Redis has of the revocations.
fn context(engine: &Engine, scene: &Scene) -> String {
    let faults = scene.faults.borrow().join("\n");
    let primary = engine.primary();
    let revoked = primary.command(&["XRANGE", "{sse}:revoked", "-", "+"]);
    let head = primary.command(&["HGETALL", "{sse}:head"]);
    format!("{faults}\n{head}\n{revoked}")
}

async fn program(seed: u64, length: Duration, mut redis: Engine) {
    let mut random = fastrand::Rng::with_seed(seed);
    let nodes: Vec<_> = (0..NODES)
        .map(|node| Node::start(redis.config(node)))
        .collect();
    // Their clocks are ten seconds apart in either direction.
    let guards = [-10_i64, 0, 10]
        .into_iter()
        .enumerate()
        .map(|(node, offset)| {
            let by = Duration::from_secs(offset.unsigned_abs());
            let clock = move || match offset < 0 {
                true => SystemTime::now() - by,
                false => SystemTime::now() + by,
            };
            Guarded::by_clock(redis.config(node), Duration::from_secs(3600), clock)
        });
    let guards: Vec<_> = guards.collect();
    until(|| nodes.iter().all(|node| node.backplane.stats().connected)).await;
    until(|| guards.iter().all(|guard| guard.backplane.stats().connected)).await;
    let scene = Rc::new(Scene {
        nodes,
        over: Cell::new(false),
        sent: RefCell::default(),
        faults: RefCell::default(),
    });
    let clients: Vec<JoinHandle<Seen>> = (0..6)
        .map(|name| spawn(follow(Rc::clone(&scene), name, random.fork())))
        .collect();
    let publishers = TOPICS.map(|topic| spawn(publish(Rc::clone(&scene), topic, random.fork())));
    let openers = [0, 1].map(|name| spawn(fresh(Rc::clone(&scene), name, random.fork())));
    let mut signed_out = SignedOut::default();
    let start = Instant::now();
    while start.elapsed() < length {
        sleep(Duration::from_millis(random.u64(0..1500))).await;
        signed_out.sign_out(&guards, &mut random);
        let fault = redis.fault(&mut random).await;
        scene
            .faults
            .borrow_mut()
            .push(format!("{:?} {fault}", start.elapsed()));
        let is_connected = |node: &Node| node.backplane.stats().connected;
        if random.u8(..) < 100 {
            until(|| scene.nodes.iter().all(is_connected)).await;
            until(|| guards.iter().all(|guard| guard.backplane.stats().connected)).await;
            signed_out.check(&guards, || context(&redis, &scene)).await;
        }
    }
    scene.over.set(true);
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let mut opened = 0;
    for opener in openers {
        opened += timeout(LIMIT * 2, opener)
            .await
            .expect("a fresh stream")
            .unwrap();
    }
    until(|| guards.iter().all(|guard| guard.backplane.stats().connected)).await;
    signed_out.check(&guards, || context(&redis, &scene)).await;
    let end = Instant::now();
    while !clients.iter().all(JoinHandle::is_finished) {
        assert!(
            end.elapsed() < LIMIT * 2,
            "clients that never come to the end"
        );
        for topic in TOPICS {
            let _ = scene.nodes[0]
                .try_publish(topic, &format!("{topic} over"))
                .await;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let mut all_seen = Vec::new();
    for client in clients {
        all_seen.push(client.await.unwrap());
    }
    let sent = scene.sent.borrow();
    let mut resets = 0;
    for seen in all_seen {
        resets += seen.resets.len();
        if let Err(why) = seen.check(&sent) {
            let faults = scene.faults.borrow().join("\n");
            panic!("seed {seed}, client {}: {why}\n{faults}", seen.name);
        }
    }
    let acknowledged = sent.values().filter(|sent| sent.acknowledged).count();
    println!(
        "seed {seed}: {} faults, {acknowledged} of {} events acknowledged, {opened} fresh streams, \
         {} revocations, {resets} resets",
        scene.faults.borrow().len(),
        sent.len(),
        signed_out.len()
    );
    assert!(acknowledged > 100, "seed {seed}: only {acknowledged}");
}

/// How long each of these seeds takes.
fn length(seeds: &[u64]) -> Duration {
    let seconds = std::env::var("SSE_PROGRAM_SECONDS").ok();
    let seconds = seconds.map_or(20 * seeds.len() as u64, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds) / u32::try_from(seeds.len()).unwrap()
}

#[actix_web::test]
async fn s82_every_event_and_every_revocation_of_a_program_of_faults_is_accounted_for() {
    let seeds = seeds(&[1, 2, 3]);
    for seed in &seeds {
        program(*seed, length(&seeds), Engine::pair(NODES).await).await;
    }
}

#[actix_web::test]
async fn s82_every_event_and_every_revocation_of_a_program_of_slot_moves_is_accounted_for() {
    let seeds = seeds(&[4]);
    for seed in &seeds {
        program(*seed, length(&seeds), Engine::cluster(NODES).await).await;
    }
}
