//! Streams whose bodies are polled by hand, on a clock that stands still until somebody waits.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "test helpers: a failure here is the test's failure"
)]

use std::{
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{
    HttpRequest, Responder, body::BoxBody, body::MessageBody, rt, test::TestRequest, web::Bytes,
};
use tokio::time::{self, Instant, advance, timeout};

use super::{Hub, worker::Local};
use crate::{
    Event, Identity, PublishError, Subscriber,
    config::{HubConfig, SlowConsumer, StreamConfig, TopicConfig},
    observe::{CloseReason, End, Observer, Opened, StreamObserver},
};

pub(super) const EVENT: &[u8] = b"data: x\n\n";

/// Keeps the reasons of all ends; panics at one of them, if it is set to.
#[derive(Debug, Default, Clone)]
struct Ends {
    seen: Arc<Mutex<Vec<CloseReason>>>,
    panic_at: Option<CloseReason>,
}

impl Observer for Ends {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(self.clone())
    }
}

impl StreamObserver for Ends {
    fn closed(self: Box<Self>, end: &End) {
        self.seen.lock().unwrap().push(end.reason);
        assert_ne!(self.panic_at, Some(end.reason), "as the test wants it");
    }
}

fn hub(ends: &Ends) -> Hub {
    let config = HubConfig {
        resume: false,
        ..HubConfig::default()
    };
    Hub::builder()
        .config(config)
        .observer(ends.clone())
        .build()
        .unwrap()
}

pub(super) struct Client(pub(super) Pin<Box<BoxBody>>);

impl Client {
    pub(super) fn open(
        hub: &Hub,
        topic: &str,
        user: Option<&str>,
        deadline: Option<Instant>,
    ) -> Self {
        let request = TestRequest::get().to_http_request();
        let subscriber = subscriber(&request, user, deadline);
        let response = hub.subscribe(topic, subscriber).respond_to(&request);
        assert_eq!(response.status(), 200);
        Self(Box::pin(response.into_body()))
    }

    /// One that has its first block and waits for events.
    pub(super) async fn waiting(hub: &Hub, topic: &str, user: Option<&str>) -> Self {
        let mut client = Self::open(hub, topic, user, None);
        assert!(client.next().await.unwrap().starts_with(b":\nretry: "));
        client.is_pending().await;
        client
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let piece = poll_fn(|cx| self.0.as_mut().poll_next(cx));
        let piece = timeout(Duration::from_secs(100), piece).await;
        piece.expect("the stream is not silent").map(Result::unwrap)
    }

    /// Takes what there is.
    pub(super) async fn read_on(&mut self) {
        let rest = poll_fn(|cx| {
            while let std::task::Poll::Ready(Some(_)) = self.0.as_mut().poll_next(cx) {}
            std::task::Poll::Ready(())
        });
        rest.await;
    }

    pub(super) async fn is_pending(&mut self) {
        let pending = poll_fn(|cx| self.0.as_mut().poll_next(cx).map(drop));
        // No longer than the first heartbeat takes.
        let pending = timeout(Duration::from_millis(1), pending).await;
        assert!(pending.is_err(), "there is nothing to read yet");
    }

    /// Whether the server ends the stream, without another event.
    pub(super) async fn is_ended(&mut self) {
        while let Some(piece) = self.next().await {
            let text = String::from_utf8_lossy(&piece);
            assert!(text.starts_with("retry: ") || text == ":\n", "{text}");
        }
    }
}

/// A subscriber without guards around it, as a test wants it.
pub(super) fn subscriber(
    request: &HttpRequest,
    user: Option<&str>,
    deadline: Option<Instant>,
) -> Subscriber {
    let mut subscriber = Subscriber::of(request);
    let admission = Rc::get_mut(&mut subscriber.admission).unwrap();
    admission.identity.user = user.map(Arc::from);
    admission.identity.deadline = deadline;
    subscriber
}

