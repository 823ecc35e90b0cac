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

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Duration};

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
    /// How often each is tried; the median of its ratios is printed behind the table.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Only attacks with one of these in their names.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only this configuration: `defaults` or `R0`.
    #[arg(long)]
    setup: Option<String>,
    /// The hostile client has what the others leave of the cores, as if it had a machine of its own.
    #[arg(long)]
    give_way: bool,
    /// The demo's program; absent: `demo-under-test` beside this program.
    #[arg(long)]
    demo: Option<PathBuf>,
}

/// The median of an attack's ratios, with the least and the most.
fn spread(of: &str, ratios: &mut [f64]) -> String {
    ratios.sort_by(f64::total_cmp);
    let at = |index: usize| ratios.get(index).copied().unwrap_or(f64::NAN);
    let (median, most) = (ratios.len() / 2, ratios.len() - 1);
    format!("{of}: {:.1} ({:.1}–{:.1})", at(median), at(0), at(most))
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
        // As long as the attack, or its worst would be of more deliveries than the other's.
        quiet: Duration::from_secs_f64(args.seconds),
        attack: Duration::from_secs_f64(args.seconds),
        floor: Duration::from_millis(args.floor),
        below_us: Duration::ZERO,
        gives_way: args.give_way,
        idle_again: Duration::from_secs(1),
    };
    let wanted = |name: &str| {
        args.only.is_empty() || args.only.iter().any(|only| name.contains(only.as_str()))
    };
    let mut failed = 0;
    let mut ratios = BTreeMap::<_, Vec<f64>>::new();
    println!("{}", HEAD);
    // One after the other in each round, so that what else the machine does meets all alike.
    for attack in std::iter::repeat_n(attack::ALL, args.rounds)
        .flatten()
        .filter(|attack| wanted(attack.name))
    {
        let setup = |setup: &Setup| {
            let wanted = args.setup.as_deref();
            wanted.is_none_or(|wanted| setup.to_string() == wanted)
        };
        for setup in Setup::ALL.into_iter().filter(setup) {
            let outcome = trial(attack, setup, plan);
            failed += usize::from(!outcome.faults.is_empty());
            println!("{outcome}");
            let of = format!("{} ({setup})", attack.name);
            ratios.entry(of).or_default().push(outcome.ratio());
        }
    }
    if args.rounds > 1 {
        println!();
        ratios
            .iter_mut()
            .for_each(|(of, ratios)| println!("{}", spread(of, ratios)));
    }
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
