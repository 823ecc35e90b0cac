//! Tells Redis what this node holds: that it is alive, the streams of resumable tickets, the
//! streams of users.
//!
//! What is sent first is done first, on one connection; and a command is sent when its future is
//! polled for the first time, which is in no particular order. So each reads how many there are
//! right before it is sent, and no sooner: whatever the order, the last word is the true one.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use redis::{RedisError, aio::MultiplexedConnection};
use tokio::time::{self, Instant};

use crate::{
    node::Node,
    request::{LimitRequest, TicketClaimed},
    script::held::{ACQUIRE, CLAIM_RESUMABLE, LEASE, SETTLE_TICKET},
    session::ends_session,
};

/// For how long Redis keeps what nodes hold. Longer than they take to say it again.
const KEPT: Duration = Duration::from_secs(2 * 24 * 3600);

/// How often all is said again that is held.
const AGAIN: Duration = Duration::from_secs(12 * 3600);

/// How many users are told of at a time.
const BATCH: usize = 500;

/// A ticket that was used.
pub(crate) type TicketId = [u8; 16];

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2000)
}

/// This node is alive. Whether it was for the others, too, all the time.
async fn lease(node: &Node, connection: &mut MultiplexedConnection) -> Result<bool, RedisError> {
    LEASE
        .key(node.keys.nodes())
        .arg(&node.id)
        .arg(millis(node.config.lease))
        .invoke_async(connection)
        .await
}

/// A process that was stopped has been taken for dead, and its part is counted no more; nor is it if
/// Redis has lost everything. Then all is said again.
fn say_all_unless(node: &Node, was_alive: bool) {
    if !was_alive {
        node.tickets.borrow_mut().owe_all(|_| Duration::ZERO);
        node.users.borrow_mut().owe_all(|_| ());
        node.owing.notify_one();
    }
}

/// Says so again and again, one word for all that this node holds.
pub(crate) async fn renew(node: &Node, mut connection: MultiplexedConnection) -> RedisError {
    let mut all_said = Instant::now();
    loop {
        time::sleep(node.config.lease / 3).await;
        let was_alive = match lease(node, &mut connection).await {
            Ok(was_alive) => was_alive,
            Err(error) if ends_session(&error) => return error,
            // Whether it still is will be known the next time.
            Err(_) => true,
        };
        let due = all_said.elapsed() > AGAIN;
        if due {
            all_said = Instant::now();
        }
        say_all_unless(node, was_alive && !due);
        node.tickets.borrow_mut().resume();
        node.users.borrow_mut().resume();
        node.owing.notify_one();
    }
}

/// A single-use ticket is used.
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

/// A stream of this node, from when it is asked for to the answer: whatever becomes of that, a
/// stream that is not let in is none.
struct Asked<F: FnMut()>(Option<F>);

impl<F: FnMut()> Asked<F> {
    fn let_in(mut self) {
        self.0 = None;
    }
}

impl<F: FnMut()> Drop for Asked<F> {
    fn drop(&mut self) {
        if let Some(undo) = &mut self.0 {
            undo();
        }
    }
}

/// A resumable ticket is used.
pub(crate) async fn claim(
    node: &Node,
    mut connection: MultiplexedConnection,
    id: TicketId,
    fresh: bool,
    ttl: Duration,
    claimed: TicketClaimed,
) -> Option<RedisError> {
    let count = node.tickets.borrow_mut().add(id);
    let asked = Asked(Some(|| {
        node.tickets.borrow_mut().remove(&id, ttl);
        node.owing.notify_one();
    }));
    let may: Result<(bool, bool), _> = CLAIM_RESUMABLE
        .key(node.keys.ticket(&id))
        .key(node.keys.nodes())
        .arg(&node.id)
        .arg(count)
        .arg(u8::from(fresh))
        .arg(millis(ttl))
        .arg(millis(KEPT))
        .arg(millis(node.config.lease))
        .invoke_async(&mut connection)
        .await;
    let error = may.as_ref().err().cloned().filter(ends_session);
    let may = may.ok().map(|(may, was_alive)| {
        say_all_unless(node, was_alive);
        may
    });
    // Whoever asked may have given up, and will then not tell of the stream's end.
    if claimed.answer(may) && may == Some(true) {
        asked.let_in();
    }
    error
}

