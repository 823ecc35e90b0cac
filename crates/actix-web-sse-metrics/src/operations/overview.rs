//! What the page shows of the node as a whole.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use actix_web::{HttpResponse, http::StatusCode, web};
use actix_web_sse::Hub;
use serde_json::{Value, json};

use super::{Desk, Operator, reply};
use crate::{
    live::{Listed, MAX_STREAMS},
    log::timestamp,
};

/// How many values of each group are shown.
const TOP: usize = 20;

/// `GET api/access`: whether the page has to ask for a token. Everybody may know.
pub(super) async fn access(desk: web::Data<Desk>) -> HttpResponse {
    let body = json!({ "token": desk.access.asks_for_a_token() });
    reply(HttpResponse::build(StatusCode::OK), &body)
}

/// `GET api/overview`.
pub(super) async fn answer(operator: Operator) -> HttpResponse {
    let Operator(desk) = operator;
    let body = overview(&desk);
    reply(HttpResponse::build(StatusCode::OK), &body)
}

fn overview(desk: &web::Data<Desk>) -> Value {
    let listed = desk.live.open();
    let stats: Vec<_> = desk.hubs.iter().map(Hub::stats).collect();
    let open: usize = stats.iter().map(|stats| stats.streams).sum();
    let (_, addresses) = desk.core.clients.levels();
    let backplanes = desk.hubs.iter().filter_map(Hub::backplane_stats);
    let backplanes: Vec<_> = backplanes.map(|stats| stats.connected).collect();
    json!({
        "node": &*desk.node,
        "version": env!("CARGO_PKG_VERSION"),
        "time": timestamp(SystemTime::now()),
        "uptimeSeconds": desk.core.clock.now().as_secs(),
        "canEnd": desk.access.asks_for_a_token(),
        "draining": stats.iter().any(|stats| stats.draining),
        "backplane": (!backplanes.is_empty()).then(|| backplanes.iter().all(|up| *up)),
        "streams": open,
        "topics": stats.iter().map(|stats| stats.topics).sum::<usize>(),
        "addresses": addresses,
        "notListed": open.saturating_sub(listed.len()),
        "mostListed": MAX_STREAMS,
        "groups": groups(&listed),
        "refusals": refusals(desk),
        "origins": origins(desk),
        "ended": ended(desk),
    })
}

/// The listed streams by what they have in common.
fn groups(listed: &[Arc<Listed>]) -> Value {
    json!({
        "route": most(listed.iter().map(|stream| stream.route.to_string())),
        "origin": most(listed.iter().map(|stream| stream.origin.to_string())),
        "user": most(listed.iter().filter_map(|stream| stream.shown_user())),
    })
}

/// How many values there are, and the most frequent ones.
fn most(values: impl Iterator<Item = String>) -> Value {
    let mut counts = HashMap::<String, usize>::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let distinct = counts.len();
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by(|(a, first), (b, second)| second.cmp(first).then(a.cmp(b)));
    counts.truncate(TOP);
    let top: Vec<_> = counts
        .into_iter()
        .map(|(value, streams)| json!({ "value": value, "streams": streams }))
        .collect();
    json!({ "distinct": distinct, "top": top })
}

fn refusals(desk: &Desk) -> Value {
    let (counts, latest) = desk.live.refusals();
    let mut reasons: Vec<_> = counts.into_values().collect();
    reasons.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total: u64 = reasons.iter().map(|(_, count)| count).sum();
    let reasons: Vec<_> = reasons
        .into_iter()
        .map(|(reason, count)| {
            json!({ "reason": reason.as_str(), "count": count, "remedy": reason.hint() })
        })
        .collect();
    let latest: Vec<_> = latest
        .into_iter()
        .map(|refusal| {
            json!({
                "number": refusal.number,
                "at": timestamp(refusal.at),
                "reason": refusal.reason.as_str(),
                "remedy": refusal.reason.hint(),
                "mode": refusal.mode.as_str(),
                "status": refusal.status,
                "route": &*refusal.route,
                "origin": &*refusal.origin,
                "address": refusal.address,
            })
        })
        .collect();
    json!({ "total": total, "reasons": reasons, "latest": latest })
}

fn origins(desk: &Desk) -> Vec<Value> {
    let origins = desk.live.origins().into_iter();
    origins
        .map(|(origin, seen)| {
            json!({
                "origin": &*origin,
                "class": seen.class.label(),
                "verdict": seen.verdict.as_str(),
                "reason": seen.reason.map(|reason| reason.as_str()),
                "opened": seen.opened,
                "refused": seen.refused,
                "last": timestamp(seen.last),
            })
        })
        .collect()
}

/// The streams that ended lately.
fn ended(desk: &Desk) -> Vec<Value> {
    let ended = desk.live.ended().into_iter();
    ended
        .filter_map(|stream| {
            let ended = stream.progress().ended?;
            Some(json!({
                "connection": stream.connection.to_string(),
                "at": timestamp(ended.at),
                "reason": ended.end.reason.as_str(),
                "route": &*stream.route,
                "user": stream.shown_user(),
                "address": stream.address,
                "seconds": seconds(ended.end.duration),
                "events": ended.end.events,
            }))
        })
        .collect()
}

/// To the millisecond.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
