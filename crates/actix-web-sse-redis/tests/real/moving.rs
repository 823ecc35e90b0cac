//! A slot of a cluster that is half moved: Redis answers `TRYAGAIN` where some keys are still there, and `ASK`
//! where none is. What is asked meanwhile waits, and goes on at the server that has the keys then.

use std::{thread, time::Duration};

use actix_web::http::StatusCode;
use actix_web::rt::{spawn, task::JoinHandle};
use actix_web_sse::config::TicketMode;
use actix_web_sse_redis::{RedisBackplane, UserLimits};

use crate::{
    cluster::{Moving, cluster, owner_first},
    limits::Counting,
    node::{Node, config, data, read, until},
    revocation::{Guarded, token},
    server::Server,
    tickets::Ticketed,
};

/// How often a server has turned such a command away.
pub(crate) fn turned_away(server: &Server, command: &str) -> u64 {
    let stats = server.text(&["INFO", "commandstats"]);
    let of = format!("cmdstat_{command}:");
    let line = stats.lines().find_map(|line| line.strip_prefix(&*of));
    let count = line.and_then(|line| line.split_once("rejected_calls=")?.1.split(',').next());
    count
        .and_then(|count| count.parse().ok())
        .unwrap_or_default()
}

/// Which keys have moved while it is asked: one of several, or all that there are.
const HALVES: [&[&str]; 2] = [
    &["{sse}:head"],
    &["{sse}:head", "{sse}:log", "{sse}:topics", "{sse}:topic:t"],
];

#[actix_web::test]
async fn s82_what_is_published_and_asked_while_a_slot_is_half_moved_waits_and_goes_on() {
    for half in HALVES {
        let servers = cluster().await;
        let [from, to] = owner_first(&servers);
        let (a, b) = (Node::start(config(from)), Node::start(config(to)));
        let live = b.follow("t", 1).await;
        let first = a.publish("t", "0").await;
        a.publish("t", "1").await;
        // It has not read what its client lacks.
        let late = Node::start(config(to));
        let moving = Moving::begin(from, to);
        moving.keys(half);
        let away = turned_away(from, "evalsha");
        let publishing = spawn({
            let a = a.clone();
            async move { a.try_publish("t", "2").await }
        });
        let fresh = spawn({
            let b = b.clone();
            async move { b.try_publish("fresh", "x").await }
        });
        let returning = spawn(read(late.open("t", Some(&first)).await, 2));
        until(|| a.backplane.stats().pending == 1 && b.backplane.stats().pending == 1).await;
        until(|| turned_away(from, "evalsha") > away + 10).await;
        moving.end();
        publishing.await.unwrap().unwrap();
        fresh.await.unwrap().unwrap();
        assert_eq!(data(&returning.await.unwrap()), ["1", "2"]);
        a.publish("t", "3").await;
        assert_eq!(data(&read(live, 4).await), ["0", "1", "2", "3"]);
        for node in [&a, &b, &late] {
            let stats = node.backplane.stats();
            assert_eq!((stats.resets, stats.holes), (0, 0), "{stats:?}");
        }
    }
}

#[actix_web::test]
async fn s82_a_slot_that_stays_half_moved_fails_publications_in_time_and_loses_nothing() {
    for half in HALVES {
        let servers = cluster().await;
        let [from, to] = owner_first(&servers);
        let mut impatient = config(from);
        impatient.answer_timeout = Duration::from_secs(4);
        let (a, b) = (Node::start(impatient.clone()), Node::start(config(to)));
        let live = b.follow("t", 1).await;
        a.publish("t", "1").await;
        let moving = Moving::begin(from, to);
        moving.keys(half);
        let error = a.try_publish("t", "refused").await.unwrap_err().to_string();
        assert!(error.contains("on their way to another server"), "{error}");
        assert!(
            !error.contains("nevertheless"),
            "nothing was stored: {error}"
        );
        // A node that starts says so as well.
        let starting = thread::spawn(move || RedisBackplane::connect(impatient));
        until(|| starting.is_finished()).await;
        let error = starting.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("on their way to another server"), "{error}");
        moving.end();
        until(|| a.backplane.stats().connected && b.backplane.stats().connected).await;
        while a.try_publish("t", "2").await.is_err() {}
        assert_eq!(data(&read(live, 2).await), ["1", "2"]);
        for node in [&a, &b] {
            let stats = node.backplane.stats();
            assert_eq!((stats.resets, stats.holes), (0, 0), "{stats:?}");
        }
    }
}