/// One more stream of a user is wanted.
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
    let asked = Asked(Some(|| {
        node.users.borrow_mut().remove(&user, ());
        node.owing.notify_one();
    }));
    let free: Result<(bool, bool), _> = ACQUIRE
        .key(node.keys.user(&user))
        .key(node.keys.nodes())
        .arg(&node.id)
        .arg(mine)
        .arg(request.limit)
        .arg(millis(KEPT))
        .arg(millis(node.config.lease))
        .invoke_async(&mut connection)
        .await;
    let error = free.as_ref().err().cloned().filter(ends_session);
    let free = free.ok().map(|(free, was_alive)| {
        say_all_unless(node, was_alive);
        free
    });
    if request.answer(free) && free == Some(true) {
        asked.let_in();
    }
    error
}

/// Tickets of which Redis is being told.
struct Ticket<'a> {
    node: &'a Node,
    owed: Option<(TicketId, Duration)>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some((id, ttl)) = self.owed.take() {
            self.node.tickets.borrow_mut().postpone(id, ttl);
        }
    }
}

/// Says how many streams of a ticket this node has.
pub(crate) async fn settle_ticket(
    node: &Node,
    mut connection: MultiplexedConnection,
    (id, ttl): (TicketId, Duration),
) -> Option<RedisError> {
    let mut owed = Ticket {
        node,
        owed: Some((id, ttl)),
    };
    let count = node.tickets.borrow().count(&id);
    let told: Result<(), _> = SETTLE_TICKET
        .key(node.keys.ticket(&id))
        .arg(&node.id)
        .arg(count)
        .arg(millis(ttl))
        .arg(millis(KEPT))
        .invoke_async(&mut connection)
        .await;
    if told.is_ok() {
        owed.owed = None;
    }
    told.err().filter(ends_session)
}

/// Users of whom Redis is being told.
struct Users<'a> {
    node: &'a Node,
    owed: Vec<(Arc<str>, ())>,
}

impl Drop for Users<'_> {
    fn drop(&mut self) {
        let mut users = self.node.users.borrow_mut();
        for (user, ()) in self.owed.drain(..) {
            users.postpone(user, ());
        }
    }
}

/// Says how many streams of these users this node has.
pub(crate) async fn settle_users(
    node: &Node,
    mut connection: MultiplexedConnection,
    owed: Vec<(Arc<str>, ())>,
) -> Option<RedisError> {
    let mut owed = Users { node, owed };
    while !owed.owed.is_empty() {
        let from = owed.owed.len().saturating_sub(BATCH);
        let mut pipe = redis::pipe();
        for (user, ()) in owed.owed.iter().skip(from) {
            let key = node.keys.user(user);
            match node.users.borrow().count(user) {
                0 => pipe.hdel(&key, &node.id).ignore(),
                count => pipe.hset(&key, &node.id, count).ignore(),
            };
            pipe.cmd("PEXPIRE").arg(&key).arg(millis(KEPT)).ignore();
        }
        let told: Result<(), _> = pipe.query_async(&mut connection).await;
        if let Err(error) = told {
            return Some(error).filter(ends_session);
        }
        owed.owed.truncate(from);
    }
    None
}

/// A new session: Redis may have lost all that this node holds, or thinks it dead.
pub(crate) async fn announce(
    node: &Node,
    connection: &mut MultiplexedConnection,
) -> Result<(), RedisError> {
    // A script that Redis does not know is sent twice, and would then come too late.
    for script in [&LEASE, &CLAIM_RESUMABLE, &SETTLE_TICKET, &ACQUIRE] {
        script.prepare_invoke().load_async(connection).await?;
    }
    match lease(node, connection).await {
        Err(error) if ends_session(&error) || error.is_timeout() => return Err(error),
        _ => {}
    }
    say_all_unless(node, false);
    node.users.borrow_mut().resume();
    node.tickets.borrow_mut().resume();
    let owed = node.users.borrow_mut().take_owed();
    let failed = settle_users(node, connection.clone(), owed).await;
    failed.map_or(Ok(()), Err)
}

/// A stream of a user has been let in without Redis.
pub(crate) fn hold(node: &Node, user: Arc<str>) {
    node.gauges.uncounted.fetch_add(1, Relaxed);
    let mut users = node.users.borrow_mut();
    users.add(Arc::clone(&user));
    users.owe(user, ());
    drop(users);
    node.owing.notify_one();
}

/// A stream of a user has ended.
pub(crate) fn let_go(node: &Node, user: &Arc<str>) {
    node.users.borrow_mut().remove(user, ());
    node.owing.notify_one();
}

/// A stream of a resumable ticket has ended.
pub(crate) fn release(node: &Node, id: &TicketId, ttl: Duration) {
    node.tickets.borrow_mut().remove(id, ttl);
    node.owing.notify_one();
}
