//! `sse-probe check` and `sse-probe diff`.

use std::io::{IsTerminal, stderr};

use clap::{Args, ValueEnum};
use tokio::time::Instant;

use super::{Ended, FOUND, Failed, UNREACHABLE};
use crate::{
    checks::Software,
    compare::{self, DiffError},
    http::AttemptError,
    observe::Progress,
    options::Options,
    report::{self, Checked, check_with, without_query},
    target::Target,
};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
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

pub(super) async fn check(args: CheckArgs) -> Ended {
    let target = args.options.target(&args.url)?;
    let terminal = stderr().is_terminal();
    let begun = Instant::now();
    let deadline = args.options.timeout.map(|time| begun + time);
    let tell = |step: Progress<'_>| {
        if !args.quiet {
            show(step, terminal);
        }
    };
    let checked = check_with(target, deadline, &tell).await;
    if terminal && !args.quiet {
        anstream::eprint!("\r\x1b[K");
    }
    anstream::print!("{}", form(&args, &checked, begun)?);
    let why = match checked {
        Ok(report) => return Ok(report.passed),
        Err(why) => why,
    };
    let held_back = matches!(why, AttemptError::HeldBack(_));
    let code = if held_back { FOUND } else { UNREACHABLE };
    Err(Failed(code, format!("{}: {why}", without_query(&args.url))))
}

fn form(args: &CheckArgs, checked: &Checked, begun: Instant) -> Result<String, String> {
    let took = begun.elapsed();
    let url = without_query(&args.url);
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
            metrics.text(Vec::new())?
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
        Progress::Holding(held, of) => {
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
pub(super) struct DiffArgs {
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

pub(super) async fn diff(args: DiffArgs) -> Ended {
    let side = |url: &str, host: &Option<String>, resolve: &[String]| -> Result<Target, String> {
        let mut options = args.options.clone();
        let host = host.iter().map(|host| format!("Host: {host}"));
        options.headers.extend(host);
        options.resolve.extend_from_slice(resolve);
        options.target(url)
    };
    let direct = side(&args.direct, &args.host_direct, &args.resolve_direct)?;
    let public = side(&args.public, &args.host_public, &args.resolve_public)?;
    let report = match compare::compare(&direct, &public).await {
        Ok(report) => report,
        Err(why) => {
            let [direct, public] = [&args.direct, &args.public].map(|url| without_query(url));
            let at_public = matches!(why, DiffError::Public(_));
            let url = if at_public { public } else { direct };
            let text = match args.format {
                DiffFormat::Human => String::new(),
                DiffFormat::Json => {
                    let json = compare::unmade(direct, public, args.options.profile, &why);
                    format!("{json:#}\n")
                }
                DiffFormat::Github => {
                    report::annotate(true, &format!("sse-probe diff: {url}"), &why.to_string())
                }
            };
            anstream::print!("{text}");
            return Err(Failed(UNREACHABLE, format!("{url}: {why}")));
        }
    };
    let software = chosen(&args.proxy, &report.software);
    let text = match args.format {
        DiffFormat::Human => compare::human(&report, software),
        // A report always serialises.
        DiffFormat::Json => serde_json::to_string_pretty(&report).unwrap_or_default() + "\n",
        DiffFormat::Github => compare::github(&report),
    };
    anstream::print!("{text}");
    Ok(report.passed)
}
