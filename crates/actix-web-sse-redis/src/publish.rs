//! Publications: one script each, on the connection that is there.

use std::{sync::Arc, time::Instant};

use actix_web_sse::Event;

use crate::{entry, handshake::new_epoch, link::Link, metrics::Pending, scripts, state::State};

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
    let start = Instant::now();
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
    let answer: ((String, u64, u64), Link) = state
        .ask(|link| &link.publications.connection, &call)
        .await?;
    let ((name, base, number), link) = answer;
    // Before the publisher gets the number: an event ID contains the epoch too.
    let event_of = Some(&topic).filter(|_| !event.parts().transient);
    state.acknowledged(&name, base, number, event_of);
    let replicated = link.replicated(&link.publications, &state.config, start);
    replicated.await?;
    pending.acknowledge();
    Ok(number)
}
