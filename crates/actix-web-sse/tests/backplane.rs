//! The seam for a hub that spans several processes, with an engine in memory.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use actix_web::{
    App, HttpRequest, Responder,
    body::{BoxBody, MessageBody as _},
    dev::ServiceResponse,
    test::{TestRequest, call_service, init_service},
    web::{self, Bytes},
};
use actix_web_sse::{
    Backplane, BackplaneError, BackplaneFuture, BackplaneStats, BackplaneWatch, Event, Hub,
    PublishError, Snapshot, Subscriber, TopicPattern,
    backplane::{History, Revocation, Sink},
    config::{PresenceMode, StreamConfig, TopicConfig},
    observe::{Observer, Opened, StreamObserver},
    test::{Reading, read_events},
};

/// Numbers events and keeps them, for all nodes.
#[derive(Default)]
struct Engine(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    number: u64,
    trimmed: u64,
    down: bool,
    events: Vec<(Arc<str>, u64, Event)>,
    nodes: Vec<Sink>,
    /// Delivers nothing above this number for now: an engine's readers may be behind its history.
    held: Option<u64>,
    /// What waits to be taken by clients has one of these.
    untaken: Arc<()>,
}

impl Kept {
    fn untaken(&self) -> usize {
        Arc::strong_count(&self.untaken) - 1
    }
}

impl Engine {
    /// Delivers what was held back.
    fn release(&self) {
        let mut kept = self.0.lock().unwrap();
        let delivered = kept.held.take().unwrap_or(u64::MAX);
        let late = |(_, number, _): &&(Arc<str>, u64, Event)| *number > delivered;
        for (topic, number, event) in kept.events.iter().filter(late) {
            for node in &kept.nodes {
                node.deliver(topic, *number, event.clone());
            }
        }
    }
}

#[derive(Clone)]
struct Node(Arc<Engine>, usize);

impl Backplane for Node {
    fn start(&self, sink: Sink) {
        sink.epoch("engine00", 0).unwrap();
        self.0.0.lock().unwrap().nodes.push(sink);
    }

    fn publish(&self, topic: &str, event: Event) -> BackplaneFuture<u64> {
        let mut kept = self.0.0.lock().unwrap();
        if kept.down {
            return Box::pin(async { Err(BackplaneError::new("down")) });
        }
        kept.number += 1;
        let number = kept.number;
        kept.events.push((topic.into(), number, event.clone()));
        for node in kept.nodes.iter().filter(|_| kept.held.is_none()) {
            node.deliver(topic, number, event.clone());
        }
        Box::pin(async move { Ok(number) })
    }

    fn history(&self, topics: Vec<Arc<str>>, after: u64) -> BackplaneFuture<History> {
        let kept = self.0.0.lock().unwrap();
        let events = kept.events.iter().filter(|(topic, number, _)| {
            topics.contains(topic) && *number > after.max(kept.trimmed)
        });
        let history = match after >= kept.trimmed {
            true => History::complete_with(events.cloned().collect(), Arc::clone(&kept.untaken)),
            false => History::gap(),
        };
        Box::pin(async move { Ok(history) })
    }

    fn revoke(&self, revocation: Revocation) {
        let kept = self.0.0.lock().unwrap();
        for (_, sink) in kept
            .nodes
            .iter()
            .enumerate()
            .filter(|(node, _)| *node != self.1)
        {
            sink.revoke(&revocation);
        }
    }

    fn stats(&self) -> BackplaneStats {
        let kept = self.0.0.lock().unwrap();
        let mut stats = BackplaneStats::default();
        stats.connected = !kept.down;
        stats.published = kept.number;
        stats
    }
}

fn nodes() -> (Arc<Engine>, Hub, Hub) {
    let engine = Arc::new(Engine::default());
    let hub = |node| {
        let plane = Node(Arc::clone(&engine), node);
        Hub::builder()
            .with(|hub, _| hub.topics = vec![TopicConfig::of("local/*").shared(false)])
            .backplane(plane)
            .build()
            .unwrap()
    };
    let (a, b) = (hub(0), hub(1));
    (engine, a, b)
}

async fn open(hub: &Hub, last_event_id: Option<&str>) -> ServiceResponse {
    open_at(hub, "/", last_event_id).await
}

