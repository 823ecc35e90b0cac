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
mod respond;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at},
};

pub use self::config::{Config, StaticTarget, WebConfig};
use crate::{
    browser::Origin,
    http::AttemptError,
    options::Options,
    report::{Checked, check_with, failure, shown_url},
};

/// Connections of scrapers at one time.
const CONNECTIONS: usize = 256;

/// How long a scraper may take for the TLS handshake, and to send its request.
const PATIENCE: Duration = Duration::from_secs(5);

/// Probes that are kept for the page.
const HISTORY: usize = 100;

/// What a probe in rounds may take beyond the time that the stream is held. The held stream is one of some twenty
/// exchanges; a target so slow that they take a minute more is not well.
const BEYOND_HOLD: Duration = Duration::from_secs(60);

/// What is left of the time for the answer.
const MARGIN: Duration = Duration::from_millis(250);

/// A bound exporter.
#[derive(Debug)]
pub struct Exporter {
    listener: TcpListener,
    state: Arc<State>,
}

/// What rounds and scrapes share.
#[derive(Debug)]
struct State {
    source: Option<PathBuf>,
    setup: watch::Sender<Arc<Setup>>,
    web: Mutex<Arc<WebConfig>>,
    /// The last result of each static target, by instance.
    results: Mutex<HashMap<String, Arc<Probed>>>,
    /// The last probes, the newest first.
    history: Mutex<VecDeque<Arc<Probed>>>,
    /// Whether the configuration was read the last time that it was tried, and when it was read last.
    reloaded: Mutex<(bool, SystemTime)>,
}

/// A configuration, and the places that it gives. Each reload makes a new one.
#[derive(Debug)]
struct Setup {
    config: Config,
    /// Rounds under way.
    rounds: Semaphore,
    /// Probes on demand under way. They do not take the places of rounds.
    on_demand: Semaphore,
}

impl From<Config> for Arc<Setup> {
    fn from(config: Config) -> Self {
        Self::new(Setup {
            rounds: Semaphore::new(config.concurrency),
            on_demand: Semaphore::new(config.probe_concurrency),
            config,
        })
    }
}

/// A probe and its result.
#[derive(Debug)]
struct Probed {
    id: u64,
    at: SystemTime,
    url: String,
    module: String,
    checked: Checked,
    took: Duration,
}

impl Exporter {
    /// Listens where the configuration says.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
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
        let state = Arc::new(State {
            source: source.map(Path::to_owned),
            setup: watch::Sender::new(config.into()),
            web: Mutex::new(Arc::new(web)),
            results: Mutex::default(),
            history: Mutex::default(),
            reloaded: Mutex::new((true, SystemTime::now())),
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

    /// What reads its file again. If it was made without one, or the file is wrong, the old configuration stays; the error
    /// has all faults.
    pub fn reloader(&self) -> impl Fn() -> Result<(), String> + use<> {
        let state = Arc::clone(&self.state);
        move || state.reload()
    }

    /// Probes and answers until `shutdown` is done.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let rounds = async {
            let mut setup = self.state.setup.subscribe();
            loop {
                let current = Arc::clone(&setup.borrow_and_update());
                // Rounds of an older configuration end with the set.
                let mut tasks = JoinSet::new();
                for index in 0..current.config.targets.len() {
                    let (state, current) = (Arc::clone(&self.state), Arc::clone(&current));
                    tasks.spawn(async move { state.probe_for_ever(&current, index).await });
                }
                if setup.changed().await.is_err() {
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
            // A scraper that goes away is no concern.
            serve(&state, socket).await.ok();
            drop(permit);
        });
    }
}

async fn serve(state: &Arc<State>, socket: TcpStream) -> Result<(), Box<dyn std::error::Error>> {
    let service = service_fn(|request| respond::respond(Arc::clone(state), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false);
    match state.web().acceptor.clone() {
        None => http.serve_connection(TokioIo::new(socket), service).await?,
        Some(acceptor) => {
            let socket = timeout(PATIENCE, acceptor.accept(socket)).await??;
            http.serve_connection(TokioIo::new(socket), service).await?;
        }
    }
    Ok(())
}

impl State {
    fn reload(&self) -> Result<(), String> {
        let result = self.try_reload();
        let mut reloaded = lock(&self.reloaded);
        reloaded.0 = result.is_ok();
        match &result {
            Ok(()) => {
                reloaded.1 = SystemTime::now();
                tracing::info!("the configuration was read again");
            }
            Err(why) => {
                tracing::error!(error = %why, "the configuration was not read again; the old one stays");
            }
        }
        result
    }

    fn try_reload(&self) -> Result<(), String> {
        let source = self.source.as_ref();
        let config = Config::read(source.ok_or("there is no file to read again")?)?;
        let web = self.web().read_again()?;
        let before = self.setup().config.listen;
        if config.listen.port() != 0 && config.listen != before {
            tracing::warn!(listen = %config.listen, "a new `listen` counts after a restart only");
        }
        let targets = config.targets.iter();
        let instances: Vec<_> = targets.map(StaticTarget::instance).collect();
        *lock(&self.web) = Arc::new(web);
        // First of all: a round of the older configuration that ends from now on leaves no result.
        self.setup.send_replace(config.into());
        lock(&self.results).retain(|instance, _| instances.contains(instance));
        Ok(())
    }

    fn web(&self) -> Arc<WebConfig> {
        Arc::clone(&lock(&self.web))
    }

    fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.borrow())
    }

