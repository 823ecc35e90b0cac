//! The hostile clients for longer, with as many honest streams as one likes, as a table.
//!
//! `cargo run --release -p actix-web-sse-tests --bin hostile -- --seconds 4 --honest 1000`

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test program fails by panicking"
)]

mod attack;
mod frames;
mod honest;
mod report;
mod setup;
mod target;
mod trial;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;

use crate::{
    setup::Setup,
    trial::{Plan, trial},
};

/// The head of the table, in Markdown.
const HEAD: &str = "\
| attack | set-up | opens of others | p99 before → under it (ratio) | without a core | cores before → under it | \
MiB before, most, after | descriptors before, most, after | idle after | |
|---|---|---|---|---|---|---|---|---|---|";

#[derive(Debug, Parser)]
struct Args {
    /// How long each hostile client is at it; some take up to four times as long.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// How many streams are read meanwhile; the reference set-up admits 900.
    #[arg(long, default_value_t = 1000)]
    honest: usize,
    /// The p99 of delivery in milliseconds that is no fault, however fast the quiet phase was.
    #[arg(long, default_value_t = 50)]
    floor: u64,
    /// Only attacks with this in their names.
    #[arg(long)]
    only: Option<String>,
    /// Only this configuration: `defaults` or `R0`.
    #[arg(long)]
    setup: Option<String>,
    /// The demo's program; absent: `demo-under-test` beside this program.
    #[arg(long)]
    demo: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let beside = || {
        let this = std::env::current_exe().expect("the path of this program");
        this.with_file_name("demo-under-test")
    };
    let demo = args.demo.unwrap_or_else(beside);
    assert!(
        demo.exists(),
        "there is no {}; build it, or say --demo",
        demo.display()
    );
    // The one path lives as long as the program.
    let demo: &'static str = demo.to_str().expect("a path in UTF-8").to_owned().leak();
    let plan = Plan {
        demo,
        honest: args.honest,
        quiet: Duration::from_secs_f64((args.seconds / 2.0).max(0.5)),
        attack: Duration::from_secs_f64(args.seconds),
        floor: Duration::from_millis(args.floor),
        below_us: Duration::ZERO,
        idle_again: Duration::from_secs(1),
    };
    let wanted = |name: &str| {
        args.only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
    };
    let mut failed = 0;
    println!("{}", HEAD);
    for attack in attack::ALL.iter().filter(|attack| wanted(attack.name)) {
        let setup = |setup: &Setup| {
            let wanted = args.setup.as_deref();
            wanted.is_none_or(|wanted| setup.to_string() == wanted)
        };
        for setup in Setup::ALL.into_iter().filter(setup) {
            let outcome = trial(attack, setup, plan);
            failed += usize::from(!outcome.faults.is_empty());
            println!("{outcome}");
        }
    }
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
