//! `sse-probe watch`.

use std::{io::IsTerminal as _, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Args;
use sse_probe::exporter::{Config, Exporter, Reloader, WebConfig};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ended, usage};

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
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

pub(crate) async fn run(args: WatchArgs) -> ExitCode {
    // First of all: a hangup before this would end the process.
    let hangups = signal(SignalKind::hangup());
    let mut config = match Config::read(&args.config) {
        Ok(config) => config,
        Err(why) => return usage(&why),
    };
    let web = match args.web_config_file.as_deref().map(WebConfig::read) {
        None => WebConfig::default(),
        Some(Ok(web)) => web,
        Some(Err(why)) => return usage(&why),
    };
    if args.check_config {
        anstream::println!(
            "{} modules, {} targets",
            config.modules.len(),
            config.targets.len()
        );
        return ended(true);
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
    let exporter = match Exporter::bind_with(config, Some(&args.config), web).await {
        Ok(exporter) => exporter,
        Err(why) => return usage(&format!("{listen}: {why}")),
    };
    match exporter.local_addr() {
        Ok(address) => tracing::info!("listening on {address}"),
        Err(why) => return usage(&why),
    }
    let reloads = tokio::spawn(reload_on_hangup(hangups, exporter.reloader()));
    exporter.run(stopped()).await;
    reloads.abort();
    ended(true)
}

/// Reads the configuration again at each SIGHUP, which would end the process otherwise.
async fn reload_on_hangup(hangups: std::io::Result<Signal>, reloader: Reloader) {
    let Ok(mut hangups) = hangups else {
        return;
    };
    while hangups.recv().await.is_some() {
        // What is wrong is in the log; the old configuration stays.
        reloader.reload().ok();
    }
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
