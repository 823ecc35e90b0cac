//! The backplane: what a hub and a policy get of Redis.

use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, sync_channel},
    },
};

use actix_web_sse::{
    Event, Presence,
    backplane::{
        Backplane, BackplaneError, BackplaneFuture, BackplaneStats, History, ReaderCount,
        Revocation, Sink,
    },
};
use tokio::sync::mpsc;

use crate::{
    config::{RedisConfig, UserLimits},
    error::StartError,
    handle::Handle,
    history::history,
    metrics::Pending,
    presence::readers,
    publish::publish,
    revocations::RedisRevocations,
    state::State,
    task::{self, LinkChange, Listener},
    tickets::RedisTickets,
    user_limits::RedisUserLimits,
};

/// Connects one hub to the hubs of other nodes through Redis Streams. A handle: clones refer to the
/// same backplane. One hub can use it.
///
/// It has its own thread, because its connections must outlive every worker of actix and must be
/// read while workers are busy. The thread ends when the hub, the stores and every other handle are
/// dropped.
#[derive(Clone)]
pub struct RedisBackplane(Handle);

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackplane")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl RedisBackplane {
    /// Connects. Blocks until the connection is made or has failed, at most about four times
    /// `connect_timeout` plus `answer_timeout` for each address. With `start_degraded` it returns at
    /// once.
    ///
    /// # Errors
    /// [`StartError`]: an invalid setting, or Redis cannot be reached.
    pub fn connect(config: RedisConfig) -> Result<Self, StartError> {
        Self::start(config, None)
    }

    /// Like [`connect`](Self::connect). The listener is called when the connection is lost and when
    /// it is made again, on the backplane's thread; it must not block. If it panics, nothing stops.
    ///
    /// # Errors
    /// The same as `connect`.
    pub fn connect_observed(
        config: RedisConfig,
        listener: impl Fn(&LinkChange) + Send + 'static,
    ) -> Result<Self, StartError> {
        Self::start(config, Some(Box::new(listener)))
    }

    fn start(config: RedisConfig, listener: Listener) -> Result<Self, StartError> {
        config.check()?;
        let state = Arc::new(State::new(config));
        let config = &state.config;
        let (alive, end) = mpsc::channel(1);
        let (first, start_result) = sync_channel(1);
        let runtime = task::spawn(Arc::clone(&state), end, listener, first)?;
        if !config.start_degraded {
            let addresses = u32::try_from(config.redis.parts().count()).unwrap_or(1);
            let limit = (config.connect_timeout + config.answer_timeout) * 4 * addresses.max(1);
            start_result.recv_timeout(limit).unwrap_or_else(|error| {
                let why = match error {
                    RecvTimeoutError::Timeout => format!("no answer within {limit:?}"),
                    RecvTimeoutError::Disconnected => "the thread ended".to_owned(),
                };
                Err(StartError::Thread(why))
            })?;
        }
        Ok(Self(Handle::new(state, runtime, alive)))
    }

    /// The current state, for a readiness check for example.
    #[must_use]
    pub fn stats(&self) -> BackplaneStats {
        Backplane::stats(self)
    }

    /// A store of used tickets for [`PolicyBuilder::ticket_store`], shared by all nodes: a
    /// single-use ticket opens one stream, on whichever node it is used.
    ///
    /// [`PolicyBuilder::ticket_store`]: actix_web_sse::protect::PolicyBuilder::ticket_store
    #[must_use]
    pub fn tickets(&self) -> RedisTickets {
        RedisTickets(self.0.clone())
    }

    /// A store for [`PolicyBuilder::revocation_store`]: every node refuses credentials that one node
    /// has revoked.
    ///
    /// [`PolicyBuilder::revocation_store`]: actix_web_sse::protect::PolicyBuilder::revocation_store
    #[must_use]
    pub fn revocations(&self) -> RedisRevocations {
        RedisRevocations(self.0.clone())
    }

    /// A store for [`PolicyBuilder::user_limit_store`]: `per_user` then counts the streams of all
    /// nodes together. `None` if `user_limits` is `per-node`.
    ///
    /// [`PolicyBuilder::user_limit_store`]: actix_web_sse::protect::PolicyBuilder::user_limit_store
    #[must_use]
    pub fn user_limits(&self) -> Option<RedisUserLimits> {
        let how = self.0.state.config.user_limits;
        (how != UserLimits::PerNode).then(|| RedisUserLimits {
            handle: self.0.clone(),
            how,
        })
    }
}

impl Backplane for RedisBackplane {
    fn start(&self, sink: Sink) {
        self.0.state.start(sink);
    }

    fn publish(&self, topic: &str, event: Event) -> BackplaneFuture<u64> {
        let state = Arc::clone(&self.0.state);
        let parts = event.parts();
        let bytes = topic.len() + parts.data.map_or(0, str::len) + parts.tag.map_or(0, str::len);
        let pending = match Pending::new(&state.gauges, bytes, &state.config) {
            Ok(pending) => pending,
            Err(why) => return Box::pin(async { Err(BackplaneError::new(why)) }),
        };
        let topic = topic.into();
        let published = self
            .0
            .spawn(async move { publish(&state, topic, &event, pending).await });
        Box::pin(async {
            let broken = |_| "the backplane has ended; Redis may have stored the event".to_owned();
            let answer = published.await.map_err(broken).flatten();
            answer.map_err(BackplaneError::new)
        })
    }

    fn history(&self, topics: Vec<Arc<str>>, after: u64) -> BackplaneFuture<History> {
        let answer = history(self.0.clone(), topics, after);
        Box::pin(async { answer.await.map_err(BackplaneError::new) })
    }

    fn revoke(&self, revocation: Revocation) {
        self.0.state.end_elsewhere(revocation);
    }

    fn shares_presence(&self) -> bool {
        true
    }

    fn counted(&self, count: &ReaderCount<'_>) {
        let leased = &self.0.state.leased;
        leased.attendance().counted(count);
        leased.dirty.notify_one();
    }

    fn presence(&self, topic: &str) -> BackplaneFuture<Presence> {
        let asked = readers(Arc::clone(&self.0.state), topic.to_owned());
        let asked = self.0.spawn(asked);
        Box::pin(async {
            let broken = |_| "the backplane has ended".to_owned();
            let answer = asked.await.map_err(broken).flatten();
            answer.map_err(BackplaneError::new)
        })
    }

    fn stats(&self) -> BackplaneStats {
        let state = &self.0.state;
        let topics = state.sink().map_or(0, |sink| sink.topics());
        state.gauges.read(topics)
    }
}