pub(super) fn publish(hub: &Hub, topic: &str) {
    hub.publish(topic, Event::data("x").transient()).unwrap();
}

#[actix_rt::test]
async fn post_that_wakes_nobody_does_not_delay_the_next_event() {
    time::pause();
    let hub = hub(&Ends::default());
    let mut client = Client::waiting(&hub, "t", None).await;
    hub.disconnect("somebody else");
    client.is_pending().await;
    let published = Instant::now();
    publish(&hub, "t");
    assert_eq!(client.next().await.unwrap(), EVENT);
    assert_eq!(published.elapsed(), Duration::ZERO);
}

#[actix_rt::test]
async fn a_reader_that_does_not_read_does_not_delay_another_topic() {
    time::pause();
    let hub = hub(&Ends::default());
    let _stalled = Client::waiting(&hub, "busy", None).await;
    let mut client = Client::waiting(&hub, "t", None).await;
    for _ in 0..3 {
        publish(&hub, "busy");
        client.is_pending().await;
    }
    let published = Instant::now();
    publish(&hub, "t");
    assert_eq!(client.next().await.unwrap(), EVENT);
    assert_eq!(published.elapsed(), Duration::ZERO);
}

const LINGER: Duration = Duration::from_millis(50);

/// A hub whose topics below `slow/` wait.
fn lingering() -> Hub {
    let builder = Hub::builder().with(|hub, _| {
        hub.resume = false;
        hub.topics = vec![TopicConfig::of("slow/*").linger(LINGER)];
    });
    builder.build().unwrap()
}

/// What a client gets that is polled only when it is woken, and when.
async fn woken(mut client: Client) -> (Client, Bytes, Instant) {
    let piece = client.next().await.unwrap();
    (client, piece, Instant::now())
}

#[actix_rt::test]
async fn events_of_a_topic_that_lingers_leave_together_when_the_first_has_waited() {
    time::pause();
    let hub = lingering();
    let mut client = Client::waiting(&hub, "slow/a", None).await;
    for events in [3, 1, 2] {
        let reader = rt::spawn(woken(client));
        rt::task::yield_now().await;
        let first = Instant::now();
        for _ in 0..events {
            publish(&hub, "slow/a");
            advance(Duration::from_millis(1)).await;
        }
        let (again, piece, at) = reader.await.unwrap();
        client = again;
        assert_eq!(piece, EVENT.repeat(events));
        let waited = at - first;
        assert!(waited >= LINGER && waited < 2 * LINGER, "{waited:?}");
    }
}

#[actix_rt::test]
async fn a_topic_that_lingers_holds_no_other_up_and_loses_nothing_with_it() {
    time::pause();
    let hub = lingering();
    let mut client = Client::waiting(&hub, "slow/a", None).await;
    publish(&hub, "slow/a");
    let _same_place = std::mem::replace(&mut client, Client::waiting(&hub, "quick", None).await);
    let published = Instant::now();
    publish(&hub, "quick");
    assert_eq!(client.next().await.unwrap(), EVENT);
    assert_eq!(published.elapsed(), Duration::ZERO);
    let mut late = Client::waiting(&hub, "slow/b", None).await;
    for _ in 0..100 {
        publish(&hub, "slow/b");
        advance(Duration::from_millis(1)).await;
    }
    let mut read = 0;
    while read < 100 * EVENT.len() {
        read += late.next().await.unwrap().len();
    }
    assert_eq!(read, 100 * EVENT.len());
}

#[actix_rt::test]
async fn disconnecting_a_topic_spares_the_one_that_takes_its_place() {
    time::pause();
    let hub = hub(&Ends::default());
    let old = Client::waiting(&hub, "old", None).await;
    hub.disconnect_topic("old");
    drop(old);
    let mut new = Client::open(&hub, "new", None, None);
    assert_eq!(hub.stats().topics, 1, "the place of the old topic is free");
    new.next().await;
    new.is_pending().await;
    publish(&hub, "new");
    assert_eq!(new.next().await.unwrap(), EVENT);
}

