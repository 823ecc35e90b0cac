//! `sse-probe watch`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Args;
use sse_probe::watch::{Config, Exporter};
use tokio::signal::unix::{SignalKind, signal};

use super::{GOOD, usage};

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The targets and modules, in TOML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Listen here, whatever the file says.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Judge the file, and do nothing else.
    #[arg(long)]
    check_config: bool,
}

pub(crate) async fn run(args: WatchArgs) -> ExitCode {
    let mut config = match Config::read(&args.config) {
        Ok(config) => config,
        Err(why) => return usage(&why),
    };
    if args.check_config {
        anstream::println!(
            "{} modules, {} targets",
            config.modules.len(),
            config.targets.len()
        );
        return ExitCode::from(GOOD);
    }
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    let listen = config.listen;
    let exporter = match Exporter::bind(config).await {
        Ok(exporter) => exporter,
        Err(why) => return usage(&format!("{listen}: {why}")),
    };
    match exporter.local_addr() {
        Ok(address) => anstream::eprintln!("listening on {address}"),
        Err(why) => return usage(&why),
    }
    exporter.run(stopped()).await;
    ExitCode::from(GOOD)
}

/// SIGTERM or SIGINT.
async fn stopped() {
    let mut term = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut term {
            Some(term) => {
                term.recv().await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
