//! Every check, on a good stream and on a bad one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod support;

use std::time::Duration;

use sse_probe::{
    CheckReport, Credentials, Expectation, Level, Target, TicketSource, check::Verdict,
};
use support::{APP, Reply, Request, Server, Step, bytes, good};

async fn checked(target: Target) -> CheckReport {
    sse_probe::check(target).await.unwrap()
}

/// Runs one check against the good stream with one thing changed.
async fn only(
    check: &str,
    change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
) -> CheckReport {
    let server = Server::start(move |request| change(request, good(request))).await;
    checked(server.target().only(check).unwrap()).await
}

/// The change concerns the stream itself only.
async fn stream(
    check: &str,
    change: impl Fn(Reply) -> Reply + Send + Sync + 'static,
) -> CheckReport {
    only(check, move |_, reply| {
        if reply.is_stream() {
            change(reply)
        } else {
            reply
        }
    })
    .await
}

#[track_caller]
fn found(report: &CheckReport, check: &str, level: Level, text: &str) {
    let outcome = report.outcome(check).unwrap();
    let hit = outcome.findings().iter().find(|f| f.seen.contains(text));
    let Some(finding) = hit else {
        panic!("no finding with `{text}` in {outcome:#?}");
    };
    assert_eq!(finding.level, level, "{finding:#?}");
    assert!(!finding.why.is_empty() && !finding.remedies.is_empty());
}