#[actix_rt::test]
async fn an_event_that_the_log_could_not_keep_ends_the_stream_and_is_not_forgotten() {
    time::pause();
    let ends = Ends::default();
    let hub = hub(&ends);
    let mut client = Client::waiting(&hub, "t", None).await;
    publish(&hub, "t");
    // As another worker does, while this one is busy for too long.
    let later = Instant::now() + Duration::from_secs(2);
    hub.shared.core().sweep(later);
    client.is_ended().await;
    assert_eq!(*ends.seen.lock().unwrap(), [CloseReason::SlowConsumer]);
}

/// The clock of the runtime moves here, and the system's stands still: a step of the system clock
/// in mid-stream is the same thing seen from the other side.
#[actix_rt::test]
async fn t13_t16_nothing_is_sent_after_the_deadline_whatever_the_system_clock_says() {
    time::pause();
    let ends = Ends::default();
    let hub = hub(&ends);
    let deadline = Instant::now() + Duration::from_millis(101);
    let mut client = Client::open(&hub, "t", None, Some(deadline));
    client.next().await;
    client.is_pending().await;
    advance(deadline - Instant::now()).await;
    publish(&hub, "t");
    assert_eq!(
        client.next().await.unwrap(),
        "event: auth_expired\ndata: {}\n\n"
    );
    assert_eq!(client.next().await, None);
    assert_eq!(*ends.seen.lock().unwrap(), [CloseReason::Expired]);
}

#[actix_rt::test]
async fn t15_a_deadline_in_the_past_ends_the_stream_at_once() {
    time::pause();
    let hub = hub(&Ends::default());
    let mut client = Client::open(&hub, "t", None, Some(Instant::now()));
    let opened = Instant::now();
    client.next().await;
    assert_eq!(
        client.next().await.unwrap(),
        "event: auth_expired\ndata: {}\n\n"
    );
    assert_eq!(opened.elapsed(), Duration::ZERO);
}

#[actix_rt::test]
async fn d21_a_pause_of_the_worker_makes_no_stream_stalled() {
    time::pause();
    let ends = Ends::default();
    let hub = hub(&ends);
    let stall = hub.shared.stream.stall;
    let mut client = Client::waiting(&hub, "t", None).await;
    publish(&hub, "t");
    // The worker wakes the body, and then nothing runs for long.
    rt::task::yield_now().await;
    advance(stall * 2).await;
    assert_eq!(client.next().await.unwrap(), EVENT);
    assert_eq!(*ends.seen.lock().unwrap(), []);
}

#[actix_rt::test]
async fn a_body_that_is_not_polled_is_stalled() {
    time::pause();
    let ends = Ends::default();
    let hub = hub(&ends);
    let stall = hub.shared.stream.stall;
    let _client = Client::waiting(&hub, "t", None).await;
    publish(&hub, "t");
    time::sleep(stall + hub.shared.stream.heartbeat + Duration::from_secs(1)).await;
    assert_eq!(*ends.seen.lock().unwrap(), [CloseReason::Stalled]);
    assert_eq!(hub.stats().streams, 0);
    assert_eq!(hub.subscribers("t"), 0);
}

#[actix_rt::test]
async fn an_observer_that_panics_leaves_no_stream_silent() {
    time::pause();
    let ends = Ends {
        panic_at: Some(CloseReason::Revoked),
        ..Ends::default()
    };
    let hub = hub(&ends);
    let _revoked = Client::waiting(&hub, "t", Some("mallory")).await;
    let mut other = Client::waiting(&hub, "t", None).await;
    hub.disconnect("mallory");
    other.is_ended().await;
    assert_eq!(
        *ends.seen.lock().unwrap(),
        [CloseReason::Revoked, CloseReason::Error]
    );
    // The next stream gets a new worker.
    let mut next = Client::waiting(&hub, "t", None).await;
    publish(&hub, "t");
    assert_eq!(next.next().await.unwrap(), EVENT);
}

