//! Requests to the backplane's thread.

use std::{sync::Arc, time::Duration};

use actix_web_sse::{Event, Revocation, Sink, protect::UserRevocation};
use tokio::sync::oneshot;

use crate::{lease::TicketId, node::Question, stats::Pending};

pub(crate) enum Request {
    Start(Sink),
    Publish(Publication),
    /// The hub's topics have changed.
    Interest,
    History(Question),
    Revoke(Revocation),
    /// A user's credentials are revoked.
    RevokeUser(UserRevocation),
    Ticket(TicketId, TicketUse),
    Limit(LimitRequest),
    /// A stream of a user was admitted without an answer of Redis.
    CountUser(Arc<str>),
    /// A stream of a user has ended.
    ReleaseUser(Arc<str>),
}

impl Request {
    /// Answers a request while Redis cannot be reached. A request that can wait is returned.
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
        // The count of pending publications falls before the publisher gets the answer.
        drop(self);
        if let Some(reply) = reply {
            // The publisher may be gone.
            let _ = reply.send(answer);
        }
    }
}

impl Drop for Publication {
    /// Counts a publication without an answer as failed: the connection broke.
    fn drop(&mut self) {
        if self.reply.is_some() {
            self.pending.over(false);
        }
    }
}

/// Sends whether a ticket may be used.
pub(crate) struct TicketClaimed(pub(crate) oneshot::Sender<Option<bool>>);

impl TicketClaimed {
    /// `None` if Redis did not answer. Returns false if the receiver is gone.
    pub(crate) fn answer(self, answer: Option<bool>) -> bool {
        self.0.send(answer).is_ok()
    }
}

/// The use of a ticket.
pub(crate) enum TicketUse {
    /// A single-use ticket is claimed.
    Once {
        remember: Duration,
        claimed: TicketClaimed,
    },
    /// A resumable ticket is claimed.
    Again {
        fresh: bool,
        ttl: Duration,
        claimed: TicketClaimed,
    },
    /// A stream of a resumable ticket has ended.
    Release { ttl: Duration },
}

/// A request for one more stream of a user.
pub(crate) struct LimitRequest {
    pub(crate) user: Arc<str>,
    pub(crate) limit: u32,
    reply: oneshot::Sender<Option<bool>>,
}

impl LimitRequest {
    pub(crate) fn new(user: Arc<str>, limit: u32, reply: oneshot::Sender<Option<bool>>) -> Self {
        Self { user, limit, reply }
    }

    /// Whether the receiver is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// `None` if Redis did not answer. Returns false if the receiver is gone.
    pub(crate) fn answer(self, answer: Option<bool>) -> bool {
        self.reply.send(answer).is_ok()
    }
}
