//! The one connection that reads: it waits for every topic that this node follows at once.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use actix_web_sse::Revocation;
use redis::{Cmd, RedisError, Value, aio::MultiplexedConnection};

use crate::{
    following::{Link, in_order},
    hello::{Hello, Known},
    ledger,
    node::Node,
    reply,
};

/// How long Redis holds an answer back if there is none. Then the numbering is looked at, for a
/// Redis that was flushed says nothing by itself.
pub(crate) const BLOCK: Duration = Duration::from_secs(1);

/// About how many entries one answer may have: fewer of each topic, the more topics there are.
const ANSWER: usize = 20_000;

/// Reads until something goes wrong.
pub(crate) async fn read(node: &Node, mut connection: MultiplexedConnection) -> RedisError {
    loop {
        if let Err(error) = turn(node, &mut connection).await {
            return error;
        }
    }
}

async fn turn(node: &Node, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    // The newest changes, so that no topic is left that somebody follows again by now.
    node.notice_changes();
    if node.has_joining() || node.greeted_long_ago() {
        // On this connection and before the next read: so nothing above the number has been
        // delivered, and nothing above it will be missed.
        let hello = Hello::ask(node, connection, Known::Nothing).await?;
        node.note(&hello);
        node.join(hello.newest);
    } else {
        node.leave();
    }
    let limit = (ANSWER / (node.following.borrow().len() + 1)).clamp(16, 1000);
    let answer: Value = question(node, limit).query_async(connection).await?;
    if node.was_away() {
        // This process was stopped. What it missed may have expired, and the answer is of then.
        let hello = Hello::ask(node, connection, Known::Nothing).await?;
        node.greet(&hello);
        return Ok(());
    }
    node.hear();
    let streams = reply::streams(answer);
    if streams.is_empty() {
        let hello = Hello::ask(node, connection, Known::Nothing).await?;
        node.greet(&hello);
        return Ok(());
    }
    let mut topics = Vec::new();
    for (key, values) in streams {
        if let Some(topic) = node.keys.topic_of(&key) {
            topics.push((Arc::<str>::from(topic), reply::entries(values)));
        } else if key == node.keys.control() {
            values.into_iter().for_each(|value| obey(node, value));
        } else {
            let last = reply::entries(values).last().map(|entry| entry.number);
            node.wake_read.set(last.unwrap_or_default());
        }
    }
    let mut lost = false;
    for (topic, entry) in in_order(topics, limit) {
        lost |= node.deliver(&topic, entry) == Link::Past;
    }
    if lost {
        let hello = Hello::ask(node, connection, Known::Lost).await?;
        node.greet(&hello);
    }
    Ok(())
}

/// Reads all topics that are followed, and two streams more.
fn question(node: &Node, limit: usize) -> Cmd {
    let following = node.following.borrow();
    let block = u64::try_from(BLOCK.as_millis()).unwrap_or(1000);
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(limit);
    command.arg("BLOCK").arg(block).arg("STREAMS");
    command.arg(node.keys.wake(&node.id));
    command.arg(node.keys.control());
    for (topic, _) in following.places() {
        command.arg(node.keys.topic(topic));
    }
    command.arg(format!("{}-0", node.wake_read.get()));
    command.arg(node.control.borrow().as_deref().unwrap_or("$"));
    for (_, last) in following.places() {
        // Past whatever somebody else has put beside an entry of ours.
        command.arg(format!("{last}-{}", u64::MAX));
    }
    command
}

/// Does what another node asks for.
fn obey(node: &Node, value: Value) {
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
        node.learn_another(&ledger::revocation(user, until, remember));
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

/// Interrupts the reader, so that it reads another set of topics.
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
    // If Redis is out of memory, the reader sees the change when its time is up.
    woken.err().filter(crate::session::ends_session)
}

/// The reader is connected, or no longer.
pub(crate) fn connected(node: &Node, connected: bool) {
    node.gauges.connected.store(connected, Relaxed);
}
