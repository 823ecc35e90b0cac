//! `sse-probe watch`.

use std::{io::IsTerminal as _, net::SocketAddr, path::PathBuf};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Ended;
use crate::exporter::{Config, Exporter, WebConfig};

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// The targets and modules, in TOML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Listen here, whatever the file says.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Serve TLS and ask for passwords as this file says, in the form that Prometheus' exporters have for it.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config_file: Option<PathBuf>,

    /// Judge the file, and do nothing else.
    #[arg(long)]
    check_config: bool,
}

pub(super) async fn run(args: WatchArgs) -> Ended {
    // First of all: a hangup before this would end the process.
    let hangups = signal(SignalKind::hangup());
    let mut config = Config::read(&args.config)?;
    let web = args.web_config_file.as_deref().map(WebConfig::read);
    let web = web.transpose()?.unwrap_or_default();
    if args.check_config {
        let (modules, targets) = (config.modules.len(), config.targets.len());
        anstream::println!("{modules} modules, {targets} targets");
        return Ok(true);
    }
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    let listen = config.listen;
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    let exporter = Exporter::bind_with(config, Some(&args.config), web).await;
    let exporter = exporter.map_err(|why| format!("{listen}: {why}"))?;
    let address = exporter.local_addr().map_err(|why| why.to_string())?;
    tracing::info!("listening on {address}");
    let reloads = tokio::spawn(reload_on_hangup(hangups, exporter.reloader()));
    exporter.run(stopped()).await;
    reloads.abort();
    Ok(true)
}

/// Reads the configuration again at each SIGHUP, which would end the process otherwise.
async fn reload_on_hangup(
    hangups: std::io::Result<Signal>,
    reload: impl Fn() -> Result<(), String>,
) {
    let Ok(mut hangups) = hangups else {
        return;
    };
    while hangups.recv().await.is_some() {
        // What is wrong is in the log; the old configuration stays.
        reload().ok();
    }
}

/// SIGTERM or SIGINT.
async fn stopped() {
    let Ok(mut term) = signal(SignalKind::terminate()) else {
        return tokio::signal::ctrl_c().await.unwrap_or_default();
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