/// Opens a stream; at `/below` one of all topics below `t`, at `/local` one of `t` and what is not shared, at
/// `/alone` one of that alone, at `/state` one that begins with the state, which stands at the position of the
/// query, or where it is asked for.
async fn open_at(hub: &Hub, uri: &str, last_event_id: Option<&str>) -> ServiceResponse {
    async fn topic(hub: Hub, subscriber: Subscriber) -> impl Responder {
        hub.subscribe("t", subscriber)
    }
    async fn state(hub: Hub, subscriber: Subscriber, request: HttpRequest) -> impl Responder {
        hub.subscribe("t", subscriber).snapshot(async move |at| {
            let position = request.query_string().parse().unwrap_or(at);
            Snapshot::of(Event::data("state")).at(position)
        })
    }
    async fn below(hub: Hub, subscriber: Subscriber) -> impl Responder {
        hub.subscribe(TopicPattern::from("t/*"), subscriber)
    }
    async fn alone(hub: Hub, subscriber: Subscriber) -> impl Responder {
        hub.subscribe("local/1", subscriber)
    }
    async fn local(hub: Hub, subscriber: Subscriber) -> impl Responder {
        hub.subscribe(["t", "local/1"], subscriber)
    }
    async fn rare(hub: Hub, subscriber: Subscriber) -> impl Responder {
        let subscription = hub.subscribe("t", subscriber);
        subscription.filter(|event| event.tag == Some("rare"))
    }
    let app = App::new()
        .app_data(hub.clone())
        .route("/", web::get().to(topic))
        .route("/rare", web::get().to(rare))
        .route("/below", web::get().to(below))
        .route("/local", web::get().to(local))
        .route("/alone", web::get().to(alone))
        .route("/state", web::get().to(state));
    let app = init_service(app).await;
    let mut request = TestRequest::get().uri(uri);
    if let Some(id) = last_event_id {
        request = request.insert_header(("last-event-id", id));
    }
    call_service(&app, request.to_request()).await
}

async fn publish(hub: &Hub, data: &'static str) -> String {
    let published = hub.publish_shared("t", Event::data(data)).await.unwrap();
    published.id.unwrap()
}

async fn read(response: ServiceResponse, events: usize) -> Reading {
    read_events(response, events, Duration::from_secs(30)).await
}

fn data(reading: &Reading) -> Vec<&str> {
    reading
        .events
        .iter()
        .map(|event| event.data.as_str())
        .collect()
}

#[actix_web::test]
async fn an_event_reaches_the_streams_of_every_node_with_the_same_id() {
    let (_, a, b) = nodes();
    let (on_a, on_b) = (open(&a, None).await, open(&b, None).await);
    let id = publish(&a, "x").await;
    for response in [on_a, on_b] {
        let reading = read(response, 1).await;
        assert_eq!(data(&reading), ["x"]);
        assert_eq!(reading.events[0].last_event_id, id);
    }
}

#[actix_web::test]
async fn a_last_event_id_holds_on_a_node_that_never_followed_the_topic() {
    let (_, a, b) = nodes();
    let first = publish(&a, "1").await;
    publish(&a, "2").await;
    publish(&a, "3").await;
    let response = open(&b, Some(&first)).await;
    publish(&a, "4").await;
    assert_eq!(data(&read(response, 3).await), ["2", "3", "4"]);
}

#[actix_web::test]
async fn a_pattern_is_followed_on_every_node() {
    let (engine, a, b) = nodes();
    let publish = async |hub: &Hub, topic: &str, data| {
        let published = hub.publish_shared(topic, Event::data(data)).await.unwrap();
        published.id.unwrap()
    };
    let on_b = open_at(&b, "/below", None).await;
    publish(&a, "t/1", "1").await;
    publish(&a, "other", "no").await;
    let seen = publish(&b, "t/2/3", "2").await;
    let reading = read(on_b, 2).await;
    assert_eq!(data(&reading), ["1", "2"]);
    assert_eq!(reading.events[1].last_event_id, seen);
    publish(&a, "t/1", "3").await;
    let back = open_at(&b, "/below", Some(&seen)).await;
    publish(&a, "t/4", "4").await;
    assert_eq!(data(&read(back, 2).await), ["3", "4"]);
    // The other node has not kept them, and the engine keeps topics.
    let elsewhere = open_at(&a, "/below", Some(&seen)).await;
    publish(&a, "t/4", "5").await;
    let reading = read(elsewhere, 2).await;
    assert_eq!(reading.events[0].event, "reset");
    assert_eq!(reading.events[1].data, "5");
    // What is lost of a topic is lost to its patterns.
    let stream = open_at(&b, "/below", None).await;
    engine.0.lock().unwrap().nodes[1].lost(Some("t/7"), 100);
    assert!(read(stream, 2).await.ended);
}