#[tokio::test]
async fn a_good_stream_is_clean_and_every_check_is_run() {
    let server = Server::start(good).await;
    let report = checked(server.target()).await;
    report.assert_clean();
    let skipped: Vec<_> = report
        .outcomes
        .iter()
        .filter(|o| matches!(o.verdict, Verdict::Skipped(_)))
        .map(|o| o.check)
        .collect();
    assert_eq!(skipped, ["certificate", "expected_headers"]);
    assert_eq!(report.outcomes.len(), sse_probe::check::names().count());
    assert_eq!(report.facts.resume, Some(true));
    assert_eq!(report.facts.retry, Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn every_request_names_the_probe_and_looks_like_a_browsers() {
    let server = Server::start(good).await;
    checked(server.target()).await;
    let requests = server.requests();
    assert!(requests.len() > 10);
    for request in &requests {
        assert!(request.get("user-agent").unwrap().starts_with("sse-probe/"));
        assert_eq!(request.get("sec-fetch-mode"), Some("cors"));
        assert!(request.get("host").is_some());
    }
    let preflights = requests.iter().filter(|r| r.method == "OPTIONS");
    for preflight in preflights {
        assert_eq!(
            preflight.get("authorization"),
            None,
            "a preflight has no credentials"
        );
        assert_eq!(preflight.get("cookie"), None);
    }
}

#[tokio::test]
async fn status_other_than_200_is_a_fault() {
    let report = only("status", |_, mut reply| {
        reply.status = 500;
        reply
    })
    .await;
    found(&report, "status", Level::Fault, "500");
}

#[tokio::test]
async fn a_redirect_is_named_with_its_target() {
    let report = only("redirect", |_, _| {
        Reply::new(301).with("Location", "/login")
    })
    .await;
    found(&report, "redirect", Level::Fault, "301 to /login");
}

#[tokio::test]
async fn another_content_type_is_a_fault() {
    let report = stream("content_type", |r| r.set("Content-Type", "text/plain")).await;
    found(&report, "content_type", Level::Fault, "text/plain");
    let report = stream("content_type", |r| {
        r.set("Content-Type", "text/event-stream; charset=latin1")
    })
    .await;
    found(&report, "content_type", Level::Fault, "charset");
}

#[tokio::test]
async fn a_missing_allow_origin_is_a_fault() {
    let report = stream("cors", |r| r.without("Access-Control-Allow-Origin")).await;
    found(
        &report,
        "cors",
        Level::Fault,
        "no Access-Control-Allow-Origin",
    );
}

#[tokio::test]
async fn a_wildcard_with_credentials_is_a_fault() {
    let report = stream("cors", |r| r.set("Access-Control-Allow-Origin", "*")).await;
    found(
        &report,
        "cors",
        Level::Fault,
        "never counts with credentials",
    );
}

#[tokio::test]
async fn missing_allow_credentials_is_a_fault() {
    let report = stream("cors", |r| r.without("Access-Control-Allow-Credentials")).await;
    found(
        &report,
        "cors",
        Level::Fault,
        "no Access-Control-Allow-Credentials",
    );
}

#[tokio::test]
async fn c05_a_doubled_allow_origin_is_named() {
    let server = Server::start(|request| {
        let reply = good(request);
        if reply.is_stream() {
            reply.with("Access-Control-Allow-Origin", APP)
        } else {
            reply
        }
    })
    .await;
    let report = checked(
        server
            .target()
            .only("allow_origin_once")
            .unwrap()
            .only("cors")
            .unwrap(),
    )
    .await;
    found(&report, "allow_origin_once", Level::Fault, "2 lines");
    found(&report, "cors", Level::Fault, "several values");
}

#[tokio::test]
async fn a_server_that_reflects_every_origin_is_an_open_door() {
    let report = only("origins", |request, _| {
        let mut reply = good(&Request {
            headers: request
                .headers
                .iter()
                .map(|(n, v)| {
                    (
                        n.clone(),
                        if n.eq_ignore_ascii_case("origin") {
                            APP.to_owned()
                        } else {
                            v.clone()
                        },
                    )
                })
                .collect(),
            ..request.clone()
        });
        if let Some(origin) = request.get("origin") {
            reply = reply.set("Access-Control-Allow-Origin", origin);
        }
        reply
    })
    .await;
    for text in [
        "the foreign origin",
        "only the beginning",
        "only the end",
        "a dot",
        "sub-domain",
        "scheme",
        "port",
        "`null`",
    ] {
        found(&report, "origins", Level::Fault, text);
    }
    assert!(report.facts.cors.iter().all(|c| c.allowed));
}

#[tokio::test]
async fn a_suffix_matcher_is_caught_by_its_look_alike_only() {
    let report = only("origins", |request, reply| {
        let origin = request.get("origin").unwrap_or_default();
        if origin != APP && origin.starts_with(APP) {
            let allowed = Request {
                headers: vec![
                    ("origin".into(), APP.into()),
                    ("accept".into(), "text/event-stream".into()),
                    ("authorization".into(), "Bearer token".into()),
                ],
                ..request.clone()
            };
            return good(&allowed).set("Access-Control-Allow-Origin", origin);
        }
        reply
    })
    .await;
    // The other port begins with the allowed origin as well.
    let faults = report.outcome("origins").unwrap().findings().len();
    assert_eq!(faults, 2);
    found(
        &report,
        "origins",
        Level::Fault,
        "https://app.example.com.evil.example",
    );
}

#[tokio::test]
async fn a_denied_origin_that_opens_without_being_readable_is_a_warning() {
    let report = only("origins", |request, _| {
        let mut as_app = request.clone();
        as_app
            .headers
            .retain(|(n, _)| !n.eq_ignore_ascii_case("origin"));
        as_app.headers.push(("origin".into(), APP.into()));
        good(&as_app)
    })
    .await;
    found(&report, "origins", Level::Warning, "opened for");
}

#[tokio::test]
async fn a_public_stream_may_be_read_by_all_but_whoever_was_named() {
    let public = |request: &Request| {
        let mut reply = good(&Request {
            headers: vec![
                ("accept".into(), "text/event-stream".into()),
                ("authorization".into(), "Bearer token".into()),
            ],
            ..request.clone()
        });
        reply = reply.with("Access-Control-Allow-Origin", "*");
        reply
    };
    let server = Server::start(public).await;
    let target = Target::new(&server.url())
        .unwrap()
        .origin(APP)
        .unwrap()
        .hold(Duration::from_millis(300));
    let target = target
        .only("origins")
        .unwrap()
        .only("cors")
        .unwrap()
        .only("vary")
        .unwrap();
    let report = checked(target.clone().expect(Expectation::Public)).await;
    report.assert_clean();
    let report = checked(target.deny_origin("https://other.example").unwrap()).await;
    found(
        &report,
        "origins",
        Level::Fault,
        "https://other.example, which is to be kept out",
    );
}

#[tokio::test]
async fn missing_vary_is_a_warning() {
    let report = stream("vary", |r| r.without("Vary")).await;
    found(&report, "vary", Level::Warning, "no Vary");
    let report = stream("vary", |r| r.set("Vary", "Accept-Encoding")).await;
    found(&report, "vary", Level::Warning, "without Origin");
}

#[tokio::test]
async fn p01_a_refused_preflight_is_a_fault_for_bearer_clients() {
    let report = only("preflight", |r, reply| {
        if r.method == "OPTIONS" {
            Reply::new(405)
        } else {
            reply
        }
    })
    .await;
    found(&report, "preflight", Level::Fault, "405");
    let report = only("preflight", |r, reply| {
        if r.method == "OPTIONS" {
            reply.set("Access-Control-Allow-Headers", "*")
        } else {
            reply
        }
    })
    .await;
    found(&report, "preflight", Level::Fault, "`*` does not cover it");
}

#[tokio::test]
async fn p04_an_echoing_preflight_is_named() {
    let report = only("preflight", |r, reply| {
        match r.get("access-control-request-headers") {
            Some(asked) if r.method == "OPTIONS" => {
                reply.set("Access-Control-Allow-Headers", asked)
            }
            _ => reply,
        }
    })
    .await;
    found(&report, "preflight", Level::Warning, "echoes");
}

#[tokio::test]
async fn p11_a_preflight_open_to_strangers_is_a_fault() {
    let report = only("preflight", |r, reply| match r.get("origin") {
        Some(origin) if r.method == "OPTIONS" => reply
            .set("Access-Control-Allow-Origin", origin)
            .set("Access-Control-Allow-Credentials", "true"),
        _ => reply,
    })
    .await;
    found(
        &report,
        "preflight",
        Level::Fault,
        "lets the foreign origin",
    );
}

#[tokio::test]
async fn c01_error_replies_without_cors_headers_are_named() {
    let report = {
        let server = Server::start(|request| {
            let reply = good(request);
            if reply.status == 401 {
                reply.without("Access-Control-Allow-Origin")
            } else {
                reply
            }
        })
        .await;
        checked(
            server
                .target()
                .only("error_cors")
                .unwrap()
                .only("auth")
                .unwrap(),
        )
        .await
    };
    found(
        &report,
        "error_cors",
        Level::Warning,
        "the 401 cannot be read",
    );
}

#[tokio::test]
async fn t01_a_stream_that_opens_without_credentials_is_a_fault() {
    let report = only("auth", |request, reply| {
        if reply.status != 401 {
            return reply;
        }
        let mut with = request.clone();
        with.headers
            .push(("authorization".into(), "Bearer token".into()));
        good(&with)
    })
    .await;
    found(&report, "auth", Level::Fault, "opens without credentials");
    assert!(report.facts.auth_bypass);
}

#[tokio::test]
async fn t06_a_basic_challenge_is_named() {
    let report = only("auth", |_, r| {
        if r.status == 401 {
            r.set("WWW-Authenticate", "Basic realm=x")
        } else {
            r
        }
    })
    .await;
    found(&report, "auth", Level::Warning, "basic");
    let report = only("auth", |_, r| {
        if r.status == 401 {
            r.without("WWW-Authenticate")
        } else {
            r
        }
    })
    .await;
    found(&report, "auth", Level::Warning, "without WWW-Authenticate");
}

#[tokio::test]
async fn a_stream_for_json_clients_is_a_warning() {
    let report = only("accept", |request, _| {
        let mut other = request.clone();
        for (name, value) in &mut other.headers {
            if name.eq_ignore_ascii_case("accept") {
                "text/event-stream".clone_into(value);
            }
        }
        good(&other)
    })
    .await;
    found(&report, "accept", Level::Warning, "application/json");
}

#[tokio::test]
async fn signs_of_a_cache_are_named() {
    for (name, value, text) in [
        ("Age", "31", "Age: 31"),
        ("X-Cache", "HIT from edge", "HIT"),
        ("CF-Cache-Status", "HIT", "HIT"),
        ("X-Varnish", "32770 3", "32770 3"),
    ] {
        let report = stream("caching", move |r| r.set(name, value)).await;
        found(&report, "caching", Level::Fault, text);
    }
    let report = stream("caching", |r| {
        r.set("X-Cache", "MISS")
            .set("Age", "0")
            .set("X-Varnish", "12")
    })
    .await;
    report.assert_clean();
    let report = stream("caching", |r| r.set("Cache-Control", "max-age=60")).await;
    found(&report, "caching", Level::Warning, "max-age=60");
    let report = stream("caching", |r| r.without("Cache-Control")).await;
    found(&report, "caching", Level::Warning, "no Cache-Control");
}

#[tokio::test]
async fn a_length_on_a_stream_is_a_fault() {
    let report = stream("caching", |r| {
        r.with("Content-Length", "9")
            .body(vec![bytes("data: x\n\n")])
    })
    .await;
    found(&report, "caching", Level::Fault, "Content-Length: 9");
}

#[tokio::test]
async fn e17_a_compressed_stream_is_a_fault_and_is_read_again_plain() {
    let server = Server::start(|request| {
        let reply = good(request);
        let gzip = request
            .get("accept-encoding")
            .is_some_and(|e| e.contains("gzip"));
        if reply.is_stream() && gzip {
            reply
                .with("Content-Encoding", "gzip")
                .body(vec![Step::Bytes(vec![0x1f, 0x8b, 8, 0]), Step::Hold])
        } else {
            reply
        }
    })
    .await;
    let report = checked(
        server
            .target()
            .only("transformation")
            .unwrap()
            .only("format")
            .unwrap(),
    )
    .await;
    found(&report, "transformation", Level::Fault, "gzip");
    report.assert_passed("format");
}

#[tokio::test]
async fn missing_nosniff_is_a_warning() {
    let report = stream("security_headers", |r| r.without("X-Content-Type-Options")).await;
    found(&report, "security_headers", Level::Warning, "nosniff");
    let report = stream("security_headers", |r| {
        r.with("Strict-Transport-Security", "max-age=1")
    })
    .await;
    found(&report, "security_headers", Level::Warning, "on http");
}

#[tokio::test]
async fn expected_headers_are_compared() {
    let server = Server::start(good).await;
    let target = server.target().only("expected_headers").unwrap();
    let report = checked(
        target
            .clone()
            .expect("header=X-Accel-Buffering: no".parse().unwrap()),
    )
    .await;
    report.assert_passed("expected_headers");
    let report = checked(target.expect("header=X-Region: eu".parse().unwrap())).await;
    found(
        &report,
        "expected_headers",
        Level::Fault,
        "x-region: nothing",
    );
}

#[tokio::test]
async fn a_first_byte_that_waits_is_named() {
    let report = stream("first_byte", |r| r.body(vec![Step::Hold])).await;
    found(&report, "first_byte", Level::Fault, "no byte of the body");
    let server = Server::start(|request| {
        let reply = good(request);
        if reply.is_stream() {
            reply.body(vec![Step::Pause(300), bytes(":\n"), Step::Hold])
        } else {
            reply
        }
    })
    .await;
    let target = server.target().only("first_byte").unwrap();
    let report = checked(target.expect(Expectation::FirstByte(Duration::from_millis(100)))).await;
    found(&report, "first_byte", Level::Fault, "first byte after");
}

#[tokio::test]
async fn heartbeats_in_lumps_show_a_buffer() {
    let report = stream("buffering", |r| {
        r.body(vec![
            bytes("retry: 3000\n\n:\n"),
            Step::Pause(300),
            bytes(":\n:\n:\n:\n"),
            Step::Hold,
        ])
    })
    .await;
    found(
        &report,
        "buffering",
        Level::Fault,
        "heartbeats came at one moment",
    );
    assert!(report.facts.buffering);
}

#[tokio::test]
async fn bursts_of_a_buffers_size_show_a_buffer() {
    let block = || Step::Bytes(format!("data: {}\n\n", "x".repeat(4096 - 8)).into_bytes());
    let report = stream("buffering", move |r| {
        let mut body = vec![bytes("retry: 3000\n\n")];
        for _ in 0..3 {
            body.extend([Step::Pause(220), block()]);
        }
        body.push(Step::Hold);
        r.body(body)
    })
    .await;
    found(&report, "buffering", Level::Fault, "bursts of 4096 bytes");
}

#[tokio::test]
async fn an_expected_event_that_does_not_come_is_a_fault() {
    let server = Server::start(|request| {
        let reply = good(request);
        if reply.is_stream() {
            reply.body(vec![
                bytes("retry: 3000\n\n"),
                Step::Forever(b":\n".to_vec(), 100),
            ])
        } else {
            reply
        }
    })
    .await;
    let target = server.target().only("first_event").unwrap();
    let report = checked(target.clone()).await;
    assert!(matches!(
        report.outcome("first_event").unwrap().verdict,
        Verdict::Skipped(_)
    ));
    let report = checked(target.expect(Expectation::Event)).await;
    found(&report, "first_event", Level::Fault, "no event within");
}

#[tokio::test]
async fn silence_longer_than_expected_is_a_fault() {
    let server = Server::start(|request| {
        let reply = good(request);
        if reply.is_stream() {
            reply.body(vec![bytes(":\n"), Step::Hold])
        } else {
            reply
        }
    })
    .await;
    let target = server.target().only("heartbeat").unwrap();
    let report = checked(
        target
            .clone()
            .expect(Expectation::Heartbeat(Duration::from_millis(500))),
    )
    .await;
    found(&report, "heartbeat", Level::Fault, "silent for");
    let report = checked(target).await;
    assert!(
        matches!(
            report.outcome("heartbeat").unwrap().verdict,
            Verdict::Skipped(_)
        ),
        "too short to know"
    );
}

#[tokio::test]
async fn a_bad_retry_is_named() {
    let report = stream("retry", |r| r.body(vec![bytes("retry: 5\n\n"), Step::Hold])).await;
    found(&report, "retry", Level::Warning, "5 ms");
    let report = stream("retry", |r| r.body(vec![bytes("data: x\n\n"), Step::Hold])).await;
    found(&report, "retry", Level::Note, "no `retry`");
}

#[tokio::test]
async fn format_errors_have_positions() {
    let report = stream("format", |r| {
        r.body(vec![
            bytes("retry: soon\nid: 1\ndata: a\n\n"),
            Step::Bytes(
                b"data: \xff\n\n{\"json\": 1}\nevent: lost\n\nretry: 4294967296\n".to_vec(),
            ),
            Step::Hold,
        ])
    })
    .await;
    found(
        &report,
        "format",
        Level::Fault,
        "line 1, byte 0: `retry: soon`",
    );
    found(
        &report,
        "format",
        Level::Fault,
        "line 5, byte 33: a byte that is not UTF-8",
    );
    found(
        &report,
        "format",
        Level::Fault,
        "line 7, byte 36: unknown field `{\"json\"`",
    );
    found(&report, "format", Level::Fault, "event `lost` without data");
    found(&report, "format", Level::Warning, "2^31");
}

#[tokio::test]
async fn b13_a_refused_unknown_id_is_a_fault() {
    let report = only("resume", |request, reply| {
        if request.get("last-event-id") == Some("sse-probe-0") {
            Reply::new(400)
        } else {
            reply
        }
    })
    .await;
    found(&report, "resume", Level::Fault, "unknown Last-Event-ID");
}

#[tokio::test]
async fn r01_a_resume_that_repeats_or_loses_is_named() {
    let report = only("resume", |request, reply| {
        if request.get("last-event-id") == Some("e1") {
            reply.body(vec![bytes("id: e1\ndata: again\n\n"), Step::Hold])
        } else {
            reply
        }
    })
    .await;
    found(&report, "resume", Level::Warning, "begins again with e1");
    let server = Server::start(|request| {
        let reply = good(request);
        if request.get("last-event-id") == Some("e1") {
            reply.body(vec![bytes("id: e3\ndata: 3\n\n"), Step::Hold])
        } else {
            reply
        }
    })
    .await;
    let target = server
        .target()
        .only("resume")
        .unwrap()
        .expect(Expectation::Resume);
    found(
        &checked(target).await,
        "resume",
        Level::Fault,
        "after e1 came e3",
    );
}

#[tokio::test]
async fn r02_a_gap_that_is_told_is_no_fault() {
    let report = only("resume", |request, reply| {
        if request.get("last-event-id").is_some() {
            reply.body(vec![bytes("event: reset\ndata: {}\n\n"), Step::Hold])
        } else {
            reply
        }
    })
    .await;
    report.assert_clean();
    assert_eq!(report.facts.resume, None);
}

#[tokio::test]
async fn a_cut_stream_is_a_fault_and_an_end_a_warning() {
    let report = stream("survival", |r| {
        r.body(vec![bytes(":\n"), Step::Pause(100), Step::Cut])
    })
    .await;
    found(&report, "survival", Level::Fault, "cut after");
    let report = stream("survival", |r| {
        r.body(vec![bytes("data: x\n\n"), Step::Pause(100)])
    })
    .await;
    found(&report, "survival", Level::Warning, "ended cleanly");
}

#[tokio::test]
async fn http_1_0_is_named() {
    let server = Server::start(|_| {
        Reply::raw("HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: x\n\n")
    })
    .await;
    let report = checked(server.target().only("protocol").unwrap()).await;
    found(&report, "protocol", Level::Warning, "HTTP/1.0");
}

#[tokio::test]
async fn a_server_that_is_full_is_asked_again() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let report = only("accept", move |_, reply| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if n == 1 {
            Reply::new(429).with("Retry-After", "0")
        } else {
            reply
        }
    })
    .await;
    report.assert_passed("accept");
}

