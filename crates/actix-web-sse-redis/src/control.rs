//! Control messages between nodes: streams to end, credentials to refuse.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix_web_sse::{Revocation, protect::UserRevocation};
use redis::{RedisError, aio::MultiplexedConnection};
use tokio::time::sleep;

use crate::{handshake::Handshake, known_revocations, node::Node, script, session::ends_session};

/// The wait before a message is sent again to a Redis that answers with an error.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A message to the other nodes.
#[derive(Debug, Clone)]
pub(crate) enum ControlMessage {
    /// End streams.
    EndStreams(Revocation),
    /// Refuse credentials, and end the streams that were opened with them.
    Revoke(UserRevocation),
    /// The same, sent again to a Redis that has lost it: nodes that know it do nothing.
    RepeatRevocation(UserRevocation),
}

impl Node {
    /// Queues a message, to be sent now or when Redis is back.
    pub(crate) fn send_control(&self, message: ControlMessage) {
        let mut waiting = self.control_queue.borrow_mut();
        if waiting.len() >= self.config.max_pending_revocations {
            self.gauges.revocations_lost.fetch_add(1, Relaxed);
            return;
        }
        waiting.push_back(message);
        drop(waiting);
        self.control_queued.notify_one();
    }

    /// Sends revocations again if Redis has fewer than this node: then it has lost some.
    pub(crate) fn repeat_revocations(&self, redis_has: usize) {
        let lost = self.known.if_above(redis_has).into_iter();
        self.control_queue
            .borrow_mut()
            .extend(lost.map(ControlMessage::RepeatRevocation));
        self.control_queued.notify_one();
    }

    fn next_control(&self) -> Option<ControlMessage> {
        self.control_queue.borrow().front().cloned()
    }

    fn control_sent(&self) {
        self.control_queue.borrow_mut().pop_front();
    }

    /// Applies revocations that this node does not know yet.
    pub(crate) fn catch_up(&self, handshake: &Handshake) {
        if handshake.last_revoked < self.last_revoked.get() {
            self.last_revoked.set(0);
        }
        // Not while messages wait: then Redis does not have them because they were not sent yet.
        if self.control_queue.borrow().is_empty() {
            self.repeat_revocations(handshake.revocations);
        }
        for revoked in &handshake.revoked {
            self.learn(&known_revocations::revocation(
                &revoked.user,
                revoked.until,
                revoked.remember,
            ));
            self.last_revoked.set(revoked.number);
        }
    }

    /// Applies a revocation that Redis has stored.
    pub(crate) fn learn(&self, revocation: &UserRevocation) {
        if self.known.learn(revocation) {
            self.end_streams_of(&revocation.user);
        }
    }

    /// Applies a revocation that another node has just sent.
    pub(crate) fn learn_another(&self, revocation: &UserRevocation) {
        if self.known.learn_another(revocation) {
            self.end_streams_of(&revocation.user);
        }
    }

    fn end_streams_of(&self, user: &Arc<str>) {
        if let Some(sink) = self.sink() {
            sink.revoke(&Revocation::User(Arc::clone(user)));
        }
    }
}

/// Sends the queued messages in order, and keeps each one until Redis has it.
pub(crate) async fn send_all(node: &Node, mut connection: MultiplexedConnection) -> RedisError {
    loop {
        while let Some(message) = node.next_control() {
            match send(node, &mut connection, &message).await {
                Ok(()) => node.control_sent(),
                Err(error) if ends_session(&error) => return error,
                Err(_) => sleep(RETRY_AFTER).await,
            }
        }
        node.control_queued.notified().await;
    }
}

async fn send(
    node: &Node,
    connection: &mut MultiplexedConnection,
    message: &ControlMessage,
) -> Result<(), RedisError> {
    let (kind, name) = match message {
        ControlMessage::EndStreams(Revocation::User(user)) => ("user", user),
        ControlMessage::EndStreams(Revocation::Topic(topic)) => ("topic", topic),
        // A kind of a newer version, which this version cannot send.
        ControlMessage::EndStreams(_) => return Ok(()),
        ControlMessage::Revoke(revocation) => {
            return revoke(node, connection, revocation, "new").await;
        }
        ControlMessage::RepeatRevocation(revocation) => {
            return revoke(node, connection, revocation, "repeated").await;
        }
    };
    let key = node.keys.control();
    redis::pipe()
        .cmd("XADD")
        .arg(&key)
        .arg(&["MAXLEN", "~", "100000", "*", "from"])
        .arg(&node.id)
        .arg(kind)
        .arg(&**name)
        .ignore()
        .cmd("PEXPIRE")
        .arg(&key)
        .arg(node.config.keep_millis())
        .ignore()
        .query_async(connection)
        .await
}

async fn revoke(
    node: &Node,
    connection: &mut MultiplexedConnection,
    revocation: &UserRevocation,
    how: &str,
) -> Result<(), RedisError> {
    let (until, remember) = known_revocations::millis(revocation);
    let mut call = script::REVOKE.key(node.keys.control());
    for key in node.keys.revoked() {
        call.key(key);
    }
    call.arg(&node.id)
        .arg(&*revocation.user)
        .arg(until)
        .arg(remember)
        .arg(node.config.keep_millis())
        .arg(how)
        .invoke_async(connection)
        .await
}