#[actix_web::test]
async fn what_is_not_shared_stays_on_its_node_and_is_not_replayed() {
    let (_, a, b) = nodes();
    let publish = |hub: &Hub, data| hub.publish("local/1", Event::data(data)).unwrap();
    let [on_a, on_b] = [&a, &b].map(|hub| open_at(hub, "/local", None));
    let (on_a, on_b) = (on_a.await, on_b.await);
    assert_eq!(publish(&a, "only on a").id, None);
    assert_eq!(a.publish("t", Event::data("x")), Err(PublishError::Shared));
    let shared = a
        .publish_shared("local/1", Event::data("this one too"))
        .await;
    assert_eq!(shared.unwrap().id, None);
    let id = a
        .publish_shared("t", Event::data("on both"))
        .await
        .unwrap()
        .id
        .unwrap();
    publish(&b, "only on b");
    // What is shared has an order of its own, and what is not as well.
    let reading = read(on_a, 3).await;
    let own = |text: &&str| *text != "on both";
    let on_a = data(&reading);
    assert_eq!(
        on_a.iter().copied().filter(own).collect::<Vec<_>>(),
        ["only on a", "this one too"]
    );
    assert!(on_a.contains(&"on both"));
    assert_eq!(data(&read(on_b, 2).await), ["on both", "only on b"]);
    publish(&a, "while nobody reads");
    a.publish_shared("t", Event::data("missed")).await.unwrap();
    let back = open_at(&a, "/local", Some(&id)).await;
    publish(&a, "live");
    assert_eq!(data(&read(back, 2).await), ["missed", "live"]);
}

#[actix_web::test]
async fn what_is_not_shared_needs_no_engine() {
    let (engine, a, b) = nodes();
    let id = publish(&a, "1").await;
    // The engine says that nothing is missing, and has no more to say for a while.
    let stream = open_at(&b, "/local", Some(&id)).await;
    b.publish("local/1", Event::data("here")).unwrap();
    assert_eq!(data(&read(stream, 1).await), ["here"]);
    // Whoever comes back to it alone waits for nobody, and is told of no loss.
    let alone = read_events(
        open_at(&b, "/alone", None).await,
        1,
        Duration::from_millis(100),
    )
    .await;
    publish(&a, "2").await;
    engine.0.lock().unwrap().trimmed = 2;
    let stream = open_at(&b, "/alone", alone.anchor.as_deref()).await;
    engine.0.lock().unwrap().nodes[1].lost(None, 7);
    b.publish("local/1", Event::data("still here")).unwrap();
    assert_eq!(data(&read(stream, 1).await), ["still here"]);
}

#[actix_web::test]
async fn who_has_more_than_its_node_gets_none_of_that_again() {
    let (engine, a, b) = nodes();
    let stay = open(&b, None).await;
    engine.0.lock().unwrap().held = Some(0);
    publish(&a, "1").await;
    publish(&a, "2").await;
    let reading = read_events(open(&a, None).await, 1, Duration::from_millis(100)).await;
    // As if the other node had got further.
    let anchor = reading.anchor.unwrap().replace(".0.", ".2.");
    let stream = open(&b, Some(&anchor)).await;
    engine.release();
    publish(&a, "3").await;
    assert_eq!(data(&read(stay, 3).await), ["1", "2", "3"]);
    assert_eq!(data(&read(stream, 1).await), ["3"]);
}

#[actix_web::test]
async fn what_came_with_the_history_is_not_sent_again_when_it_is_delivered_late() {
    let (engine, a, b) = nodes();
    let first = publish(&a, "1").await;
    let other = open(&b, None).await;
    engine.0.lock().unwrap().held = Some(1);
    publish(&a, "2").await;
    let response = open(&b, Some(&first)).await;
    let later = {
        let engine = Arc::clone(&engine);
        async move {
            // The answer has been read by now: it is polled before this is.
            tokio::task::yield_now().await;
            engine.release();
            publish(&a, "3").await;
        }
    };
    let (reading, ()) = tokio::join!(read(response, 2), later);
    assert_eq!(data(&reading), ["2", "3"]);
    assert_eq!(data(&read(other, 2).await), ["2", "3"]);
}

