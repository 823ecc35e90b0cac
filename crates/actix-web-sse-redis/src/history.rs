//! What clients have missed, on a connection of its own: publications do not wait behind it. Clients that ask
//! the same at the same time, as after a restart, share one answer.

use std::sync::{Arc, PoisonError};

use actix_web_sse::{Event, backplane::History};
use futures_util::{
    FutureExt,
    future::{Shared, WeakShared},
};
use redis::RedisError;
use tokio::task::JoinSet;

use crate::{
    entry::{self, Raw},
    handle::Handle,
    scripts,
    state::{Answer, Asking, Link, Question, Questions, State, describe, ends_session},
};

impl Questions {
    /// Joins those who ask the same, unless the question is to be `new`.
    fn join(&self, handle: &Handle, question: &Question, new: bool) -> Shared<Asking> {
        let mut asking = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asking.retain(|_, known| known.upgrade().is_some());
        let known = asking.get(question).and_then(WeakShared::upgrade);
        if let Some(known) = known.filter(|_| !new) {
            return known;
        }
        let (topics, after) = question.clone();
        // On the backplane's thread, whichever worker waits for it and is gone first.
        let mut running = JoinSet::new();
        let ask = ask_until_answered(Arc::clone(&handle.state), topics, after);
        running.spawn_on(ask, &handle.runtime);
        let asked: Asking = Box::pin(async move {
            let answer = running.join_next().await.and_then(Result::ok);
            answer.unwrap_or_else(|| Err("the backplane has ended".to_owned()))
        });
        let asked = asked.shared();
        if let Some(weak) = asked.downgrade() {
            asking.insert(question.clone(), weak);
        }
        asked
    }
}

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
    let state = &handle.state;
    // Everything after this reaches the stream that asks.
    let seen = state.place().cursor.seen;
    let question = (topics, after);
    let mut new = false;
    loop {
        let (upto, history) = state.questions.join(&handle, &question, new).await?;
        if upto >= seen {
            return Ok(history);
        }
        // It was answered before this stream was there.
        new = true;
    }
}

async fn ask_until_answered(state: Arc<State>, topics: Vec<Arc<str>>, after: u64) -> Answer {
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
) -> Result<(u64, History), RedisError> {
    let config = &state.config;
    let name = state.epoch().map(|epoch| epoch.name).unwrap_or_default();
    let mut call = scripts::HISTORY.prepare_invoke();
    call.key(&state.keys.numbering());
    call.arg(name).arg(after);
    call.arg(config.history_events).arg(config.history_bytes);
    for topic in topics {
        call.key(state.keys.topic(topic)).arg(&**topic);
    }
    let answer: Option<(u64, Vec<Vec<Raw>>)> = link.invoke(&link.resumes, &call).await?;
    Ok(answer.map_or_else(
        // A gap is one whenever it is asked for.
        || (u64::MAX, History::default()),
        |(upto, found)| (upto, collect(topics, &found)),
    ))
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
