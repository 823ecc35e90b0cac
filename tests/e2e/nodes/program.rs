//! A seeded program of faults under load: Redis and nodes are killed, paused, drained and started
//! again while threads publish and clients read and move. In the end Redis has everything that
//! was acknowledged, and each client has what Redis has, once and in its order.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use actix_web_sse_tests::{Demo, LIMIT, Redis, Request, Signal, until};

use super::{connected, nodes, publish, short_log};

const TOPICS: [&str; 2] = ["x", "y"];

/// What came to a client.
struct Got {
    topic: &'static str,
    numbers: Vec<u64>,
    moves: usize,
}

/// `SSE_SEED=n` runs one of them; `SSE_SEEDS=n` the first n.
#[test]
fn s82_a_program_of_faults_under_load_loses_doubles_and_reorders_nothing() {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let seeds: Vec<u64> = match number("SSE_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("SSE_SEEDS").unwrap_or(2)).collect(),
    };
    for seed in seeds {
        println!("seed {seed}");
        program(seed);
    }
}

fn program(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut redis = Redis::durable();
    let settings = short_log().set("stream.drain", "200ms");
    let mut demos = nodes::<3>(&redis, &settings);
    let addresses = [&demos[0], &demos[1], &demos[2]].map(|demo| demo.app);
    let start = publish(&demos[0], "start").unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let counts = TOPICS.map(|_| Arc::new(AtomicUsize::new(0)));
    let publishers: Vec<_> = TOPICS
        .into_iter()
        .zip(&counts)
        .map(|(topic, count)| {
            let (random, over, count) = (random.fork(), Arc::clone(&over), Arc::clone(count));
            thread::spawn(move || publisher(topic, addresses, random, &over, &count))
        })
        .collect();
    let clients: Vec<JoinHandle<Got>> = (0..6)
        .map(|number| {
            let (random, start) = (random.fork(), start.clone());
            thread::spawn(move || client(TOPICS[number % 2], addresses, start, random))
        })
        .collect();
    for _ in 0..8 {
        // For the load to go on between one fault and the next.
        thread::sleep(Duration::from_millis(random.u64(50..300)));
        let at = random.usize(0..3);
        let (fault, pause) = (random.u32(0..5), Duration::from_millis(random.u64(0..300)));
        println!("seed {seed}: fault {fault} at node {at} for {pause:?}");
        fault_at(fault, pause, &mut redis, &mut demos[at]);
        for demo in &demos {
            connected(demo, true);
        }
    }
    // However slow the machine is, there was something to lose.
    until("enough is published", LIMIT * 2, || {
        let enough = |count: &Arc<AtomicUsize>| count.load(SeqCst) >= 150;
        counts.iter().all(enough).then_some(())
    });
    over.store(true, SeqCst);
    let mut kept = HashMap::new();
    for (publisher, topic) in publishers.into_iter().zip(TOPICS) {
        let acknowledged = publisher.join().unwrap();
        let last = demos[0].try_publish(topic, "text/plain", "over");
        assert_eq!(last.status(), 200);
        let has = kept_by(&redis, topic);
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|one| !has.contains(one))
            .collect();
        assert!(lost.is_empty(), "seed {seed}, {topic}: Redis lost {lost:?}");
        kept.insert(topic, has);
    }
    let mut moves = 0;
    for client in clients {
        let got = client.join().unwrap();
        moves += got.moves;
        let has = &kept[got.topic];
        let same = got.numbers == *has;
        assert!(
            same,
            "seed {seed}, {}: {:?} for {has:?}",
            got.topic, got.numbers
        );
    }
    assert!(moves > 12, "seed {seed}: only {moves} moves");
}

/// What Redis has of a topic, in its order. That need not be the publisher's: what was not
/// acknowledged may have been taken late.
fn kept_by(redis: &Redis, topic: &str) -> Vec<u64> {
    let entries = redis.ask(&["XRANGE", &format!("{{sse}}:topic:{topic}"), "-", "+"]);
    let mut lines = entries.lines();
    let mut numbers = Vec::new();
    while let Some(line) = lines.next() {
        // A field's name, and then its value.
        if line == "d" {
            numbers.extend(lines.next().and_then(|data| data.parse::<u64>().ok()));
        }
    }
    numbers
}

fn fault_at(fault: u32, pause: Duration, redis: &mut Redis, demo: &mut Demo) {
    match fault {
        0 => {
            redis.kill();
            thread::sleep(pause);
            redis.restart();
        }
        1 => {
            redis.pause();
            thread::sleep(pause);
            redis.resume();
        }
        2 => {
            demo.process().signal(Signal::STOP);
            thread::sleep(pause);
            demo.process().signal(Signal::CONT);
        }
        3 => {
            demo.kill();
            thread::sleep(pause);
            demo.restart();
        }
        _ => {
            demo.terminate();
            thread::sleep(pause);
            demo.restart();
        }
    }
}

/// Publishes one number after the other on whichever node; those that were acknowledged.
fn publisher(
    topic: &str,
    nodes: [SocketAddr; 3],
    mut random: fastrand::Rng,
    over: &AtomicBool,
    count: &AtomicUsize,
) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    let mut number = 1;
    while !over.load(SeqCst) {
        let request = Request::new("POST", &format!("/publish?topic={topic}"))
            .body("text/plain", number.to_string());
        let answer = request.try_send(nodes[random.usize(0..3)]);
        match answer.map(|answer| answer.status()) {
            Ok(200) => {
                acknowledged.push(number);
                count.fetch_add(1, SeqCst);
            }
            // Which does not mean that Redis has not got it.
            Ok(503) | Err(_) => {}
            Ok(status) => panic!("publish: {status}"),
        }
        number += 1;
        thread::sleep(Duration::from_millis(random.u64(0..5)));
    }
    acknowledged
}

/// Reads a few events on one node, then goes on with another, up to the last.
fn client(
    topic: &'static str,
    nodes: [SocketAddr; 3],
    start: String,
    mut random: fastrand::Rng,
) -> Got {
    let mut got = Got {
        topic,
        numbers: Vec::new(),
        moves: 0,
    };
    let mut last_event_id = start;
    let begun = Instant::now();
    loop {
        assert!(
            begun.elapsed() < LIMIT * 4,
            "{topic}: after {:?}",
            got.numbers.last()
        );
        let request = Request::stream(&format!("/events?topic={topic}"))
            .header("Last-Event-ID", &last_event_id);
        let answer = request.try_send(nodes[random.usize(0..3)]);
        let Some(response) = answer.ok().filter(|answer| answer.status() == 200) else {
            // Gone, draining, or not yet there again.
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        got.moves += 1;
        let mut stream = response.events();
        let (mut few, patience) = (random.usize(1..60), random.u64(50..1000));
        while few > 0
            && let Ok(Some(block)) = stream.block(Duration::from_millis(patience))
        {
            let (Some(data), Some(id)) = (block.data(), block.id()) else {
                continue;
            };
            assert_eq!(block.event(), None, "{block:?}");
            if data == "over" {
                return got;
            }
            got.numbers.push(data.parse().unwrap());
            id.clone_into(&mut last_event_id);
            few -= 1;
        }
    }
}