/// As many pieces of a body as this, or all that is there.
async fn pieces(body: &mut BoxBody, most: usize) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    while pieces.len() < most {
        let piece = poll_fn(|cx| match Pin::new(&mut *body).poll_next(cx) {
            Poll::Ready(piece) => Poll::Ready(piece.map(Result::unwrap)),
            Poll::Pending => Poll::Ready(None),
        });
        let Some(piece) = piece.await else {
            break;
        };
        pieces.push(piece);
    }
    pieces
}

#[actix_web::test]
async fn what_a_client_missed_is_encoded_as_it_takes_it_and_gone_when_it_has() {
    let (engine, a, b) = nodes();
    let first = publish(&a, "0").await;
    let text = "x".repeat(1000);
    for number in 1..=1000 {
        let event = Event::data(format!("{number} {text}"));
        a.publish_shared("t", event).await.unwrap();
    }
    let untaken = || engine.0.lock().unwrap().untaken();
    let mut stream = open(&b, Some(&first)).await.into_body();
    let begin = pieces(&mut stream, 5).await;
    assert_eq!(untaken(), 1);
    let longest = begin.iter().map(Bytes::len).max().unwrap();
    assert!((10_000..40_000).contains(&longest), "{longest}");
    // What is published meanwhile comes behind it.
    publish(&a, "live").await;
    let rest = pieces(&mut stream, usize::MAX).await;
    assert_eq!(untaken(), 0);
    let live = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await;
    let all = [begin, rest, vec![live.unwrap().unwrap()]]
        .concat()
        .concat();
    let all = String::from_utf8(all).unwrap();
    let data = all.lines().filter_map(|line| line.strip_prefix("data: "));
    let numbers: Vec<_> = data.map(|data| data.split(' ').next().unwrap()).collect();
    let expected: Vec<_> = (1..=1000).map(|number| number.to_string()).collect();
    assert_eq!(numbers[..1000], expected);
    assert_eq!(numbers[1000..], ["live"]);
    // And who goes before has nothing left either.
    let mut stream = open(&b, Some(&first)).await.into_body();
    pieces(&mut stream, 2).await;
    assert_eq!(untaken(), 1);
    drop(stream);
    assert_eq!(untaken(), 0);
}

#[actix_web::test]
async fn a_filter_that_wants_little_of_what_was_missed_gets_it_all_the_same() {
    let (_, a, b) = nodes();
    let first = publish(&a, "0").await;
    let text = "x".repeat(1000);
    for number in 1..=100 {
        let event = Event::data(format!("{number} {text}"));
        let event = if number == 90 {
            event.tag("rare")
        } else {
            event
        };
        a.publish_shared("t", event).await.unwrap();
    }
    let stream = open_at(&b, "/rare", Some(&first)).await;
    let last = Event::data("last").tag("rare");
    a.publish_shared("t", last).await.unwrap();
    let reading = read(stream, 2).await;
    let data = data(&reading).into_iter();
    let short: Vec<_> = data.map(|data| data.split(' ').next().unwrap()).collect();
    assert_eq!(short, ["90", "last"]);
}

#[actix_web::test]
async fn who_takes_what_it_missed_too_slowly_is_ended_and_comes_back_for_the_rest() {
    let (engine, a, b) = nodes();
    let first = publish(&a, "0").await;
    for _ in 0..100 {
        let event = Event::data("x".repeat(1000));
        a.publish_shared("t", event).await.unwrap();
    }
    tokio::time::pause();
    let mut stream = open(&b, Some(&first)).await.into_body();
    let begin = pieces(&mut stream, 3).await.concat();
    tokio::time::advance(10 * StreamConfig::default().stall).await;
    let end = pieces(&mut stream, usize::MAX).await.concat();
    let end = String::from_utf8(end).unwrap();
    assert!(!end.contains("id: ") && end.contains("retry: "), "{end}");
    assert_eq!(engine.0.lock().unwrap().untaken(), 0);
    let begin = String::from_utf8(begin).unwrap();
    let ids: Vec<_> = begin
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    let rest = read(open(&b, ids.last().copied()).await, 100 - ids.len()).await;
    assert_eq!(rest.events.len(), 100 - ids.len());
}

