//! Observers, filters and backplanes that call back into the worker that calls them, or panic.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers: a failure here is the test's failure"
)]

use std::{
    cell::RefCell,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    task::Poll,
};

use actix_web::{Responder, body::BoxBody, body::MessageBody, test::TestRequest};
use tokio::time;

use super::{
    Backplane, BackplaneError, BackplaneFuture, BackplaneStats, History, Hub, Revocation, Sink,
    tests::{Client, EVENT, publish, subscriber},
};
use crate::{
    Event, Subscriber,
    observe::{CloseReason, End, Observer, Opened, StreamObserver},
};

thread_local! {
    /// Streams that a callback drops.
    static KEPT: RefCell<Vec<Client>> = const { RefCell::new(Vec::new()) };
}

fn keep(client: Client) {
    KEPT.with_borrow_mut(|kept| kept.push(client));
}

fn drop_kept() {
    drop(KEPT.take());
}

/// Drops other streams, publishes and opens one whenever a stream ends.
#[derive(Clone, Default)]
struct Meddler {
    hub: Arc<Mutex<Option<Hub>>>,
    ends: Arc<Mutex<Vec<CloseReason>>>,
}

impl Observer for Meddler {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(self.clone())
    }
}

impl StreamObserver for Meddler {
    fn closed(self: Box<Self>, end: &End) {
        self.ends.lock().unwrap().push(end.reason);
        drop_kept();
        // Only the first time, or it would go on for ever.
        let hub = self.hub.lock().unwrap().take();
        if let Some(hub) = hub {
            publish(&hub, "t");
            let request = TestRequest::get().to_http_request();
            let response = hub.subscribe("t", Subscriber::of(&request));
            drop(response.respond_to(&request));
        }
    }
}

#[actix_rt::test]
async fn an_observer_may_drop_and_open_streams_when_an_end_is_reported() {
    time::pause();
    let meddler = Meddler::default();
    let hub = Hub::builder().observer(meddler.clone()).build().unwrap();
    meddler.hub.lock().unwrap().replace(hub.clone());
    keep(Client::waiting(&hub, "t", None).await);
    let mut revoked = Client::waiting(&hub, "t", Some("mallory")).await;
    let mut other = Client::waiting(&hub, "t", None).await;
    hub.disconnect("mallory");
    revoked.is_ended().await;
    assert_eq!(other.next().await.unwrap(), EVENT, "and others go on");
    publish(&hub, "t");
    assert_eq!(other.next().await.unwrap(), EVENT);
    let ends = meddler.ends.lock().unwrap().clone();
    let gone = CloseReason::ClientGone;
    assert_eq!(ends, [CloseReason::Revoked, gone, gone]);
    assert_eq!(hub.stats().streams, 1);
    assert_eq!(hub.subscribers("t"), 1);
}

#[actix_rt::test]
async fn a_filter_may_drop_another_stream() {
    time::pause();
    let hub = Hub::builder().build().unwrap();
    keep(Client::waiting(&hub, "t", None).await);
    let request = TestRequest::get().to_http_request();
    let filtered = hub.subscribe("t", subscriber(&request, None, None));
    let filtered = filtered.filter(|_| {
        drop_kept();
        true
    });
    let body: BoxBody = filtered.respond_to(&request).into_body();
    let mut client = Client(Box::pin(body));
    client.next().await;
    client.is_pending().await;
    publish(&hub, "t");
    assert_eq!(client.next().await.unwrap(), EVENT);
    assert_eq!(hub.stats().streams, 1);
}

/// Panics where it is asked to.
#[derive(Clone, Copy)]
enum Brittle {
    Opened,
    Judged,
}

impl Observer for Brittle {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        if matches!(self, Self::Opened) {
            panic!("as the test wants it");
        }
        Box::new(*self)
    }
}

impl StreamObserver for Brittle {
    fn judged(&mut self, _: crate::observe::CorsVerdict) {
        panic!("as the test wants it");
    }

    fn closed(self: Box<Self>, _: &End) {}
}

#[actix_rt::test]
async fn an_observer_that_panics_at_the_opening_leaves_nothing_behind() {
    for brittle in [Brittle::Opened, Brittle::Judged] {
        let hub = Hub::builder().observer(brittle).build().unwrap();
        for _ in 0..3 {
            let request = TestRequest::get().to_http_request();
            let subscription = hub.subscribe("t", Subscriber::of(&request));
            let answer = catch_unwind(AssertUnwindSafe(|| subscription.respond_to(&request)));
            assert!(answer.is_err(), "it did panic");
        }
        assert_eq!(hub.subscribers("t"), 0);
        assert_eq!(hub.stats().streams, 0);
        assert_eq!(hub.stats().topics, 0, "a topic without use is gone");
    }
}

/// An engine whose history has one event.
#[derive(Clone, Default)]
struct Node(Arc<Mutex<Option<Sink>>>);

impl Backplane for Node {
    fn start(&self, sink: Sink) {
        sink.epoch("engine00", 0).unwrap();
        self.0.lock().unwrap().replace(sink);
    }

    fn publish(&self, _: &str, _: Event) -> BackplaneFuture<u64> {
        Box::pin(async { Err(BackplaneError::new("not asked for")) })
    }

    fn history(&self, topics: Vec<Arc<str>>, _: u64) -> BackplaneFuture<History> {
        let event = |topic| (topic, 7, Event::data("secret"));
        let events = topics.into_iter().map(event).collect();
        Box::pin(async move { Ok(History::complete(events)) })
    }

    fn revoke(&self, _: Revocation) {}

    fn stats(&self) -> BackplaneStats {
        BackplaneStats::default()
    }
}

fn resumed(hub: &Hub, user: &str) -> Client {
    let id = hub.shared.core().id(3);
    let request = TestRequest::get().insert_header(("last-event-id", id));
    let request = request.to_http_request();
    let response = hub.subscribe("t", subscriber(&request, Some(user), None));
    Client(Box::pin(response.respond_to(&request).into_body()))
}

#[actix_rt::test]
async fn h06_history_that_comes_with_a_revocation_is_not_sent() {
    time::pause();
    let hub = Hub::builder().backplane(Node::default()).build().unwrap();
    let mut other = resumed(&hub, "alice");
    other.next().await;
    let piece = String::from_utf8(other.next().await.unwrap().to_vec()).unwrap();
    assert!(piece.contains("data: secret\n"), "{piece}");

    let mut revoked = resumed(&hub, "mallory");
    revoked.next().await;
    hub.disconnect("mallory");
    // The answer is there, and the worker has not had its turn yet.
    let polled = poll_fn(|cx| Poll::Ready(revoked.0.as_mut().poll_next(cx))).await;
    assert!(polled.is_pending());
    revoked.is_ended().await;
}
