//! User limits that are shared by all nodes.

use std::{fmt, sync::Arc, time::Duration};

use actix_web_sse::protect::{NoUserSlot, UserLimitFuture, UserLimitStore, UserSlot};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    config::UserLimits,
    request::{LimitRequest, Request},
};

/// The most time that a stream waits to be counted. A slower Redis counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts the streams of each user on all nodes together ([`RedisBackplane::user_limits`]).
///
/// [`RedisBackplane::user_limits`]: crate::RedisBackplane::user_limits
#[derive(Clone)]
pub struct RedisUserLimits {
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) how: UserLimits,
}

impl fmt::Debug for RedisUserLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisUserLimits").finish_non_exhaustive()
    }
}

/// A stream that is counted until this is dropped.
struct CountedStream {
    requests: mpsc::UnboundedSender<Request>,
    user: Arc<str>,
}

impl Drop for CountedStream {
    fn drop(&mut self) {
        let user = Arc::clone(&self.user);
        // The thread may have ended; then nothing is counted.
        let _ = self.requests.send(Request::ReleaseUser(user));
    }
}

impl UserLimitStore for RedisUserLimits {
    fn acquire<'a>(&'a self, user: &'a Arc<str>, limit: u32) -> UserLimitFuture<'a> {
        let (reply, answer) = oneshot::channel();
        let request = LimitRequest::new(Arc::clone(user), limit, reply);
        let _ = self.requests.send(Request::Limit(request));
        Box::pin(async move {
            let answer = timeout(PATIENCE, answer).await;
            let free = answer.ok().and_then(Result::ok).flatten();
            match (free, self.how) {
                (Some(true), _) => {}
                (Some(false), _) => return Err(NoUserSlot::Full),
                (None, UserLimits::SharedOrRefuse) => return Err(NoUserSlot::Unavailable),
                (None, UserLimits::Shared | UserLimits::PerNode) => {
                    let _ = self.requests.send(Request::CountUser(Arc::clone(user)));
                }
            }
            Ok(UserSlot::new(CountedStream {
                requests: self.requests.clone(),
                user: Arc::clone(user),
            }))
        })
    }
}