    /// Probes one static target again and again. The targets share the interval, so that their rounds do not begin at one
    /// moment.
    async fn probe_for_ever(&self, setup: &Setup, index: usize) {
        let config = &setup.config;
        let (interval, targets) = (config.interval, &config.targets);
        let target = targets.get(index);
        let module = target.and_then(|target| config.modules.get_key_value(&target.module));
        let (Some(target), Some(module)) = (target, module) else {
            return;
        };
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let share = (interval / count(targets.len()).max(1)).saturating_mul(count(index));
        let mut ticks = interval_at(Instant::now() + share, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hold = module.1.hold.unwrap_or(Duration::from_secs(35));
        let limit = module.1.timeout.unwrap_or(hold + BEYOND_HOLD);
        loop {
            ticks.tick().await;
            let Ok(permit) = setup.rounds.acquire().await else {
                return;
            };
            let probed = self.probe(module, &target.url, limit).await;
            drop(permit);
            let mut results = lock(&self.results);
            if std::ptr::eq(&*self.setup(), setup) {
                results.insert(target.instance(), probed);
            }
        }
    }

    /// Probes once, for at most `limit`. What is not seen by then is not judged.
    async fn probe(
        &self,
        (name, options): (&String, &Options),
        url: &str,
        limit: Duration,
    ) -> Arc<Probed> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let at = SystemTime::now();
        let begun = Instant::now();
        let limit = options.timeout.map_or(limit, |own| own.min(limit));
        let end = begun + limit;
        let (shown, checked) = match options.target(url) {
            Ok(target) => {
                let shown = shown_url(target.url());
                let all = check_with(target, Some(end - MARGIN.min(limit / 4)), &|_| {});
                let checked = timeout_at(end, all).await;
                (shown, checked.unwrap_or(Err(AttemptError::OutOfTime)))
            }
            Err(why) => {
                let origin = url.parse().map(|url| Origin::of(&url).to_string());
                let why = AttemptError::Request(why);
                (origin.unwrap_or_default(), Err(why))
            }
        };
        let probed = Arc::new(Probed {
            id: COUNT.fetch_add(1, Ordering::Relaxed),
            at,
            url: shown,
            module: name.clone(),
            checked,
            took: begun.elapsed(),
        });
        if let Some((reason, why)) = failure(&probed.checked) {
            let (id, url, module) = (probed.id, &probed.url, &probed.module);
            tracing::warn!(id, target_url = url, module, reason, why, "a probe failed");
        }
        let mut history = lock(&self.history);
        history.push_front(Arc::clone(&probed));
        history.truncate(HISTORY);
        probed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_round_that_ends_when_its_target_is_no_longer_there_leaves_no_result() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("probe.toml");
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!(
            "[[targets]]\nurl = \"http://{}/\"\n",
            server.local_addr().unwrap()
        );
        let write = |targets: &str| {
            std::fs::write(&file, format!("listen = \"127.0.0.1:0\"\n{targets}")).unwrap();
        };
        write(&target);
        let config = Config::read(&file).unwrap();
        let exporter = Exporter::bind_with(config, Some(&file), WebConfig::default());
        let state = exporter.await.unwrap().state;
        let before = state.setup();
        let taken_out = async {
            let (socket, _) = server.accept().await.unwrap();
            write("");
            state.reload().unwrap();
            drop(socket);
            while lock(&state.history).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = state.probe_for_ever(&before, 0) => {}
            () = taken_out => {}
        }
        assert!(lock(&state.results).is_empty());
    }
}
