//! `sse-probe diff`.

use std::process::ExitCode;

use clap::{ArgAction, Args, ValueEnum};
use sse_probe::{
    Target,
    checks::Software,
    compare::{self, DiffError},
    options::Options,
};

use super::{FINDINGS, GOOD, unreachable, usage};

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
    #[arg(long, value_name = "HOST:PORT:ADDRESS", action = ArgAction::Append)]
    resolve_direct: Vec<String>,

    /// As --resolve, for the public URL only; may be repeated.
    #[arg(long, value_name = "HOST:PORT:ADDRESS", action = ArgAction::Append)]
    resolve_public: Vec<String>,

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
    Github,
}

pub(crate) async fn run(args: DiffArgs) -> ExitCode {
    let side = |url: &str, host: &Option<String>, resolve: &[String]| -> Result<Target, String> {
        let mut options = args.options.clone();
        options
            .headers
            .extend(host.iter().map(|host| format!("Host: {host}")));
        options.resolve.extend_from_slice(resolve);
        options.target(url)
    };
    let targets = side(&args.direct, &args.host_direct, &args.resolve_direct).and_then(|direct| {
        let public = side(&args.public, &args.host_public, &args.resolve_public)?;
        Ok((direct, public))
    });
    let (direct, public) = match targets {
        Ok(targets) => targets,
        Err(why) => return usage(&why),
    };
    let profile = args.options.profile;
    match compare::compare(&direct, &public).await {
        Ok(report) => {
            let software = if args.proxy.is_empty() {
                &report.software
            } else {
                &args.proxy
            };
            match args.format {
                Format::Human => {
                    anstream::print!("{}", compare::human(&report, profile, software));
                }
                Format::Json => anstream::println!("{:#}", compare::json(&report, profile)),
                Format::Github => anstream::print!("{}", compare::github(&report, profile)),
            }
            ExitCode::from(if report.passes(profile) {
                GOOD
            } else {
                FINDINGS
            })
        }
        Err(why @ DiffError::Public(_)) => unreachable(&args.public, &why),
        Err(why) => unreachable(&args.direct, &why),
    }
}
