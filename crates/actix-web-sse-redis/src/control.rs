//! What is sent to the other nodes and nobody waits for: streams to end, credentials to refuse.

use std::{
    collections::VecDeque,
    sync::{MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix_web_sse::backplane::Revocation;
use redis::RedisError;
use tokio::time::sleep;

use crate::{
    handshake::new_epoch,
    link::{Link, ends_session},
    revocations, scripts,
    state::State,
};

/// The wait before a message is sent again to a Redis that answers with an error.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl State {
    fn ends(&self) -> MutexGuard<'_, VecDeque<Revocation>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the other nodes end streams, now or when Redis is back.
    pub(crate) fn end_elsewhere(&self, end: Revocation) {
        let mut ends = self.ends();
        if ends.len() >= self.config.max_pending_revocations {
            self.gauges.revocations_lost.fetch_add(1, Relaxed);
            return;
        }
        ends.push_back(end);
        drop(ends);
        self.queued.notify_one();
    }
}

/// Sends what is queued, and keeps each message until Redis has it.
pub(crate) async fn send_all(state: &State, link: &Link) -> RedisError {
    loop {
        while let Err(error) = send(state, link).await {
            if ends_session(&error) {
                return error;
            }
            state.gauges.trouble(error.to_string());
            sleep(RETRY_AFTER).await;
        }
        state.queued.notified().await;
    }
}

async fn send(state: &State, link: &Link) -> Result<(), RedisError> {
    revocations::send(state, link).await?;
    loop {
        let Some(end) = state.ends().front().cloned() else {
            return Ok(());
        };
        let named = match &end {
            Revocation::User(user) => Some(("user", user)),
            Revocation::Topic(topic) => Some(("topic", topic)),
            // A kind of a newer version, which this version cannot send.
            _ => None,
        };
        if let Some((kind, name)) = named {
            let mut call = scripts::END.prepare_invoke();
            call.key(&state.keys.numbering())
                .arg(new_epoch())
                .arg(state.config.log_events)
                .arg(state.config.keep_millis())
                .arg(&state.id)
                .arg(kind)
                .arg(&**name);
            let () = link.ask(&link.control.connection, &call).await?;
        }
        state.ends().pop_front();
    }
}
