//! The state of one node. It outlives connections; handles and the backplane's thread share it.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use actix_web_sse::backplane::{History, Revocation, Sink};
use futures_util::future::WeakShared;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind};
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    time::sleep,
};

use crate::{
    config::RedisConfig,
    cursor::{Cursor, Epoch},
    keys::Keys,
    known::Known,
    metrics::{Clock, Gauges},
    node_counts::Leased,
};

/// How many clients get what they missed at a time.
const RESUMES: usize = 8;

/// The connections of a session, for whoever has something to ask.
#[derive(Clone)]
pub(crate) struct Link {
    /// For what is brief: publications, counts, revocations.
    pub(crate) commands: MultiplexedConnection,
    /// For what clients have missed.
    pub(crate) resumes: MultiplexedConnection,
    /// Ends the session.
    pub(crate) failed: mpsc::UnboundedSender<RedisError>,
    pub(crate) patience: Duration,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Runs a script on a connection of this session; again while its keys move to another server. An
    /// error that makes the connections useless ends the session.
    pub(crate) async fn invoke<T: FromRedisValue>(
        &self,
        connection: &MultiplexedConnection,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        let start = Instant::now();
        loop {
            let answer = call.invoke_async(&mut connection.clone()).await;
            match answer {
                Err(error) if is_moving(&error) && start.elapsed() < self.patience => {
                    sleep(MOVING).await;
                }
                Err(error) => return Err(self.judge(error)),
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Ends the session if the error says that its connections cannot be used any more.
    pub(crate) fn judge(&self, error: RedisError) -> RedisError {
        if ends_session(&error) {
            let _ = self.failed.send(error.clone());
        }
        error
    }
}

/// How long to wait before a question is asked again while its keys move.
pub(crate) const MOVING: Duration = Duration::from_millis(20);

/// Whether the keys are on their way to another server: nothing was done, and it will soon be over.
pub(crate) fn is_moving(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, TryAgain};
    matches!(error.kind(), ErrorKind::Server(Ask | TryAgain))
}

/// Whether the connections cannot be used any more after this error.
pub(crate) fn ends_session(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
    match error.kind() {
        // No answer in time: the reader decides whether Redis is reachable.
        ErrorKind::Io => !error.is_timeout(),
        ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        ErrorKind::Server(kind) => {
            matches!(
                kind,
                BusyLoading | ClusterDown | MasterDown | Moved | ReadOnly
            )
        }
        _ => false,
    }
}

/// The message of a command's error for its caller. The client's message contains no URL.
pub(crate) fn describe(error: &RedisError) -> String {
    if error.is_timeout() || error.is_connection_dropped() {
        return "no answer from Redis; it may have stored the event nevertheless".to_owned();
    }
    error.to_string()
}

/// What clients ask of the past, and who waits for the answers. An answer, and up to which number it goes.
pub(crate) type Answer = Result<(u64, History), String>;
pub(crate) type Asking = Pin<Box<dyn Future<Output = Answer> + Send>>;
pub(crate) type Question = (Vec<Arc<str>>, u64);

/// The questions that are under way. They end when nobody waits for them any more.
#[derive(Default)]
pub(crate) struct Questions(pub(crate) Mutex<HashMap<Question, WeakShared<Asking>>>);

/// The hub, and where it stands.
#[derive(Default)]
pub(crate) struct Place {
    pub(crate) cursor: Cursor,
    pub(crate) sink: Option<Sink>,
    pub(crate) clock: Option<Clock>,
}

pub(crate) struct State {
    pub(crate) config: RedisConfig,
    pub(crate) keys: Keys,
    /// Identifies this process among the nodes.
    pub(crate) id: String,
    pub(crate) gauges: Arc<Gauges>,
    /// The connections, while there are some.
    pub(crate) link: watch::Sender<Option<Link>>,
    place: Mutex<Place>,
    pub(crate) known: Known,
    pub(crate) leased: Leased,
    pub(crate) resumes: Semaphore,
    pub(crate) questions: Questions,
    /// Streams that other nodes are to end.
    pub(crate) ends: Mutex<VecDeque<Revocation>>,
    /// Notified when there is something to send that nobody waits for.
    pub(crate) queued: Notify,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn new(config: RedisConfig) -> Self {
        Self {
            keys: Keys::new(&config.namespace),
            id: format!("{:016x}", fastrand::u64(..)),
            gauges: Arc::new(Gauges::new()),
            link: watch::Sender::new(None),
            place: Mutex::default(),
            known: Known::new(config.max_pending_revocations),
            leased: Leased::default(),
            resumes: Semaphore::new(RESUMES),
            questions: Questions::default(),
            ends: Mutex::default(),
            queued: Notify::new(),
            config,
        }
    }

    pub(crate) fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connections, if Redis can be reached.
    pub(crate) fn link(&self) -> Option<Link> {
        self.link.borrow().clone()
    }

    pub(crate) fn sink(&self) -> Option<Sink> {
        self.place().sink.clone()
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.place().cursor.epoch.clone()
    }

    /// Attaches the hub.
    pub(crate) fn start(&self, sink: Sink) {
        let mut place = self.place();
        if let Some(epoch) = &place.cursor.epoch {
            // An epoch of this crate has a valid form.
            let _ = sink.epoch(&epoch.name, place.cursor.seen);
        }
        place.sink.get_or_insert(sink);
    }

    /// Takes a numbering up. A new one ends all streams.
    pub(crate) fn adopt(&self, place: &mut Place, name: &str, base: u64, newest: u64) {
        let is_first = place.cursor.epoch.is_none();
        if !place.cursor.adopt(name, base, newest) {
            return;
        }
        if !is_first {
            self.gauges.resets.fetch_add(1, Relaxed);
        }
        if let Some(sink) = &place.sink {
            let _ = sink.epoch(name, place.cursor.seen);
        }
    }

    /// Notes an event that Redis has acknowledged, so that this node detects if Redis loses it later,
    /// even before any node has read it.
    pub(crate) fn acknowledged(
        &self,
        name: &str,
        base: u64,
        number: u64,
        event_of: Option<&Arc<str>>,
    ) {
        let mut place = self.place();
        // An answer from before a newer epoch must not restore the old one.
        let is_current = |epoch: &Epoch| number > epoch.base;
        if place.cursor.epoch.as_ref().is_none_or(is_current) {
            self.adopt(&mut place, name, base, base);
            place.cursor.has(number, event_of);
        }
    }

    /// Reports that events up to this number are lost to this node, of one topic or of all.
    pub(crate) fn lost(&self, topic: Option<&str>, number: u64) {
        self.gauges.holes.fetch_add(1, Relaxed);
        if let Some(sink) = self.sink() {
            sink.lost(topic, number);
        }
    }

    /// Redis's time in milliseconds, as far as this node knows.
    pub(crate) fn redis_millis(&self) -> Option<u64> {
        self.place().clock.map(|clock| clock.micros() / 1000)
    }
}
