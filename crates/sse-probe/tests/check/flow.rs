//! What comes on the stream, when, and after a reconnect.

use std::time::Duration;

use sse_probe::{Expectation, FindingKind, Profile, checks::CheckResult};

use super::{
    checked, found, long_stream, only, stream,
    support::{Reply, Server, Step, bytes, good, steadily},
};

#[tokio::test]
async fn a_first_byte_that_waits_is_named() {
    let report = stream("first_byte", |r| r.body(vec![Step::Hold])).await;
    found(
        &report,
        "first_byte",
        FindingKind::Advice,
        "no byte of the body",
    );
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
    let target = target.expect(Expectation::FirstByte(Duration::from_millis(100)));
    steadily(
        || checked(target.clone()),
        |report| {
            found(
                report,
                "first_byte",
                FindingKind::Advice,
                "first byte after",
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_stream_without_events_in_it_is_blocked() {
    let lines = |line: &'static str| {
        long_stream("format", move |r| {
            r.body(vec![Step::Forever(line.as_bytes().to_vec(), 300)])
        })
    };
    steadily(
        || lines("{\"n\":1}\n\n"),
        |report| {
            found(
                report,
                "format",
                FindingKind::Blocked,
                "lines that clients ignore",
            );
        },
    )
    .await;
    steadily(
        || lines("data: x\n"),
        |report| {
            found(
                report,
                "format",
                FindingKind::Blocked,
                "without a blank line",
            );
            assert!(report.facts.browser_opens, "an EventSource opens");
        },
    )
    .await;
}

#[tokio::test]
async fn an_empty_id_clears_the_last_one() {
    let report = only("resume", |request, reply| {
        assert_ne!(request.get("last-event-id"), Some(""));
        if reply.is_stream() {
            reply.body(vec![
                bytes("id: a\ndata: 1\n\nid:\ndata: 2\n\n"),
                Step::Hold,
            ])
        } else {
            reply
        }
    })
    .await;
    assert_eq!(report.facts.status, 200);
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
    assert_eq!(
        report.outcome("first_event").unwrap().result,
        CheckResult::Skipped
    );
    let report = checked(target.expect(Expectation::Event)).await;
    found(
        &report,
        "first_event",
        FindingKind::Advice,
        "no event within",
    );
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
    found(&report, "heartbeat", FindingKind::Advice, "silent for");
    let report = checked(target).await;
    assert!(
        report.outcome("heartbeat").unwrap().result == CheckResult::Skipped,
        "too short to know"
    );
}

#[tokio::test]
async fn a_bad_retry_is_named() {
    let report = stream("retry", |r| r.body(vec![bytes("retry: 5\n\n"), Step::Hold])).await;
    found(&report, "retry", FindingKind::Advice, "5 ms");
    let report = stream("retry", |r| r.body(vec![bytes("data: x\n\n"), Step::Hold])).await;
    report.assert_passes(Profile::Strict);
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
        FindingKind::Advice,
        "line 1, byte 0: `retry: soon`",
    );
    found(
        &report,
        "format",
        FindingKind::Advice,
        "line 5, byte 33: a byte that is not UTF-8",
    );
    found(
        &report,
        "format",
        FindingKind::Advice,
        "line 7, byte 36: unknown field `{\"json\"`",
    );
    found(
        &report,
        "format",
        FindingKind::Advice,
        "event `lost` without data",
    );
    found(&report, "format", FindingKind::Advice, "2^31");
}

#[tokio::test]
async fn an_id_with_a_colon_is_no_fault() {
    let report = stream("format", |r| {
        r.body(vec![bytes("id: 2026:7-a\ndata: x\n\n"), Step::Hold])
    })
    .await;
    report.assert_passes(Profile::Strict);
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
    found(
        &report,
        "resume",
        FindingKind::Blocked,
        "unknown Last-Event-ID",
    );
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
    found(
        &report,
        "resume",
        FindingKind::Advice,
        "begins again with e1",
    );
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
        FindingKind::Advice,
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
    let cut = || {
        stream("survival", |r| {
            r.body(vec![bytes(":\n"), Step::Pause(100), Step::Cut])
        })
    };
    steadily(cut, |report| {
        found(report, "survival", FindingKind::Blocked, "cut after");
    })
    .await;
    let ended = || {
        stream("survival", |r| {
            r.body(vec![bytes("data: x\n\n"), Step::Pause(100)])
        })
    };
    steadily(ended, |report| {
        found(report, "survival", FindingKind::Advice, "ended cleanly");
    })
    .await;
}
