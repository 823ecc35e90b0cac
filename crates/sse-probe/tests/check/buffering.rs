//! What shows that something holds bytes back, and what does not.

use std::time::Duration;

use sse_probe::FindingKind;

use super::{
    checked, found, long_stream, stream,
    support::{Reply, Server, Step, bytes, good},
};

#[tokio::test]
async fn heartbeats_in_lumps_show_a_buffer() {
    let report = long_stream("buffering", |r| {
        r.body(vec![
            bytes("retry: 3000\n\n:\n"),
            Step::Pause(1300),
            bytes(":\n:\n:\n:\n"),
            Step::Hold,
        ])
    })
    .await;
    found(
        &report,
        "buffering",
        FindingKind::Blocked,
        "heartbeats came at one moment",
    );
    assert!(report.facts.buffering);
}

#[tokio::test]
async fn several_comments_at_each_beat_are_not_called_buffered() {
    let report = long_stream("buffering", |r| {
        let mut body = vec![bytes("data: x\n\n")];
        for _ in 0..3 {
            body.extend([Step::Pause(1100), bytes(":\n:\n:\n")]);
        }
        body.push(Step::Hold);
        r.body(body)
    })
    .await;
    report.assert_clean();
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
    let report = checked(target.hold(Duration::from_secs(4))).await;
    found(
        &report,
        "buffering",
        FindingKind::Blocked,
        "compressed, no event came",
    );
}

#[tokio::test]
async fn an_idle_stream_is_not_called_buffered() {
    let report = stream("buffering", |r| r.body(vec![Step::Hold])).await;
    report.assert_clean();
    assert!(!report.facts.buffering && report.facts.browser_opens);
}

#[tokio::test]
async fn events_that_the_application_stamped_apart_show_a_buffer() {
    let report = long_stream("buffering", |r| {
        let lump = |from: u64| {
            let event = |n: u64| format!("data: {{\"at\":{}}}\n\n", 1_700_000_000_000 + n * 1000);
            let text: String = (from..from + 3).map(event).collect();
            Step::Bytes(text.into_bytes())
        };
        r.body(vec![lump(0), Step::Pause(2300), lump(3), Step::Hold])
    })
    .await;
    found(
        &report,
        "buffering",
        FindingKind::Blocked,
        "stamped 2.0 s apart",
    );
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
    let report = checked(target.hold(Duration::from_secs(9))).await;
    let seen = "by their IDs, which go on by 1.";
    found(&report, "buffering", FindingKind::Blocked, seen);
    assert!(report.facts.buffering);
}

#[tokio::test]
async fn events_that_an_application_sends_by_the_second_are_not_called_buffered() {
    let report = long_stream("buffering", |r| {
        let mut body = Vec::new();
        for second in 0..5 {
            body.extend([Step::Pause(600), numbered(second * 5..=second * 5 + 4)]);
        }
        body.push(Step::Hold);
        r.body(body)
    })
    .await;
    report.assert_clean();
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
    let report = checked(target).await;
    found(
        &report,
        "buffering",
        FindingKind::Blocked,
        "the published event did not come",
    );
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

fn publishing(server: &Server) -> sse_probe::Target {
    let url = format!("http://{}/publish", server.address);
    let publish = sse_probe::Publish::new(url.parse().unwrap());
    server
        .target()
        .publish(publish)
        .only("buffering")
        .unwrap()
        .hold(Duration::from_secs(5))
}

#[tokio::test]
async fn a_published_event_that_comes_at_once_shows_that_nothing_is_held() {
    let server = relay(0).await;
    let report = checked(publishing(&server)).await;
    report.assert_clean();
    let seen = &report.outcome("buffering").unwrap().seen;
    assert!(seen.contains("the published event came after"), "{seen}");
}

#[tokio::test]
async fn a_published_event_that_comes_late_shows_a_buffer() {
    let server = relay(4000).await;
    let report = checked(publishing(&server)).await;
    found(
        &report,
        "buffering",
        FindingKind::Blocked,
        "after the server had taken it",
    );
}

/// A stream in bursts of 4096 bytes, of events of that size.
fn bursts(reply: Reply, event: usize) -> Reply {
    let event = format!("data: {}\n\n", "x".repeat(event - 8));
    let text = event.repeat(4 * 4096 / event.len() + 1);
    let mut body = vec![bytes("retry: 3000\n\n")];
    for burst in text.as_bytes().chunks_exact(4096).take(3) {
        body.extend([Step::Pause(220), Step::Bytes(burst.to_vec())]);
    }
    body.push(Step::Hold);
    reply.body(body)
}

#[tokio::test]
async fn bursts_of_a_buffers_size_show_a_buffer() {
    let report = long_stream("buffering", |r| bursts(r, 100)).await;
    found(
        &report,
        "buffering",
        FindingKind::Blocked,
        "bursts of 4096 bytes",
    );
}

#[tokio::test]
async fn events_of_a_buffers_size_are_not_called_buffered() {
    let report = long_stream("buffering", |r| bursts(r, 4096)).await;
    report.assert_clean();
}
