//! Revocations that are shared by all nodes.
//!
//! Redis has them as one stream, which a node reads from its start, and then as it grows. Each revocation
//! has an ID of its own: a node compares by it what it knows with what Redis has, and tells a Redis that
//! has lost some, one node at a time.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant, UNIX_EPOCH},
};

use actix_web_sse::{
    Revocation,
    protect::{RevocationSink, RevocationStore, UserRevocation},
};
use redis::{RedisError, aio::MultiplexedConnection};
use tokio::{sync::Notify, time::sleep};

use crate::{
    config::millis,
    entry::{self, Raw, Revoked},
    handle::Handle,
    handshake::Revocations,
    scripts,
    state::{Link, State, ends_session},
};

/// Revocations that expire within this time are not told again.
const NEARLY_OVER: Duration = Duration::from_secs(5);

/// Below this many, expired ones are not removed.
const SMALL: usize = 1024;

/// The latest moment and the longest time that are passed on, in milliseconds: the year 10000, and ten
/// years.
const LATEST: u64 = 253_402_300_800_000;
const LONGEST: u64 = 3660 * 86_400_000;

/// How many are read, or told again, in one command.
const PAGE: usize = 500;

/// How long a node without revocations waits for others to tell them, when there have to be some.
const PATIENCE: Duration = Duration::from_secs(10);

/// The revocations that this node knows. Shared by the backplane's thread and the threads that build
/// policies and revoke.
pub(crate) struct Known {
    inner: Mutex<Inner>,
    /// Notified when Redis lacks some, or may lack some.
    differs: Notify,
}

struct Inner {
    by_id: HashMap<u64, Told>,
    /// Up to which moment each user's credentials are revoked, in milliseconds.
    until: HashMap<Arc<str>, u64>,
    sinks: Vec<RevocationSink>,
    sweep_at: usize,
    /// Those of this node that Redis does not have yet.
    unsent: VecDeque<u64>,
    most_unsent: usize,
    /// The ID of the last one that was read.
    read: String,
    /// Since when Redis lacks those that have to be there, and nobody has told them.
    lacking: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Told {
    user: Arc<str>,
    until: u64,
    forget_at: Instant,
}

impl Told {
    fn rest(&self) -> Duration {
        self.forget_at.saturating_duration_since(Instant::now())
    }
}

impl Inner {
    /// Adds one; returns what policies are to be told, if it is news. Of the same user, the later one
    /// covers more than those before, whatever the clocks say.
    fn add(
        &mut self,
        id: u64,
        user: &Arc<str>,
        until: u64,
        rest: Duration,
    ) -> Option<UserRevocation> {
        self.sweep();
        let forget_at = Instant::now() + rest;
        let known = self.by_id.get(&id);
        if known.is_some_and(|known| known.until >= until) {
            return None;
        }
        let newest = self.until.get(user).copied();
        let raised = match (known, newest) {
            // The same one, of which Redis has raised the moment.
            (Some(_), Some(newest)) if newest >= until => None,
            (None, Some(newest)) if newest >= until => Some(newest.saturating_add(1)),
            _ => Some(until),
        };
        let user = Arc::clone(user);
        let told = Told {
            user: Arc::clone(&user),
            until,
            forget_at,
        };
        self.by_id.insert(id, told);
        let until = raised?;
        self.until.insert(Arc::clone(&user), until);
        Some(revocation(user, until, rest))
    }

    /// Whether Redis may have lost some that this node knows. One that has read none cannot ask for the
    /// last of them.
    fn may_differ(&self, redis: Revocations) -> bool {
        let asked = !redis.lacking && !self.read.is_empty();
        !redis.there || (!asked && !self.by_id.is_empty())
    }

    fn sweep(&mut self) {
        if self.by_id.len() < self.sweep_at {
            return;
        }
        let now = Instant::now();
        self.by_id.retain(|_, told| told.forget_at > now);
        let users: HashSet<_> = self
            .by_id
            .values()
            .map(|told| Arc::clone(&told.user))
            .collect();
        self.until.retain(|user, _| users.contains(user));
        self.sweep_at = (self.by_id.len() * 2).max(SMALL);
    }
}

fn revocation(user: Arc<str>, until: u64, rest: Duration) -> UserRevocation {
    let until = UNIX_EPOCH.checked_add(Duration::from_millis(until.min(LATEST)));
    UserRevocation::new(user, until.unwrap_or(UNIX_EPOCH), rest)
}

impl Known {
    pub(crate) fn new(most_unsent: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                by_id: HashMap::new(),
                until: HashMap::new(),
                sinks: Vec::new(),
                sweep_at: SMALL,
                unsent: VecDeque::new(),
                most_unsent,
                read: String::new(),
                lacking: None,
            }),
            differs: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ID of the last one that was read; empty if none was.
    pub(crate) fn read(&self) -> String {
        self.lock().read.clone()
    }

