//! S82: what several demos keep together through a real Redis: who was signed out, which tickets
//! are open, how many streams a user has.

use std::{thread, time::Duration};

use actix_web_sse_tests::{Claims, Demo, LIMIT, Redis, Request, Settings, until};
use serde_json::json;

use crate::DEMO;

const STREAM: &str = "/events?topic=shared";

fn with(redis: &Redis, settings: Settings) -> Settings {
    settings
        .set("backplane.redis", format!("redis://{}", redis.address()))
        .set("backplane.backoff_least", "20ms")
        .set("backplane.backoff_most", "200ms")
        // Renewed every third of it: a node that has to wait for a core is none that has died.
        .set("backplane.lease", "8s")
        .set("policy.limits.connects_per_second", "unlimited")
}

fn connected(demo: &Demo, expected: bool) {
    let expected = f64::from(u8::from(expected));
    demo.wait_for_metric("sse_backplane_connected", &[], expected);
}

/// Signs somebody in, as the demo's page does.
fn sign_in(demo: &Demo, user: &str) -> String {
    let wish = json!({ "user": user, "seconds": 600 }).to_string();
    let answer = Request::new("POST", "/session")
        .body("application/json", wish)
        .send(demo.app);
    assert_eq!(answer.status(), 200);
    answer.json()["token"].as_str().unwrap().to_owned()
}

fn ticket(demo: &Demo, token: &str) -> String {
    let response = Request::new("POST", "/ticket?topic=shared")
        .bearer(token)
        .send(demo.app);
    assert_eq!(response.status(), 200);
    response.json()["ticket"].as_str().unwrap().to_owned()
}

fn with_token(demo: &Demo, token: &str) -> u16 {
    Request::stream(STREAM)
        .bearer(token)
        .send(demo.app)
        .status()
}

fn with_ticket(demo: &Demo, ticket: &str) -> u16 {
    let target = format!("{STREAM}&ticket={ticket}");
    Request::stream(&target).send(demo.app).status()
}

#[test]
fn s82_who_signs_out_on_one_node_is_signed_out_on_all_and_on_those_that_start_later() {
    let redis = Redis::start();
    let settings = with(&redis, Settings::reference().set("server.sign_in", true));
    let [a, b] = [(); 2].map(|()| Demo::start(DEMO, &settings));
    let token = sign_in(&a, "ada");
    let tickets = [ticket(&a, &token), ticket(&b, &token), ticket(&b, &token)];
    let mut stream = Request::stream(STREAM).bearer(&token).open(b.app);
    stream.next_comment();
    let out = Request::new("DELETE", "/session")
        .bearer(&token)
        .send(a.app);
    assert_eq!(out.status(), 200);
    stream.until_end(LIMIT);
    b.wait_for_metric(
        "sse_connections_closed_total",
        &[("reason", "revoked")],
        1.0,
    );

    let c = Demo::start(DEMO, &settings);
    for (node, ticket) in [&a, &b, &c].into_iter().zip(&tickets) {
        assert_eq!(with_token(node, &token), 401);
        assert_eq!(with_ticket(node, ticket), 401);
    }
    let again = sign_in(&c, "ada");
    for node in [&a, &b, &c] {
        assert_eq!(with_token(node, &again), 200);
        assert_eq!(with_ticket(node, &ticket(&a, &again)), 200);
        assert_eq!(with_token(node, &node.token(&Claims::of("bob"))), 200);
    }
}

#[test]
fn s82_a_resumable_ticket_goes_on_elsewhere_when_its_node_dies_and_not_for_ever() {
    let redis = Redis::start();
    let settings = Settings::reference()
        .set("auth.ticket.mode", "resumable")
        .set("auth.ticket.ttl", "5s");
    let settings = with(&redis, settings);
    let [mut a, b] = [(); 2].map(|()| Demo::start(DEMO, &settings));
    let token = a.token(&Claims::of("ada"));
    let ticket = ticket(&a, &token);
    let open = |demo: &Demo, last: Option<&str>| {
        let mut request = Request::stream(&format!("{STREAM}&ticket={ticket}"));
        if let Some(id) = last {
            request = request.header("Last-Event-ID", id);
        }
        request.open(demo.app)
    };
    let mut stream = open(&a, None);
    stream.next_comment();
    a.wait_for_metric("sse_backplane_topics", &[], 1.0);
    a.publish("shared", "1");
    let first = stream.next_event();
    assert_eq!(first.data(), Some("1"));

    a.kill();
    b.publish("shared", "2");
    let mut stream = open(&b, first.id());
    assert_eq!(stream.next_event().data(), Some("2"), "nothing is missed");

    // The node that had it first is gone without a word; the second says when its stream ends.
    drop(stream);
    b.wait_for_metric("sse_connections_active", &[], 0.0);
    // It was a day before there were leases. As long as the ticket holds, each look at it begins its time anew.
    until("the ticket's five seconds are over", LIMIT * 2, || {
        thread::sleep(Duration::from_secs(7));
        (with_ticket(&b, &ticket) == 401).then_some(())
    });
}

