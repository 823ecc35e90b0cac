//! What clients have missed, on a connection of its own: publications do not wait behind it.

use std::sync::Arc;

use actix_web_sse::{Event, History};
use redis::RedisError;

use crate::{
    entry::{self, Raw},
    scripts,
    state::{Link, State, describe, ends_session},
};

/// The events after a number in some topics. Waits while Redis cannot be reached; whoever asks drops the
/// future when it has waited enough, and nothing is left of it.
///
/// # Errors
/// Redis does not say.
pub(crate) async fn history(
    state: Arc<State>,
    topics: Vec<Arc<str>>,
    after: u64,
) -> Result<History, String> {
    let over = |_| "the backplane has ended".to_owned();
    let mut links = state.link.subscribe();
    loop {
        let link = links.wait_for(Option::is_some).await.map_err(over)?.clone();
        let Some(link) = link else { continue };
        let turn = state.resumes.acquire().await;
        let answer = ask(&state, &link, &topics, after).await;
        drop(turn);
        match answer {
            // The next connection may be better.
            Err(error) if ends_session(&error) => links.changed().await.map_err(over)?,
            answer => return answer.map_err(|error| describe(&error)),
        }
    }
}

async fn ask(
    state: &State,
    link: &Link,
    topics: &[Arc<str>],
    after: u64,
) -> Result<History, RedisError> {
    let config = &state.config;
    let name = state.epoch().map(|epoch| epoch.name).unwrap_or_default();
    let mut call = scripts::HISTORY.prepare_invoke();
    call.key(&state.keys.numbering());
    call.arg(name).arg(after);
    call.arg(config.history_events).arg(config.history_bytes);
    for topic in topics {
        call.key(state.keys.topic(topic)).arg(&**topic);
    }
    let answer: Vec<Vec<Vec<Raw>>> = link.invoke(&link.resumes, &call).await?;
    Ok(answer
        .into_iter()
        .next()
        .map_or_else(History::default, |found| collect(topics, &found)))
}

/// The events of all topics in the order of their numbers.
fn collect(topics: &[Arc<str>], found: &[Vec<Raw>]) -> History {
    let mut events: Vec<(Arc<str>, u64, Event)> = Vec::new();
    for (topic, entries) in topics.iter().zip(found) {
        let of_topic = entries.iter().filter_map(entry::event);
        events.extend(of_topic.map(|(number, event)| (Arc::clone(topic), number, event)));
    }
    events.sort_by_key(|(_, number, _)| *number);
    History {
        events,
        complete: true,
    }
}