/// Shows a ticket to a node whose server has turned its question away several times by now.
async fn shown_in_vain(node: &Ticketed, ticket: &str, server: &Server) -> JoinHandle<StatusCode> {
    let away = turned_away(server, "evalsha");
    let opening = spawn({
        let (node, ticket) = (node.clone(), ticket.to_owned());
        async move { node.answer(&ticket).await }
    });
    until(|| turned_away(server, "evalsha") > away + 3).await;
    opening
}

#[actix_web::test]
async fn s82_tickets_that_are_shown_while_a_slot_is_half_moved_open_their_streams_and_once() {
    let servers = cluster().await;
    let [from, to] = owner_first(&servers);
    let long = Duration::from_secs(60);
    for mode in [TicketMode::SingleUse, TicketMode::Resumable] {
        let node = Ticketed::start(config(from), long, mode);
        let ticket = node.ticket("alice").await;
        let moving = Moving::begin(from, to);
        let opening = shown_in_vain(&node, &ticket, from).await;
        moving.end();
        assert_eq!(opening.await.unwrap(), StatusCode::OK);
        let again = match mode {
            TicketMode::SingleUse => StatusCode::UNAUTHORIZED,
            _ => StatusCode::OK,
        };
        until(|| node.backplane.stats().connected).await;
        assert_eq!(node.answer(&ticket).await, again);
        Moving::begin(to, from).end();
    }
}

/// As where the time of authentication is over.
#[actix_web::test]
async fn s82_a_ticket_whose_client_was_sent_away_while_a_slot_moved_is_not_used() {
    let servers = cluster().await;
    let [from, to] = owner_first(&servers);
    let node = Ticketed::start(config(from), Duration::from_secs(60), TicketMode::SingleUse);
    let ticket = node.ticket("alice").await;
    let moving = Moving::begin(from, to);
    let opening = shown_in_vain(&node, &ticket, from).await;
    opening.abort();
    assert!(opening.await.is_err(), "it was waiting");
    moving.end();
    // What it had still asked would have been answered before a node that starts now is there.
    drop(Node::start(config(to)));
    until(|| node.backplane.stats().connected).await;
    let mut answer = node.answer(&ticket).await;
    while answer == StatusCode::SERVICE_UNAVAILABLE {
        answer = node.answer(&ticket).await;
    }
    assert_eq!(answer, StatusCode::OK);
}

#[actix_web::test]
async fn s82_limits_and_revocations_of_a_half_moved_slot_are_right_when_it_has_moved() {
    let servers = cluster().await;
    let [from, to] = owner_first(&servers);
    let counting = [(); 2].map(|()| Counting::start(config(from), UserLimits::Shared));
    let [a, b] = &counting;
    let before = a.opened().await;
    let guards = [(); 2].map(|()| Guarded::start(config(from)));
    let known = token("alice");
    assert_eq!(guards[1].answer(&known).await, StatusCode::OK);
    let moving = Moving::begin(from, to);
    moving.keys(&["{sse}:head", "{sse}:nodes"]);
    guards[0].sign_out("alice");
    // Each goes by its own count, after a second.
    let during = [a.open().await.unwrap(), b.open().await.unwrap()];
    moving.end();
    guards[1].until_refused(&known).await;
    until(|| counting.iter().all(|node| node.backplane.stats().connected)).await;
    // All three: with the first one gone already, what was counted before the move would look like what is to be.
    until(|| crate::limits::counted(to) == [1, 2]).await;
    drop(before);
    until(|| crate::limits::counted(to) == [1, 1]).await;
    let third = b.opened().await;
    assert!(a.is_full().await && b.is_full().await);
    drop((during, third));
    until(|| crate::limits::counted(to).is_empty()).await;
}

#[actix_web::test]
async fn s82_a_node_that_starts_while_a_slot_is_half_moved_waits_and_starts() {
    for half in HALVES {
        let servers = cluster().await;
        let [from, to] = owner_first(&servers);
        let a = Node::start(config(from));
        a.publish("t", "1").await;
        drop(a);
        let moving = Moving::begin(from, to);
        moving.keys(half);
        let away = turned_away(from, "evalsha");
        let settings = config(to);
        let starting = thread::spawn(move || RedisBackplane::connect(settings).map(drop));
        until(|| turned_away(from, "evalsha") > away + 3 || starting.is_finished()).await;
        moving.end();
        until(|| starting.is_finished()).await;
        starting.join().unwrap().unwrap();
    }
}
