//! The backplane's thread: it runs one session with Redis after the other.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::Relaxed, mpsc::SyncSender},
    thread,
    time::{Duration, Instant},
};

use redis::{ErrorKind, RedisError, aio::MultiplexedConnection};
use tokio::{
    runtime::{self, Runtime},
    select,
    sync::mpsc,
    time::sleep,
};

use crate::{
    backoff::Backoff,
    connect::{Addresses, connection_config},
    control,
    error::StartError,
    handshake::{self, Evidence},
    lease,
    link::{Link, MOVING, ends_session, is_moving},
    presence, reader,
    replicated::Replicated,
    revocations, scripts,
    state::State,
};

/// A change of the connection to Redis, for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkChange {
    /// Redis answers.
    #[non_exhaustive]
    Connected {
        /// The address: host and port.
        at: String,
    },
    /// The connection cannot be made, or has ended.
    #[non_exhaustive]
    Lost {
        /// The address: host and port.
        at: String,
        /// The error, without secrets.
        why: String,
        /// The time until the next attempt.
        retry_in: Duration,
    },
    /// Redis is configured so that it loses what it should keep.
    #[non_exhaustive]
    Unsafe {
        /// The address: host and port.
        at: String,
        /// What it is, and what to change.
        why: String,
    },
}

/// The callback for changes of the connection.
pub(crate) type Listener = Option<Box<dyn Fn(&LinkChange) + Send>>;

/// Sends the result of the start to the thread that waits for it.
pub(crate) type StartResult = SyncSender<Result<(), StartError>>;

struct Task {
    state: Arc<State>,
    addresses: Addresses,
    listener: Listener,
    start_result: Option<StartResult>,
    /// At the start: the addresses that were tried, and their errors.
    failed_starts: Vec<(String, String)>,
}

/// Starts the thread; the way to have it run something. It ends when every sender is dropped.
pub(crate) fn spawn(
    state: Arc<State>,
    mut alive: mpsc::Receiver<Infallible>,
    listener: Listener,
    start_result: StartResult,
) -> Result<runtime::Handle, StartError> {
    let addresses = Addresses::parse(&state.config)?;
    let trouble = |error: std::io::Error| StartError::Thread(error.to_string());
    let runtime: Runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(trouble)?;
    let handle = runtime.handle().clone();
    let run = move || {
        let task = Task {
            state,
            addresses,
            listener,
            start_result: Some(start_result),
            failed_starts: Vec::new(),
        };
        runtime.block_on(async move {
            select! {
                () = task.run() => {}
                _ = alive.recv() => {}
            }
        });
    };
    let thread = thread::Builder::new().name("sse-redis".to_owned());
    thread.spawn(run).map_err(trouble)?;
    Ok(handle)
}

/// Connections, used until one of them fails.
struct Session {
    link: Link,
    reading: MultiplexedConnection,
    failed: mpsc::UnboundedReceiver<RedisError>,
}

impl Task {
    async fn run(mut self) {
        let config = &self.state.config;
        let steady = config.backoff_most;
        let mut backoff = Backoff::new(config.backoff_least, config.backoff_most);
        loop {
            let error = match self.open().await {
                Ok(session) => {
                    let start = Instant::now();
                    self.connected(&session.link);
                    let error = session.run(&self.state).await;
                    self.state.link.send_replace(None);
                    self.state.gauges.connected.store(false, Relaxed);
                    // A link that comes and goes is not hammered.
                    if start.elapsed() >= steady {
                        backoff.reset();
                    }
                    error
                }
                Err(error) => error,
            };
            if !self.wait(&error, &mut backoff).await {
                return;
            }
        }
    }

    /// Connects, and takes up where Redis stands: no stream is admitted before.
    async fn open(&self) -> Result<Session, RedisError> {
        let state = &*self.state;
        let client = self.addresses.resolve(&state.config).await?;
        let config = connection_config(&state.config);
        let connect = || client.get_multiplexed_async_connection_with_config(&config);
        let (mut commands, resumes) = (connect().await?, connect().await?);
        let (publications, control) = match state.config.wait_replicas {
            0 => (commands.clone(), commands.clone()),
            _ => (connect().await?, connect().await?),
        };
        let blocking = state.config.answer_timeout + handshake::PERIOD;
        let blocking = config.clone().set_response_timeout(Some(blocking));
        let reading = client.get_multiplexed_async_connection_with_config(&blocking);
        let mut reading = reading.await?;
        if let Some(why) = evicts(&mut commands).await? {
            if self.start_result.is_some() && !state.config.allow_eviction {
                let kind = ErrorKind::InvalidClientConfig;
                return Err(RedisError::from((kind, "unsafe configuration", why)));
            }
            state.gauges.trouble(why.clone());
            let at = self.addresses.name();
            self.report(&LinkChange::Unsafe { at, why });
        }
        for script in scripts::all() {
            script.prepare_invoke().load_async(&mut commands).await?;
        }
        let (sender, failed) = mpsc::unbounded_channel();
        let link = Link {
            commands,
            publications: Replicated::new(publications),
            control: Replicated::new(control),
            resumes,
            failed: sender,
            patience: state.config.answer_timeout,
        };
        let start = Instant::now();
        while let Err(error) = take_up(state, &link, &mut reading).await {
            if !is_moving(&error) || start.elapsed() >= link.patience {
                return Err(error);
            }
            sleep(MOVING).await;
        }
        Ok(Session {
            link,
            reading,
            failed,
        })
    }

