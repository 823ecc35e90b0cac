//! `sse-probe check`.

use std::{io::IsTerminal, process::ExitCode};

use clap::{Args, ValueEnum};
use sse_probe::{
    AttemptError, Checked, Progress, check_with, checks::Software, options::Options, report,
};
use tokio::time::Instant;

use super::{FINDINGS, GOOD, UNREACHABLE, usage};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The stream's URL.
    url: String,

    #[command(flatten)]
    options: Options,

    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// Show remedies for this software only (actix, nginx, HAProxy, Caddy, Apache, Varnish, CDN); may be repeated.
    #[arg(long, value_name = "SOFTWARE", action = clap::ArgAction::Append)]
    proxy: Vec<Software>,

    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
    Junit,
    Github,
    Prom,
}

pub(crate) async fn run(args: CheckArgs) -> ExitCode {
    let target = match args.options.target(&args.url) {
        Ok(target) => target,
        Err(why) => return usage(&why),
    };
    let profile = args.options.profile;
    let progress = Reporter::new(args.quiet);
    let begun = Instant::now();
    let deadline = args.options.timeout.map(|time| begun + time);
    let checked = check_with(target, deadline, &|step| progress.show(step)).await;
    progress.done();
    let text = match form(&args, &checked, begun) {
        Ok(text) => text,
        Err(why) => return usage(&why),
    };
    anstream::print!("{text}");
    ExitCode::from(match checked {
        Ok(report) if report.passes(profile) => GOOD,
        Ok(_) => FINDINGS,
        Err(why) => {
            anstream::eprintln!("sse-probe: {}: {why}", args.url);
            match why {
                AttemptError::HeldBack(_) => FINDINGS,
                _ => UNREACHABLE,
            }
        }
    })
}

fn form(args: &CheckArgs, checked: &Checked, begun: Instant) -> Result<String, String> {
    let profile = args.options.profile;
    let took = begun.elapsed();
    // A query may hold a token.
    let url = args.url.split(['?', '#']).next().unwrap_or_default();
    Ok(match args.format {
        Format::Human => match checked {
            Ok(report) if args.proxy.is_empty() => report::human(report, profile, &report.software),
            Ok(report) => report::human(report, profile, &args.proxy),
            Err(_) => String::new(),
        },
        Format::Json => format!("{:#}\n", report::json(url, checked, profile)),
        Format::Junit => report::junit(url, checked, took, profile),
        Format::Github => report::github(url, checked, profile),
        Format::Prom => report::prom(checked, profile, took).map_err(|e| e.to_string())?,
    })
}

/// Shows progress on the error output: in place on a terminal, every ten seconds elsewhere.
struct Reporter {
    quiet: bool,
    terminal: bool,
}

impl Reporter {
    fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn show(&self, step: Progress<'_>) {
        if self.quiet {
            return;
        }
        match (step, self.terminal) {
            (Progress::Asking(what), true) => anstream::eprint!("\r\x1b[K… asking: {what}"),
            (Progress::Holding { held, of }, true) => {
                let (held, of) = (held.as_secs(), of.as_secs());
                anstream::eprint!("\r\x1b[K… held for {held} s of {of} s");
            }
            (Progress::Holding { held, of }, false) if held.as_secs().is_multiple_of(10) => {
                anstream::eprintln!("held for {} s of {} s", held.as_secs(), of.as_secs());
            }
            _ => {}
        }
    }

    fn done(&self) {
        if self.terminal && !self.quiet {
            anstream::eprint!("\r\x1b[K");
        }
    }
}
