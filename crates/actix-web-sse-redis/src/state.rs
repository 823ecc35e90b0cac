//! The state of one node. It outlives connections; handles and the backplane's thread share it.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Instant,
};

use actix_web_sse::backplane::{Revocation, Sink};
use redis::{FromRedisValue, ScriptInvocation, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::timeout,
};

use crate::{
    config::RedisConfig,
    cursor::{Cursor, Epoch},
    keys::Keys,
    known::Known,
    link::{Link, describe, is_moved},
    metrics::{Clock, Gauges},
    node_counts::{Leased, new_name},
    questions::{Questions, Room},
};

/// The error of callers while there is no connection.
const NO_REDIS: &str = "Redis cannot be reached";

/// How many clients get what they missed at a time.
const RESUMES: usize = 8;

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
    /// For what they have not taken yet.
    pub(crate) room: Room,
    pub(crate) questions: Arc<Questions>,
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
            id: new_name(),
            gauges: Arc::new(Gauges::new()),
            link: watch::Sender::new(None),
            place: Mutex::default(),
            known: Known::new(config.max_pending_revocations),
            leased: Leased::new(config.lease),
            resumes: Semaphore::new(RESUMES),
            room: Room::new(config.history_total_bytes),
            questions: Arc::default(),
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

    /// Runs a script on one of the connections; again at the server that the keys have moved to meanwhile. The
    /// answer, and over which connections it came.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn ask<T: FromRedisValue>(
        &self,
        on: impl Fn(&Link) -> &MultiplexedConnection,
        call: &ScriptInvocation<'_>,
    ) -> Result<(T, Link), String> {
        let start = Instant::now();
        let mut links = self.link.subscribe();
        loop {
            let link = self.link().ok_or(NO_REDIS)?;
            let error = match link.ask(on(&link), call).await {
                Ok(answer) => return Ok((answer, link)),
                Err(error) => error,
            };
            let left = link.patience.saturating_sub(start.elapsed());
            let is_next = |next: &Option<Link>| next.as_ref().is_some_and(|next| !next.is(&link));
            if !is_moved(&error) || timeout(left, links.wait_for(is_next)).await.is_err() {
                return Err(describe(&error));
            }
        }
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
