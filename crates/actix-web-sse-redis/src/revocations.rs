//! Revocations that are shared by all nodes.
//!
//! Redis has them as one stream, which a node reads from its start, and then as it grows. Each revocation
//! has an ID of its own: a node compares by it what it knows with what Redis has, and sends a Redis that
//! has lost some what it lacks, one node at a time.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use actix_web_sse::{
    backplane::Revocation,
    protect::{RevocationSink, RevocationStore, UserRevocation},
};
use redis::{RedisError, aio::MultiplexedConnection};
use tokio::time::sleep;

use crate::{
    config::millis,
    entry::{self, Raw, Revoked},
    handle::Handle,
    handshake::Revocations,
    known::{Entry, Known, LATEST, LONGEST, PAGE},
    link::{Link, ends_session},
    scripts,
    state::State,
};

/// How long a node without revocations waits for others to send them, when there have to be some.
const PATIENCE: Duration = Duration::from_secs(10);

impl Known {
    /// Applies what was read of the stream, and moves on.
    pub(crate) fn learn_all(&self, state: &State, entries: &[Raw]) {
        for raw in entries {
            if let Some(revoked) = entry::revoked(raw) {
                self.learn(state, &revoked);
            }
            raw.0.clone_into(&mut self.lock().read);
        }
    }

    /// The same with what came after this one: if its first names another before it, Redis has lost
    /// some.
    pub(crate) fn follow(&self, state: &State, last: &str, entries: &[Raw]) {
        let before = entries.first().and_then(entry::before_revocation);
        if before.is_some_and(|before| before != last) {
            self.differs.notify_one();
        }
        self.learn_all(state, entries);
    }

    fn learn(&self, state: &State, revoked: &Revoked) {
        let rest = revoked
            .over
            .saturating_sub(state.redis_millis().unwrap_or_default());
        if rest == 0 {
            return;
        }
        let rest = Duration::from_millis(rest.min(LONGEST));
        self.apply(state, revoked.id, &revoked.user, revoked.until, rest);
    }

    /// Passes a revocation on, if it is news.
    fn apply(&self, state: &State, id: u64, user: &Arc<str>, until: u64, rest: Duration) {
        let mut inner = self.lock();
        let news = inner.add(id, user, until.min(LATEST), rest);
        let Some(news) = news else { return };
        inner.sinks.retain(RevocationSink::is_open);
        let sinks = inner.sinks.clone();
        drop(inner);
        sinks.iter().for_each(|sink| sink.revoke(&news));
        if let Some(sink) = state.sink() {
            sink.revoke(&Revocation::User(news.user));
        }
    }

    /// Takes note of what a handshake says.
    pub(crate) fn compare(&self, state: &State, redis: Revocations) {
        let mut inner = self.lock();
        match (redis.lacking, inner.lacking) {
            (true, None) => inner.lacking = Some(Instant::now()),
            (true, Some(since)) if since.elapsed() > PATIENCE => {
                // Nobody is left who knows them.
                inner.lacking = Some(since + Duration::from_secs(10 * 366 * 86_400));
                state.gauges.revocations_lost.fetch_add(1, Relaxed);
                let why = "Redis has lost revocations, and no node knows them (maxmemory-policy?)";
                state.gauges.trouble(why.to_owned());
            }
            (true, Some(_)) => {}
            (false, _) => inner.lacking = None,
        }
        if inner.may_differ(redis.there, redis.lacking) {
            self.differs.notify_one();
        }
    }
}

/// Sends this node's own revocations, in their order, until there is none left.
pub(crate) async fn send(state: &State, link: &Link) -> Result<(), RedisError> {
    loop {
        let page = state.known.next_unsent();
        if page.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let stored = store(state, link, "new", &page, 0).await?;
        state.known.lock().unsent.drain(..page.len());
        // By Redis's time, should Redis lose it before this node has read it.
        for ((id, entry), until) in page.iter().zip(stored) {
            state
                .known
                .apply(state, *id, &entry.user, until, entry.rest());
        }
        let replicated = link.replicated(&link.control, &state.config, start);
        if let Err(why) = replicated.await {
            state.gauges.trouble(format!("a revocation: {why}"));
        }
    }
}

/// Stores some; each is over so long after a moment. Returns up to which moments they are stored.
async fn store(
    state: &State,
    link: &Link,
    how: &str,
    page: &[(u64, Entry)],
    after: u64,
) -> Result<Vec<u64>, RedisError> {
    let mut call = scripts::REVOKE.key(state.keys.head());
    call.key(state.keys.revoked()).arg(how);
    for (id, entry) in page {
        call.arg(*id).arg(&*entry.user).arg(entry.until);
        call.arg(after + millis(entry.rest()));
    }
    link.ask(&link.control.connection, &call).await
}

