//! Runs the shipped rules, unmodified and with their minutes, over a grid of faults, browsers, protocols and proxies.
//!
//! `cargo run -p actix-web-sse-tests --bin live-fire`
//!
//! All cells run side by side under one Prometheus, each in a namespace of its own: an application with two routes, a proxy
//! in front of it, and a browser with a page on which visitors come and go. For some minutes all is well; then the proxy, or
//! the allow-list, has the fault of the cell at one of the routes; then it is mended. In the end a table says what
//! rang when, when it stopped, and what was wrong. It takes half an hour, ends by itself, and needs Chromium, Firefox, Node,
//! nginx, HAProxy and Prometheus.
//!
//! `SSEOriginLost` stays for three quarters of an hour after the last refusal, as few visitors come to a small site: to see it stop,
//! `--only lost --after 3000`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test program fails by panicking"
)]

mod cell;
mod front;
mod page;
mod proxies;
mod report;
mod server;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{Browser, BrowserKind, Prometheus, Site};
use clap::Parser;

use crate::{
    cell::Cell,
    front::Fronts,
    page::Visitors,
    report::{Phases, Report},
    server::Servers,
};

#[derive(Debug, Parser)]
struct Args {
    /// Seconds in which all is well.
    #[arg(long, default_value_t = 330)]
    before: u64,
    /// Seconds of the fault.
    #[arg(long, default_value_t = 480)]
    fault: u64,
    /// Seconds after it is mended. Alerts stay for ten minutes after the last sign of a fault.
    #[arg(long, default_value_t = 1020)]
    after: u64,
    /// Only cells whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

/// The longest time that the phases may take together.
const LONGEST: u64 = 4000;

fn main() -> ExitCode {
    let args = Args::parse();
    if args.before + args.fault + args.after > LONGEST {
        eprintln!("the phases may take {LONGEST} seconds together");
        return ExitCode::from(2);
    }
    let mut cells = Cell::grid();
    cells.retain(|cell| cell.name().contains(&args.only));
    let pages = Site::empty();
    let servers = Servers::start(&cells, &pages.origin());
    let fronts = Fronts::start(&cells, &servers, &pages.origin());
    let prometheus = Prometheus::configured(&servers.scrape_configuration(&cells));
    let browsers = [BrowserKind::Chromium, BrowserKind::Firefox].map(|kind| {
        let wanted = cells.iter().any(|cell| cell.browser == kind);
        wanted.then(|| Browser::launch_with(kind, page::arguments(kind)))
    });
    let visitors: Vec<_> = cells
        .iter()
        .zip(&fronts.cells)
        .map(|(cell, front)| {
            let browser = browsers
                .iter()
                .flatten()
                .find(|browser| browser.kind() == cell.browser);
            Visitors::come(browser.unwrap(), &pages.origin(), front)
        })
        .collect();
    println!(
        "{} cells; while it runs, tests/pictures/draw.mjs --faults http://{} draws what a dashboard shows of them",
        cells.len(),
        prometheus.address()
    );

    let phases = Phases {
        fault: Duration::from_secs(args.before),
        mended: Duration::from_secs(args.before + args.fault),
        end: Duration::from_secs(args.before + args.fault + args.after),
    };
    let mut report = Report::new(phases);
    let start = Instant::now();
    let [mut broken, mut mended] = [false, false];
    while start.elapsed() < phases.end {
        if !broken && start.elapsed() >= phases.fault {
            broken = true;
            visitors.iter().for_each(Visitors::meet_the_fault);
        }
        if !mended && start.elapsed() >= phases.mended {
            mended = true;
            visitors.iter().for_each(Visitors::go_on);
        }
        servers.publish();
        report.look(start.elapsed(), &prometheus);
        thread::sleep(Duration::from_secs(1));
    }
    let wrong = report.print(
        &cells,
        &visitors.iter().map(Visitors::count).collect::<Vec<_>>(),
    );
    match wrong {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
