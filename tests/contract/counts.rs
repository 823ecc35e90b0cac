//! Group M: what each metric says, against a history that is known.

use actix_web_sse_tests::{
    Block, Claims, Connection, Demo, EventStream, LIMIT, Request, Settings, Signal, until,
};

use crate::{APP, DEMO};

fn settings() -> Settings {
    Settings::reference()
        .set("policy.limits.trusted_proxies", vec!["127.0.0.0/8"])
        .set("server.sign_in", true)
}

/// Signs the user out, and reads what the streams still say.
fn sign_out(demo: &Demo, token: &str, streams: &mut [&mut EventStream]) {
    let response = Request::new("DELETE", "/session")
        .bearer(token)
        .send(demo.app);
    assert_eq!(response.status(), 200);
    for stream in streams {
        stream.until_end(LIMIT);
    }
}

/// Lines that nobody but the connection is meant to read.
fn comments(stream: &EventStream) -> usize {
    let text = String::from_utf8_lossy(stream.wire());
    text.lines().filter(|line| line.starts_with(':')).count()
}

#[test]
fn the_numbers_are_what_happened() {
    let demo = Demo::start(DEMO, &settings());
    let [ada, bob, eve] = [("ada", 500), ("bob", 5_000), ("eve", 50_000)]
        .map(|(user, life)| demo.token(&Claims::of(user).expiring_in(life)));
    let page = Request::event_source("/events?topic=t", APP);
    let from = |request: Request, address: &str| request.header("X-Forwarded-For", address);

    let mut first = from(page.clone().bearer(&ada), "198.51.100.1").open(demo.app);
    let cookie = format!("__Host-sid={ada}");
    let mut second = from(page.header("Cookie", cookie), "198.51.100.1").open(demo.app);
    let server = Request::stream("/events?topic=t");
    let mut third = from(server.clone().bearer(&bob), "198.51.100.2").open(demo.app);

    let seen = demo.exposition();
    let is = |name: &str, labels: &[(&str, &str)], expected: f64| {
        assert_eq!(seen.sum(name, labels), expected, "{name} {labels:?}");
    };
    is("sse_connections_active", &[("route", "/events")], 3.0);
    let opened = "sse_connections_opened_total";
    is(opened, &[("origin", APP), ("auth_method", "bearer")], 1.0);
    is(opened, &[("origin", APP), ("auth_method", "cookie")], 1.0);
    is(
        opened,
        &[("origin", "none"), ("auth_method", "bearer")],
        1.0,
    );
    let verdicts = "sse_connections_opened_cors_total";
    is(verdicts, &[("verdict", "allowed")], 2.0);
    is(verdicts, &[("verdict", "no_origin")], 1.0);
    is(verdicts, &[("verdict", "denied")], 0.0);
    for (scope, streams) in [("ip", 4.0), ("user", 8.0), ("total", 1000.0)] {
        is("sse_connections_limit", &[("scope", scope)], streams);
    }
    is("sse_route_auth_required", &[("route", "/events")], 1.0);
    is("sse_clients", &[], 2.0);
    is("sse_client_streams_max", &[], 2.0);
    is("sse_client_streams_bucket", &[("le", "1")], 2.0);
    is("sse_client_streams_bucket", &[("le", "2")], 3.0);
    is("sse_client_streams_sum", &[], 4.0);
    for (life, streams) in [("300", 0.0), ("900", 2.0), ("7200", 3.0)] {
        is(
            "sse_auth_token_ttl_seconds_bucket",
            &[("le", life)],
            streams,
        );
    }
    is("sse_time_to_first_event_seconds_count", &[], 0.0);
    assert!(seen.sum("sse_connection_age_seconds_max", &[]) > 0.0);

    // That of the first block, and a heartbeat.
    third.next_comment();
    third.next_comment();
    let mut last = None;
    for data in ["one", "two"] {
        demo.publish("t", data);
        for stream in [&mut first, &mut second, &mut third] {
            let event = stream.next_event();
            assert_eq!(event.data(), Some(data));
            last = event.id().map(str::to_owned);
        }
    }
    let before_last = last.unwrap();
    demo.publish("t", "three");
    for stream in [&mut first, &mut second, &mut third] {
        assert_eq!(stream.next_event().data(), Some("three"));
    }
    sign_out(&demo, &bob, &mut [&mut third]);
    let resume = server.bearer(&eve).header("Last-Event-ID", before_last);
    let mut fourth = from(resume, "198.51.100.2").open(demo.app);
    assert_eq!(fourth.next_event().data(), Some("three"));
    sign_out(&demo, &ada, &mut [&mut first, &mut second]);
    sign_out(&demo, &eve, &mut [&mut fourth]);

    demo.wait_for_metric("sse_connections_active", &[], 0.0);
    // The last report of an end is the log's.
    demo.wait_for_metric("sse_log_records_total", &[("event", "sse_close")], 4.0);
    let seen = demo.exposition();
    let is = |name: &str, labels: &[(&str, &str)], expected: f64| {
        assert_eq!(seen.sum(name, labels), expected, "{name} {labels:?}");
    };
    let streams = [&first, &second, &third, &fourth];
    is("sse_events_published_total", &[], 3.0);
    is("sse_events_sent_total", &[("kind", "event")], 9.0);
    is("sse_events_sent_total", &[("kind", "replay")], 1.0);
    // The first block has a comment too, and is none.
    let heartbeats: usize = streams.iter().map(|stream| comments(stream) - 1).sum();
    let kind = [("kind", "heartbeat")];
    is("sse_events_sent_total", &kind, heartbeats as f64);
    assert!(heartbeats > 0);
    let bytes: usize = streams.iter().map(|stream| stream.wire().len()).sum();
    is(
        "sse_sent_bytes_total",
        &[("route", "/events")],
        bytes as f64,
    );
    is("sse_events_dropped_total", &[], 0.0);
    is("sse_resumes_total", &[("result", "hit")], 1.0);
    is("sse_resumes_total", &[], 1.0);
    is("sse_time_to_first_event_seconds_count", &[], 4.0);
    is("sse_delivery_lag_seconds_count", &[], 9.0);
    is(
        "sse_connections_closed_total",
        &[("reason", "revoked")],
        4.0,
    );
    is("sse_connections_closed_total", &[], 4.0);
    is("sse_connections_immediate_close_total", &[], 0.0);
    is("sse_connection_duration_seconds_count", &[], 4.0);
    for level in [
        "sse_clients",
        "sse_client_streams_max",
        "sse_connection_age_seconds_max",
        "sse_draining",
        "sse_label_overflow_total",
    ] {
        is(level, &[], 0.0);
    }
    for record in ["sse_connect", "sse_close"] {
        is("sse_log_records_total", &[("event", record)], 4.0);
    }
}

#[test]
fn a_process_that_drains_says_so() {
    let demo = Demo::start(DEMO, &Settings::open().set("stream.drain", "10s"));
    // So many that the drain is not over before somebody looks: each ends at a random moment of the window.
    let mut streams: Vec<_> = (0..50)
        .map(|_| Request::stream("/events").open(demo.app))
        .collect();
    assert_eq!(demo.exposition().sum("sse_draining", &[]), 0.0);
    demo.process().signal(Signal::TERM);
    let said = until("the drain is over or told", LIMIT, || {
        let Ok(mut look) = Connection::try_open(demo.metrics) else {
            return Some(false);
        };
        let request = Request::new("GET", "/metrics").bytes(demo.metrics);
        look.send(&request).ok()?;
        let text = look.response(false).text();
        text.contains("\nsse_draining 1\n").then_some(true)
    });
    assert!(said, "it ended without a word");
    let blocks = streams[0].until_end(LIMIT);
    assert!(blocks.iter().any(|block| matches!(block, Block::Retry(_))));
}
