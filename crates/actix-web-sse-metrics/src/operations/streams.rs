//! The open streams, some of them or one.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Duration};

use actix_web::{HttpResponse, http::StatusCode, web};
use actix_web_sse::{
    StreamStats,
    observe::{ConnectionId, OriginClass},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, Operator, overview::seconds, reply};
use crate::{
    live::{Ended, Listed},
    log::timestamp,
};

/// How many streams are answered with, unless fewer are asked for.
const MOST: usize = 500;

/// Which streams, and in which order.
#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    route: Option<String>,
    origin: Option<String>,
    user: Option<String>,
    #[serde(default)]
    sort: Sort,
    #[serde(default = "some")]
    limit: usize,
}

fn some() -> usize {
    100
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Newest,
    Oldest,
    /// Those that are furthest behind first.
    Behind,
    /// Those with the most events first.
    Events,
    /// Those that were longest sent nothing first.
    Quiet,
}

impl Choice {
    fn takes(&self, stream: &Listed) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        let user = || self.user.is_none() || self.user == stream.shown_user();
        is(&self.route, &stream.route) && is(&self.origin, &stream.origin) && user()
    }
}

/// `GET api/streams`.
pub(super) async fn list(operator: Operator, choice: web::Query<Choice>) -> HttpResponse {
    let Operator(desk) = operator;
    let mut listed = desk.live.open();
    listed.retain(|stream| choice.takes(stream));
    let matching = listed.len();
    // Streams that opened at the same time have a fixed order too.
    let place = |stream: &Arc<Listed>| (stream.opened, stream.connection);
    match choice.sort {
        Sort::Newest => listed.sort_unstable_by_key(|stream| Reverse(place(stream))),
        _ => listed.sort_unstable_by_key(place),
    }
    let limit = choice.limit.min(MOST);
    if matches!(choice.sort, Sort::Newest | Sort::Oldest) {
        // The hubs need not say anything about the others.
        listed.truncate(limit);
    }
    let stats = ask(&desk, &listed).await;
    let known = |stream: &Listed| stats.get(&stream.connection);
    match choice.sort {
        Sort::Newest | Sort::Oldest => {}
        Sort::Behind => listed.sort_by_key(|stream| {
            let stats = known(stream);
            Reverse(stats.map(|stats| (stats.behind_events, stats.behind_for)))
        }),
        Sort::Events => {
            listed.sort_by_key(|stream| Reverse(known(stream).map(|stats| stats.events)));
        }
        Sort::Quiet => listed.sort_by_key(|stream| {
            Reverse(known(stream).map(|stats| stats.last_write.unwrap_or(stats.age)))
        }),
    }
    listed.truncate(limit);
    let rows: Vec<_> = listed
        .iter()
        .map(|stream| row(stream, known(stream)))
        .collect();
    let body = json!({ "matching": matching, "streams": rows });
    reply(HttpResponse::build(StatusCode::OK), &body)
}

/// `GET api/streams/{connection}`: one that is open or ended lately.
pub(super) async fn one(operator: Operator, path: web::Path<String>) -> HttpResponse {
    let Operator(desk) = operator;
    let stream = connection(&path).and_then(|connection| desk.live.stream(connection));
    let Some(stream) = stream else {
        let body = json!({ "error": "not_found", "hint": "it ended some time ago" });
        return reply(HttpResponse::NotFound(), &body);
    };
    let stats = ask(&desk, std::slice::from_ref(&stream)).await;
    let body = life(&stream, stats.get(&stream.connection));
    reply(HttpResponse::build(StatusCode::OK), &body)
}

/// What the hubs know of these streams.
async fn ask(desk: &Desk, listed: &[Arc<Listed>]) -> HashMap<ConnectionId, StreamStats> {
    let mut stats = HashMap::new();
    for hub in desk.hubs.iter() {
        let connections = listed.iter().map(|stream| stream.connection);
        let found = hub.streams(connections).await;
        stats.extend(found.into_iter().map(|stats| (stats.connection, stats)));
    }
    stats
}

/// Reads what [`ConnectionId`] writes.
pub(super) fn connection(text: &str) -> Option<ConnectionId> {
    let connection = ConnectionId::from(u64::from_str_radix(text, 16).ok()?);
    (connection.to_string() == text).then_some(connection)
}

fn row(stream: &Listed, stats: Option<&StreamStats>) -> Value {
    let progress = stream.progress();
    let age = stream.opened.elapsed().unwrap_or_default();
    json!({
        "connection": stream.connection.to_string(),
        "route": &*stream.route,
        "origin": &*stream.origin,
        "user": stream.shown_user(),
        "address": stream.address,
        "cors": progress.verdict.map(|verdict| verdict.as_str()),
        "probe": stream.by_probe,
        "opened": timestamp(stream.opened),
        "ageSeconds": seconds(age),
        "topics": stats.map(topics),
        "events": stats.map(|stats| stats.events),
        "heartbeats": stats.map(|stats| stats.heartbeats),
        "bytes": stats.map(|stats| stats.bytes),
        "lastWriteSeconds": stats.and_then(|stats| stats.last_write).map(seconds),
        "behindEvents": stats.map(|stats| stats.behind_events),
        "behindSeconds": stats.map(|stats| seconds(stats.behind_for)),
        "ending": stats.and_then(|stats| stats.ending).map(|reason| reason.as_str()),
    })
}

fn topics(stats: &StreamStats) -> Vec<&str> {
    stats.topics.iter().map(|topic| &**topic).collect()
}

/// A row, and what else is known.
fn life(stream: &Listed, stats: Option<&StreamStats>) -> Value {
    let progress = stream.progress();
    let mut life = row(stream, stats);
    let (class, entry) = match &stream.class {
        OriginClass::Allowed(entry) => ("allowed", Some(&**entry)),
        class => (class.label(), None),
    };
    let more = json!({
        "originClass": class,
        "originEntry": entry,
        "authMethod": stream.auth.as_str(),
        "expires": stream.expires.map(timestamp),
        "userAgent": stream.agent,
        "httpVersion": stream.version,
        "lane": progress.lane.map(|lane| format!("{} ({lane})", lane.name())),
        "resume": progress.resume.as_str(),
        "skippedEvents": progress.skipped,
        "end": progress.ended.map(|ended| end(&ended)),
    });
    if let (Some(life), Value::Object(more)) = (life.as_object_mut(), more) {
        life.extend(more);
    }
    life
}

fn end(ended: &Ended) -> Value {
    let end = &ended.end;
    let [latest, ..] = end.latest_writes;
    let since = ended.at.checked_sub(end.duration.saturating_sub(latest));
    json!({
        "at": timestamp(ended.at),
        "reason": end.reason.as_str(),
        "seconds": seconds(end.duration),
        "events": end.events,
        "heartbeats": end.heartbeats,
        "bytes": end.bytes,
        "firstEventSeconds": end.time_to_first_event.map(seconds),
        "lastWrite": since.filter(|_| latest > Duration::ZERO).map(timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_read_as_it_is_written_and_nothing_else_is() {
        let id = ConnectionId::from(0xabc);
        assert_eq!(connection(&id.to_string()), Some(id));
        for text in ["", "abc", "+000000000000abc", "0000000000000ABC", "../x"] {
            assert_eq!(connection(text), None, "{text}");
        }
    }
}
