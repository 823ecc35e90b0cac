//! What a hub says of single streams, and the end of one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::{
    collections::BTreeSet,
    future::{Future as _, poll_fn},
    sync::{Arc, Mutex},
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use actix_web::{
    App, Responder,
    dev::ServiceResponse,
    rt,
    test::{TestRequest, call_service, init_service},
    web,
};
use actix_web_sse::{
    Event, Hub, Sse, Subscriber,
    observe::{CloseReason, ConnectionId, End, Observer, Opened, StreamObserver},
    test::read_events,
};
use futures_util::stream;

/// Keeps the streams that opened, and the reasons of the ends.
#[derive(Debug, Clone, Default)]
struct Seen {
    opened: Arc<Mutex<Vec<ConnectionId>>>,
    ends: Arc<Mutex<Vec<CloseReason>>>,
}

impl Seen {
    fn hub(&self) -> Hub {
        Hub::builder().observer(self.clone()).build().unwrap()
    }

    fn opened(&self) -> Vec<ConnectionId> {
        self.opened.lock().unwrap().clone()
    }

    fn ends(&self) -> Vec<CloseReason> {
        self.ends.lock().unwrap().clone()
    }
}

impl Observer for Seen {
    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        self.opened.lock().unwrap().push(opened.connection);
        Box::new(self.clone())
    }
}

impl StreamObserver for Seen {
    fn closed(self: Box<Self>, end: &End) {
        self.ends.lock().unwrap().push(end.reason);
    }
}

async fn open(hub: &Hub, path: &str) -> ServiceResponse {
    async fn follow(hub: Hub, subscriber: Subscriber) -> impl Responder {
        hub.subscribe(["a", "b"], subscriber)
    }
    async fn own(subscriber: Subscriber) -> impl Responder {
        Sse::from_stream(stream::pending::<Event>(), subscriber)
    }
    let app = App::new()
        .app_data(hub.clone())
        .route("/topics", web::get().to(follow))
        .route("/own", web::get().to(own));
    let app = init_service(app).await;
    call_service(&app, TestRequest::get().uri(path).to_request()).await
}

fn publish(hub: &Hub, topic: &str) {
    hub.publish(topic, Event::data("x")).unwrap();
}

#[actix_web::test]
async fn a_stream_is_described_by_what_it_was_sent_and_by_what_it_has_not_read() {
    // From here on time passes only when nobody has anything to do: the reader waits until the others have asked.
    tokio::time::pause();
    let seen = Seen::default();
    let hub = seen.hub();
    let response = open(&hub, "/topics").await;
    publish(&hub, "a");
    publish(&hub, "b");
    publish(&hub, "c");
    // What was published is in the worker's views once it had a turn.
    let before = loop {
        let mut streams = hub.streams(seen.opened()).await;
        let stream = streams.pop().unwrap();
        assert!(streams.is_empty(), "there is one stream: {streams:?}");
        if stream.behind_events > 0 {
            break stream;
        }
        assert!(stream.age < Duration::from_secs(30), "{stream:?}");
        rt::task::yield_now().await;
    };
    assert_eq!(before.connection, seen.opened()[0]);
    assert_eq!(before.topics, ["a".into(), "b".into()]);
    assert_eq!((before.events, before.behind_events), (0, 2));
    assert_eq!((before.ending, before.last_write), (None, None));

    // A copy of the stream's counts while somebody reads it.
    let ids = seen.opened();
    let asking = hub.clone();
    let ask = rt::spawn(async move {
        loop {
            let streams = asking.streams(ids.clone()).await;
            if streams.iter().any(|stream| stream.events == 2) {
                return streams;
            }
            rt::task::yield_now().await;
        }
    });
    let read = read_events(response, 3, Duration::from_secs(1)).await;
    assert_eq!(read.events.len(), 2);
    let after = ask.await.unwrap();
    assert_eq!((after[0].events, after[0].behind_events), (2, 0));
    assert!(after[0].bytes > 20 && after[0].last_write.is_some());
    assert_eq!(hub.streams(seen.opened()).await, [], "it is closed");
}

