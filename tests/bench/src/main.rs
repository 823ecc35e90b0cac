//! What a stream, a delivery and an open cost here, beside the peers and a bare epoll loop.
//!
//! One process measures and makes the load, pinned to one core; each contestant is a process of
//! its own, pinned to another. See README.md.

mod account;
mod across;
mod chart;
mod contestant;
mod control;
mod core_pin;
mod load;
mod parts;
mod plan;
mod report;
mod round;
mod serve;
mod statistics;
mod strain;

use std::{error::Error, net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};

use crate::{
    contestant::{Contestant, Settings},
    plan::Plan,
};

#[derive(Debug, Parser)]
#[command(about = "Costs of event streams, here and in peers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures all contestants, prints the tables.
    Run {
        /// One round in under a minute: for a look, not for figures.
        #[arg(long)]
        quick: bool,
        /// Only these contestants (the floor always runs).
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Contestant>,
        /// Writes the tables between the figures' markers of this file.
        #[arg(long)]
        write: Option<PathBuf>,
        /// Writes the chart between the figures' markers of this file.
        #[arg(long)]
        chart: Option<PathBuf>,
    },
    /// Measures what goes through Redis from node to node, prints the tables.
    Redis {
        /// One round: for a look, not for figures.
        #[arg(long)]
        quick: bool,
        /// Writes the tables between the figures' markers of this file.
        #[arg(long)]
        write: Option<PathBuf>,
    },
    /// Drives a contestant that runs already: for a profiler beside it.
    Load {
        /// Where it listens.
        server: SocketAddr,
        #[arg(long, default_value_t = 5000)]
        streams: usize,
        /// How many batches are published, each when the one before has reached everybody.
        #[arg(long, default_value_t = 200)]
        batches: usize,
        /// How many events each batch has.
        #[arg(long, default_value_t = 1)]
        batch: usize,
    },
    /// Is one contestant.
    Serve {
        #[arg(value_enum)]
        contestant: Contestant,
        #[command(flatten)]
        settings: Settings,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().command {
        Command::Run {
            quick,
            only,
            write,
            chart,
        } => {
            let plan = if quick { Plan::quick() } else { Plan::full() };
            round::run(&plan, &only, write.as_deref(), chart.as_deref())
        }
        Command::Redis { quick, write } => {
            let plan = if quick {
                across::Plan::quick()
            } else {
                across::Plan::full()
            };
            across::run(&plan, write.as_deref())
        }
        Command::Load {
            server,
            streams,
            batches,
            batch,
        } => round::load(server, streams, batches, batch),
        Command::Serve {
            contestant,
            settings,
        } => serve::serve(contestant, &settings),
    }
}