#[tokio::test]
async fn a_full_server_that_asks_event_sources_to_come_back_is_not_misjudged() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let report = only("auth", move |request, reply| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if n == 1 && request.get("authorization").is_none() {
            Reply::new(200)
                .with("Content-Type", "text/event-stream")
                .body(vec![bytes("retry: 100\n\n")])
        } else {
            reply
        }
    })
    .await;
    report.assert_passed("auth");
}

#[tokio::test]
async fn tickets_are_fetched_for_each_exchange() {
    let server = Server::start(|request| {
        if request.method == "POST" {
            let good = request.get("authorization") == Some("Bearer token");
            return Reply::new(if good { 200 } else { 401 })
                .body(vec![bytes("{\"ticket\":\"t1\",\"expires_in\":60}")]);
        }
        good(request)
    })
    .await;
    let mut source =
        TicketSource::new(format!("http://{}/ticket", server.address).parse().unwrap());
    source.bearer = Some(sse_probe::Secret::new("token"));
    let target = Target::new(&server.url())
        .unwrap()
        .origin(APP)
        .unwrap()
        .credentials(Credentials::Include)
        .tickets(source.clone())
        .hold(Duration::from_millis(900));
    let report = checked(target.clone()).await;
    report.assert_clean();
    assert!(
        !format!("{report:?}").contains("t1"),
        "the ticket is not told"
    );
    let posts = server
        .requests()
        .iter()
        .filter(|r| r.method == "POST")
        .count();
    let streams = server
        .requests()
        .iter()
        .filter(|r| r.target.contains("ticket="))
        .count();
    assert_eq!(posts, streams);
    source.bearer = None;
    let error = sse_probe::check(target.tickets(source))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("401"), "{error}");
}

#[tokio::test]
async fn a_same_origin_page_sends_no_origin_and_needs_no_cors() {
    let server = Server::start(good).await;
    let target = Target::new(&server.url())
        .unwrap()
        .cookie("sid=1")
        .hold(Duration::from_millis(900));
    let report = checked(target).await;
    report.assert_clean();
    assert!(matches!(
        report.outcome("cors").unwrap().verdict,
        Verdict::Skipped(_)
    ));
    assert!(server.requests().iter().all(|r| r.get("origin").is_none()));
}
