//! `sse-probe check` and `sse-probe diff`.

use std::{
    io::{IsTerminal, stderr},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use sse_probe::{
    AttemptError, Checked, Progress, Target, check_with,
    checks::Software,
    compare::{self, DiffError},
    options::Options,
    report,
};
use tokio::time::Instant;

use super::{UNREACHABLE, ended, unreachable, usage};

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
    #[arg(long, value_name = "SOFTWARE")]
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

pub(crate) async fn check(args: CheckArgs) -> ExitCode {
    let target = match args.options.target(&args.url) {
        Ok(target) => target,
        Err(why) => return usage(&why),
    };
    let terminal = stderr().is_terminal();
    let begun = Instant::now();
    let deadline = args.options.timeout.map(|time| begun + time);
    let tell = |step: Progress<'_>| show(step, terminal);
    let silent = |_: Progress<'_>| {};
    let checked = check_with(target, deadline, if args.quiet { &silent } else { &tell }).await;
    if terminal && !args.quiet {
        anstream::eprint!("\r\x1b[K");
    }
    match form(&args, &checked, begun) {
        Ok(text) => anstream::print!("{text}"),
        Err(why) => return usage(&why),
    }
    match checked {
        Ok(report) => ended(report.passed),
        Err(why) => {
            anstream::eprintln!("sse-probe: {}: {why}", args.url);
            let held_back = matches!(why, AttemptError::HeldBack(_));
            if held_back {
                ended(false)
            } else {
                ExitCode::from(UNREACHABLE)
            }
        }
    }
}

fn form(args: &CheckArgs, checked: &Checked, begun: Instant) -> Result<String, String> {
    let took = begun.elapsed();
    // A query may hold a token.
    let url = args.url.split(['?', '#']).next().unwrap_or_default();
    Ok(match args.format {
        Format::Human => match checked {
            Ok(report) => report::human(report, chosen(&args.proxy, &report.software)),
            Err(_) => String::new(),
        },
        Format::Json => format!("{:#}\n", report::json(url, checked, args.options.profile)),
        Format::Junit => report::junit(url, checked, took),
        Format::Github => report::github(url, checked),
        Format::Prom => {
            let mut metrics = report::Metrics::default();
            metrics.add(checked, took);
            metrics.text(Vec::new()).map_err(|why| why.to_string())?
        }
    })
}

/// The software to show remedies for: what the user wants, or what shows itself.
fn chosen<'a>(wanted: &'a [Software], seen: &'a [Software]) -> &'a [Software] {
    if wanted.is_empty() { seen } else { wanted }
}

/// Shows progress on the error output: in place on a terminal, every ten seconds elsewhere.
fn show(step: Progress<'_>, terminal: bool) {
    match step {
        Progress::Asking(what) if terminal => anstream::eprint!("\r\x1b[K… asking: {what}"),
        Progress::Holding { held, of } => {
            let (held, of) = (held.as_secs(), of.as_secs());
            if terminal {
                anstream::eprint!("\r\x1b[K… held for {held} s of {of} s");
            } else if held.is_multiple_of(10) {
                anstream::eprintln!("held for {held} s of {of} s");
            }
        }
        _ => {}
    }
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The stream's URL at the application.
    direct: String,

    /// The stream's URL through the proxies or the CDN.
    public: String,

    #[command(flatten)]
    options: Options,

    /// The `Host` of requests to the application, if it wants the public one.
    #[arg(long, value_name = "HOST")]
    host_direct: Option<String>,

    /// The `Host` of requests to the public URL.
    #[arg(long, value_name = "HOST")]
    host_public: Option<String>,

    /// As --resolve, for the application only; may be repeated.
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve_direct: Vec<String>,

    /// As --resolve, for the public URL only; may be repeated.
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve_public: Vec<String>,

    /// The form of the report.
    #[arg(long, value_enum, default_value_t = DiffFormat::Human)]
    format: DiffFormat,

    /// Show remedies for this software only; may be repeated.
    #[arg(long, value_name = "SOFTWARE")]
    proxy: Vec<Software>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DiffFormat {
    Human,
    Json,
    Github,
}

pub(crate) async fn diff(args: DiffArgs) -> ExitCode {
    let side = |url: &str, host: &Option<String>, resolve: &[String]| -> Result<Target, String> {
        let mut options = args.options.clone();
        let host = host.iter().map(|host| format!("Host: {host}"));
        options.headers.extend(host);
        options.resolve.extend_from_slice(resolve);
        options.target(url)
    };
    let direct = side(&args.direct, &args.host_direct, &args.resolve_direct);
    let public = side(&args.public, &args.host_public, &args.resolve_public);
    let (direct, public) = match (direct, public) {
        (Ok(direct), Ok(public)) => (direct, public),
        (Err(why), _) | (_, Err(why)) => return usage(&why),
    };
    let report = match compare::compare(&direct, &public).await {
        Ok(report) => report,
        Err(why @ DiffError::Public(_)) => return unreachable(&args.public, &why),
        Err(why) => return unreachable(&args.direct, &why),
    };
    match args.format {
        DiffFormat::Human => {
            let software = chosen(&args.proxy, &report.software);
            anstream::print!("{}", compare::human(&report, software));
        }
        DiffFormat::Json => match serde_json::to_string_pretty(&report) {
            Ok(json) => anstream::println!("{json}"),
            Err(why) => return usage(&why),
        },
        DiffFormat::Github => anstream::print!("{}", compare::github(&report)),
    }
    ended(report.passed)
}
