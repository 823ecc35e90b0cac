//! Revocations that Redis has lost: they are told again, or counted as lost.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::StatusCode;

use super::{Guarded, token, token_of};
use crate::{
    cut::{cut, cuttable, mend},
    failover::{Pair, in_step},
    node::{config, until},
    server::Server,
};

/// Two nodes of which the first has signed Alice out and the other refuses her token, and that token.
async fn signed_out(server: &Server) -> (Guarded, Guarded, String) {
    let [a, b] = [(); 2].map(|()| Guarded::start(config(server)));
    let alice = token("alice");
    a.sign_out("alice");
    b.until_refused(&alice).await;
    (a, b, alice)
}

#[actix_web::test]
async fn s82_a_redis_that_lost_the_revocations_gets_them_again() {
    let server = Server::start();
    let (a, b, alice) = signed_out(&server).await;
    drop(a);
    server.command(&["FLUSHALL"]);
    until(|| b.backplane.stats().resets == 1).await;
    until(|| server.command(&["XLEN", "{sse}:revoked"]) == ":1\r\n").await;
    // Only these keys: as after a fail-over to a replica that had not got them yet.
    server.command(&["DEL", "{sse}:revoked"]);
    until(|| server.command(&["XLEN", "{sse}:revoked"]) == ":1\r\n").await;
    let c = Guarded::start(config(&server));
    assert_eq!(c.answer(&alice).await, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn s82_more_revocations_than_may_wait_are_counted_as_lost() {
    let mut server = Server::start();
    let mut few = config(&server);
    few.max_pending_revocations = 3;
    let a = Guarded::start(few);
    let tokens = ["1", "2", "3", "4", "5"].map(|user| (user, token(user)));
    server.kill();
    until(|| !a.backplane.stats().connected).await;
    for (user, _) in &tokens {
        a.policy.revoke(user);
    }
    until(|| a.backplane.stats().revocations_lost == 2).await;
    server.restart();
    until(|| server.command(&["XLEN", "{sse}:revoked"]) == ":3\r\n").await;
    let c = Guarded::start(config(&server));
    let mut refused = Vec::new();
    for (user, token) in &tokens {
        if c.answer(token).await == StatusCode::UNAUTHORIZED {
            refused.push(*user);
        }
        assert_eq!(
            a.answer(token).await,
            StatusCode::UNAUTHORIZED,
            "itself it knows"
        );
    }
    assert_eq!(refused, ["1", "2", "3"]);
}

/// What was lost is told again, although Redis has as many as before.
#[actix_web::test]
async fn s82_a_revocation_lost_at_a_fail_over_is_told_again_when_the_counts_agree() {
    let mut pair = Pair::start().await;
    let a = Guarded::start(pair.config());
    a.sign_out("first");
    let there = |server: &Server| server.command(&["XLEN", "{sse}:revoked"]);
    until(|| there(&pair.primary) == ":1\r\n").await;
    in_step(&pair.primary, &pair.replica).await;
    pair.wire.sever();
    let alice = token("alice");
    a.sign_out("alice");
    until(|| there(&pair.primary) == ":2\r\n").await;
    pair.fail_over();
    let third = Guarded::start(config(&pair.replica));
    third.sign_out("bob");
    third.until_refused(&alice).await;
    let late = Guarded::start(config(&pair.replica));
    assert_eq!(late.answer(&alice).await, StatusCode::UNAUTHORIZED);
}

/// The last one that every node has read is there; one before it is not.
#[actix_web::test]
async fn s82_a_revocation_that_redis_lost_before_a_later_one_is_told_again() {
    let server = Server::start();
    let (a, b, alice) = signed_out(&server).await;
    // Sooner than anybody asks whether the last one is still there.
    let bob = token("bob");
    server.command(&["DEL", "{sse}:revoked"]);
    a.sign_out("bob");
    b.until_refused(&bob).await;
    until(|| server.number(&["XLEN", "{sse}:revoked"]) == 2).await;
    let late = Guarded::start(config(&server));
    assert_eq!(late.answer(&alice).await, StatusCode::UNAUTHORIZED);
}

/// One node tells, and each revocation once.
#[actix_web::test]
async fn s82_a_flushed_redis_is_told_each_revocation_once_by_however_many_nodes() {
    let server = Server::start();
    let nodes = [(); 3].map(|()| Guarded::start(config(&server)));
    for user in 0..700 {
        nodes[0].policy.revoke(&user.to_string());
    }
    until(|| server.number(&["XLEN", "{sse}:revoked"]) == 700).await;
    let last = token_of("699", SystemTime::now() - Duration::from_secs(1));
    for node in &nodes {
        node.until_refused(&last).await;
    }
    server.command(&["FLUSHALL"]);
    until(|| server.number(&["XLEN", "{sse}:revoked"]) >= 700).await;
    until(|| server.number(&["EXISTS", "{sse}:teller"]) == 0).await;
    let late = Guarded::start(config(&server));
    assert_eq!(late.answer(&last).await, StatusCode::UNAUTHORIZED);
    assert_eq!(server.number(&["XLEN", "{sse}:revoked"]), 700);
}

/// All nodes see at the same moment that it is missing, and the one that sends it is quick.
#[actix_web::test]
async fn s82_a_revocation_that_many_nodes_miss_at_once_is_sent_once() {
    let server = Server::start();
    let nodes = [(); 8].map(|()| Guarded::start(config(&server)));
    for known in 1..20 {
        let user = known.to_string();
        let token = token(&user);
        nodes[0].sign_out(&user);
        for node in &nodes {
            node.until_refused(&token).await;
        }
        until(|| server.number(&["XLEN", "{sse}:revoked"]) >= known).await;
        until(|| server.number(&["EXISTS", "{sse}:teller"]) == 0).await;
        assert_eq!(server.number(&["XLEN", "{sse}:revoked"]), known);
        // The next one names one that is not there.
        server.command(&["DEL", "{sse}:revoked"]);
    }
}

/// A node that starts on a Redis that has lost them lets nobody in before it is told.
#[actix_web::test]
async fn s82_a_node_that_starts_where_revocations_were_evicted_admits_nobody_until_it_is_told() {
    let server = Server::start();
    let a = Guarded::start(cuttable(&server));
    let alice = token("alice");
    a.sign_out("alice");
    until(|| server.number(&["XLEN", "{sse}:revoked"]) == 1).await;
    cut(&server);
    until(|| !a.backplane.stats().connected).await;
    server.command(&["DEL", "{sse}:revoked"]);
    let late = Guarded::start(config(&server));
    assert_eq!(late.answer(&alice).await, StatusCode::SERVICE_UNAVAILABLE);
    mend(&server);
    late.until_refused(&alice).await;
}

/// If nobody is left who knows them, it is said, and the node does not refuse everybody for ever.
#[actix_web::test]
async fn s82_revocations_that_nobody_knows_any_more_are_counted_as_lost() {
    let server = Server::start();
    let a = Guarded::start(config(&server));
    a.sign_out("alice");
    until(|| server.number(&["XLEN", "{sse}:revoked"]) == 1).await;
    drop(a);
    server.command(&["DEL", "{sse}:revoked"]);
    let late = Guarded::start(config(&server));
    let bob = token("bob");
    assert_eq!(late.answer(&bob).await, StatusCode::SERVICE_UNAVAILABLE);
    until(|| late.backplane.stats().revocations_lost == 1).await;
    assert_eq!(late.answer(&bob).await, StatusCode::OK);
}

/// The clock of the one that was lost was ahead, and what is revoked after it is before what nodes have read.
#[actix_web::test]
async fn s82_after_a_fail_over_to_a_slower_clock_revocations_are_learned_and_told_again() {
    let server = Server::start();
    let (a, b, _) = signed_out(&server).await;
    let (carol, dave) = (token("carol"), token("dave"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let [now, ahead] = [now, now + Duration::from_secs(3600)].map(|time| time.as_millis());
    let id = format!("{ahead}-0");
    let (now, over) = ((now + 1000).to_string(), ahead.to_string());
    let mut entry = vec!["XADD", "{sse}:revoked", &id, "i", "7", "u", "carol"];
    entry.extend(["t", &now, "o", &over, "p", "0-0"]);
    server.command(&entry);
    a.until_refused(&carol).await;
    b.until_refused(&carol).await;
    server.command(&["DEL", "{sse}:revoked"]);
    a.sign_out("dave");
    b.until_refused(&dave).await;
    until(|| server.number(&["XLEN", "{sse}:revoked"]) >= 2).await;
    let late = Guarded::start(config(&server));
    late.until_refused(&carol).await;
    assert_eq!(late.answer(&dave).await, StatusCode::UNAUTHORIZED);
}
