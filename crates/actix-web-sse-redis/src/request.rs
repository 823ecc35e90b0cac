//! What the backplane's thread is asked for.

use std::{sync::Arc, time::Duration};

use actix_web_sse::{Event, Revocation, Sink, protect::UserRevocation};
use redis::{RedisError, aio::MultiplexedConnection};
use tokio::sync::oneshot;

use crate::{keys::Keys, node::Question, script, stats::Pending};

pub(crate) enum Request {
    Start(Sink),
    Publish(Publication),
    /// The hub's topics have changed.
    Interest,
    History(Question),
    Revoke(Revocation),
    /// A user's credentials hold no more.
    TakeBack(UserRevocation),
    Ticket(TicketRequest),
}

impl Request {
    /// Redis is not there. What can wait is handed back.
    pub(crate) fn refuse(self, why: &str) -> Option<Self> {
        match self {
            Self::Publish(publication) => publication.answer(Err(why.to_owned())),
            Self::Ticket(ticket) => ticket.answer(None),
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

/// What is to be done with a ticket.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TicketUse {
    /// For the only time.
    Once { remember: Duration },
    /// As one that may be used again.
    Again { fresh: bool, held: Duration },
    /// A stream of it has ended.
    Release { ttl: Duration },
}

pub(crate) struct TicketRequest {
    pub(crate) id: [u8; 16],
    pub(crate) how: TicketUse,
    pub(crate) reply: Option<oneshot::Sender<Option<bool>>>,
}

impl TicketRequest {
    pub(crate) async fn run(
        &self,
        keys: &Keys,
        connection: &mut MultiplexedConnection,
    ) -> Result<bool, RedisError> {
        let key = keys.ticket(&self.id);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2000);
        match self.how {
            TicketUse::Once { remember } => {
                let set: Option<String> = redis::cmd("SET")
                    .arg(key)
                    .arg(&["1", "NX", "PX"])
                    .arg(millis(remember))
                    .query_async(connection)
                    .await?;
                Ok(set.is_some())
            }
            TicketUse::Again { fresh, held } => {
                script::CLAIM_RESUMABLE
                    .key(key)
                    .arg(u8::from(fresh))
                    .arg(millis(held))
                    .invoke_async(connection)
                    .await
            }
            TicketUse::Release { ttl } => {
                script::RELEASE
                    .key(key)
                    .arg(millis(ttl))
                    .invoke_async(connection)
                    .await
            }
        }
    }

    /// `None`: Redis could not be asked.
    pub(crate) fn answer(self, answer: Option<bool>) {
        if let Some(reply) = self.reply {
            let _ = reply.send(answer);
        }
    }
}
