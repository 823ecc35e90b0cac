//! Publications: one script each, on the connection that is there.

use std::sync::Arc;

use actix_web_sse::Event;
use redis::RedisError;

use crate::{
    entry,
    handshake::new_epoch,
    link::{Link, describe},
    metrics::Pending,
    scripts,
    state::State,
};

/// Publishes an event; its number.
///
/// # Errors
/// Why it is not acknowledged.
pub(crate) async fn publish(
    state: &State,
    topic: Arc<str>,
    event: &Event,
    pending: Pending,
) -> Result<u64, String> {
    let fields = entry::fields(event);
    let mut call = scripts::PUBLISH.prepare_invoke();
    call.key(&state.keys.numbering())
        .key(state.keys.topic(&topic))
        .arg(new_epoch())
        .arg(state.config.log_events)
        .arg(state.config.keep_events)
        .arg(state.config.keep_millis())
        .arg(&*topic)
        .arg(u8::from(event.parts().transient))
        .arg(
            fields
                .large
                .map(|size| size.to_string())
                .unwrap_or_default(),
        );
    for (field, value) in &fields.all {
        call.arg(*field).arg(value);
    }
    let answer: ((String, u64, u64), Link) = state.ask(&call).await?;
    let ((name, base, number), link) = answer;
    // Before the publisher gets the number: an event ID contains the epoch too.
    let event_of = Some(&topic).filter(|_| !event.parts().transient);
    state.acknowledged(&name, base, number, event_of);
    replicated(state, &link).await?;
    pending.acknowledge();
    Ok(number)
}

/// Waits until enough replicas have everything that was sent on this connection before, if that is wanted.
///
/// # Errors
/// They do not have it.
pub(crate) async fn replicated(state: &State, link: &Link) -> Result<(), String> {
    let wanted = state.config.wait_replicas;
    if wanted == 0 {
        return Ok(());
    }
    let limit = crate::config::millis(state.config.answer_timeout * 3 / 4);
    let answer: Result<u32, RedisError> = redis::cmd("WAIT")
        .arg(wanted)
        .arg(limit)
        .query_async(&mut link.commands.clone())
        .await;
    match answer {
        Ok(replicas) if replicas >= wanted => Ok(()),
        Ok(replicas) => Err(format!(
            "stored, and {replicas} of {wanted} replicas have it (wait_replicas)"
        )),
        Err(error) => Err(describe(&link.judge(error))),
    }
}
