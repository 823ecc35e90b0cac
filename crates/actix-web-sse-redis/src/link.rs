//! The connections of a session: how Redis is asked on them, and what its errors mean.

use std::{
    fmt,
    time::{Duration, Instant},
};

use redis::{
    ErrorKind, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind,
    aio::MultiplexedConnection,
};
use tokio::{sync::mpsc, time::sleep};

use crate::{config::RedisConfig, replicated::Replicated};

/// The connections of a session, for whoever has something to ask.
#[derive(Clone)]
pub(crate) struct Link {
    /// For what is brief: counts, tickets, leases.
    pub(crate) commands: MultiplexedConnection,
    /// For publications. Waits for replicas if that is wanted: nothing else waits behind it then.
    pub(crate) publications: Replicated,
    /// For revocations and ended streams, in the same way.
    pub(crate) control: Replicated,
    /// For what clients have missed.
    pub(crate) resumes: MultiplexedConnection,
    /// Ends the session.
    pub(crate) failed: mpsc::UnboundedSender<RedisError>,
    pub(crate) patience: Duration,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Runs a script on a connection of this session; again while the keys move to another server. An error that
    /// makes the connections useless ends the session.
    pub(crate) async fn ask<T: FromRedisValue>(
        &self,
        connection: &MultiplexedConnection,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        let start = Instant::now();
        loop {
            match call.invoke_async(&mut connection.clone()).await {
                Err(error) if is_moving(&error) && start.elapsed() < self.patience => {
                    sleep(MOVING).await;
                }
                Err(error) => return Err(self.judge(error)),
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Ends the session if the error says that its connections cannot be used any more.
    pub(crate) fn judge(&self, error: RedisError) -> RedisError {
        if ends_session(&error) {
            let _ = self.failed.send(error.clone());
        }
        error
    }

    /// Waits until enough replicas have what the caller has written on a connection since this moment, if that is
    /// wanted.
    ///
    /// # Errors
    /// They do not have it.
    pub(crate) async fn replicated(
        &self,
        on: &Replicated,
        config: &RedisConfig,
        start: Instant,
    ) -> Result<(), String> {
        let wanted = config.wait_replicas;
        if wanted == 0 {
            return Ok(());
        }
        // Redis answers before this client gives up.
        let most = config.answer_timeout * 3 / 4;
        let left = || {
            config
                .answer_timeout
                .saturating_sub(start.elapsed())
                .min(most)
        };
        match on.wait(wanted, left).await {
            Ok(replicas) if replicas >= wanted => Ok(()),
            Ok(replicas) => Err(format!(
                "stored, and {replicas} of {wanted} replicas have it (wait_replicas)"
            )),
            Err(error) => Err(describe(&self.judge(error))),
        }
    }

    /// Has something go over the connections that wait for replicas, if they are connections of their own: whoever
    /// forgets an idle one on the way would be noticed by a publication that fails.
    pub(crate) fn keep_alive(&self, wait_replicas: u32) {
        if wait_replicas == 0 {
            return;
        }
        for on in [&self.publications, &self.control] {
            let (link, mut connection) = (self.clone(), on.connection.clone());
            tokio::spawn(async move {
                let answer: Result<(), _> = redis::cmd("PING").query_async(&mut connection).await;
                answer.map_err(|error| link.judge(error))
            });
        }
    }

    /// Whether both are of one session.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.failed.same_channel(&other.failed)
    }
}

/// How long to wait before a question is asked again while its keys move.
pub(crate) const MOVING: Duration = Duration::from_millis(20);

/// Whether the keys are on their way to another server: nothing was done, and it will soon be over.
pub(crate) fn is_moving(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, TryAgain};
    matches!(error.kind(), ErrorKind::Server(Ask | TryAgain))
}

/// Whether the keys are at another server now: nothing was done.
pub(crate) fn is_moved(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
}

/// What has failed, if something has: an error that ends the session, or else the first one.
#[derive(Default)]
pub(crate) struct Failed(Option<RedisError>);

impl Failed {
    /// Whether this has failed as well.
    pub(crate) fn note(&mut self, result: Result<(), RedisError>) -> bool {
        let Err(error) = result else { return false };
        if self.0.is_none() || (ends_session(&error) && !self.ends_session()) {
            self.0 = Some(error);
        }
        true
    }

    /// Whether it is of no use to go on.
    pub(crate) fn ends_session(&self) -> bool {
        self.0.as_ref().is_some_and(ends_session)
    }

    pub(crate) fn into_result(self) -> Result<(), RedisError> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Whether the connections cannot be used any more after this error.
pub(crate) fn ends_session(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
    match error.kind() {
        // No answer in time: the reader decides whether Redis is reachable.
        ErrorKind::Io => !error.is_timeout(),
        ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        ErrorKind::Server(kind) => {
            matches!(
                kind,
                BusyLoading | ClusterDown | MasterDown | Moved | ReadOnly
            )
        }
        _ => false,
    }
}

/// The message of a command's error for its caller. The client's message contains no URL.
pub(crate) fn describe(error: &RedisError) -> String {
    if error.is_timeout() || error.is_connection_dropped() {
        return "no answer from Redis; it may have stored the event nevertheless".to_owned();
    }
    moving(error).unwrap_or_else(|| error.to_string())
}

/// What there is to say of keys that move.
pub(crate) fn moving(error: &RedisError) -> Option<String> {
    (is_moving(error) || is_moved(error)).then(|| {
        format!("the keys are on their way to another server of the cluster; nothing was stored: {error}")
    })
}