#[actix_web::test]
async fn w02_a_client_without_an_event_misses_nothing_when_it_comes_back_to_another_node() {
    let (_, a, b) = nodes();
    // Of a topic that has events, and that no node follows yet.
    publish(&b, "before").await;
    let first = read_events(open(&a, None).await, 1, Duration::from_millis(100)).await;
    assert_eq!(data(&first), Vec::<&str>::new());
    let anchor = first.anchor.expect("an ID to come back with");
    publish(&a, "missed").await;
    let response = open(&b, Some(&anchor)).await;
    publish(&a, "live").await;
    let reading = read(response, 2).await;
    assert_eq!(data(&reading), ["missed", "live"]);
    assert_eq!(reading.anchor, None);
}

#[actix_web::test]
async fn w03_the_drain_of_one_node_of_many_sends_its_clients_to_the_others_at_once() {
    let (_, a, _) = nodes();
    let alone = Hub::builder().build().unwrap();
    for (hub, least, most) in [(&a, 500, 1500), (&alone, 24_000, 36_000)] {
        let response = open(hub, None).await;
        hub.drain_within(Duration::ZERO).await;
        let reading = read(response, 1).await;
        assert!(reading.ended);
        let retry = reading.retry.unwrap().as_millis();
        assert!((least..=most).contains(&retry), "{retry}");
    }
}

#[actix_web::test]
async fn what_the_engine_has_trimmed_is_a_gap_and_the_client_is_told() {
    let (engine, a, b) = nodes();
    let first = publish(&a, "1").await;
    publish(&a, "2").await;
    engine.0.lock().unwrap().trimmed = 2;
    let response = open(&b, Some(&first)).await;
    publish(&a, "3").await;
    let reading = read(response, 2).await;
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#, "3"]);
    assert_eq!(reading.events[0].event, "reset");
}

#[actix_web::test]
async fn r01_r02_the_engine_says_whether_a_client_needs_a_snapshot() {
    let (engine, a, b) = nodes();
    let first = publish(&a, "1").await;
    publish(&a, "2").await;
    let back = open_at(&b, "/state", Some(&first)).await;
    publish(&a, "3").await;
    assert_eq!(data(&read(back, 2).await), ["2", "3"]);
    engine.0.lock().unwrap().trimmed = 3;
    let back = open_at(&b, "/state", Some(&first)).await;
    let later = async {
        // It has been read by then: it is polled before this is.
        tokio::task::yield_now().await;
        publish(&a, "4").await;
    };
    let (reading, ()) = tokio::join!(read(back, 3), later);
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#, "state", "4"]);
    assert_eq!(reading.events[0].last_event_id, "");
    let anchor = reading.anchor.expect("an ID behind the snapshot");
    assert_eq!(
        data(&read(open_at(&a, "/state", Some(&anchor)).await, 1).await),
        ["4"]
    );
}

#[actix_web::test]
async fn a_state_may_be_ahead_of_what_has_come_to_its_node() {
    let (engine, a, b) = nodes();
    let other = open(&b, None).await;
    publish(&a, "1").await;
    engine.0.lock().unwrap().held = Some(1);
    let seen = publish(&a, "2").await;
    let exact = open_at(&b, &format!("/state?{seen}"), None).await;
    let loose = open_at(&b, "/state", None).await;
    let later = async {
        tokio::task::yield_now().await;
        engine.release();
        publish(&a, "3").await;
    };
    let (exact, loose, ()) = tokio::join!(read(exact, 2), read(loose, 3), later);
    assert_eq!(data(&exact), ["state", "3"]);
    assert_eq!(
        data(&loose),
        ["state", "2", "3"],
        "what had not come to this node"
    );
    assert_eq!(data(&read(other, 3).await), ["1", "2", "3"]);
}

