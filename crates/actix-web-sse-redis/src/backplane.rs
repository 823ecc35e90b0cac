//! The backplane's handle: it sends requests to the thread that talks to Redis.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::Instant,
};

use actix_web_sse::{
    Backplane, BackplaneError, BackplaneFuture, BackplaneStats, Event, History, Revocation, Sink,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    config::{RedisConfig, UserLimits},
    error::StartError,
    known_revocations::KnownRevocations,
    limits::RedisUserLimits,
    node::{Node, Question},
    request::{Publication, Request},
    revocations::RedisRevocations,
    stats::{Gauges, Pending},
    task::{self, LinkChange},
    tickets::RedisTickets,
};

/// The callback for changes of the connection.
pub(crate) type Listener = Option<Box<dyn Fn(&LinkChange) + Send>>;

/// Connects one hub to the hubs of other nodes through Redis Streams. A handle: clones refer to the
/// same backplane. One hub can use it.
///
/// It has its own thread, because its connections must outlive every worker of actix and must be
/// read while workers are busy. The thread ends when the hub, the stores and every other handle are
/// dropped.
#[derive(Clone)]
pub struct RedisBackplane {
    shared: Arc<Shared>,
}

struct Shared {
    requests: mpsc::UnboundedSender<Request>,
    gauges: Arc<Gauges>,
    known: Arc<KnownRevocations>,
    config: RedisConfig,
    started: Instant,
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackplane")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl RedisBackplane {
    /// Connects. Blocks until the connection is made or has failed, at most about three times
    /// `connect_timeout` plus `answer_timeout` for each address. With `start_degraded` it returns at
    /// once.
    ///
    /// # Errors
    /// [`StartError`]: an invalid setting, or Redis cannot be reached.
    pub fn connect(config: RedisConfig) -> Result<Self, StartError> {
        Self::start(config, None)
    }

    /// Like [`connect`](Self::connect). The listener is called when the connection is lost and when
    /// it is made again, on the backplane's thread; it must not block.
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
        let (requests, inbox) = mpsc::unbounded_channel();
        let gauges = Arc::new(Gauges::default());
        let known = Arc::new(KnownRevocations::default());
        let (first, start_result) = sync_channel(1);
        let node = Node::new(config.clone(), Arc::clone(&gauges), Arc::clone(&known));
        task::spawn(node, inbox, listener, first)?;
        if !config.start_degraded {
            // Two connections for each address, and one to a Sentinel.
            let addresses = u32::try_from(config.redis.parts().count()).unwrap_or(1);
            let limit = (config.connect_timeout + config.answer_timeout) * 3 * addresses.max(1);
            start_result.recv_timeout(limit).unwrap_or_else(|error| {
                let why = match error {
                    RecvTimeoutError::Timeout => format!("no answer within {limit:?}"),
                    RecvTimeoutError::Disconnected => "the thread ended".to_owned(),
                };
                Err(StartError::Thread(why))
            })?;
        }
        Ok(Self {
            shared: Arc::new(Shared {
                requests,
                gauges,
                known,
                config,
                started: Instant::now(),
            }),
        })
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
        RedisTickets::new(self.shared.requests.clone())
    }

    /// A store for [`PolicyBuilder::revocation_store`]: every node refuses credentials that one node
    /// has revoked.
    ///
    /// [`PolicyBuilder::revocation_store`]: actix_web_sse::protect::PolicyBuilder::revocation_store
    #[must_use]
    pub fn revocations(&self) -> RedisRevocations {
        RedisRevocations {
            requests: self.shared.requests.clone(),
            known: Arc::clone(&self.shared.known),
            gauges: Arc::clone(&self.shared.gauges),
            started: self.shared.started,
            grace: self.shared.config.revocation_grace,
        }
    }

    /// A store for [`PolicyBuilder::user_limit_store`]: `per_user` then counts the streams of all
    /// nodes together. `None` if `user_limits` is `per-node`.
    ///
    /// [`PolicyBuilder::user_limit_store`]: actix_web_sse::protect::PolicyBuilder::user_limit_store
    #[must_use]
    pub fn user_limits(&self) -> Option<RedisUserLimits> {
        let how = self.shared.config.user_limits;
        (how != UserLimits::PerNode).then(|| RedisUserLimits {
            requests: self.shared.requests.clone(),
            how,
        })
    }

    fn ask(&self, request: Request) {
        // The thread ends only after every sender is dropped.
        let _ = self.shared.requests.send(request);
    }
}

impl Backplane for RedisBackplane {
    fn start(&self, sink: Sink) {
        if let Some(epoch) = self.shared.gauges.epoch() {
            // An epoch of this crate has a valid form.
            let _ = sink.epoch(&epoch);
        }
        self.ask(Request::Start(sink));
    }

    fn publish(&self, topic: &str, event: Event) -> BackplaneFuture<u64> {
        let max = self.shared.config.max_pending;
        let Some(pending) = Pending::new(&self.shared.gauges, max) else {
            self.shared.gauges.unpublished.fetch_add(1, Relaxed);
            let why = format!("{max} publications wait for Redis already (max_pending)");
            return Box::pin(async { Err(BackplaneError::new(why)) });
        };
        let (reply, answer) = oneshot::channel();
        let publication = Publication::new(topic, event, reply, pending);
        self.ask(Request::Publish(publication));
        Box::pin(async {
            let broken = || "the connection broke; Redis may have stored the event nevertheless";
            match answer.await {
                Ok(answer) => answer.map_err(BackplaneError::new),
                Err(_) => Err(BackplaneError::new(broken())),
            }
        })
    }

    fn interest(&self) {
        self.ask(Request::Interest);
    }

    fn history(&self, topics: Vec<Arc<str>>, after: u64) -> BackplaneFuture<History> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::History(Question {
            topics,
            after,
            reply,
        }));
        // The stream waits through a short outage; in a longer one its client reconnects.
        let limit = self.shared.config.answer_timeout * 2;
        Box::pin(async move {
            match timeout(limit, answer).await {
                Ok(Ok(answer)) => answer.map_err(BackplaneError::new),
                Ok(Err(_)) => Err(BackplaneError::new("the connection broke")),
                Err(_) => Err(BackplaneError::new("no answer from Redis in time")),
            }
        })
    }

    fn revoke(&self, revocation: Revocation) {
        self.ask(Request::Revoke(revocation));
    }

    fn stats(&self) -> BackplaneStats {
        self.shared.gauges.read(self.shared.started)
    }
}
