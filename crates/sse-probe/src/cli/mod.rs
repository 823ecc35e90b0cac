//! Arguments, and what each command prints and returns.

pub(crate) mod check;
mod common;
pub(crate) mod diff;
pub(crate) mod tail;
pub(crate) mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Compare a stream at the application and through proxies or a CDN, and name the hop's fault.
    Diff(Box<diff::DiffArgs>),
    /// Probe targets again and again, and export what is seen for Prometheus.
    Watch(watch::WatchArgs),
    /// Follow a stream, reconnecting as a browser does.
    Tail(Box<tail::TailArgs>),
}

/// Everything is as it should be.
pub(crate) const GOOD: u8 = 0;
/// Something was found.
pub(crate) const FINDINGS: u8 = 1;
/// What was asked for cannot be done.
pub(crate) const USAGE: u8 = 2;
/// The target gave no reply.
pub(crate) const UNREACHABLE: u8 = 3;

/// Says what is wrong with what was asked for.
pub(crate) fn usage(why: &impl std::fmt::Display) -> ExitCode {
    anstream::eprintln!("sse-probe: {why}");
    ExitCode::from(USAGE)
}

/// Says what is wrong with a target that was reached, but gave nothing to report on.
pub(crate) fn found(url: &str, what: &impl std::fmt::Display) -> ExitCode {
    anstream::eprintln!("sse-probe: {url}: {what}");
    ExitCode::from(FINDINGS)
}

/// Says why there is no reply.
pub(crate) fn unreachable(url: &str, why: &impl std::fmt::Display) -> ExitCode {
    anstream::eprintln!("sse-probe: {url}: {why}");
    ExitCode::from(UNREACHABLE)
}