#[actix_rt::test]
async fn a_drain_waits_for_a_stream_that_is_about_to_open() {
    time::pause();
    let hub = hub(&Ends::default());
    let nobody = Identity::anonymous();
    let slot = hub.shared.admit(&nobody, None).unwrap();
    let start = Instant::now();
    let drained = rt::spawn({
        let hub = hub.clone();
        async move { hub.drain_within(Duration::from_secs(9)).await }
    });
    time::sleep(Duration::from_secs(5)).await;
    assert!(!drained.is_finished());
    assert!(
        hub.shared.admit(&nobody, None).is_err(),
        "and lets no other in"
    );
    drop(slot);
    drained.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(6));
}

/// As in a process that gets no processor while its window ends, or on a machine that was asleep.
#[actix_rt::test]
async fn d09_d21_a_drain_that_is_late_waits_for_the_last_lines() {
    time::pause();
    let ends = Ends::default();
    let hub = hub(&ends);
    let mut client = Client::waiting(&hub, "t", None).await;
    let drained = rt::spawn({
        let hub = hub.clone();
        async move { hub.drain_within(Duration::from_secs(2)).await }
    });
    rt::task::yield_now().await;
    advance(Duration::from_secs(10)).await;
    // Everybody but the client has a turn, and several.
    for _ in 0..20 {
        rt::task::yield_now().await;
    }
    assert!(!drained.is_finished(), "nothing was said yet");
    assert_eq!(*ends.seen.lock().unwrap(), []);
    client.is_ended().await;
    drained.await.unwrap();
    assert_eq!(*ends.seen.lock().unwrap(), [CloseReason::Drain]);
}

#[actix_rt::test]
async fn a_drain_without_bound_ends() {
    time::pause();
    let hub = hub(&Ends::default());
    hub.drain_within(Duration::MAX).await;
    assert!(hub.is_draining());
}

#[actix_rt::test]
async fn topics_grow_old_without_a_worker() {
    time::pause();
    let hub = Hub::builder().build().unwrap();
    for topic in 0..100 {
        hub.publish(&format!("old {topic}"), Event::data("x"))
            .unwrap();
    }
    advance(Duration::from_secs(3600)).await;
    for topic in 0..100 {
        hub.publish(&format!("new {topic}"), Event::data("x"))
            .unwrap();
    }
    assert!(hub.stats().topics <= 101, "{:?}", hub.stats());
}

#[actix_rt::test]
async fn times_that_overflow_the_clock_are_refused() {
    time::pause();
    let config = StreamConfig {
        max_lifetime: Some(Duration::MAX),
        stall: Duration::MAX,
        drain: Duration::MAX,
        ..StreamConfig::default()
    };
    let error = Hub::builder().stream(config).build().unwrap_err();
    let error = error.to_string();
    for key in ["stream.max_lifetime", "stream.stall", "stream.drain"] {
        assert!(error.contains(key), "{error}");
    }
}

#[actix_rt::test]
async fn d06_a_reader_that_skips_holds_no_more_bytes_than_it_may() {
    const LARGE: usize = 1000;
    time::pause();
    let hub = Hub::builder().with(|hub, stream| {
        hub.slow_consumer = SlowConsumer::Skip;
        hub.max_event_bytes = LARGE;
        hub.subscriber_bytes = 4 * LARGE;
        stream.stall = Duration::from_secs(600);
    });
    let hub = hub.build().unwrap();
    let mut slow = Client::waiting(&hub, "t", None).await;
    let mut steady = Client::waiting(&hub, "t", None).await;
    let local = Local::of(&hub.shared).unwrap();
    let text = "x".repeat(LARGE - "data: \n\n".len());
    let mut most = 0;
    for n in 0..200 {
        let event = Event::data(text.clone()).transient();
        hub.publish("t", event).unwrap();
        while steady.next().await.unwrap().len() < LARGE {}
        time::sleep(Duration::from_millis(50)).await;
        // A burst may stand for a second, and is seen every quarter of one.
        if n > 40 {
            most = most.max(local.holds(0).1);
        }
    }
    // What comes within a quarter of a second, beside what it may hold.
    assert!(most <= 12 * LARGE as u64, "{most} bytes");
    let mut text = String::new();
    while !text.contains("event: lagged") {
        text += std::str::from_utf8(&slow.next().await.unwrap()).unwrap();
    }
}