    fn connected(&mut self, link: &Link) {
        self.addresses.arrived();
        self.state.link.send_replace(Some(link.clone()));
        self.state.gauges.connected.store(true, Relaxed);
        let at = self.addresses.name();
        self.report(&LinkChange::Connected { at });
        if let Some(start_result) = self.start_result.take() {
            let _ = start_result.send(Ok(()));
        }
    }

    fn report(&self, change: &LinkChange) {
        if let Some(listener) = &self.listener {
            // The application's code: its panic is its own matter.
            let _ = catch_unwind(AssertUnwindSafe(|| listener(change)));
        }
    }

    /// Waits before the next attempt; false if there is to be none.
    async fn wait(&mut self, error: &RedisError, backoff: &mut Backoff) -> bool {
        let at = self.addresses.name();
        let why = self.addresses.describe(error);
        let redirected = self.addresses.failed(error);
        let starting = self.start_result.is_some() && !self.state.config.start_degraded;
        let pause = match redirected || starting {
            true => Duration::ZERO,
            false => backoff.next(fastrand::f64()),
        };
        if !redirected {
            self.state.gauges.failures.fetch_add(1, Relaxed);
            self.state.gauges.trouble(why.clone());
            if starting {
                self.failed_starts.push((at.clone(), why.clone()));
                // Each address is tried once: a primary that failed may have a successor.
                if self.failed_starts.len() >= self.addresses.count() {
                    self.give_up();
                    return false;
                }
            }
            self.report(&LinkChange::Lost {
                at,
                why,
                retry_in: pause,
            });
        }
        sleep(pause).await;
        true
    }

    /// Reports to the caller of `connect` that Redis cannot be reached.
    fn give_up(&mut self) {
        let Some(start_result) = self.start_result.take() else {
            return;
        };
        let error = match self.failed_starts.as_slice() {
            [(at, why)] => StartError::Redis {
                at: at.clone(),
                why: why.clone(),
            },
            several => StartError::Redis {
                at: several
                    .iter()
                    .map(|(at, _)| at.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                why: several
                    .iter()
                    .map(|(at, why)| format!("{at}: {why}"))
                    .collect::<Vec<_>>()
                    .join("; "),
            },
        };
        let _ = start_result.send(Err(error));
    }
}

/// Takes up where Redis stands, and says what this node has.
async fn take_up(
    state: &State,
    link: &Link,
    connection: &mut MultiplexedConnection,
) -> Result<(), RedisError> {
    let revocations = handshake::shake(state, connection, Evidence::None).await?;
    revocations::read(state, connection).await?;
    state.known.compare(state, revocations);
    lease::announce(state, link).await
}

/// Why this Redis removes keys that it should keep, if it does and may say so.
async fn evicts(connection: &mut MultiplexedConnection) -> Result<Option<String>, RedisError> {
    let info: Result<String, _> = redis::cmd("INFO")
        .arg("memory")
        .query_async(connection)
        .await;
    let info = match info {
        Ok(info) => info,
        Err(error) if ends_session(&error) || error.is_timeout() => return Err(error),
        // A right that is missing.
        Err(_) => return Ok(None),
    };
    let value = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("", str::trim)
    };
    let (limit, policy) = (value("maxmemory:"), value("maxmemory_policy:"));
    let is_safe = limit == "0" || policy == "noeviction" || policy.is_empty();
    Ok((!is_safe).then(|| {
        format!("maxmemory-policy is {policy}: events and revocations disappear; set noeviction")
    }))
}

impl Session {
    /// Reads, sends and renews until a connection breaks. In a task of its own: a panic in it is the end
    /// of the session and of nothing else.
    async fn run(mut self, state: &Arc<State>) -> RedisError {
        let state = Arc::clone(state);
        let running = tokio::spawn(async move {
            let link = &self.link;
            select! {
                error = reader::read(&state, link, self.reading) => error,
                error = control::send_all(&state, link) => error,
                error = lease::keep(&state, link) => error,
                error = presence::sweep_all(&state, link) => error,
                error = revocations::restore(&state, link) => error,
                Some(error) = self.failed.recv() => error,
            }
        });
        running.await.unwrap_or_else(|_| {
            RedisError::from((ErrorKind::Client, "a task of the backplane panicked"))
        })
    }
}