/// Opens streams for a user until one is refused, or this many are open.
fn open_up_to(demo: &Demo, token: &str, most: usize) -> Vec<actix_web_sse_tests::Response> {
    let open = || Request::stream(STREAM).bearer(token).send(demo.app);
    let opened: Vec<_> = (0..most).map(|_| open()).collect();
    let streams = opened.into_iter();
    streams.filter(|stream| stream.status() == 200).collect()
}

/// How many streams a node has let in without asking Redis in time, since one of the two had to wait for a core.
fn uncounted(demo: &Demo) -> f64 {
    demo.exposition()
        .sum_or_zero("sse_backplane_uncounted_streams_total", &[])
}

/// Sees a stream of the user refused; one that is let in uncounted is closed at once.
#[track_caller]
fn refuses(demo: &Demo, token: &str) {
    let statuses = [(); 3].map(|()| {
        let before = uncounted(demo);
        let status = with_token(demo, token);
        if uncounted(demo) > before { 0 } else { status }
    });
    let asked: Vec<_> = statuses.into_iter().filter(|&status| status != 0).collect();
    assert!(asked.iter().all(|&status| status == 429), "{asked:?}");
    assert!(!asked.is_empty(), "Redis was not asked in time");
}

#[test]
fn s82_a_users_limit_counts_all_nodes_those_that_die_and_those_without_redis() {
    let mut redis = Redis::durable();
    let settings = Settings::reference()
        .set("policy.limits.per_user", 3)
        .set("policy.limits.per_ip", "unlimited")
        .set("backplane.user_limits", "shared");
    let settings = with(&redis, settings);
    let [mut a, b] = [(); 2].map(|()| Demo::start(DEMO, &settings));
    let token = a.token(&Claims::of("ada"));
    let (on_a, mut on_b) = until("Redis counts all of them", LIMIT, || {
        let before = uncounted(&a) + uncounted(&b);
        let opened = (open_up_to(&a, &token, 2), open_up_to(&b, &token, 4));
        if uncounted(&a) + uncounted(&b) == before {
            return Some(opened);
        }
        drop(opened);
        for node in [&a, &b] {
            node.wait_for_metric("sse_connections_active", &[], 0.0);
        }
        None
    });
    assert_eq!((on_a.len(), on_b.len()), (2, 1), "three together");
    refuses(&b, &token);
    assert_eq!(with_token(&b, &b.token(&Claims::of("bob"))), 200);

    // A node that dies without a word: its share is free when its lease is over.
    a.kill();
    until("the dead node's streams count no more", LIMIT, || {
        on_b.extend(open_up_to(&b, &token, 1));
        (on_b.len() == 3).then_some(())
    });
    refuses(&b, &token);
    a.restart();
    refuses(&a, &token);
    drop(on_b);
    b.wait_for_metric("sse_connections_active", &[], 0.0);
    let mut streams = Vec::new();
    until("all three are free", LIMIT, || {
        let node = if streams.is_empty() { &a } else { &b };
        streams.extend(open_up_to(node, &token, 1));
        (streams.len() == 3).then_some(())
    });

    // Without Redis each node goes by its own count.
    let before = uncounted(&a);
    redis.kill();
    connected(&a, false);
    connected(&b, false);
    let more = [open_up_to(&a, &token, 4), open_up_to(&b, &token, 4)];
    assert_eq!((more[0].len(), more[1].len()), (2, 1), "three on each");
    assert_eq!(uncounted(&a) - before, 2.0);

    // And when it is back, the nodes tell it what there is.
    redis.restart();
    connected(&a, true);
    connected(&b, true);
    refuses(&a, &token);
    refuses(&b, &token);
    drop((streams, more));
    for node in [&a, &b] {
        node.wait_for_metric("sse_connections_active", &[], 0.0);
    }
    let mut streams = Vec::new();
    until("all three are free", LIMIT, || {
        let node = [&a, &b][streams.len() % 2];
        streams.extend(open_up_to(node, &token, 1));
        (streams.len() == 3).then_some(())
    });
    refuses(&a, &token);
    refuses(&b, &token);
}
