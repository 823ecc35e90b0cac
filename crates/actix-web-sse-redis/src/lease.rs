//! The node's lease at Redis, and the counts that depend on it: streams of resumable tickets and
//! streams of users.
//!
//! Redis executes the commands of one connection in the order in which they are sent, and a command
//! is sent when its future is first polled, in no particular order. So each command reads its count
//! right before it is sent: whatever the order, the last one that Redis gets is current.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use redis::{RedisError, aio::MultiplexedConnection};
use tokio::time::{self, Instant};

use crate::{
    node::Node,
    request::{LimitRequest, TicketClaimed},
    script::lease::{ACQUIRE, CLAIM_RESUMABLE, RENEW_LEASE, SYNC_TICKET},
    session::ends_session,
};

/// How long Redis keeps the counts of a node. Longer than the interval at which all are sent again.
const COUNTS_TTL: Duration = Duration::from_secs(2 * 24 * 3600);

/// The interval at which all counts are sent again.
const RESEND_EVERY: Duration = Duration::from_secs(12 * 3600);

/// The most users in one pipeline.
const BATCH: usize = 500;

/// The ID of a used ticket.
pub(crate) type TicketId = [u8; 16];

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2000)
}

/// Renews the lease. False if it had expired.
async fn lease(node: &Node, connection: &mut MultiplexedConnection) -> Result<bool, RedisError> {
    RENEW_LEASE
        .key(node.keys.nodes())
        .arg(&node.id)
        .arg(millis(node.config.lease))
        .invoke_async(connection)
        .await
}

/// Marks all counts to be sent again after the lease had expired: while it has, the node's streams
/// are not counted. That happens to a process that was stopped, and after Redis lost its data.
fn resend_all_unless(node: &Node, was_alive: bool) {
    if !was_alive {
        node.tickets.borrow_mut().mark_all_dirty(|_| Duration::ZERO);
        node.users.borrow_mut().mark_all_dirty(|_| ());
        node.counts_dirty.notify_one();
    }
}

/// Renews the lease every third of its lifetime.
pub(crate) async fn renew(node: &Node, mut connection: MultiplexedConnection) -> RedisError {
    let mut all_sent = Instant::now();
    loop {
        time::sleep(node.config.lease / 3).await;
        let was_alive = match lease(node, &mut connection).await {
            Ok(was_alive) => was_alive,
            Err(error) if ends_session(&error) => return error,
            // The next renewal shows whether the lease has expired.
            Err(_) => true,
        };
        let due = all_sent.elapsed() > RESEND_EVERY;
        if due {
            all_sent = Instant::now();
        }
        resend_all_unless(node, was_alive && !due);
        node.tickets.borrow_mut().resume();
        node.users.borrow_mut().resume();
        node.counts_dirty.notify_one();
    }
}

/// Claims a single-use ticket.
pub(crate) async fn use_once(
    node: &Node,
    mut connection: MultiplexedConnection,
    id: TicketId,
    remember: Duration,
    claimed: TicketClaimed,
) -> Option<RedisError> {
    let set: Result<Option<String>, _> = redis::cmd("SET")
        .arg(node.keys.ticket(&id))
        .arg(&["1", "NX", "PX"])
        .arg(millis(remember))
        .query_async(&mut connection)
        .await;
    let error = set.as_ref().err().cloned().filter(ends_session);
    claimed.answer(set.ok().map(|set| set.is_some()));
    error
}

/// Takes a count back when it is dropped, unless the stream was admitted. It covers every way in
/// which a request can end before its answer.
struct UndoCount<F: FnMut()>(Option<F>);

impl<F: FnMut()> UndoCount<F> {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl<F: FnMut()> Drop for UndoCount<F> {
    fn drop(&mut self) {
        if let Some(undo) = &mut self.0 {
            undo();
        }
    }
}

/// Claims a resumable ticket.
pub(crate) async fn claim(
    node: &Node,
    mut connection: MultiplexedConnection,
    id: TicketId,
    fresh: bool,
    ttl: Duration,
    claimed: TicketClaimed,
) -> Option<RedisError> {
    let count = node.tickets.borrow_mut().add(id);
    let undo = UndoCount(Some(|| {
        node.tickets.borrow_mut().remove(&id, ttl);
        node.counts_dirty.notify_one();
    }));
    let may: Result<(bool, bool), _> = CLAIM_RESUMABLE
        .key(node.keys.ticket(&id))
        .key(node.keys.nodes())
        .arg(&node.id)
        .arg(count)
        .arg(u8::from(fresh))
        .arg(millis(ttl))
        .arg(millis(COUNTS_TTL))
        .arg(millis(node.config.lease))
        .invoke_async(&mut connection)
        .await;
    let error = may.as_ref().err().cloned().filter(ends_session);
    let may = may.ok().map(|(may, was_alive)| {
        resend_all_unless(node, was_alive);
        may
    });
    // A caller that has given up will not report the end of the stream.
    if claimed.answer(may) && may == Some(true) {
        undo.disarm();
    }
    error
}

/// Admits one more stream of a user if the limit allows it.
pub(crate) async fn acquire(
    node: &Node,
    mut connection: MultiplexedConnection,
    request: LimitRequest,
) -> Option<RedisError> {
    if request.is_abandoned() {
        return None;
    }
    let user = Arc::clone(&request.user);
    let mine = node.users.borrow_mut().add(Arc::clone(&user)) - 1;
    let undo = UndoCount(Some(|| {
        node.users.borrow_mut().remove(&user, ());
        node.counts_dirty.notify_one();
    }));
    let free: Result<(bool, bool), _> = ACQUIRE
        .key(node.keys.user(&user))
        .key(node.keys.nodes())
        .arg(&node.id)
        .arg(mine)
        .arg(request.limit)
        .arg(millis(COUNTS_TTL))
        .arg(millis(node.config.lease))
        .invoke_async(&mut connection)
        .await;
    let error = free.as_ref().err().cloned().filter(ends_session);
    let free = free.ok().map(|(free, was_alive)| {
        resend_all_unless(node, was_alive);
        free
    });
    if request.answer(free) && free == Some(true) {
        undo.disarm();
    }
    error
}

/// A ticket whose count is being sent; postponed if that fails.
struct UnsentTicket<'a> {
    node: &'a Node,
    dirty: Option<(TicketId, Duration)>,
}

