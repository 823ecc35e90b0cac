//! The whole of `actix-web-sse` in one configurable server, with a page to look at.
//!
//! ```text
//! cargo run --release -p demo                     # then look at http://localhost:8080
//! cargo run --release -p demo -- --config FILE    # TOML; --print-config shows the defaults
//! ```
//!
//! It prints where to look, one place a line, and `ready`. Log records go to standard error as
//! JSON lines, through a queue that drops lines when they are not read. What is wrong with the configuration, or prevents a listener, is reported in one
//! line each, and the exit code is 2. SIGTERM and SIGINT end every stream cleanly, then the
//! process. SIGHUP reads the section `[policy]` of the file again.

mod announce;
mod application;
mod backplane;
mod blueprint;
mod cli;
mod config;
mod failure;
mod listeners;
mod logs;
mod page;
mod reload;
mod routes;
mod serve;
mod sign_in;
mod ticker;
mod tls;
mod tour;

use std::process::ExitCode;

use clap::Parser;

use crate::{blueprint::Demo, cli::Cli, config::Config, failure::Failure, serve::serve};

/// Nothing runs: the arguments, the configuration or the machine are in the way.
const CANNOT_START: u8 = 2;

/// The program: reads the arguments, serves, and says how it went.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // --help and --version come here too, and are no errors.
            let code = if error.use_stderr() { CANNOT_START } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    if cli.print_config {
        print!("{}", config::DEFAULTS);
        return ExitCode::SUCCESS;
    }
    let log = logs::start();
    match prepare(&cli) {
        Ok(demo) => {
            demo.metrics.count_dropped(&log);
            match actix_web::rt::System::new().block_on(serve(demo, cli)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("demo: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        Err(failure) => {
            eprint!("{failure}");
            ExitCode::from(CANNOT_START)
        }
    }
}

fn prepare(cli: &Cli) -> Result<Demo, Failure> {
    let (source, text) = cli.source()?;
    Demo::build(&source, Config::parse(&source, &text)?)
}