    /// After which ID to read.
    pub(crate) fn read_from(&self) -> String {
        let read = self.read();
        if read.is_empty() {
            "0-0".to_owned()
        } else {
            read
        }
    }

    /// Adds a policy of this node: it gets the revocations in force and all later ones.
    fn join(&self, sink: RevocationSink) {
        let mut inner = self.lock();
        let mut rests: HashMap<&Arc<str>, Duration> = HashMap::new();
        for told in inner.by_id.values() {
            let rest = rests.entry(&told.user).or_default();
            *rest = told.rest().max(*rest);
        }
        for (user, rest) in rests.into_iter().filter(|(_, rest)| !rest.is_zero()) {
            let until = inner.until.get(user).copied().unwrap_or_default();
            sink.revoke(&revocation(Arc::clone(user), until, rest));
        }
        inner.sinks.retain(RevocationSink::is_open);
        inner.sinks.push(sink);
    }

    /// Adds one of this node's own. False if more wait for Redis than may.
    fn revoke(&self, revocation: &UserRevocation) -> bool {
        let until = revocation
            .until
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let rest = revocation.remember.min(Duration::from_millis(LONGEST));
        let mut inner = self.lock();
        let has_room = inner.unsent.len() < inner.most_unsent;
        // A number that Lua represents exactly.
        let id = fastrand::u64(..1 << 53);
        let news = inner.add(id, &revocation.user, millis(until).min(LATEST), rest);
        if has_room {
            inner.unsent.push_back(id);
        } else {
            // Other nodes will never know it: it must not look as if Redis had lost it.
            inner.by_id.remove(&id);
        }
        if let Some(news) = news {
            inner.sinks.iter().for_each(|sink| sink.revoke(&news));
        }
        has_room
    }

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
        if inner.may_differ(redis) {
            self.differs.notify_one();
        }
    }

    /// Whether revocations that have to be there are on their way.
    fn is_lacking(&self) -> bool {
        let lacking = self.lock().lacking;
        lacking.is_some_and(|since| since <= Instant::now())
    }

    /// The oldest ones of this node that Redis does not have.
    fn next_unsent(&self) -> Vec<(u64, Told)> {
        let inner = &mut *self.lock();
        inner.unsent.retain(|id| inner.by_id.contains_key(id));
        let told = |id: &u64| Some((*id, inner.by_id.get(id)?.clone()));
        inner.unsent.iter().take(PAGE).filter_map(told).collect()
    }

    /// Those in force that are not among these, with the time that they stay in force.
    fn missing(&self, there: &HashSet<u64>) -> Vec<(u64, Told)> {
        let inner = self.lock();
        let unsent: HashSet<_> = inner.unsent.iter().copied().collect();
        let known = inner.by_id.iter();
        let is_missing = |(id, told): &(&u64, &Told)| {
            !there.contains(id) && !unsent.contains(id) && told.rest() > NEARLY_OVER
        };
        known
            .filter(is_missing)
            .map(|(id, told)| (*id, told.clone()))
            .collect()
    }
}

/// Sends this node's own revocations, in their order, until there is none left.
pub(crate) async fn send(state: &State, link: &Link) -> Result<(), RedisError> {
    loop {
        let page = state.known.next_unsent();
        if page.is_empty() {
            return Ok(());
        }
        let stored = store(state, link, "new", &page, 0).await?;
        state.known.lock().unsent.drain(..page.len());
        // By Redis's time, should Redis lose it before this node has read it.
        for ((id, told), until) in page.iter().zip(stored) {
            state
                .known
                .apply(state, *id, &told.user, until, told.rest());
        }
        if let Err(why) = crate::publish::replicated(state, link).await {
            state.gauges.trouble(format!("a revocation: {why}"));
        }
    }
}

/// Stores some; each is over so long after a moment. Returns up to which moments they are stored.
async fn store(
    state: &State,
    link: &Link,
    how: &str,
    page: &[(u64, Told)],
    after: u64,
) -> Result<Vec<u64>, RedisError> {
    let mut call = scripts::REVOKE.key(state.keys.head());
    call.key(state.keys.revoked()).arg(how);
    for (id, told) in page {
        call.arg(*id).arg(&*told.user).arg(told.until);
        call.arg(after + millis(told.rest()));
    }
    link.invoke(&link.commands, &call).await
}