#[actix_web::test]
async fn only_the_streams_that_are_asked_for_are_described() {
    let seen = Seen::default();
    let hub = seen.hub();
    let _streams = [
        open(&hub, "/topics").await,
        open(&hub, "/own").await,
        open(&hub, "/topics").await,
    ];
    let ids = seen.opened();
    let asked = [ids[0], ids[1], u64::MAX.into()];
    let found = hub.streams(asked).await.into_iter();
    let found: BTreeSet<_> = found
        .map(|stream| (stream.connection, stream.topics.len()))
        .collect();
    assert_eq!(found, BTreeSet::from([(ids[0], 2), (ids[1], 0)]));
    assert_eq!(hub.streams([]).await, []);
}

#[actix_web::test]
async fn one_stream_is_ended_and_the_others_go_on() {
    let seen = Seen::default();
    let hub = seen.hub();
    let ended = open(&hub, "/topics").await;
    let other = open(&hub, "/topics").await;
    let ids = seen.opened();
    assert!(hub.disconnect_stream(ids[0]).await);
    assert!(!hub.disconnect_stream(ids[0]).await, "it is gone");
    assert!(!hub.disconnect_stream(u64::MAX.into()).await);
    assert_eq!(seen.ends(), [CloseReason::Revoked]);
    assert_eq!(hub.stats().streams, 1);
    publish(&hub, "a");
    let read = read_events(ended, 1, Duration::from_secs(30)).await;
    assert!(read.events.is_empty(), "{read:?}");
    let read = read_events(other, 1, Duration::from_secs(30)).await;
    assert_eq!(read.events.len(), 1);
}

#[actix_web::test]
async fn a_hub_without_streams_answers_at_once() {
    let hub = Seen::default().hub();
    assert_eq!(hub.streams([1.into()]).await, []);
    assert!(!hub.disconnect_stream(1.into()).await);
}

#[test]
fn a_worker_that_something_blocks_is_left_out() {
    let seen = Seen::default();
    let hub = seen.hub();
    let (blocked, is_blocked) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let streams = hub.clone();
    let worker = thread::spawn(move || {
        rt::System::new().block_on(async move {
            let _stream = open(&streams, "/topics").await;
            blocked.send(()).unwrap();
            // Nothing else runs on this thread meanwhile.
            let _ = released.recv();
        });
    });
    is_blocked.recv().unwrap();
    let began = Instant::now();
    let found = rt::System::new().block_on(hub.streams(seen.opened()));
    assert_eq!(found, []);
    assert!(began.elapsed() < Duration::from_secs(25), "{began:?}");
    release.send(()).unwrap();
    worker.join().unwrap();
    // Its question went with it.
    let found = rt::System::new().block_on(hub.streams(seen.opened()));
    assert_eq!(found, []);
}

#[actix_web::test]
async fn a_stream_is_named_as_none_of_another_process_is() {
    let seen = Seen::default();
    let hub = seen.hub();
    let _streams = [open(&hub, "/topics").await, open(&hub, "/own").await];
    let [first, second] = [0, 1].map(|at| seen.opened()[at].to_string());
    assert_ne!(first, second);
    // Counted from 1, it would be a small number after every start.
    let number = u64::from_str_radix(&first, 16).unwrap();
    assert!(number > 1 << 16, "{first}");
}

#[actix_web::test]
async fn a_question_that_was_given_up_ends_no_stream() {
    let seen = Seen::default();
    let hub = seen.hub();
    let stream = open(&hub, "/topics").await;
    let connection = seen.opened()[0];
    for _ in 0..3 {
        let mut ending = Box::pin(hub.disconnect_stream(connection));
        let asked = poll_fn(|cx| Poll::Ready(ending.as_mut().poll(cx).is_pending()));
        assert!(asked.await, "the worker has not answered yet");
    }
    publish(&hub, "a");
    let read = read_events(stream, 1, Duration::from_secs(30)).await;
    assert!(!read.ended && read.events.len() == 1, "{read:?}");
}
