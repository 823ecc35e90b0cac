//! What the backplane's thread is asked for.

use std::{sync::Arc, time::Duration};

use actix_web_sse::{Event, Revocation, Sink, protect::UserRevocation};
use tokio::sync::oneshot;

use crate::{held::TicketId, node::Question, stats::Pending};

pub(crate) enum Request {
    Start(Sink),
    Publish(Publication),
    /// The hub's topics have changed.
    Interest,
    History(Question),
    Revoke(Revocation),
    /// A user's credentials hold no more.
    TakeBack(UserRevocation),
    Ticket(TicketId, TicketUse),
    Limit(LimitRequest),
    /// A stream of a user was let in although Redis could not be asked.
    Hold(Arc<str>),
    /// A stream of a user has ended.
    LetGo(Arc<str>),
}

impl Request {
    /// Redis is not there. What can wait is handed back.
    pub(crate) fn refuse(self, why: &str) -> Option<Self> {
        match self {
            Self::Publish(publication) => publication.answer(Err(why.to_owned())),
            Self::Ticket(_, TicketUse::Once { claimed, .. } | TicketUse::Again { claimed, .. }) => {
                claimed.answer(None);
            }
            Self::Limit(request) => {
                request.answer(None);
            }
            waits => return Some(waits),
        }
        None
    }
}

/// An event on its way to Redis.
pub(crate) struct Publication {
    pub(crate) topic: Arc<str>,
    pub(crate) event: Event,
    reply: Option<oneshot::Sender<Result<u64, String>>>,
    pending: Pending,
}

impl Publication {
    pub(crate) fn new(
        topic: &str,
        event: Event,
        reply: oneshot::Sender<Result<u64, String>>,
        pending: Pending,
    ) -> Self {
        Self {
            topic: topic.into(),
            event,
            reply: Some(reply),
            pending,
        }
    }

    pub(crate) fn answer(mut self, answer: Result<u64, String>) {
        self.pending.over(answer.is_ok());
        let reply = self.reply.take();
        // It no longer waits when its publisher hears of it.
        drop(self);
        if let Some(reply) = reply {
            // A publisher that has gone does not want to know.
            let _ = reply.send(answer);
        }
    }
}

impl Drop for Publication {
    /// Without an answer: the connection broke.
    fn drop(&mut self) {
        if self.reply.is_some() {
            self.pending.over(false);
        }
    }
}

/// Whoever waits to hear whether a ticket may be used.
pub(crate) struct TicketClaimed(pub(crate) oneshot::Sender<Option<bool>>);

impl TicketClaimed {
    /// `None`: Redis could not be asked. False if nobody waits any more.
    pub(crate) fn answer(self, answer: Option<bool>) -> bool {
        self.0.send(answer).is_ok()
    }
}

/// What is to be done with a ticket.
pub(crate) enum TicketUse {
    /// For the only time.
    Once {
        remember: Duration,
        claimed: TicketClaimed,
    },
    /// As one that may be used again.
    Again {
        fresh: bool,
        ttl: Duration,
        claimed: TicketClaimed,
    },
    /// A stream of it has ended.
    Release { ttl: Duration },
}

/// One more stream of a user is wanted.
pub(crate) struct LimitRequest {
    pub(crate) user: Arc<str>,
    pub(crate) limit: u32,
    reply: oneshot::Sender<Option<bool>>,
}

impl LimitRequest {
    pub(crate) fn new(user: Arc<str>, limit: u32, reply: oneshot::Sender<Option<bool>>) -> Self {
        Self { user, limit, reply }
    }

    /// Nobody waits any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// `None`: Redis could not be asked. False if nobody waits any more.
    pub(crate) fn answer(self, answer: Option<bool>) -> bool {
        self.reply.send(answer).is_ok()
    }
}
