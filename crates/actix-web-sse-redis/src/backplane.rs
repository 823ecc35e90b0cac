//! The backplane itself: a handle of the thread that speaks with Redis.

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
    engine::{self, LinkChange},
    error::StartError,
    ledger::Ledger,
    limits::RedisUserLimits,
    node::{Node, Question},
    request::{Publication, Request},
    revocations::RedisRevocations,
    stats::{Gauges, Pending},
    tickets::RedisTickets,
};

/// Who hears of the connection.
pub(crate) type Listener = Option<Box<dyn Fn(&LinkChange) + Send>>;

/// A hub's part in what several nodes share through Redis Streams. A handle: clones are the same
/// backplane. One hub can have it.
///
/// It has a thread of its own, for the connections have to outlive any worker of actix, and to be
/// read while workers are busy. The thread ends when the hub, the store of tickets and every other
/// handle are gone.
#[derive(Clone)]
pub struct RedisBackplane {
    shared: Arc<Shared>,
}

struct Shared {
    requests: mpsc::UnboundedSender<Request>,
    gauges: Arc<Gauges>,
    ledger: Arc<Ledger>,
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
    /// Connects. Blocks until that is done or has failed, at most about twice `connect_timeout`
    /// and `answer_timeout`; with `start_degraded` it returns at once.
    ///
    /// # Errors
    /// [`StartError`]: a setting that cannot be, or no Redis.
    pub fn connect(config: RedisConfig) -> Result<Self, StartError> {
        Self::start(config, None)
    }

    /// As [`connect`](Self::connect); the listener hears when Redis is lost and found again. It
    /// is called on the backplane's thread and must not block.
    ///
    /// # Errors
    /// As `connect`.
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
        let ledger = Arc::new(Ledger::default());
        let (first, first_word) = sync_channel(1);
        let node = Node::new(config.clone(), Arc::clone(&gauges), Arc::clone(&ledger));
        engine::spawn(node, inbox, listener, first)?;
        if !config.start_degraded {
            let limit = (config.connect_timeout + config.answer_timeout) * 2;
            first_word.recv_timeout(limit).unwrap_or_else(|error| {
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
                ledger,
                config,
                started: Instant::now(),
            }),
        })
    }

    /// How it is, now: for a readiness check, say.
    #[must_use]
    pub fn stats(&self) -> BackplaneStats {
        Backplane::stats(self)
    }

    /// A store of used tickets for [`PolicyBuilder::ticket_store`], shared by all nodes: a
    /// single-use ticket opens one stream, whichever node it is shown to.
    ///
    /// [`PolicyBuilder::ticket_store`]: actix_web_sse::protect::PolicyBuilder::ticket_store
    #[must_use]
    pub fn tickets(&self) -> RedisTickets {
        RedisTickets::new(self.shared.requests.clone())
    }

    /// For [`PolicyBuilder::revocation_store`]: what one node revokes, all refuse.
    ///
    /// [`PolicyBuilder::revocation_store`]: actix_web_sse::protect::PolicyBuilder::revocation_store
    #[must_use]
    pub fn revocations(&self) -> RedisRevocations {
        RedisRevocations {
            requests: self.shared.requests.clone(),
            ledger: Arc::clone(&self.shared.ledger),
            gauges: Arc::clone(&self.shared.gauges),
            started: self.shared.started,
            grace: self.shared.config.revocation_grace,
        }
    }

    /// For [`PolicyBuilder::user_limit_store`]: `per_user` then counts the streams of all nodes
    /// together. `None` if the configuration says `per-node`.
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
        // The thread ends only when nobody is left to ask.
        let _ = self.shared.requests.send(request);
    }
}

impl Backplane for RedisBackplane {
    fn start(&self, sink: Sink) {
        if let Some(epoch) = self.shared.gauges.epoch() {
            // A name of ours always fits.
            let _ = sink.epoch(&epoch);
        }
        self.ask(Request::Start(sink));
    }

    fn publish(&self, topic: &str, event: Event) -> BackplaneFuture<u64> {
        let max = self.shared.config.max_pending;
        let Some(pending) = Pending::new(&self.shared.gauges, max) else {
            self.shared.gauges.unpublished.fetch_add(1, Relaxed);
            let why = format!("{max} publications wait for Redis already");
            return Box::pin(async { Err(BackplaneError::new(why)) });
        };
        let (reply, answer) = oneshot::channel();
        let publication = Publication::new(topic, event, reply, pending);
        self.ask(Request::Publish(publication));
        Box::pin(async {
            let broken = || "the connection broke; Redis may have taken the event all the same";
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
        // Through a short outage the stream waits; after a long one its client comes back.
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
