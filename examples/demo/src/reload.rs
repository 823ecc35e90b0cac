//! The section `[policy]` of the configuration, read again on SIGHUP.

use actix_web::rt;
use actix_web_sse::{Policy, config::ConfigError, protect::RemovedOrigins};
use tokio::signal::unix::{SignalKind, signal};

use crate::{cli::Cli, config::Config, failure::Failure, page::Page, tour};

/// Reads the policy again whenever the process gets SIGHUP: with the same origins, hosts and limits
/// nothing happens; streams of origins that are gone end. A configuration that is wrong is logged,
/// fault by fault, and changes nothing. The tour's policy, if there is one, follows. The other sections are
/// read when the demo starts.
///
/// # Errors
/// When signals cannot be received.
pub(crate) fn on_hangup(
    cli: Cli,
    policy: Policy,
    tours: Option<Policy>,
    page: Page,
) -> std::io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    rt::spawn(async move {
        while hangups.recv().await.is_some() {
            match reload(&cli, &policy, tours.as_ref()) {
                Ok(config) => {
                    page.allow(&config.policy.origins.allow);
                    let origins = config.policy.origins.allow.len();
                    tracing::info!(origins, "the policy was read again");
                }
                Err(faults) => {
                    for fault in faults {
                        tracing::error!(fault, "the policy stays as it was");
                    }
                }
            }
        }
    });
    Ok(())
}

fn reload(cli: &Cli, policy: &Policy, tours: Option<&Policy>) -> Result<Config, Vec<String>> {
    let (source, text) = cli.source().map_err(|failure| lines(&failure))?;
    let config = Config::parse(&source, &text).map_err(|failure| lines(&failure))?;
    let named = |error: ConfigError| -> Vec<String> {
        let faults = error.faults().iter();
        faults.map(|fault| format!("{source}: {fault}")).collect()
    };
    let changed = policy.reconfigure(&config.policy, RemovedOrigins::EndStreams);
    changed.map_err(named)?;
    if let Some(tours) = tours {
        let changed = tours.reconfigure(&tour::policy(&config.policy), RemovedOrigins::EndStreams);
        changed.map_err(named)?;
    }
    Ok(config)
}

fn lines(failure: &Failure) -> Vec<String> {
    failure.to_string().lines().map(str::to_owned).collect()
}
