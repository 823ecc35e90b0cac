//! Measures when a server sees the end of a stream that a browser blocked, and how the metrics class it (facts B1 and B15).
//!
//! `cargo run -p actix-web-sse-tests --bin close-times`
//!
//! For each browser, each way to the application and each rate of bytes it opens some streams that the browser blocks, and some that
//! a page reads and leaves after half a second to six. It takes twelve minutes, ends by itself, and needs
//! Chromium, Firefox, Node, nginx and HAProxy. By hand, not in `tests/run`: run it on a machine that has nothing else to do.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test program fails by panicking"
)]

#[path = "../live_fire/cell.rs"]
#[allow(
    dead_code,
    reason = "what alerts make of a fault is of no interest here"
)]
mod cell;
mod front;
#[path = "../live_fire/proxies.rs"]
mod proxies;
mod server;
mod step;

use actix_web_sse_tests::{Browser, BrowserKind, Site};
use clap::Parser;

use crate::{
    front::{Front, Way},
    server::Application,
    step::Step,
};

#[derive(Debug, Parser)]
struct Args {
    /// KiB a second, one step each.
    #[arg(long, value_delimiter = ',', default_value = "1,4,8,16,64")]
    rates: Vec<u32>,
    /// Streams that are opened at a time. Browsers open six to a server over HTTP/1.1.
    #[arg(long, default_value_t = 6)]
    streams: usize,
    /// How often.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Only ways whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() {
    let args = Args::parse();
    let pages = Site::empty();
    println!(
        "| browser | way | KiB/s | blocked: seen after | bytes then | class | left by the page: class |\n\
         |---|---|---|---|---|---|---|"
    );
    for kind in [BrowserKind::Chromium, BrowserKind::Firefox] {
        let browser = Browser::launch(kind);
        for way in Way::ALL {
            if !way.name().contains(&args.only) {
                continue;
            }
            for rate in &args.rates {
                // Of their own for each step, so that nothing is left of the one before.
                let [blocking, open] = [(); 2].map(|()| Application::start(&pages.origin(), *rate));
                let front = Front::start(way, &blocking, &open);
                let step = Step {
                    page: browser.open(&pages.origin()),
                    streams: args.streams,
                    rounds: args.rounds,
                };
                let (blocked, left) = step.run(&front, &blocking, &open);
                println!("| {kind} | {} | {rate} | {blocked} | {left} |", way.name());
                step.page.close();
            }
        }
    }
}
