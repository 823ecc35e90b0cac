//! What clients have missed, on a connection of its own: publications do not wait behind it. Clients that come
//! back at the same time, as after a restart, are asked for together.

use std::{mem::size_of, sync::Arc};

use actix_web_sse::{Event, backplane::History};
use redis::RedisError;

use crate::{
    entry::{self, Raw},
    handle::Handle,
    link::{Link, describe, ends_session, is_moving},
    questions::{Client, Topics},
    scripts,
    state::State,
};

/// The events after a number in some topics. Waits while Redis cannot be reached; whoever asks drops the
/// future when it has waited enough, and nothing is left of it.
///
/// # Errors
/// Redis does not say.
pub(crate) async fn history(
    handle: Handle,
    topics: Vec<Arc<str>>,
    after: u64,
) -> Result<History, String> {
    let topics: Topics = topics.into();
    // On the backplane's thread, whichever worker waits for it and is gone first.
    let start = || {
        let asking = ask_until_answered(Arc::clone(&handle.state), Arc::clone(&topics));
        handle.spawn(asking).abort_handle()
    };
    handle
        .state
        .questions
        .wait(&topics, after, start)
        .answer()
        .await
}

/// Asks for those who wait, and then for those who have come meanwhile: everything after an answer reaches
/// a stream that was there before the question.
async fn ask_until_answered(state: Arc<State>, topics: Topics) {
    let mut links = state.link.subscribe();
    while let Ok(link) = links
        .wait_for(Option::is_some)
        .await
        .map(|link| link.clone())
    {
        let Some(link) = link else { continue };
        let turn = state.resumes.acquire().await;
        let clients = state.questions.clients(&topics);
        if clients.is_empty() {
            return;
        }
        let answered = answer(&state, &link, &topics, &clients).await;
        drop(turn);
        match answered {
            Ok(()) => {}
            Err(error) if is_moving(&error) => {}
            // The next connection may be better.
            Err(error) if ends_session(&error) => {
                if links.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let answer = Err(describe(&error));
                state.questions.answer(&topics, &clients, &answer);
            }
        }
    }
}

/// Answers clients, those first who lack the most.
async fn answer(
    state: &State,
    link: &Link,
    topics: &Topics,
    clients: &[Client],
) -> Result<(), RedisError> {
    // Who comes from further ahead than this node has got is asked for alone: there may be no such number.
    let known = state.place().cursor.highest();
    let (behind, ahead) = clients.split_at(clients.partition_point(|(after, _)| *after <= known));
    answer_together(state, link, topics, behind).await?;
    for client in ahead.chunks(1) {
        answer_together(state, link, topics, client).await?;
    }
    Ok(())
}

/// One question is enough if nothing is missing to the first of them. What is missing to one is missing to all
/// before it, and what one gets has all that those after it lack.
async fn answer_together(
    state: &State,
    link: &Link,
    topics: &Topics,
    mut clients: &[Client],
) -> Result<(), RedisError> {
    let mut at = 0;
    while let Some((after, _)) = clients.get(at) {
        let history = ask(state, link, topics, *after).await?;
        let (answered, left) = if history.events().is_some() {
            let (left, answered) = clients.split_at(at);
            (answered, left)
        } else {
            clients.split_at(clients.partition_point(|(other, _)| other <= after))
        };
        state.questions.answer(topics, answered, &Ok(history));
        clients = left;
        at = clients.len() / 2;
    }
    Ok(())
}

async fn ask(
    state: &State,
    link: &Link,
    topics: &Topics,
    after: u64,
) -> Result<History, RedisError> {
    let config = &state.config;
    let mut room = state.room.reserve(config.history_bytes).await;
    let name = state.epoch().map(|epoch| epoch.name).unwrap_or_default();
    let mut call = scripts::HISTORY.prepare_invoke();
    call.key(&state.keys.numbering());
    call.arg(name).arg(after);
    call.arg(config.history_events).arg(config.history_bytes);
    for topic in &**topics {
        call.key(state.keys.topic(topic)).arg(&**topic);
    }
    let answer: Option<Vec<Vec<Raw>>> = link.ask(&link.resumes, &call).await?;
    let Some(found) = answer else {
        return Ok(History::gap());
    };
    let events = collect(topics, &found);
    let bytes = events.iter().map(|(_, _, event)| size(event)).sum();
    room.shrink(bytes);
    Ok(History::complete_with(events, room))
}

/// What an event takes in memory, about.
fn size(event: &Event) -> usize {
    let parts = event.parts();
    let texts = [parts.name, parts.data, parts.tag].into_iter().flatten();
    size_of::<(Arc<str>, u64, Event)>() + texts.map(str::len).sum::<usize>()
}

/// The events of all topics in the order of their numbers.
fn collect(topics: &[Arc<str>], found: &[Vec<Raw>]) -> Vec<(Arc<str>, u64, Event)> {
    let mut events = Vec::new();
    for (topic, entries) in topics.iter().zip(found) {
        let of_topic = entries.iter().filter_map(entry::event);
        events.extend(of_topic.map(|(number, event)| (Arc::clone(topic), number, event)));
    }
    events.sort_by_key(|(_, number, _)| *number);
    events
}
