//! `sse-probe check`.

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use clap::{ArgAction, Args, ValueEnum};
use sse_probe::{
    AttemptError, CheckReport, Level, Progress, Target,
    advice::Software,
    check_with,
    report::{self, Seen},
};

use super::{
    FINDINGS, GOOD,
    common::{Complaint, ConnectArgs, WhoArgs, target},
    found, unreachable, usage,
};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The stream's URL.
    url: String,

    #[command(flatten)]
    who: WhoArgs,

    #[command(flatten)]
    connect: ConnectArgs,

    /// An origin that must be kept out, besides those that are always tried; may be repeated.
    #[arg(long, value_name = "ORIGIN", action = ArgAction::Append)]
    deny_origin: Vec<String>,

    /// What must be so: heartbeat=20s, first-byte=1s, first-event=5s, event, http2, resume, auth, public,
    /// certificate=14days, "header=Name: value"; may be repeated.
    #[arg(long, value_name = "WHAT", action = ArgAction::Append)]
    expect: Vec<String>,

    /// How long the stream must live.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = humantime::parse_duration)]
    hold: Duration,

    /// Run only this check; may be repeated.
    #[arg(long, value_name = "CHECK", action = ArgAction::Append)]
    only: Vec<String>,

    /// Leave this check out; may be repeated.
    #[arg(long, value_name = "CHECK", action = ArgAction::Append)]
    skip: Vec<String>,

    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// The least level for which the exit code is 1.
    #[arg(long, value_enum, default_value_t = FailOn::Warning)]
    fail_on: FailOn,

    /// Show remedies for this software only (actix, nginx, HAProxy, Caddy, Apache, Varnish, CDN); may be repeated.
    #[arg(long, value_name = "SOFTWARE", action = ArgAction::Append)]
    proxy: Vec<Software>,

    /// No progress.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Human,
    Json,
    Junit,
    Prom,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum FailOn {
    Note,
    Warning,
    Fault,
}

impl From<FailOn> for Level {
    fn from(on: FailOn) -> Self {
        match on {
            FailOn::Note => Self::Note,
            FailOn::Warning => Self::Warning,
            FailOn::Fault => Self::Fault,
        }
    }
}

pub(crate) async fn run(args: CheckArgs) -> ExitCode {
    let target = match build(&args) {
        Ok(target) => target,
        Err(why) => return usage(&why),
    };
    let progress = Reporter::new(args.quiet);
    let begun = std::time::Instant::now();
    let result = check_with(target, &|step| progress.tell(step)).await;
    progress.done();
    let fail_on = args.fail_on.into();
    match result {
        Ok(report) => {
            let clean = report.is_clean_of(fail_on);
            if let Err(why) = print(&report, &args, clean, fail_on) {
                return usage(&why);
            }
            ExitCode::from(if clean { GOOD } else { FINDINGS })
        }
        Err(why) => {
            let held_back = matches!(why, AttemptError::HeldBack(_));
            let result = Err(why);
            if args.format == Format::Prom
                && let Ok(text) = report::prom((&result).into(), false, begun.elapsed())
            {
                anstream::print!("{text}");
            }
            match result {
                Err(why) if held_back => found(&args.url, &why),
                Err(why) => unreachable(&args.url, &why),
                Ok(_) => ExitCode::from(GOOD),
            }
        }
    }
}

fn build(args: &CheckArgs) -> Result<Target, Complaint> {
    let mut target = target(&args.url, &args.who, &args.connect)?.hold(args.hold);
    for origin in &args.deny_origin {
        target = target.deny_origin(origin).map_err(|e| e.to_string())?;
    }
    for expectation in &args.expect {
        target = target.expect(
            expectation
                .parse()
                .map_err(|e: sse_probe::TargetError| e.to_string())?,
        );
    }
    for check in &args.only {
        target = target.only(check).map_err(|e| e.to_string())?;
    }
    for check in &args.skip {
        target = target.skip(check).map_err(|e| e.to_string())?;
    }
    target.validate().map_err(|e| e.to_string())?;
    Ok(target)
}

fn print(
    report: &CheckReport,
    args: &CheckArgs,
    clean: bool,
    fail_on: Level,
) -> Result<(), Complaint> {
    let text = match args.format {
        Format::Human => report::human(
            report,
            if args.proxy.is_empty() {
                &report.software
            } else {
                &args.proxy
            },
        ),
        Format::Json => format!("{:#}\n", report::json(report)),
        Format::Junit => report::junit(report, fail_on),
        Format::Prom => {
            report::prom(Seen::Report(report), clean, report.took).map_err(|e| e.to_string())?
        }
    };
    anstream::print!("{text}");
    Ok(())
}

/// Tells of progress on the error output: in place on a terminal, every ten seconds elsewhere.
pub(super) struct Reporter {
    quiet: bool,
    terminal: bool,
}

impl Reporter {
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn tell(&self, step: Progress<'_>) {
        if self.quiet {
            return;
        }
        match (step, self.terminal) {
            (Progress::Asking(what), true) => anstream::eprint!("\r\x1b[K… asking: {what}"),
            (Progress::Holding { held, of }, true) => {
                anstream::eprint!(
                    "\r\x1b[K… held for {} s of {} s",
                    held.as_secs(),
                    of.as_secs()
                );
            }
            (Progress::Holding { held, of }, false) if held.as_secs().is_multiple_of(10) => {
                anstream::eprintln!("held for {} s of {} s", held.as_secs(), of.as_secs());
            }
            _ => {}
        }
    }

    pub(super) fn done(&self) {
        if self.terminal && !self.quiet {
            anstream::eprint!("\r\x1b[K");
        }
    }
}
