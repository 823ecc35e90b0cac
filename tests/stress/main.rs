//! Churns subscriptions over real sockets and checks that nothing is lost, doubled or left behind.
//!
//! `cargo run -p actix-web-sse-tests --bin stress -- --seed 7 --subscriptions 1000000 --seconds 900`
//!
//! Readers follow topics for a while and then cut the connection: with FIN, with RST, half, before
//! the answer, in the middle of the request. Some read slowly, or drip, until the server gives
//! them up. Each comes back with its last event ID until it has everything, exactly once and in
//! order. In the end the accounts must agree, and the process must be as it was before: streams,
//! connections, descriptors, threads, memory.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test program fails by panicking"
)]

mod census;
mod parser;
mod publisher;
mod reader;

use std::{
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix_web_sse::config::HubConfig;
use actix_web_sse_tests::{App, Front, LIMIT, reference_stream, until};
use clap::{Parser, ValueEnum};

use crate::{
    census::Census,
    publisher::{Publisher, TOPICS},
    reader::{Manner, Reader},
};

#[derive(Debug, Parser)]
struct Args {
    /// Where chance starts; what the readers do depends on it alone.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many times to connect. One in twenty is cut before it is a subscription: the default
    /// makes a hundred thousand.
    #[arg(long, default_value_t = 106_000)]
    subscriptions: u64,
    /// When to stop even if there have been fewer.
    #[arg(long, default_value_t = 50)]
    seconds: u64,
    /// How many readers there are at a time.
    #[arg(long, default_value_t = 256)]
    readers: usize,
    /// Worker threads of the server.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// What serves: the streams of an `EventServer` write to their sockets themselves.
    #[arg(long, value_enum, default_value_t = Server::EventServer)]
    front: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Server {
    EventServer,
    HttpServer,
}

/// What all readers and publishers of a run share.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) app: App,
    /// Subscriptions that are still to be opened.
    left: AtomicU64,
    pub(crate) opened: AtomicU64,
    pub(crate) events: AtomicU64,
    /// How many events each topic has had, when nothing more is published.
    last: OnceLock<[u64; TOPICS]>,
    deadline: Instant,
}

impl Run {
    /// Takes one of the subscriptions that are left.
    pub(crate) fn take(&self) -> bool {
        let left = |left: u64| left.checked_sub(1);
        Instant::now() < self.deadline
            && self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
                .is_ok()
    }

    /// The number after the topic's last event, once nothing more is published.
    pub(crate) fn last(&self, topic: usize) -> Option<u64> {
        self.last.get().map(|last| last[topic])
    }
}

fn app(args: &Args) -> App {
    let mut hub = HubConfig::default();
    hub.replay_events = publisher::REPLAY;
    hub.replay_bytes = 64 * 1024 * 1024;
    let front = match args.front {
        Server::EventServer => Front::EventServer,
        Server::HttpServer => Front::HttpServer,
    };
    App::on(front, args.workers, hub, reference_stream(), |_| {})
}

/// One round of churn; returns with everything closed. How many subscriptions there were.
fn round(app: App, args: &Args, publisher: &mut Publisher, share: f64) -> (App, u64) {
    let subscriptions = (args.subscriptions as f64 * share) as u64;
    let run = Arc::new(Run {
        app,
        left: AtomicU64::new(subscriptions),
        opened: AtomicU64::new(0),
        events: AtomicU64::new(0),
        last: OnceLock::new(),
        deadline: Instant::now() + Duration::from_secs(args.seconds).mul_f64(share),
    });
    let start = Instant::now();
    let clients = [0, 1].map(|half| {
        let run = Arc::clone(&run);
        let readers = (0..args.readers).filter(move |number| number % 2 == half);
        let readers: Vec<_> = readers
            .map(|number| Reader::new(args.seed, number))
            .collect();
        thread::spawn(move || reader::all(&run, readers))
    });
    // Publishes until no subscription is left; the readers then take what is still to come.
    publisher.publish_while(&run.app.hub, || {
        run.left.load(Ordering::SeqCst) > 0 && Instant::now() < run.deadline
    });
    let last = std::array::from_fn(|topic| publisher.published(topic));
    run.last.set(last).expect("once");
    for client in clients {
        for reader in client.join().expect("the readers") {
            let last = publisher.published(reader.topic());
            let next = reader.next().unwrap_or(last);
            assert_eq!(next, last, "{reader:?} has everything, exactly once");
        }
    }
    let run = Arc::into_inner(run).expect("everybody else has ended");
    until("every stream has ended", LIMIT, || {
        (run.app.hub.stats().streams == 0).then_some(())
    });
    run.app.wait_for_connections(0);
    let account = &run.app.account;
    let closed = account.closed();
    assert_eq!(account.opened(), closed.values().sum::<u64>(), "{closed:?}");
    for topic in 0..TOPICS {
        assert_eq!(run.app.hub.subscribers(&publisher::name(topic)), 0);
    }
    let seconds = start.elapsed().as_secs_f64();
    let opened = run.opened.load(Ordering::SeqCst);
    println!(
        "{opened} subscriptions and {} events received in {seconds:.1} s ({:.0} subscriptions/s)",
        run.events.load(Ordering::SeqCst),
        opened as f64 / seconds,
    );
    println!("closed so far: {closed:?}");
    (run.app, opened)
}

fn main() -> ExitCode {
    let args = Args::parse();
    println!("{args:?}");
    let app = app(&args);
    let mut publisher = Publisher::new(args.seed);
    // Fills the replay, so that it does not look like a leak later.
    publisher.fill(&app.hub);
    // The first round warms up what grows once: allocator, tables, thread pools.
    let (app, first) = round(app, &args, &mut publisher, 0.25);
    let before = Census::settled();
    println!("after the first round:  {before:?}");
    let (app, second) = round(app, &args, &mut publisher, 0.75);
    // Waits, with a limit, until the process is as it was; else says what has grown.
    let after = until_settled(&before);
    println!("after the second round: {after:?}");
    let ended_by_server = app.account.closed().len() > 1;
    drop(app);
    let faults = after.faults(&before);
    for fault in &faults {
        eprintln!("stress: {fault}");
    }
    assert!(ended_by_server, "slow readers were given up");
    println!("{} subscriptions, seed {}", first + second, args.seed);
    match faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn until_settled(before: &Census) -> Census {
    let deadline = Instant::now() + LIMIT / 3;
    loop {
        let census = Census::settled();
        if census.faults(before).is_empty() || Instant::now() > deadline {
            return census;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

impl Manner {
    /// What a reader is by its number: one in sixteen is slow, one in sixteen drips.
    pub(crate) const fn of(number: usize) -> Self {
        match number % 16 {
            0 => Self::Slow,
            8 => Self::Drip,
            _ => Self::Brisk,
        }
    }
}
