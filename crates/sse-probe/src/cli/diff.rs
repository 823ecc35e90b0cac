//! `sse-probe diff`.

use std::{process::ExitCode, time::Duration};

use clap::{ArgAction, Args, ValueEnum};
use sse_probe::{
    Level,
    advice::Software,
    diff::{self, DiffError},
};

use super::{
    FINDINGS, GOOD,
    common::{ConnectArgs, WhoArgs, target},
    unreachable, usage,
};

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The stream's URL at the application.
    direct: String,

    /// The stream's URL through the proxies or the CDN.
    public: String,

    #[command(flatten)]
    who: WhoArgs,

    #[command(flatten)]
    connect: ConnectArgs,

    /// How long both are watched. Longer than two heartbeats, or buffers and idle timeouts stay unseen.
    #[arg(long = "for", value_name = "TIME", default_value = "35s", value_parser = humantime::parse_duration)]
    time: Duration,

    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// Show remedies for this software only; may be repeated.
    #[arg(long, value_name = "SOFTWARE", action = ArgAction::Append)]
    proxy: Vec<Software>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

pub(crate) async fn run(args: DiffArgs) -> ExitCode {
    let targets = target(&args.direct, &args.who, &args.connect)
        .and_then(|direct| Ok((direct, target(&args.public, &args.who, &args.connect)?)));
    let (direct, public) = match targets {
        Ok((direct, public)) => (direct.hold(args.time), public.hold(args.time)),
        Err(why) => return usage(&why),
    };
    match diff::compare(&direct, &public).await {
        Ok(report) => {
            let software = if args.proxy.is_empty() {
                &report.software
            } else {
                &args.proxy
            };
            match args.format {
                Format::Human => anstream::print!("{}", diff::human(&report, software)),
                Format::Json => anstream::println!("{:#}", diff::json(&report)),
            }
            let clean = report.is_clean_of(Level::Warning);
            ExitCode::from(if clean { GOOD } else { FINDINGS })
        }
        Err(why @ DiffError::Public(_)) => unreachable(&args.public, &why),
        Err(why) => unreachable(&args.direct, &why),
    }
}
