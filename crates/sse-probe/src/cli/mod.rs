//! Arguments, and what each command prints and returns.

mod check;
pub mod closes;
pub mod tail;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::runtime::Builder;

/// Checks, compares, watches and follows Server-Sent-Events endpoints, as a browser would judge them.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 good, 1 findings, 2 wrong usage, 3 unreachable."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge a stream: headers, CORS, authentication, delivery, format, resuming.
    Check(Box<check::CheckArgs>),
    /// Compare a stream at the application and through proxies or a CDN, and name what the hop does wrong.
    Diff(Box<check::DiffArgs>),
    /// Probe targets again and again, and export what is seen for Prometheus.
    Watch(watch::WatchArgs),
    /// Follow a stream, reconnecting as a browser does.
    Tail(Box<tail::TailArgs>),
    /// See how soon an application learns that a client has gone, by its metrics.
    Closes(Box<closes::ClosesArgs>),
}

/// Options that only a check can use.
#[rustfmt::skip]
const OF_CHECK: [&str; 11] = [
    "allow_origins", "deny_origins", "policy", "page", "expect", "only", "skip", "publish_url", "publish_body", "timeout",
    "follow_redirects",
];

/// Reads the command line. Wrong usage ends the process with 2, which is what clap does by itself.
fn parse() -> Cli {
    let hide = |command: clap::Command, names: &[&'static str]| {
        names.iter().fold(command, |command, name| {
            command.mut_arg(*name, |argument| argument.hide(true))
        })
    };
    let follows = |command| hide(hide(command, &OF_CHECK), &["profile", "hold"]);
    let command = Cli::command()
        .mut_subcommand("diff", |diff| hide(diff, &OF_CHECK))
        .mut_subcommand("tail", follows)
        .mut_subcommand("closes", follows);
    let cli = Cli::from_arg_matches(&command.get_matches());
    cli.unwrap_or_else(|why| why.exit())
}

/// What a command came to: whether everything is as it should be, or what kept it from being so.
type Ended = Result<bool, Failed>;

/// An exit code, and what is said with it.
#[derive(Debug)]
pub struct Failed(u8, String);

/// Something was found.
const FOUND: u8 = 1;

/// What was asked for cannot be done.
const USAGE: u8 = 2;

/// The target gave no reply.
const UNREACHABLE: u8 = 3;

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self(USAGE, why)
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    match run(parse().command) {
        Ok(good) => ExitCode::from(u8::from(!good)),
        Err(Failed(code, why)) => {
            anstream::eprintln!("sse-probe: {why}");
            ExitCode::from(code)
        }
    }
}

fn run(command: Command) -> Ended {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| format!("no runtime: {why}"))?;
    runtime.block_on(async {
        match command {
            Command::Check(args) => check::check(*args).await,
            Command::Diff(args) => check::diff(*args).await,
            Command::Watch(args) => watch::run(args).await,
            Command::Tail(args) => tail::run(*args).await,
            Command::Closes(args) => closes::run(*args).await,
        }
    })
}