#[actix_web::test]
async fn an_engine_that_lost_its_history_sends_every_client_back() {
    let (engine, a, _) = nodes();
    let old = publish(&a, "1").await;
    let response = open(&a, None).await;
    engine.0.lock().unwrap().nodes[0]
        .epoch("engine01", 1)
        .unwrap();
    let reading = read(response, 9).await;
    assert!(reading.ended);
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#], "it has no ID");
    let reading = read(open(&a, Some(&old)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"unknown"}"#]);
}

#[actix_web::test]
async fn w02_a_client_without_an_id_is_told_what_is_lost_and_one_with_an_id_asks() {
    let (engine, a, _) = nodes();
    publish(&a, "1").await;
    let (named, fresh) = (open(&a, None).await, open(&a, None).await);
    let named = actix_web::rt::spawn(read(named, 9));
    let other = open(&a, None).await;
    publish(&a, "2").await;
    assert_eq!(data(&read(other, 1).await), ["2"]);
    drop(fresh);
    let fresh = open(&a, None).await;
    engine.0.lock().unwrap().nodes[0].lost(None, 2);
    let named = named.await.unwrap();
    assert_eq!(data(&named), ["2"]);
    assert!(named.ended, "it comes back with the ID of \"2\"");
    let fresh = read(fresh, 9).await;
    assert!(fresh.ended);
    assert_eq!(data(&fresh), [r#"{"reason":"gap"}"#]);
    // With what it was told, it goes on without another gap.
    publish(&a, "3").await;
    let id = &fresh.events[0].last_event_id;
    assert_eq!(data(&read(open(&a, Some(id)).await, 1).await), ["3"]);
}

#[actix_web::test]
async fn w02_a_topic_that_a_stream_is_the_first_to_follow_is_complete_from_there_on() {
    let (engine, a, _) = nodes();
    for text in ["1", "2"] {
        publish(&a, text).await;
    }
    let fresh = open(&a, None).await;
    let third = publish(&a, "3").await;
    assert_eq!(data(&read(fresh, 1).await), ["3"]);
    // It is not asked for what the log has.
    publish(&a, "4").await;
    engine.0.lock().unwrap().trimmed = 4;
    assert_eq!(data(&read(open(&a, Some(&third)).await, 1).await), ["4"]);
}

#[actix_web::test]
async fn a_publication_that_the_engine_did_not_take_is_an_error() {
    let (engine, a, _) = nodes();
    engine.0.lock().unwrap().down = true;
    let refused = a.publish_shared("t", Event::data("x")).await;
    assert!(
        matches!(refused, Err(PublishError::Backplane(_))),
        "{refused:?}"
    );
    assert_eq!(a.publish("t", Event::data("x")), Err(PublishError::Shared));
}

#[actix_web::test]
async fn a_disconnected_topic_ends_on_every_node() {
    let (_, a, b) = nodes();
    let on_b = open(&b, None).await;
    a.disconnect_topic("t");
    assert!(read(on_b, 1).await.ended);
}

/// Keeps the watch that it is given.
#[derive(Default)]
struct Keeper(Mutex<Option<BackplaneWatch>>);

impl Observer for Keeper {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(())
    }

    fn backplane(&self, watch: &BackplaneWatch) {
        *self.0.lock().unwrap() = Some(watch.clone());
    }
}

#[actix_web::test]
async fn an_observer_can_ask_how_the_backplane_is_for_as_long_as_there_is_the_hub() {
    let engine = Arc::new(Engine::default());
    let keeper: Arc<Keeper> = Arc::default();
    let hub = Hub::builder()
        .observer((Arc::clone(&keeper), ()))
        .backplane(Node(Arc::clone(&engine), 0))
        .build()
        .unwrap();
    let watch = keeper.0.lock().unwrap().take().unwrap();
    publish(&hub, "x").await;
    assert_eq!(watch.stats().unwrap().published, 1);
    assert_eq!(watch.stats(), hub.backplane_stats());
    engine.0.lock().unwrap().down = true;
    assert!(!watch.stats().unwrap().connected);
    drop(hub);
    assert_eq!(watch.stats(), None);
}

#[test]
fn a_hub_of_one_process_has_no_backplane_to_ask_about() {
    let keeper: Arc<Keeper> = Arc::default();
    let hub = Hub::builder()
        .observer(Arc::clone(&keeper))
        .build()
        .unwrap();
    assert_eq!(hub.backplane_stats(), None);
    assert!(keeper.0.lock().unwrap().is_none());
}

#[actix_web::test]
async fn a_backplane_that_does_not_count_readers_leaves_each_node_its_own_list_and_no_joins() {
    let with = |mode| {
        let node = Node(Arc::default(), 0);
        let builder = Hub::builder().backplane(node).with(|hub, _| {
            hub.topics = vec![TopicConfig::of("t").presence(mode)];
        });
        builder.build()
    };
    let refused = with(PresenceMode::Events).unwrap_err().to_string();
    assert!(refused.contains("hub.topics.presence"), "{refused}");
    let hub = with(PresenceMode::List).unwrap();
    let _stream = open(&hub, None).await;
    let here = hub.presence("t").unwrap();
    assert_eq!((here.anonymous, here.whole), (1, true));
    assert_eq!(hub.presence_shared("t").await, Ok(Some(here)));
    assert_eq!(hub.presence_shared("u").await, Ok(None));
}
