//! What shows that something holds bytes back, and what does not.

use std::time::Duration;

use sse_probe::{CheckReport, FindingKind};

use super::{
    checked, found, long_stream, stream,
    support::{Reply, Server, Step, bytes, good, steadily},
};

/// Measures until what was seen is due to the server, and finds this buffer.
async fn shows_a_buffer(measure: impl AsyncFn() -> CheckReport, seen: &str) {
    let is_found = |report: &CheckReport| {
        found(report, "buffering", FindingKind::Blocked, seen);
    };
    steadily(measure, is_found).await;
}

#[tokio::test]
async fn heartbeats_in_lumps_show_a_buffer() {
    let measure = || {
        long_stream("buffering", |r| {
            r.body(vec![
                bytes("retry: 3000\n\n:\n"),
                Step::Pause(2300),
                bytes(":\n:\n:\n:\n"),
                Step::Hold,
            ])
        })
    };
    steadily(measure, |report| {
        found(
            report,
            "buffering",
            FindingKind::Blocked,
            "heartbeats came at one moment",
        );
        assert!(report.facts.buffering);
    })
    .await;
}

/// On a busy machine a probe may get no processor for a while. What has come meanwhile it finds at one moment.
#[tokio::test]
async fn heartbeats_that_came_while_the_probe_stood_still_show_no_buffer() {
    let (tell, told) = std::sync::mpsc::channel();
    // It has a thread of its own, and goes on.
    let serving = async move {
        let server = Server::start(good).await;
        tell.send(server.target()).unwrap();
        std::future::pending::<()>().await;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    std::thread::spawn(move || runtime.block_on(serving));
    let target = told.recv().unwrap().only("buffering").unwrap();
    let standing_still = tokio::spawn(async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        std::thread::sleep(Duration::from_millis(1500));
    });
    let report = checked(target.hold(Duration::from_secs(4))).await;
    standing_still.await.unwrap();
    report.assert_clean();
    assert!(!report.facts.buffering);
}

#[tokio::test]
async fn several_comments_at_each_beat_are_not_called_buffered() {
    let measure = || {
        long_stream("buffering", |r| {
            let mut body = vec![bytes("data: x\n\n")];
            for _ in 0..3 {
                body.extend([Step::Pause(1100), bytes(":\n:\n:\n")]);
            }
            body.push(Step::Hold);
            r.body(body)
        })
    };
    steadily(measure, CheckReport::assert_clean).await;
}

#[tokio::test]
async fn a_compressor_that_does_not_flush_is_named() {
    let server = Server::start(|request| {
        let reply = good(request);
        let gzip = request
            .get("accept-encoding")
            .is_some_and(|e| e.contains("gzip"));
        if reply.is_stream() && gzip {
            return reply
                .with("Content-Encoding", "gzip")
                .body(vec![Step::Hold]);
        }
        reply
    })
    .await;
    let target = server.target().only("buffering").unwrap();
    let target = target.hold(Duration::from_secs(4));
    shows_a_buffer(|| checked(target.clone()), "compressed, no event came").await;
}

#[tokio::test]
async fn an_idle_stream_is_not_called_buffered() {
    let measure = || stream("buffering", |r| r.body(vec![Step::Hold]));
    steadily(measure, |report| {
        report.assert_clean();
        assert!(!report.facts.buffering && report.facts.browser_opens);
    })
    .await;
}

#[tokio::test]
async fn events_that_the_application_stamped_apart_show_a_buffer() {
    let measure = || {
        long_stream("buffering", |r| {
            let lump = |from: u64| {
                let event =
                    |n: u64| format!("data: {{\"at\":{}}}\n\n", 1_700_000_000_000 + n * 1000);
                let text: String = (from..from + 3).map(event).collect();
                Step::Bytes(text.into_bytes())
            };
            r.body(vec![lump(0), Step::Pause(3200), lump(3), Step::Hold])
        })
    };
    shows_a_buffer(measure, "stamped 2.0 s apart").await;
}

/// Events whose IDs are numbers, in one piece.
fn numbered(numbers: std::ops::RangeInclusive<u64>) -> Step {
    let events = numbers.map(|n| format!("id: 7c-{n}\ndata: x\n\n"));
    bytes(&events.collect::<String>())
}

