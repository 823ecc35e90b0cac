//! The reading connection: one `XREAD` waits for all topics that this node follows.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use actix_web_sse::Revocation;
use redis::{Cmd, RedisError, Value, aio::MultiplexedConnection};

use crate::{
    cursor::{Link, in_order},
    handshake::{Handshake, Known},
    known_revocations,
    node::Node,
    reply,
};

/// How long one read blocks. Without an answer by then a handshake follows, because a flushed Redis
/// is noticed in no other way.
pub(crate) const BLOCK: Duration = Duration::from_secs(1);

/// The approximate number of entries in one answer, divided among the topics.
const ANSWER: usize = 20_000;

/// Reads until an error occurs.
pub(crate) async fn read(node: &Node, mut connection: MultiplexedConnection) -> RedisError {
    loop {
        if let Err(error) = turn(node, &mut connection).await {
            return error;
        }
    }
}

async fn turn(node: &Node, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    // The newest changes, so that no topic is left that is followed again by now.
    node.notice_changes();
    if node.has_joining() || node.handshake_is_old() {
        // On this connection and before the next read: nothing above the number has been delivered,
        // and nothing above it is skipped.
        let handshake = Handshake::ask(node, connection, Known::Nothing).await?;
        node.note(&handshake);
        node.join(handshake.newest);
    } else {
        node.leave();
    }
    let limit = (ANSWER / (node.cursors.borrow().len() + 1)).clamp(16, 1000);
    let answer: Value = question(node, limit).query_async(connection).await?;
    if node.was_away() {
        // This process was stopped: events may have expired meanwhile, and the answer is outdated.
        let handshake = Handshake::ask(node, connection, Known::Nothing).await?;
        node.connected(&handshake);
        return Ok(());
    }
    node.heard();
    let streams = reply::streams(answer);
    if streams.is_empty() {
        let handshake = Handshake::ask(node, connection, Known::Nothing).await?;
        node.connected(&handshake);
        return Ok(());
    }
    let mut topics = Vec::new();
    for (key, values) in streams {
        if let Some(topic) = node.keys.topic_of(&key) {
            topics.push((Arc::<str>::from(topic), reply::entries(values)));
        } else if key == node.keys.control() {
            values.into_iter().for_each(|value| apply(node, value));
        } else {
            let last = reply::entries(values).last().map(|entry| entry.number);
            node.wake_read.set(last.unwrap_or_default());
        }
    }
    let mut lost = false;
    for (topic, entry) in in_order(topics, limit) {
        lost |= node.deliver(&topic, entry) == Link::HistoryLost;
    }
    if lost {
        let handshake = Handshake::ask(node, connection, Known::Lost).await?;
        node.connected(&handshake);
    }
    Ok(())
}

/// The command that reads all followed topics, the control stream and the wake stream.
fn question(node: &Node, limit: usize) -> Cmd {
    let cursors = node.cursors.borrow();
    let block = u64::try_from(BLOCK.as_millis()).unwrap_or(1000);
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(limit);
    command.arg("BLOCK").arg(block).arg("STREAMS");
    command.arg(node.keys.wake(&node.id));
    command.arg(node.keys.control());
    for (topic, _) in cursors.positions() {
        command.arg(node.keys.topic(topic));
    }
    command.arg(format!("{}-0", node.wake_read.get()));
    command.arg(node.control.borrow().as_deref().unwrap_or("$"));
    for (_, last) in cursors.positions() {
        // Skips entries with the same number that other programs have added.
        command.arg(format!("{last}-{}", u64::MAX));
    }
    command
}

/// Applies a control message of another node.
fn apply(node: &Node, value: Value) {
    let Some((id, fields)) = reply::id_and_fields(value) else {
        return;
    };
    node.control.replace(Some(id));
    let fields = fields.unwrap_or_default();
    let field = |name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    };
    if field("from") == Some(node.id.as_str()) {
        return;
    }
    let number = |name| field(name).and_then(|text| text.parse().ok());
    if let (Some(user), Some(until), Some(remember)) =
        (field("revoked"), number("until"), number("for"))
    {
        node.learn_another(&known_revocations::revocation(user, until, remember));
        return;
    }
    let revocation = match (field("user"), field("topic")) {
        (Some(user), _) => Revocation::User(user.into()),
        (_, Some(topic)) => Revocation::Topic(topic.into()),
        _ => return,
    };
    if let Some(sink) = node.sink() {
        sink.revoke(&revocation);
    }
}

/// Interrupts the blocking read, so that the next one uses the changed topics.
pub(crate) async fn wake(node: &Node, mut connection: MultiplexedConnection) -> Option<RedisError> {
    let number = node.woken.get() + 1;
    node.woken.set(number);
    let key = node.keys.wake(&node.id);
    let woken: Result<(), _> = redis::pipe()
        .cmd("XADD")
        .arg(&key)
        .arg("MAXLEN")
        .arg(1)
        .arg(format!("{number}-0"))
        .arg("w")
        .arg(1)
        .ignore()
        .cmd("PEXPIRE")
        .arg(&key)
        .arg(60_000)
        .ignore()
        .query_async(&mut connection)
        .await;
    // If Redis is out of memory, the change takes effect when the read times out.
    woken.err().filter(crate::session::ends_session)
}

/// Sets whether the session is connected.
pub(crate) fn connected(node: &Node, connected: bool) {
    node.gauges.connected.store(connected, Relaxed);
}
