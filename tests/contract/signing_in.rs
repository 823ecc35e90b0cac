//! Group W: tokens and cookies as issuers and browsers send them.

use actix_web_sse_tests::{Claims, Demo, Request, Settings};

use crate::{APP, DEMO, expect};

const INVALID: (u16, &str) = (401, "invalid_token");

fn page() -> Request {
    Request::event_source("/events", APP)
}

#[test]
fn w09_a_token_may_be_dated_thirty_seconds_ahead() {
    let demo = Demo::start(DEMO, &Settings::reference());
    for ahead in [0, 1, 28] {
        let token = demo.token(&Claims::of("ada").valid_in(ahead));
        expect::ok(&page().bearer(&token), &demo, Some(APP));
    }
    let token = demo.token(&Claims::of("ada").valid_in(60));
    expect::refused(&page().bearer(&token), &demo, INVALID, Some(APP));
}

#[test]
fn w09_the_tolerated_lead_is_a_setting_and_none_for_the_end() {
    let settings = Settings::reference().set("auth.jwt_leeway", "2m");
    let demo = Demo::start(DEMO, &settings);
    let token = demo.token(&Claims::of("ada").valid_in(110));
    expect::ok(&page().bearer(&token), &demo, Some(APP));
    let ended = demo.token(&Claims::of("ada").expiring_in(0));
    expect::refused(&page().bearer(&ended), &demo, INVALID, Some(APP));
}

#[test]
fn w10_of_several_cookies_the_first_that_holds_counts() {
    let demo = Demo::start(DEMO, &Settings::reference());
    let good = demo.token(&Claims::of("ada"));
    let ended = demo.token(&Claims::of("ada").expiring_in(0));
    let cookies = |values: &[&str]| {
        let pairs: Vec<_> = values
            .iter()
            .map(|value| format!("__Host-sid={value}"))
            .collect();
        page().header("Cookie", pairs.join("; "))
    };
    let tries = |before: usize| {
        let mut values: Vec<_> = (0..before).map(|n| format!("old-{n}")).collect();
        values.push(good.clone());
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        cookies(&values)
    };
    expect::ok(&cookies(&[&ended, &good]), &demo, Some(APP));
    expect::ok(&cookies(&["", "nonsense", &good]), &demo, Some(APP));
    expect::ok(&tries(7), &demo, Some(APP));
    expect::refused(&tries(8), &demo, INVALID, Some(APP));
    expect::refused(&cookies(&[&ended, "nonsense"]), &demo, INVALID, Some(APP));
}

#[test]
fn w11_rights_are_topics_or_patterns_of_topics() {
    let demo = Demo::start(DEMO, &Settings::reference());
    let asks = |topic: &str, rights: &[&str]| {
        let token = demo.token(&Claims::of("ada").only(rights));
        Request::event_source(&format!("/events?topic={topic}"), APP).bearer(&token)
    };
    for (topic, rights) in [
        ("anything", &["*"][..]),
        ("orders/7", &["orders/*"]),
        ("orders/7/items", &["news", "orders/*"]),
        ("orders:*", &["orders:*"]),
    ] {
        expect::ok(&asks(topic, rights), &demo, Some(APP));
    }
    for (topic, rights) in [
        ("orders", &["orders/*"][..]),
        ("orders/", &["orders/*"]),
        ("orders2/7", &["orders/*"]),
        ("orders:7", &["orders:*"]),
        ("orders/7", &["orders"]),
        ("orders/7/x", &["orders/*/x"]),
        ("*", &["orders/*"]),
        ("anything", &[]),
    ] {
        let scope = (403, "insufficient_scope");
        expect::refused(&asks(topic, rights), &demo, scope, Some(APP));
    }
    // A ticket is for the topic that it names, whatever its name.
    let ada = demo.token(&Claims::of("ada").only(&["*"]));
    let ticket = Request::new("POST", "/ticket?topic=*")
        .bearer(&ada)
        .body("text/plain", "")
        .send(demo.app)
        .json();
    let ticket = ticket["ticket"].as_str().expect("a ticket");
    let stream = |topic: &str| Request::stream(&format!("/events?topic={topic}&ticket={ticket}"));
    expect::refused(&stream("prices"), &demo, (401, "invalid_ticket"), None);
    expect::ok(&stream("*"), &demo, None);
}
