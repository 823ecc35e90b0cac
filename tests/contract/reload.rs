//! Group W: other rules for a demo that runs.

use actix_web_sse_tests::{Claims, Demo, EventStream, LIMIT, Request, Settings, until};

use crate::{APP, DEMO, expect};

const OTHER: &str = "https://other.example.com";

fn settings(allow: &[&str]) -> Settings {
    Settings::reference()
        .set("server.sign_in", true)
        .set("auth.ticket.mode", "single-use")
        .allow(allow)
}

fn stream(demo: &Demo, user: &str, origin: &str) -> Request {
    Request::event_source("/events", origin).bearer(&demo.token(&Claims::of(user)))
}

/// The hashes of the policies that the demo says it enforces.
fn policies(demo: &Demo) -> Vec<String> {
    let samples = demo.exposition().samples.into_iter();
    samples
        .filter(|sample| sample.is("sse_cors_policy_info", &[]))
        .map(|sample| sample.labels["policy_hash"].clone())
        .collect()
}

/// Waits for the log to say so.
#[track_caller]
fn logged(demo: &Demo, text: &str) {
    demo.process()
        .wait_for_line(text, LIMIT, |line| line.contains(text).then_some(()));
}

#[track_caller]
fn ends(mut stream: EventStream) {
    while stream.block(LIMIT).expect("a clean end").is_some() {}
}

#[test]
fn w14_origins_change_and_nothing_else_is_forgotten() {
    let mut demo = Demo::start(DEMO, &settings(&[APP]));
    let before = policies(&demo);
    let page = expect::ok(&stream(&demo, "ada", APP), &demo, Some(APP));
    // A program, whose stream is nobody's page's.
    let program = Request::stream("/events").bearer(&demo.token(&Claims::of("bob")));
    let mut program = expect::ok(&program, &demo, None);
    let ticket = Request::new("POST", "/ticket?topic=demo")
        .bearer(&demo.token(&Claims::of("cleo")))
        .body("text/plain", "")
        .send(demo.app)
        .json();
    let ticket = ticket["ticket"].as_str().expect("a ticket").to_owned();
    let with_ticket = Request::stream(&format!("/events?topic=demo&ticket={ticket}"));
    let held = with_ticket.open(demo.app);
    let eve = demo.token(&Claims::of("eve"));
    let signed_out = Request::new("DELETE", "/session")
        .bearer(&eve)
        .send(demo.app);
    assert_eq!(signed_out.status(), 200);

    demo.reload(&settings(&[OTHER]));
    logged(&demo, "the policy was read again");
    ends(page);
    demo.wait_for_metric(
        "sse_connections_closed_total",
        &[("reason", "origin_removed")],
        1.0,
    );
    expect::refused(
        &stream(&demo, "ada", APP),
        &demo,
        (403, "origin_denied"),
        None,
    );
    let other = expect::ok(&stream(&demo, "ada", OTHER), &demo, Some(OTHER));
    // What is open goes on.
    demo.publish("demo", "still here");
    until("the event", LIMIT, || {
        let block = program.block(LIMIT).expect("a stream").expect("a block");
        block
            .data()
            .is_some_and(|data| data == "still here")
            .then_some(())
    });
    // What is used stays used, what is revoked stays revoked, what is held is counted: the two
    // streams, that of the ticket, and a fourth are all that one address may have.
    expect::refused(&with_ticket, &demo, (401, "invalid_ticket"), None);
    let revoked = Request::stream("/events").bearer(&eve);
    expect::refused(&revoked, &demo, (401, "invalid_token"), None);
    let fourth = expect::ok(&stream(&demo, "dora", OTHER), &demo, Some(OTHER));
    expect::refused(
        &stream(&demo, "fay", OTHER),
        &demo,
        (429, "ip_limit"),
        Some(OTHER),
    );
    // One policy, and another.
    let after = policies(&demo);
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
    drop((held, other, fourth));
}

#[test]
fn w14_a_bad_file_changes_nothing() {
    let mut demo = Demo::start(DEMO, &settings(&[APP]));
    let before = policies(&demo);
    let mut page = expect::ok(&stream(&demo, "ada", APP), &demo, Some(APP));
    for (bad, fault) in [
        (
            settings(&[OTHER, "https://other.example.com/"]),
            "policy.origins.allow",
        ),
        (settings(&["*"]), "policy.origins.allow"),
        (
            settings(&[OTHER]).set("policy.limits.per_ip", 0),
            "policy.limits.per_ip",
        ),
        (
            settings(&[OTHER]).set("policy.limits.ipv6_prefix", 56),
            "policy.limits.ipv6_prefix",
        ),
        (settings(&[OTHER]).set("policy.unknown", 1), "policy"),
    ] {
        demo.reload(&bad);
        demo.process().wait_for_line(fault, LIMIT, |line| {
            (line.contains("the policy stays as it was") && line.contains(fault)).then_some(())
        });
        expect::ok(&stream(&demo, "ada", APP), &demo, Some(APP));
        expect::refused(
            &stream(&demo, "ada", OTHER),
            &demo,
            (403, "origin_denied"),
            None,
        );
    }
    assert_eq!(policies(&demo), before);
    demo.publish("demo", "still here");
    until("the event", LIMIT, || {
        let block = page.block(LIMIT).expect("a stream").expect("a block");
        block
            .data()
            .is_some_and(|data| data == "still here")
            .then_some(())
    });
}

#[test]
fn w14_one_list_rules_the_demos_other_routes() {
    let mut demo = Demo::start(DEMO, &settings(&[APP]));
    let asks = |origin: &str| Request::new("GET", "/api/state").header("Origin", origin);
    let answer = asks(APP).send(demo.app);
    assert_eq!(answer.status(), 200);
    expect::readable_from(&answer.head, APP);
    let answer = asks(OTHER).send(demo.app);
    assert_eq!(answer.status(), 400);
    expect::readable_from_nowhere(&answer.head);
    demo.reload(&settings(&[OTHER]));
    logged(&demo, "the policy was read again");
    let answer = asks(OTHER).send(demo.app);
    assert_eq!(answer.status(), 200);
    expect::readable_from(&answer.head, OTHER);
    assert_eq!(asks(APP).send(demo.app).status(), 400);
}