/// Reads the stream from its start. Returns what is in it.
async fn read_all(
    state: &State,
    connection: &mut MultiplexedConnection,
) -> Result<HashSet<u64>, RedisError> {
    let key = state.keys.revoked();
    let (mut there, mut from) = (HashSet::new(), "0-0".to_owned());
    loop {
        let page: Vec<Raw> = redis::cmd("XRANGE")
            .arg(&key)
            .arg(format!("({from}"))
            .arg(&["+", "COUNT"])
            .arg(PAGE)
            .query_async(connection)
            .await?;
        there.extend(
            page.iter()
                .filter_map(entry::revoked)
                .map(|revoked| revoked.id),
        );
        state.known.learn_all(state, &page);
        match page.last() {
            Some((id, _)) => id.clone_into(&mut from),
            None => break,
        }
    }
    // Also if it is before the last one that was read from a Redis that has lost some.
    state.known.lock().read = if there.is_empty() {
        String::new()
    } else {
        from
    };
    Ok(there)
}

/// Whenever Redis may have lost some: compares, and sends what is missing, unless another node does.
pub(crate) async fn restore(state: &State, link: &Link) -> RedisError {
    loop {
        state.known.differs.notified().await;
        while let Err(error) = restore_missing(state, link).await {
            if ends_session(&error) {
                return error;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn restore_missing(state: &State, link: &Link) -> Result<(), RedisError> {
    let mut connection = link.commands.clone();
    while !missing(state, &mut connection).await?.is_empty() {
        let alone: Option<String> = redis::cmd("SET")
            .arg(state.keys.teller())
            .arg(&[&state.id, "NX", "PX", "5000"])
            .query_async(&mut connection)
            .await?;
        if alone.is_some() {
            // Another node may have sent them before this one was alone.
            for page in missing(state, &mut connection).await?.chunks(PAGE) {
                let now = state.redis_millis().unwrap_or_default();
                store(state, link, "again", page, now).await?;
            }
            let () = redis::cmd("DEL")
                .arg(state.keys.teller())
                .query_async(&mut connection)
                .await?;
        } else {
            sleep(Duration::from_millis(fastrand::u64(200..700))).await;
        }
    }
    Ok(())
}

/// Reads the stream; what it lacks.
async fn missing(
    state: &State,
    connection: &mut MultiplexedConnection,
) -> Result<Vec<(u64, Entry)>, RedisError> {
    let sent = state.known.sent();
    let there = read_all(state, connection).await?;
    Ok(state.known.missing(&sent, &there))
}

/// Reads the stream, and notes whether this node has to send something.
pub(crate) async fn read(
    state: &State,
    connection: &mut MultiplexedConnection,
) -> Result<(), RedisError> {
    if !missing(state, connection).await?.is_empty() {
        state.known.differs.notify_one();
    }
    Ok(())
}

/// Shares revocations between all nodes through Redis ([`RedisBackplane::revocations`]).
///
/// Each node keeps all revocations in force, so no request waits for Redis. A node that was cut off
/// reads the revocations it does not know before anything else; a node that starts reads them before
/// [`RedisBackplane::connect`] returns. Nodes send them again to a Redis that has lost them.
///
/// A revocation covers what was issued up to the time of the node that revokes, plus
/// [`revocation_skew`](actix_web_sse::config::AuthConfig::revocation_skew), and in any case what was issued
/// up to now by Redis's clock. A second revocation of a user is always applied.
///
/// A node that is cut off relies on the revocations that it knows. With `revocation_grace` it does so
/// for that time, and then refuses credentials that could have been revoked (503).
///
/// [`RedisBackplane::revocations`]: crate::RedisBackplane::revocations
/// [`RedisBackplane::connect`]: crate::RedisBackplane::connect
#[derive(Clone)]
pub struct RedisRevocations(pub(crate) Handle);

impl fmt::Debug for RedisRevocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRevocations").finish_non_exhaustive()
    }
}

impl RevocationStore for RedisRevocations {
    fn start(&self, sink: RevocationSink) {
        self.0.state.known.join(sink);
    }

    fn revoke(&self, revocation: UserRevocation) {
        let state = &self.0.state;
        match state.known.revoke(&revocation) {
            true => state.queued.notify_one(),
            false => drop(state.gauges.revocations_lost.fetch_add(1, Relaxed)),
        }
    }

    fn is_current(&self) -> bool {
        let state = &self.0.state;
        let grace = state.config.revocation_grace;
        !state.known.is_lacking() && grace.is_none_or(|grace| state.gauges.silent() <= grace)
    }
}
