//! Following a stream as a browser does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};

use sse_probe::{
    Target,
    cli::tail::{Ended, Step as Tail, follow},
    stream::Item,
};
use support::{APP, Reply, Server, Step, bytes};

#[tokio::test]
async fn a_stream_that_ends_or_breaks_is_resumed_after_the_last_id() {
    let count = AtomicU32::new(0);
    let server = Server::start(move |_| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        let event = bytes(&format!("retry: 20\nid: e{n}\ndata: {n}\n\n"));
        let end = if n == 0 {
            vec![event, Step::Cut]
        } else {
            vec![event]
        };
        Reply::new(200)
            .with("Content-Type", "text/event-stream")
            .body(end)
    })
    .await;
    let target = Target::new(&server.url()).unwrap();
    let mut data = Vec::new();
    let mut lost = Vec::new();
    let ended = follow(&target, None, false, |step| {
        match step {
            Tail::Item(Item::Event(_, event)) => data.push(event.data.clone()),
            Tail::Lost(why, wait) => lost.push((why, wait.as_millis())),
            _ => {}
        }
        data.len() < 3
    })
    .await
    .unwrap();
    assert!(matches!(ended, Ended::Enough));
    assert_eq!(data, ["0", "1", "2"]);
    assert!(lost[0].0.starts_with("cut"), "{lost:?}");
    assert!(lost[1].0.starts_with("ended"), "{lost:?}");
    assert!(lost.iter().all(|(_, wait)| *wait == 20));
    let ids: Vec<_> = server
        .requests()
        .iter()
        .map(|r| r.get("last-event-id").map(str::to_owned))
        .collect();
    assert_eq!(ids, [None, Some("e0".into()), Some("e1".into())]);
}

#[tokio::test]
async fn what_a_browser_would_block_is_told_and_followed() {
    let server = Server::start(|_| {
        Reply::new(200)
            .with("Content-Type", "text/event-stream")
            .body(vec![bytes("data: x\n\n"), Step::Hold])
    })
    .await;
    let target = Target::new(&server.url()).unwrap().origin(APP).unwrap();
    let mut blocked = false;
    let ended = follow(&target, None, false, |step| {
        blocked |= matches!(step, Tail::Blocked(_));
        !matches!(step, Tail::Item(Item::Event(..)))
    })
    .await
    .unwrap();
    assert!(blocked && matches!(ended, Ended::Enough));
}

#[tokio::test]
async fn a_wrong_content_type_ends_it_for_good() {
    let server = Server::start(|_| {
        Reply::new(200)
            .with("Content-Type", "text/html")
            .body(vec![bytes("<p>")])
    })
    .await;
    let target = Target::new(&server.url()).unwrap();
    let ended = follow(&target, None, false, |_| true).await.unwrap();
    assert!(matches!(ended, Ended::Refused(_)));
}

#[tokio::test]
async fn an_empty_id_clears_the_last_event_id() {
    let count = AtomicU32::new(0);
    let server = Server::start(move |_| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        let id = if n == 0 { "e0" } else { "" };
        Reply::new(200)
            .with("Content-Type", "text/event-stream")
            .body(vec![bytes(&format!("retry: 20\nid: {id}\ndata: {n}\n\n"))])
    })
    .await;
    let target = Target::new(&server.url()).unwrap();
    let mut events = 0;
    follow(&target, None, false, |step| {
        events += u32::from(matches!(step, Tail::Item(Item::Event(..))));
        events < 3
    })
    .await
    .unwrap();
    let ids: Vec<_> = server
        .requests()
        .iter()
        .map(|r| r.get("last-event-id").map(str::to_owned))
        .collect();
    assert_eq!(ids, [None, Some("e0".into()), None]);
}