#[actix_rt::test]
async fn an_idle_topic_holds_no_bytes() {
    time::pause();
    let hub = hub(&Ends::default());
    let mut client = Client::waiting(&hub, "t", None).await;
    publish(&hub, "t");
    assert_eq!(client.next().await.unwrap(), EVENT);
    let local = Local::of(&hub.shared).unwrap();
    assert_eq!(local.holds(0), (1, EVENT.len() as u64, true));
    time::sleep(Duration::from_secs(1)).await;
    assert_eq!(local.holds(0), (0, 0, false));
    publish(&hub, "t");
    while client.next().await.unwrap() != EVENT {}
}

#[actix_rt::test]
async fn t17_a_disconnected_user_costs_as_much_with_ten_streams_as_with_ten_thousand() {
    time::pause();
    let mut took = Vec::new();
    for streams in [10, 10_000] {
        let ends = Ends::default();
        let hub = hub(&ends);
        let mut clients = Vec::new();
        for n in 0..streams {
            let user = format!("user {n}");
            clients.push(Client::open(&hub, "t", Some(&user), None));
        }
        let mut last = Client::waiting(&hub, "t", Some("mallory")).await;
        // The best of several rounds: what else the machine does is in none of them.
        let rounds = (0..5).map(async |_| {
            let start = std::time::Instant::now();
            for _ in 0..50 {
                hub.disconnect("nobody");
                rt::task::yield_now().await;
                rt::task::yield_now().await;
            }
            start.elapsed()
        });
        let mut best = Duration::MAX;
        for round in rounds {
            best = best.min(round.await);
        }
        took.push(best / 50);
        hub.disconnect("mallory");
        last.is_ended().await;
        assert_eq!(*ends.seen.lock().unwrap(), [CloseReason::Revoked]);
        assert_eq!(hub.stats().streams, streams);
    }
    println!("a disconnect among 10 streams and among 10 000: {took:?}");
    assert!(took[1] < took[0] * 20, "{took:?}");
}

#[actix_rt::test]
async fn h07_names_and_numbers_of_topics_are_bounded() {
    let hub = hub(&Ends::default());
    let follow = |topics: Vec<String>| {
        let request = TestRequest::get().to_http_request();
        let subscriber = Subscriber::of(&request);
        let response = hub.subscribe(topics, subscriber).respond_to(&request);
        let status = response.status().as_u16();
        let body = response.into_body().try_into_bytes().unwrap_or_default();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let many = |n: usize| (0..n).map(|n| format!("topic {n}")).collect::<Vec<_>>();
    assert_eq!(follow(many(100)).0, 200);
    assert_eq!(follow(vec!["t".to_owned(); 20_000]).0, 200);
    let topics = hub.stats().topics;
    for (topics, limit) in [
        (many(20_000), "max_topics_per_stream is 100"),
        (vec!["x".repeat(60_000)], "max_topic_bytes is 256"),
        (
            vec!["t".to_owned(), "a\nb".to_owned()],
            "a control character",
        ),
    ] {
        let (status, body) = follow(topics);
        assert_eq!(status, 400);
        assert!(body.starts_with(r#"{"error":"invalid_request""#), "{body}");
        assert!(body.contains(limit), "{body}");
    }
    assert_eq!(hub.stats().topics, topics, "nothing was made");
    for name in ["x".repeat(257), "a\u{7f}".to_owned()] {
        let error = hub.publish(&name, Event::data("x")).unwrap_err();
        assert!(matches!(error, PublishError::InvalidTopic(_)), "{error}");
    }
}