impl Drop for UnsentTicket<'_> {
    fn drop(&mut self) {
        if let Some((id, ttl)) = self.dirty.take() {
            self.node.tickets.borrow_mut().postpone(id, ttl);
        }
    }
}

/// Sends how many streams of a ticket this node has.
pub(crate) async fn sync_ticket(
    node: &Node,
    mut connection: MultiplexedConnection,
    (id, ttl): (TicketId, Duration),
) -> Option<RedisError> {
    let mut unsent = UnsentTicket {
        node,
        dirty: Some((id, ttl)),
    };
    let count = node.tickets.borrow().count(&id);
    let result: Result<(), _> = SYNC_TICKET
        .key(node.keys.ticket(&id))
        .arg(&node.id)
        .arg(count)
        .arg(millis(ttl))
        .arg(millis(COUNTS_TTL))
        .invoke_async(&mut connection)
        .await;
    if result.is_ok() {
        unsent.dirty = None;
    }
    result.err().filter(ends_session)
}

/// Users whose counts are being sent; postponed if that fails.
struct UnsentUsers<'a> {
    node: &'a Node,
    dirty: Vec<(Arc<str>, ())>,
}

impl Drop for UnsentUsers<'_> {
    fn drop(&mut self) {
        let mut users = self.node.users.borrow_mut();
        for (user, ()) in self.dirty.drain(..) {
            users.postpone(user, ());
        }
    }
}

/// Sends how many streams of these users this node has.
pub(crate) async fn sync_users(
    node: &Node,
    mut connection: MultiplexedConnection,
    dirty: Vec<(Arc<str>, ())>,
) -> Option<RedisError> {
    let mut unsent = UnsentUsers { node, dirty };
    while !unsent.dirty.is_empty() {
        let from = unsent.dirty.len().saturating_sub(BATCH);
        let mut pipe = redis::pipe();
        for (user, ()) in unsent.dirty.iter().skip(from) {
            let key = node.keys.user(user);
            match node.users.borrow().count(user) {
                0 => pipe.hdel(&key, &node.id).ignore(),
                count => pipe.hset(&key, &node.id, count).ignore(),
            };
            pipe.cmd("PEXPIRE")
                .arg(&key)
                .arg(millis(COUNTS_TTL))
                .ignore();
        }
        let result: Result<(), _> = pipe.query_async(&mut connection).await;
        if let Err(error) = result {
            return Some(error).filter(ends_session);
        }
        unsent.dirty.truncate(from);
    }
    None
}

/// Sends the lease and all counts on a new session: Redis may have lost them, or the lease may have
/// expired.
pub(crate) async fn announce(
    node: &Node,
    connection: &mut MultiplexedConnection,
) -> Result<(), RedisError> {
    // A script that Redis does not know is sent twice, which would break the order of commands.
    for script in [&RENEW_LEASE, &CLAIM_RESUMABLE, &SYNC_TICKET, &ACQUIRE] {
        script.prepare_invoke().load_async(connection).await?;
    }
    match lease(node, connection).await {
        Err(error) if ends_session(&error) || error.is_timeout() => return Err(error),
        _ => {}
    }
    resend_all_unless(node, false);
    node.users.borrow_mut().resume();
    node.tickets.borrow_mut().resume();
    let dirty = node.users.borrow_mut().take_dirty();
    let failed = sync_users(node, connection.clone(), dirty).await;
    failed.map_or(Ok(()), Err)
}

/// Counts a stream of a user that was admitted without Redis.
pub(crate) fn count_user(node: &Node, user: Arc<str>) {
    node.gauges.uncounted.fetch_add(1, Relaxed);
    let mut users = node.users.borrow_mut();
    users.add(Arc::clone(&user));
    users.mark_dirty(user, ());
    drop(users);
    node.counts_dirty.notify_one();
}

/// Counts the end of a user's stream.
pub(crate) fn release_user(node: &Node, user: &Arc<str>) {
    node.users.borrow_mut().remove(user, ());
    node.counts_dirty.notify_one();
}

/// Counts the end of a resumable ticket's stream.
pub(crate) fn release(node: &Node, id: &TicketId, ttl: Duration) {
    node.tickets.borrow_mut().remove(id, ttl);
    node.counts_dirty.notify_one();
}