#[tokio::test]
async fn events_whose_ids_go_on_evenly_show_a_buffer_when_they_come_together() {
    let server = Server::start(|request| {
        let mut body = Vec::new();
        for n in 1..=6 {
            body.extend([Step::Pause(600), numbered(n..=n)]);
        }
        body.extend([Step::Pause(3000), numbered(7..=12), Step::Hold]);
        let reply = good(request);
        if reply.is_stream() {
            reply.body(body)
        } else {
            reply
        }
    })
    .await;
    let target = server.target().only("buffering").unwrap();
    let target = target.hold(Duration::from_secs(9));
    steadily(
        || checked(target.clone()),
        |report| {
            let seen = "by their IDs, which go on by 1.";
            found(report, "buffering", FindingKind::Blocked, seen);
            assert!(report.facts.buffering);
        },
    )
    .await;
}

#[tokio::test]
async fn events_that_an_application_sends_by_the_second_are_not_called_buffered() {
    let measure = || {
        long_stream("buffering", |r| {
            let mut body = Vec::new();
            for second in 0..5 {
                body.extend([Step::Pause(600), numbered(second * 5..=second * 5 + 4)]);
            }
            body.push(Step::Hold);
            r.body(body)
        })
    };
    steadily(measure, CheckReport::assert_clean).await;
}

#[tokio::test]
async fn a_published_event_that_does_not_come_shows_a_buffer() {
    let server = Server::start(|request| {
        let reply = good(request);
        if request.method == "POST" {
            Reply::new(204)
        } else if reply.is_stream() {
            reply.body(vec![bytes(":\n"), Step::Hold])
        } else {
            reply
        }
    })
    .await;
    let publish = sse_probe::Publish::new(
        format!("http://{}/publish", server.address)
            .parse()
            .unwrap(),
    );
    let target = server
        .target()
        .publish(publish)
        .only("buffering")
        .unwrap()
        .hold(Duration::from_secs(4));
    shows_a_buffer(
        || checked(target.clone()),
        "the published event did not come",
    )
    .await;
    let requests = server.requests();
    let post = requests.iter().find(|r| r.method == "POST").unwrap();
    assert_eq!(post.get("authorization"), Some("Bearer token"));
}

/// A server that sends what is published on to the stream, after a while.
async fn relay(after: u64) -> Server {
    let text = std::sync::Arc::new(std::sync::Mutex::new(None));
    Server::start(move |request| {
        let reply = good(request);
        if request.method == "POST" {
            *text.lock().unwrap() = Some(request.body.clone());
            Reply::new(204)
        } else if reply.is_stream() {
            let relayed = Step::Relay(std::sync::Arc::clone(&text));
            reply.body(vec![bytes(":\n"), Step::Pause(after), relayed, Step::Hold])
        } else {
            reply
        }
    })
    .await
}

/// What a probe that publishes finds at such a server.
async fn relayed(after: u64) -> CheckReport {
    let server = relay(after).await;
    let url = format!("http://{}/publish", server.address);
    let publish = sse_probe::Publish::new(url.parse().unwrap());
    let target = server.target().publish(publish).only("buffering");
    checked(target.unwrap().hold(Duration::from_secs(6))).await
}

#[tokio::test]
async fn a_published_event_that_comes_at_once_shows_that_nothing_is_held() {
    steadily(
        || relayed(0),
        |report| {
            report.assert_clean();
            let seen = &report.outcome("buffering").unwrap().seen;
            assert!(seen.contains("the published event came after"), "{seen}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_published_event_that_comes_late_shows_a_buffer() {
    shows_a_buffer(|| relayed(4000), "after the server had taken it").await;
}

/// A stream in bursts of 4096 bytes, of events of that size.
fn bursts(reply: Reply, event: usize) -> Reply {
    let event = format!("data: {}\n\n", "x".repeat(event - 8));
    let text = event.repeat(4 * 4096 / event.len() + 1);
    let mut body = vec![bytes("retry: 3000\n\n")];
    for burst in text.as_bytes().chunks_exact(4096).take(3) {
        body.extend([Step::Pause(600), Step::Bytes(burst.to_vec())]);
    }
    body.push(Step::Hold);
    reply.body(body)
}

#[tokio::test]
async fn bursts_of_a_buffers_size_show_a_buffer() {
    let measure = || long_stream("buffering", |r| bursts(r, 100));
    shows_a_buffer(measure, "bursts of 4096 bytes").await;
}

#[tokio::test]
async fn events_of_a_buffers_size_are_not_called_buffered() {
    let measure = || long_stream("buffering", |r| bursts(r, 4096));
    steadily(measure, CheckReport::assert_clean).await;
}