/// Reads the stream from its start. Returns what is in it.
pub(crate) async fn read_all(
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

/// Whenever Redis may have lost some: compares, and tells what is missing, unless another node does.
pub(crate) async fn tell(state: &State, link: &Link) -> RedisError {
    loop {
        state.known.differs.notified().await;
        while let Err(error) = tell_missing(state, link).await {
            if ends_session(&error) {
                return error;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn tell_missing(state: &State, link: &Link) -> Result<(), RedisError> {
    let mut connection = link.commands.clone();
    loop {
        let there = read_all(state, &mut connection).await?;
        let missing = state.known.missing(&there);
        if missing.is_empty() {
            return Ok(());
        }
        let teller: Option<String> = redis::cmd("SET")
            .arg(state.keys.teller())
            .arg(&[&state.id, "NX", "PX", "5000"])
            .query_async(&mut connection)
            .await?;
        if teller.is_some() {
            for page in missing.chunks(PAGE) {
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
}

/// Notes that this node has to compare.
pub(crate) fn compare(state: &State, there: &HashSet<u64>) {
    if !state.known.missing(there).is_empty() {
        state.known.differs.notify_one();
    }
}

/// Shares revocations between all nodes through Redis ([`RedisBackplane::revocations`]).
///
/// Each node keeps all revocations in force, so no request waits for Redis. A node that was cut off
/// reads the revocations it does not know before anything else; a node that starts reads them before
/// [`RedisBackplane::connect`] returns. Nodes tell them again to a Redis that has lost them.
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

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn known() -> Known {
        Known::new(10)
    }

    fn add(known: &Known, id: u64, until: u64) -> Option<u64> {
        let news = known.lock().add(id, &"u".into(), until, MINUTE)?;
        Some(millis(news.until.duration_since(UNIX_EPOCH).unwrap()))
    }

    #[test]
    fn h06_a_revocation_is_applied_once_and_a_second_one_covers_more_whatever_the_clock_says() {
        let known = known();
        assert_eq!(add(&known, 1, 1000), Some(1000));
        assert_eq!(add(&known, 1, 1000), None, "told again");
        assert_eq!(add(&known, 2, 900), Some(1001));
        assert_eq!(add(&known, 2, 900), None);
        assert_eq!(add(&known, 3, 2000), Some(2000));
        // Redis's clock is ahead of the node that revoked.
        assert_eq!(add(&known, 3, 2500), Some(2500));
        assert_eq!(add(&known, 1, 1500), None, "it covers no more than 3");
    }

    #[test]
    fn what_redis_does_not_have_is_missing_unless_it_was_never_sent() {
        let known = known();
        add(&known, 1, 1000);
        add(&known, 2, 1001);
        assert!(known.revoke(&UserRevocation::new("v", UNIX_EPOCH, MINUTE)));
        let missing = known.missing(&HashSet::from([1]));
        assert_eq!(missing.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2]);
        let unsent = known.next_unsent();
        let [(id, told)] = unsent.as_slice() else {
            panic!("{unsent:?}")
        };
        assert_eq!(&*told.user, "v");
        known.lock().unsent.pop_front();
        assert_eq!(known.missing(&HashSet::from([1, 2, *id])).len(), 0);
    }

    #[test]
    fn a_node_compares_unless_the_last_one_that_it_read_is_there() {
        let known = known();
        let has = |there, lacking| Revocations { there, lacking };
        let differs = |redis| known.lock().may_differ(redis);
        assert!(!differs(has(true, false)), "nothing to be lost");
        add(&known, 1, 1000);
        assert!(differs(has(true, false)), "it has not read its own yet");
        known.lock().read = "1-0".to_owned();
        assert!(!differs(has(true, false)));
        assert!(differs(has(false, false)));
        assert!(differs(has(true, true)));
    }

    #[test]
    fn expired_ones_are_not_told_and_are_removed() {
        let known = known();
        for id in 0..10 * SMALL as u64 {
            let user = id.to_string().into();
            known.lock().add(id, &user, 1000, Duration::ZERO);
        }
        assert!(known.missing(&HashSet::new()).is_empty());
        let inner = known.lock();
        assert!(inner.by_id.len() <= 2 * SMALL && inner.until.len() <= 2 * SMALL);
    }
}
