//! An exporter: probes targets again and again, and others when Prometheus asks.
//!
//! `/metrics` has the last result of each target of the configuration, with the label `instance` (scrape it with
//! `honor_labels: true`). `/probe?target=URL&module=NAME` probes at once, as blackbox_exporter does, and its metrics have
//! no such label; with `debug=true` it answers with the whole report. `/` lists the last probes. The metrics are those of
//! the catalogue; what was not seen has no sample.
//!
//! ```toml
//! listen = "127.0.0.1:9465"
//! interval = "1m"
//!
//! [modules.app]
//! origin = "https://app.example.com"
//! credentials = true
//! bearer_file = "/run/secrets/probe-token"
//! target_origins = ["https://api.example.com"]
//!
//! [[targets]]
//! url = "https://api.example.com/events"
//! module = "app"
//! ```
//!
//! The file is read again on SIGHUP and on `POST /-/reload`. One that is wrong is refused, and the old one stays.

mod config;
mod pages;
mod probes;
mod respond;
mod web;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Gauge, GaugeVec, Opts, Registry, process_collector::ProcessCollector};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use self::{config::Loaded, probes::Probed};
pub use self::{
    config::{Config, ConfigError, StaticTarget},
    web::WebConfig,
};

/// Connections of scrapers at one time.
const CONNECTIONS: usize = 256;

/// How long a scraper may take for the TLS handshake, and to send its request.
const PATIENCE: Duration = Duration::from_secs(5);

/// Probes that are kept for the page.
const HISTORY: usize = 100;

/// A bound exporter.
#[derive(Debug)]
pub struct Exporter {
    listener: TcpListener,
    state: Arc<State>,
}

/// Reads the configuration of a running exporter again.
#[derive(Debug, Clone)]
pub struct Reloader(Arc<State>);

/// What rounds and scrapes share.
#[derive(Debug)]
struct State {
    source: Option<PathBuf>,
    loaded: watch::Sender<Arc<Loaded>>,
    web: Mutex<Arc<WebConfig>>,
    /// Rounds under way.
    rounds: Semaphore,
    /// Probes on demand under way. They do not take the places of rounds.
    on_demand: Semaphore,
    /// The last result of each static target, by instance.
    results: Mutex<HashMap<String, Arc<Probed>>>,
    /// The last probes, the newest first.
    history: Mutex<VecDeque<Arc<Probed>>>,
    own: Own,
}

/// The exporter's own metrics.
#[derive(Debug)]
struct Own {
    registry: Registry,
    reload_succeeded: Gauge,
    reload_time: Gauge,
}

impl Exporter {
    /// Listens where the configuration says.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or something is wrong with the configuration.
    pub async fn bind(config: Config) -> io::Result<Self> {
        Self::bind_with(config, None, WebConfig::default()).await
    }

