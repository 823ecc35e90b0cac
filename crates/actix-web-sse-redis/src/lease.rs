//! The node's lease at Redis, and the counts that depend on it: streams of resumable tickets, streams of
//! users, and who follows topics.
//!
//! Redis executes the commands of one connection in the order in which they are sent. Each command is
//! sent by a task of the backplane's thread, which reads the count right before, with no wait between: the
//! last one that Redis gets is current.

use std::{
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use redis::RedisError;
use tokio::{select, time::sleep};

use crate::{
    config::millis,
    link::{Failed, Link, MOVING, ends_session, is_moving},
    node_counts::{COUNTS_TTL, Counts, Ended, TicketId, new_name},
    presence,
    scripts::{RENEW_LEASE, SYNC_TICKET},
    state::State,
};

/// The interval at which all counts are sent again.
const RESEND_EVERY: Duration = Duration::from_secs(12 * 3600);

/// The most users or tickets that are sent at once.
const BATCH: usize = 500;

/// Renews the lease; sends all counts again if it had expired. If it is over, it can be replaced by one of
/// another name.
async fn renew(state: &State, link: &Link, other: Option<String>) -> Result<(), RedisError> {
    let mut call = RENEW_LEASE.key(state.keys.nodes());
    call.arg(&*state.leased.node())
        .arg(millis(state.config.lease))
        .arg(other.as_deref().unwrap_or_default());
    let was_alive: bool = link.ask(&link.commands, &call).await?;
    if let Some(other) = other.filter(|_| !was_alive) {
        state.leased.rename(other);
    }
    state.leased.resend_unless(was_alive);
    // What could not be sent, is sent again now.
    state.leased.dirty.notify_one();
    Ok(())
}

/// Sends the lease and all counts on a new session, before a stream is counted there: Redis may have lost
/// them, or the lease may have expired. If what Redis has is older than the lease, nothing of it counts any
/// more; if not, it is known what has ended since.
pub(crate) async fn announce(state: &State, link: &Link) -> Result<(), RedisError> {
    let renewed = async {
        renew(state, link, Some(new_name())).await?;
        state.leased.resend_unless(false);
        send_counts(state, link).await.into_result()
    };
    match renewed.await {
        Err(error) if ends_session(&error) || is_moving(&error) || error.is_timeout() => Err(error),
        // Out of memory, for example: they are sent again.
        Err(_) | Ok(()) => Ok(()),
    }
}

/// Renews the lease every third of its lifetime, and sends counts that have changed.
pub(crate) async fn keep(state: &State, link: &Link) -> RedisError {
    let mut all_sent = Instant::now();
    let mut renewed = Instant::now();
    loop {
        let left = (state.config.lease / 3).saturating_sub(renewed.elapsed());
        let due = select! {
            () = sleep(left) => true,
            () = state.leased.dirty.notified() => false,
        };
        let done = match due {
            true => {
                link.keep_alive(state.config.wait_replicas);
                renew(state, link, None).await
            }
            false => send(state, link).await,
        };
        match done {
            Err(error) if ends_session(&error) => return error,
            // Asked anew, as counts may change meanwhile.
            Err(error) if is_moving(&error) => {
                sleep(MOVING).await;
                state.leased.dirty.notify_one();
            }
            // The next renewal shows whether the lease has expired.
            Err(_) | Ok(()) => {}
        }
        if due {
            renewed = Instant::now();
        }
        if all_sent.elapsed() > RESEND_EVERY {
            all_sent = Instant::now();
            state.leased.resend_unless(false);
        }
    }
}

/// Counts that are being sent; put back if that fails or is given up.
struct Unsent<'a, K: Eq + Hash + Clone, N: Clone> {
    counts: &'a Counts<K, N>,
    dirty: Vec<(K, N)>,
    /// Those that Redis has refused: others are not to wait for them.
    refused: Vec<(K, N)>,
}

impl<'a, K: Eq + Hash + Clone, N: Clone> Unsent<'a, K, N> {
    fn of(counts: &'a Counts<K, N>) -> Self {
        let dirty = counts.lock().take_dirty();
        let refused = Vec::new();
        Self {
            counts,
            dirty,
            refused,
        }
    }

    /// Those that are to be sent next, some at once.
    fn batch(&self) -> &[(K, N)] {
        let from = self.dirty.len().saturating_sub(BATCH);
        self.dirty.get(from..).unwrap_or_default()
    }

    /// What has become of the batch.
    fn sent(&mut self, results: Vec<Result<(), RedisError>>, failed: &mut Failed) {
        let from = self.dirty.len().saturating_sub(results.len());
        for (count, sent) in self.dirty.drain(from..).zip(results) {
            if failed.note(sent) {
                self.refused.push(count);
            }
        }
    }
}

impl<K: Eq + Hash + Clone, N: Clone> Drop for Unsent<'_, K, N> {
    fn drop(&mut self) {
        for (key, note) in self.dirty.drain(..).chain(self.refused.drain(..)) {
            self.counts.lock().put_back(key, note);
        }
    }
}

/// Sends what this node has of users, tickets and readers, as far as that has changed. What Redis refuses of it is sent
/// again after the next renewal.
async fn send(state: &State, link: &Link) -> Result<(), RedisError> {
    let mut failed = send_counts(state, link).await;
    if !failed.ends_session() {
        failed.note(presence::send(state, link).await);
    }
    failed.into_result()
}

/// Sends how many streams of users and tickets this node has, of those that have changed.
async fn send_counts(state: &State, link: &Link) -> Failed {
    let node = state.leased.node();
    let mut failed = Failed::default();
    let mut users = Unsent::of(&state.leased.users);
    while !users.batch().is_empty() && !failed.ends_session() {
        let sending = users.batch().iter();
        let sending = sending.map(|(name, ())| user(state, link, &node, name));
        let results = join_all(sending).await;
        users.sent(results, &mut failed);
    }
    let mut tickets = Unsent::of(&state.leased.tickets);
    while !tickets.batch().is_empty() && !failed.ends_session() {
        let sending = tickets.batch().iter();
        let sending = sending.map(|(id, ended)| ticket(state, link, id, *ended));
        let results = join_all(sending).await;
        tickets.sent(results, &mut failed);
    }
    failed
}

async fn user(state: &State, link: &Link, node: &str, name: &Arc<str>) -> Result<(), RedisError> {
    let key = state.keys.user(name);
    let mut pipe = redis::pipe();
    match state.leased.users.lock().count(name) {
        0 => pipe.hdel(&key, node).ignore(),
        count => pipe.hset(&key, node, count).ignore(),
    };
    pipe.cmd("PEXPIRE")
        .arg(&key)
        .arg(millis(COUNTS_TTL))
        .ignore();
    // At once, or not at all: the count is the one of this moment.
    let sent = pipe.query_async(&mut link.commands.clone()).await;
    sent.map_err(|error| link.judge(error))
}

async fn ticket(
    state: &State,
    link: &Link,
    id: &TicketId,
    (ttl, ended): Ended,
) -> Result<(), RedisError> {
    let count = state.leased.tickets.lock().count(id);
    if count == 0 && ttl.is_zero() {
        // It was to be sent again, and its last stream has ended since: that is marked by itself, with the
        // time that the ticket has left.
        return Ok(());
    }
    let mut call = SYNC_TICKET.key(state.keys.ticket(id));
    call.arg(&*state.leased.node())
        .arg(count)
        .arg(millis(COUNTS_TTL))
        .arg(millis(ttl))
        .arg(millis(ended.elapsed()));
    let sent = call.invoke_async(&mut link.commands.clone()).await;
    sent.map_err(|error| link.judge(error))
}
