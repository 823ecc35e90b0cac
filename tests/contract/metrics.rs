//! Group M: what is recorded.

use actix_web_sse_tests::{Claims, Demo, Exposition, LIMIT, Request, Settings, until};

use crate::{APP, DEMO};

#[test]
fn m08_a_stream_is_counted_when_it_opens() {
    let demo = Demo::start(DEMO, &Settings::open());
    let mut stream = Request::event_source("/events", APP).open(demo.app);
    stream.next_comment();
    let exposition = demo.exposition();
    assert_eq!(
        exposition.sum("sse_connections_opened_total", &[("origin", APP)]),
        1.0
    );
    assert_eq!(exposition.sum("sse_connections_active", &[]), 1.0);
    let day = [("le", "86400")];
    assert_eq!(
        exposition.sum_or_zero("sse_connection_duration_seconds_bucket", &day),
        0.0
    );
    drop(stream);
    demo.wait_for_metric("sse_connection_duration_seconds_bucket", &day, 1.0);
}

#[test]
fn m13_metrics_are_not_behind_the_guards() {
    let demo = Demo::start(DEMO, &Settings::open());
    let response = Request::new("GET", "/metrics")
        .header("Origin", "https://evil.com")
        .header("Host", "prometheus.internal")
        .send(demo.metrics);
    assert_eq!(response.status(), 200);
    assert!(
        response
            .head
            .headers
            .names_with("access-control-")
            .is_empty()
    );
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn without_a_listener_of_their_own_metrics_are_beside_the_stream() {
    let demo = Demo::start(DEMO, &Settings::open().remove("metrics"));
    assert_eq!(demo.metrics, demo.app);
    assert_eq!(Exposition::of(demo.app).sum("sse_build_info", &[]), 1.0);
}

#[test]
fn m04_what_clients_send_makes_no_series() {
    let demo = Demo::start(DEMO, &Settings::open());
    let ask = |number: usize| {
        // Each of these is answered, one way or another.
        let request = Request::stream(&format!("/events?topic=t{number}"))
            .header("Origin", format!("https://o{number}.example.org"))
            .header("User-Agent", format!("agent/{number}"))
            .header("Last-Event-ID", number.to_string());
        request.send(demo.app);
        Request::stream(&format!("/p{number}")).send(demo.app);
        Request::new(&format!("M{number}"), "/events").send(demo.app);
    };
    // Rejected origins may earn a label, up to the bound; the first thousand use it up.
    (0..1000).for_each(ask);
    let early = demo.exposition().samples.len();
    (1000..2000).for_each(ask);
    let exposition = demo.exposition();
    assert_eq!(exposition.samples.len(), early);
    assert!(early < 600, "{early} series");
    for client in ["agent/", "/p1", "M1\""] {
        assert!(!exposition.text.contains(client), "{client}");
    }
}

#[test]
fn m03_secrets_stand_in_no_output() {
    let demo = Demo::start(DEMO, &Settings::open());
    let secret = "s3cr3t-of-the-client";
    for target in [
        format!("/events?ticket={secret}"),
        format!("/events?TICKET={secret}"),
        format!("/events?%74icket={secret}"),
        format!("/events?x=1&access_token={secret}"),
        format!("/nowhere?ticket={secret}"),
    ] {
        let request = Request::stream(&target)
            .bearer(secret)
            .header("Cookie", format!("__Host-sid={secret}"));
        let response = request.send(demo.app);
        if response.status() == 200 {
            response.events().next_comment();
        } else {
            let body = response.text();
            assert!(!body.contains(secret), "{target}: {body}");
        }
    }
    // Each stream that was opened has said so, and how it ended, before the output is read.
    until("every stream has ended", LIMIT, || {
        let active = demo.exposition().sum("sse_connections_active", &[]);
        (active == 0.0).then_some(())
    });
    assert!(!demo.exposition().text.contains(secret));
    // The log is a thread of its own, and its pipe another one.
    demo.process()
        .wait_for_line("word of an end", LIMIT, |line| {
            line.contains("sse_close").then_some(())
        });
    for line in demo.process().lines() {
        assert!(!line.contains(secret), "{line}");
    }
}

/// Secrets that hold, through everything that takes one: they come further in than made-up ones.
#[test]
fn m03_secrets_that_hold_stand_in_no_output() {
    let settings = Settings::reference()
        .without_limits()
        .set("server.sign_in", true)
        .set("metrics.operators", "loopback-without-token");
    let demo = Demo::start(DEMO, &settings);
    let json = |method: &str, target: &str, body: &str| {
        Request::new(method, target).body("application/json", body)
    };
    let signed_in = json(
        "POST",
        "/session",
        r#"{"user": "u", "seconds": 600, "cookie": true}"#,
    );
    let signed_in = signed_in.send(demo.app);
    assert!(signed_in.header("set-cookie").is_some());
    let session = signed_in.json()["token"].as_str().unwrap().to_owned();
    let token = demo.token(&Claims::of("reader"));
    let ticket = Request::new("POST", "/ticket?topic=demo")
        .header("Content-Length", "0")
        .header("Origin", APP)
        .bearer(&token)
        .send(demo.app)
        .json()["ticket"]
        .as_str()
        .unwrap()
        .to_owned();

    let target = format!("/events?ticket={ticket}");
    let stream = Request::event_source("/events", APP);
    let cookie = format!("__Host-sid={session}");
    let referer = format!("{APP}/?token={token}");
    for (request, status) in [
        (
            stream.clone().bearer(&token).header("Referer", &referer),
            200,
        ),
        (stream.clone().header("Cookie", &cookie), 200),
        (Request::event_source(&target, APP), 200),
        // Used up by now.
        (Request::event_source(&target, APP), 401),
        (Request::event_source(&target, "https://evil.com"), 403),
        (Request::event_source(&target, APP).bearer(&token), 400),
        (Request::new("GET", &target), 406),
        (
            json("POST", "/publish", r#"{"data": "x"}"#).bearer(&token),
            403,
        ),
        (
            Request::new("POST", "/sse-reports").body("text/plain", &token),
            204,
        ),
        (Request::new("DELETE", "/session").bearer(&session), 200),
    ] {
        let response = request.send(demo.app);
        assert_eq!(response.status(), status, "{request:?}");
    }
    demo.wait_for_metric("sse_connections_active", &[], 0.0);
    demo.wait_for_metric("sse_log_records_total", &[("event", "sse_close")], 3.0);
    let operators = Request::new("GET", "/operators").send(demo.metrics).text();
    let mut output = demo.process().lines();
    output.extend([demo.exposition().text, operators]);
    for secret in [&session, &token, &ticket] {
        // A part of it would be too much as well.
        for part in secret.split('.').filter(|part| part.len() > 20) {
            let told = output.iter().find(|line| line.contains(part));
            // The head of every token is the same, and no secret.
            assert!(told.is_none() || part.starts_with("eyJ0eXAi"), "{told:?}");
        }
    }
}