    /// The same; the configuration can be read again from `source`, and who may ask is said by `web`.
    ///
    /// # Errors
    ///
    /// As for [`Exporter::bind`].
    pub async fn bind_with(
        config: Config,
        source: Option<&Path>,
        web: WebConfig,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let loaded = Loaded::new(config).map_err(io::Error::other)?;
        let own = Own::new().map_err(io::Error::other)?;
        own.reloaded(true);
        let state = Arc::new(State {
            source: source.map(Path::to_owned),
            rounds: Semaphore::new(loaded.config.concurrency),
            on_demand: Semaphore::new(loaded.config.probe_concurrency),
            loaded: watch::Sender::new(Arc::new(loaded)),
            web: Mutex::new(Arc::new(web)),
            results: Mutex::default(),
            history: Mutex::default(),
            own,
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

    /// What reads its configuration again.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader(Arc::clone(&self.state))
    }

    /// Probes and answers until `shutdown` is done.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let rounds = async {
            let mut loaded = self.state.loaded.subscribe();
            loop {
                let current = Arc::clone(&loaded.borrow_and_update());
                // Rounds of an older configuration end with the set.
                let mut tasks = JoinSet::new();
                for index in 0..current.config.targets.len() {
                    let (state, current) = (Arc::clone(&self.state), Arc::clone(&current));
                    tasks.spawn(probes::forever(state, current, index));
                }
                if loaded.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = rounds => {}
            () = accept(&self.listener, &self.state) => {}
            () = shutdown => {}
        }
    }
}

async fn accept(listener: &TcpListener, state: &Arc<State>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut scrapes = JoinSet::new();
    loop {
        // Further scrapers wait in the backlog.
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let Ok((socket, _)) = listener.accept().await else {
            // Out of descriptors: nothing to do but to let others finish.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let state = Arc::clone(state);
        while scrapes.try_join_next().is_some() {}
        scrapes.spawn(async move {
            serve(&state, socket).await;
            drop(permit);
        });
    }
}

async fn serve(state: &Arc<State>, socket: TcpStream) {
    let web = state.web();
    let service = service_fn(|request| respond::respond(Arc::clone(state), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false);
    // A scraper that goes away is no concern.
    match web.acceptor() {
        None => {
            http.serve_connection(TokioIo::new(socket), service)
                .await
                .ok();
        }
        Some(acceptor) => {
            let accepted = tokio::time::timeout(PATIENCE, acceptor.accept(socket)).await;
            if let Ok(Ok(socket)) = accepted {
                http.serve_connection(TokioIo::new(socket), service)
                    .await
                    .ok();
            }
        }
    }
}

impl Reloader {
    /// Reads the file again. On failure the old configuration stays.
    ///
    /// # Errors
    ///
    /// The exporter was made without a file, or the file is wrong: all faults at once.
    pub fn reload(&self) -> Result<(), ConfigError> {
        self.0.reload()
    }
}

impl State {
    fn reload(&self) -> Result<(), ConfigError> {
        let result = self.try_reload();
        self.own.reloaded(result.is_ok());
        match &result {
            Ok(()) => tracing::info!("the configuration was read again"),
            Err(why) => {
                tracing::error!(error = %why, "the configuration was not read again; the old one stays");
            }
        }
        result
    }

    fn try_reload(&self) -> Result<(), ConfigError> {
        let Some(source) = &self.source else {
            return Err(ConfigError::one("there is no file to read again"));
        };
        let config = Config::read(source)?;
        let web = self.web().read_again().map_err(ConfigError::one)?;
        let before = self.loaded.borrow().config.listen;
        if config.listen.port() != 0 && config.listen != before {
            tracing::warn!(listen = %config.listen, "a new `listen` counts after a restart only");
        }
        let loaded = Loaded::new(config)?;
        let instances: Vec<String> = loaded
            .config
            .targets
            .iter()
            .map(StaticTarget::instance)
            .collect();
        lock(&self.results).retain(|instance, _| instances.contains(instance));
        *lock(&self.web) = Arc::new(web);
        self.loaded.send_replace(Arc::new(loaded));
        Ok(())
    }

    fn web(&self) -> Arc<WebConfig> {
        Arc::clone(&lock(&self.web))
    }

    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.borrow())
    }
}

impl Own {
    fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let build = GaugeVec::new(
            Opts::new(
                "sse_probe_build_info",
                "1 with the version of the exporter.",
            ),
            &["version"],
        )?;
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        let reload_succeeded = Gauge::new(
            "sse_probe_config_last_reload_successful",
            "1 if the configuration was read the last time that it was tried.",
        )?;
        let reload_time = Gauge::new(
            "sse_probe_config_last_reload_success_timestamp_seconds",
            "When the configuration was read the last time, in Unix time.",
        )?;
        registry.register(Box::new(build))?;
        registry.register(Box::new(reload_succeeded.clone()))?;
        registry.register(Box::new(reload_time.clone()))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self {
            registry,
            reload_succeeded,
            reload_time,
        })
    }

    fn reloaded(&self, succeeded: bool) {
        self.reload_succeeded.set(f64::from(u8::from(succeeded)));
        if succeeded {
            self.reload_time.set(unix(SystemTime::now()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
