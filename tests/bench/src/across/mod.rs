//! What it costs to publish through Redis: from one node to another, beside local delivery and
//! beside the same over two bare connections.

mod bare;
mod node;
mod receipts;
mod server;
mod table;

use std::{error::Error, path::Path, time::Instant};

use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::aio::MultiplexedConnection;
use tokio::runtime::Runtime;

use crate::core_pin::{Cores, pin};

use self::{
    node::Node,
    receipts::Receipts,
    server::RedisServer,
    table::{Row, Table},
};

const TOPIC: &str = "t";

/// The size of a run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    rounds: usize,
    /// Topics that the receiving node follows, and events one at a time.
    latencies: [(usize, usize); 3],
    /// Events for the throughput, one at a time and many under way.
    waiting: usize,
    crowded: usize,
    under_way: usize,
}

impl Plan {
    pub(crate) const fn full() -> Self {
        Self {
            rounds: 5,
            latencies: [(1, 1000), (1000, 1000), (10_000, 200)],
            waiting: 5000,
            crowded: 20_000,
            under_way: 100,
        }
    }

    pub(crate) const fn quick() -> Self {
        Self {
            rounds: 1,
            latencies: [(1, 200), (1000, 200), (10_000, 50)],
            waiting: 1000,
            crowded: 5000,
            under_way: 100,
        }
    }
}

/// Measures, prints, writes; says so if there is no Redis.
pub(crate) fn run(plan: &Plan, write: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let Some(version) = server::version() else {
        eprintln!("redis-server is not on this machine; what goes through it is left out");
        return Ok(());
    };
    if let Some(path) = write {
        crate::report::has_markers(path)?;
    }
    let cores = Cores::choose()?;
    pin(cores.load)?;
    let start = Instant::now();
    let mut table = Table::new(plan, version);
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}: through Redis", plan.rounds);
        round_of(plan, cores, &mut table)?;
    }
    eprintln!("took {:.0} s", start.elapsed().as_secs_f64());
    let text = table.to_string();
    println!("{text}");
    if let Some(path) = write {
        crate::report::write_between_markers(path, &text)?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

/// Who publishes.
enum Publisher<'a> {
    Node(&'a Node),
    Bare(MultiplexedConnection),
}

impl Publisher<'_> {
    async fn publish(&self, number: usize) -> Result<(), Box<dyn Error>> {
        // As long as many an event is.
        let data = format!("{number:>100}");
        match self {
            Self::Node(node) => node.publish(data).await,
            Self::Bare(connection) => bare::publish(connection, data).await,
        }
    }
}

fn round_of(plan: &Plan, cores: Cores, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut alone = Vec::new();
    for (topics, events) in plan.latencies {
        {
            let node = Node::start(None)?;
            let streams = node.follow(topics)?;
            let who = Publisher::Node(&node);
            let times = latencies(&runtime, &who, &streams, events)?;
            table.latency(Row::Local, topics, &times);
            if topics == 1 {
                alone = rates(plan, &runtime, &who, &streams)?;
            }
        }
        let redis = RedisServer::start(cores)?;
        {
            let who = Publisher::Bare(runtime.block_on(bare::connect(&redis.url()))?);
            let streams = [bare::follow(&redis.url(), topics)?];
            let times = latencies(&runtime, &who, &streams, events)?;
            table.latency(Row::Bare, topics, &times);
            if topics == 1 {
                table.rates(Row::Local, &alone);
                table.rates(Row::Bare, &rates(plan, &runtime, &who, &streams)?);
            }
        }
        // A Redis of its own for each: a reader of the other's would take part of its core.
        drop(redis);
        let redis = RedisServer::start(cores)?;
        let (from, to) = (
            Node::start(Some(&redis.url()))?,
            Node::start(Some(&redis.url()))?,
        );
        let streams = to.follow(topics)?;
        let who = Publisher::Node(&from);
        let times = latencies(&runtime, &who, &streams, events)?;
        table.latency(Row::Across, topics, &times);
        if topics == 1 {
            table.rates(Row::Across, &rates(plan, &runtime, &who, &streams)?);
        }
    }
    Ok(())
}

/// Microseconds from the call of publish to the event at its receiver, one event at a time.
fn latencies(
    runtime: &Runtime,
    who: &Publisher<'_>,
    streams: &[Receipts],
    events: usize,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let receipts = streams.first().ok_or("no stream")?;
    let mut times = Vec::new();
    for number in 0..events + WARM_UP {
        let start = Instant::now();
        runtime.block_on(who.publish(number))?;
        let took = receipts.next()?.duration_since(start);
        if number >= WARM_UP {
            times.push(took.as_secs_f64() * 1e6);
        }
    }
    Ok(times)
}

/// Events before anything is measured.
const WARM_UP: usize = 20;

/// Events per second, from the first call of publish to the last event at its receiver: by one
/// publisher that waits for each answer, and with many under way.
fn rates(
    plan: &Plan,
    runtime: &Runtime,
    who: &Publisher<'_>,
    streams: &[Receipts],
) -> Result<Vec<f64>, Box<dyn Error>> {
    let receipts = streams.first().ok_or("no stream")?;
    let mut rates = Vec::new();
    for (events, at_once) in [(plan.waiting, 1), (plan.crowded, plan.under_way)] {
        let start = Instant::now();
        runtime.block_on(async {
            let mut flying = FuturesUnordered::new();
            for number in 0..events {
                if flying.len() >= at_once
                    && let Some(done) = flying.next().await
                {
                    done?;
                }
                flying.push(who.publish(number));
            }
            while let Some(done) = flying.next().await {
                done?;
            }
            Ok::<(), Box<dyn Error>>(())
        })?;
        let took = receipts.last_of(events)?.duration_since(start);
        rates.push(events as f64 / took.as_secs_f64());
    }
    Ok(rates)
}
