//! Arguments, and what each command prints and returns.

pub(crate) mod check;
pub(crate) mod closes;
pub(crate) mod tail;
pub(crate) mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Checks, compares, watches and follows Server-Sent-Events endpoints, as a browser would judge them.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 good, 1 findings, 2 wrong usage, 3 unreachable."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
pub(crate) fn parse() -> Cli {
    let hide = |command: clap::Command, names: &[&'static str]| {
        names.iter().fold(command, |command, name| {
            command.mut_arg(*name, |argument| argument.hide(true))
        })
    };
    let command = Cli::command()
        .mut_subcommand("diff", |diff| hide(diff, &OF_CHECK))
        .mut_subcommand("tail", |tail| {
            hide(hide(tail, &OF_CHECK), &["profile", "hold"])
        })
        .mut_subcommand("closes", |closes| {
            hide(hide(closes, &OF_CHECK), &["profile", "hold"])
        });
    match Cli::from_arg_matches(&command.get_matches()) {
        Ok(cli) => cli,
        Err(why) => why.exit(),
    }
}

/// The target gave no reply.
pub(crate) const UNREACHABLE: u8 = 3;

/// 0 if everything is as it should be, 1 if something was found.
pub(crate) fn ended(good: bool) -> ExitCode {
    ExitCode::from(u8::from(!good))
}

/// Says what is wrong with what was asked for.
pub(crate) fn usage(why: &impl std::fmt::Display) -> ExitCode {
    anstream::eprintln!("sse-probe: {why}");
    ExitCode::from(2)
}

/// Says why there is no reply.
pub(crate) fn unreachable(url: &str, why: &impl std::fmt::Display) -> ExitCode {
    anstream::eprintln!("sse-probe: {url}: {why}");
    ExitCode::from(UNREACHABLE)
}
