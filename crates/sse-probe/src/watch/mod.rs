//! An exporter: probes targets again and again, and others when Prometheus asks.
//!
//! `/metrics` has the last result of each target of the configuration, with the label `instance` (scrape it with
//! `honor_labels: true`). `/probe?target=URL&module=NAME` probes at once, as blackbox_exporter does, and its metrics have
//! no such label. The metrics are those of the catalogue; what was not seen has no sample.
//!
//! ```toml
//! listen = "127.0.0.1:9465"
//! interval = "1m"
//! concurrency = 4
//!
//! [modules.app]
//! origin = "https://app.example.com"
//! credentials = true
//! bearer_file = "/run/secrets/probe-token"
//! hosts = ["api.example.com"]
//! hold = "10s"
//!
//! [[targets]]
//! url = "https://api.example.com/events"
//! module = "app"
//! ```

mod config;
mod module;
mod respond;
mod rounds;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

pub use self::{
    config::{Config, ConfigError, StaticTarget},
    module::{FailOn, Module},
};
use crate::{AttemptError, CheckReport};

/// Connections of scrapers at one time.
const CONNECTIONS: usize = 64;

/// How long a scraper may take to send its request.
const PATIENCE: Duration = Duration::from_secs(5);

/// A bound exporter.
#[derive(Debug)]
pub struct Exporter {
    listener: TcpListener,
    state: Arc<State>,
}

/// What rounds and scrapes share.
#[derive(Debug)]
struct State {
    config: Config,
    /// Probes under way.
    probes: Semaphore,
    /// The last result of each static target, in their order.
    results: Mutex<Vec<Option<Arc<Probed>>>>,
}

/// A probe and its result.
#[derive(Debug)]
struct Probed {
    result: Result<CheckReport, AttemptError>,
    success: bool,
    took: Duration,
    /// When it ended.
    at: SystemTime,
}

impl Exporter {
    /// Listens where the configuration says.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub async fn bind(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let state = Arc::new(State {
            probes: Semaphore::new(config.concurrency),
            results: Mutex::new(config.targets.iter().map(|_| None).collect()),
            config,
        });
        Ok(Self { listener, state })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Probes and answers until `shutdown` is done.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        for index in 0..self.state.config.targets.len() {
            tasks.spawn(rounds::forever(Arc::clone(&self.state), index));
        }
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let mut scrapes = JoinSet::new();
        let accept = async {
            loop {
                // Further scrapers wait in the backlog.
                let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
                    return;
                };
                let Ok((socket, _)) = self.listener.accept().await else {
                    // Out of descriptors: nothing to do but to let others finish.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let state = Arc::clone(&self.state);
                while scrapes.try_join_next().is_some() {}
                scrapes.spawn(async move {
                    let service =
                        service_fn(move |request| respond::respond(Arc::clone(&state), request));
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(PATIENCE)
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(socket), service);
                    // A scraper that goes away is no concern.
                    connection.await.ok();
                    drop(permit);
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = shutdown => {}
        }
    }
}

impl State {
    fn results(&self) -> std::sync::MutexGuard<'_, Vec<Option<Arc<Probed>>>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
