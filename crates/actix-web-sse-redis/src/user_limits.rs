//! User limits that are shared by all nodes.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix_web_sse::protect::{NoUserSlot, UserLimitFuture, UserLimitStore, UserSlot};
use tokio::time::timeout;

use crate::{
    config::{UserLimits, millis},
    handle::Handle,
    link::Link,
    node_counts::COUNTS_TTL,
    scripts::ACQUIRE,
    state::State,
};

/// The most time that a stream waits to be counted. A slower Redis counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts the streams of each user on all nodes together ([`RedisBackplane::user_limits`]).
///
/// [`RedisBackplane::user_limits`]: crate::RedisBackplane::user_limits
#[derive(Clone)]
pub struct RedisUserLimits {
    pub(crate) handle: Handle,
    pub(crate) how: UserLimits,
}

impl fmt::Debug for RedisUserLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisUserLimits").finish_non_exhaustive()
    }
}

/// A stream of a user, counted on this node until this is dropped.
struct Counted {
    state: Arc<State>,
    user: Arc<str>,
}

impl Counted {
    fn new(state: &Arc<State>, user: &Arc<str>) -> (Self, u32) {
        let count = state.leased.users.lock().add(Arc::clone(user));
        let counted = Self {
            state: Arc::clone(state),
            user: Arc::clone(user),
        };
        (counted, count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.state.leased.users.lock().remove(&self.user, ());
        self.state.leased.dirty.notify_one();
    }
}

/// Asks Redis for one more stream: `None` without an answer, `Some(None)` if there are too many. What
/// is returned counts until it is dropped, wherever that is.
async fn ask(state: Arc<State>, user: Arc<str>, limit: u32) -> Option<Option<Counted>> {
    state.link()?;
    let (counted, count) = Counted::new(&state, &user);
    let mut call = ACQUIRE.key(state.keys.user(&user));
    call.key(state.keys.nodes())
        .arg(&*state.leased.node())
        .arg(millis(state.config.lease))
        .arg(count)
        .arg(millis(COUNTS_TTL))
        .arg(limit);
    let answer: ((bool, bool), Link) = state.ask(|link| &link.commands, &call).await.ok()?;
    let (free, was_alive) = answer.0;
    state.leased.resend_unless(was_alive);
    let users = &state.leased.users;
    state.leased.overtaken(users, (user, count), ());
    Some(free.then_some(counted))
}

impl UserLimitStore for RedisUserLimits {
    fn acquire<'a>(&'a self, user: &'a Arc<str>, limit: u32) -> UserLimitFuture<'a> {
        let state = &self.handle.state;
        let asked = ask(Arc::clone(state), Arc::clone(user), limit);
        let asked = self.handle.spawn(asked);
        Box::pin(async move {
            let answer = timeout(PATIENCE, asked).await;
            let counted = match answer.ok().and_then(Result::ok).flatten() {
                Some(Some(counted)) => counted,
                Some(None) => return Err(NoUserSlot::Full),
                None if self.how == UserLimits::SharedOrRefuse => {
                    return Err(NoUserSlot::Unavailable);
                }
                None => {
                    state.gauges.uncounted.fetch_add(1, Relaxed);
                    let (counted, _) = Counted::new(state, user);
                    state.leased.users.lock().mark_dirty(Arc::clone(user), ());
                    state.leased.dirty.notify_one();
                    counted
                }
            };
            Ok(UserSlot::new(counted))
        })
    }
}
