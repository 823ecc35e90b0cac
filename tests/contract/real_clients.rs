//! Group W: what clients in use send, and what they bear.

use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{App, Responder, web};
use actix_web_sse::{
    Answer, AnswerError, Event, EventServer, Heartbeats, Hub, Sse, Subscriber, config::StreamConfig,
};
use actix_web_sse_tests::{
    Block, Demo, EventStream, InProcess, LIMIT, Request, Settings, no_signals,
};
use futures_util::{StreamExt as _, stream};
use tokio::sync::Notify;

use crate::{APP, DEMO, expect};

/// The names under which clients put a last event ID into the query.
const NAMES: [&str; 6] = [
    "lastEventId",
    "lastEventID",
    "last_event_id",
    "Last-Event-ID",
    "last-event-id",
    "evs_last_event_id",
];

/// A demo with these many events of the topic `t`, and their IDs.
fn with_events(count: usize) -> (Demo, Vec<String>) {
    let demo = Demo::start(DEMO, &Settings::open());
    let mut stream = Request::stream("/events?topic=t").open(demo.app);
    stream.next_comment();
    let ids = (1..=count).map(|number| {
        demo.publish("t", &number.to_string());
        stream.next_event().id().expect("an ID").to_owned()
    });
    let ids = ids.collect();
    (demo, ids)
}

/// What comes first: the data of an event, or the name of a control message.
#[track_caller]
fn first(mut stream: EventStream) -> String {
    let event = stream.next_event();
    let first = event.event().or_else(|| event.data());
    first.expect("an event").to_owned()
}

#[test]
fn w01_every_spelling_of_the_last_event_id_in_a_query_resumes() {
    let (demo, ids) = with_events(4);
    for name in NAMES {
        let target = format!("/events?topic=t&{name}={}", ids[1]);
        assert_eq!(
            first(Request::stream(&target).open(demo.app)),
            "3",
            "{name}"
        );
    }
    demo.wait_for_metric("sse_resumes_total", &[("result", "hit")], 6.0);
}

#[test]
fn w01_of_several_last_event_ids_the_last_one_that_is_valid_counts() {
    let (demo, ids) = with_events(4);
    let [a, b, c, _] = &ids[..] else {
        unreachable!("four events");
    };
    for (query, next) in [
        (format!("lastEventId={a}&lastEventId={b}"), "3"),
        (format!("lastEventId={b}&last_event_id={c}"), "4"),
        (format!("last_event_id={c}&lastEventId={b}"), "3"),
        (
            format!("lastEventId={a}&lastEventID={b}&Last-Event-ID={c}"),
            "4",
        ),
        (format!("lastEventId={b}&lastEventId="), "3"),
        (format!("lastEventId={b}&lastEventId=%FF"), "3"),
    ] {
        let target = format!("/events?topic=t&{query}");
        let stream = Request::stream(&target).open(demo.app);
        assert_eq!(first(stream), next, "{query}");
    }
}

#[test]
fn w01_the_header_comes_before_the_query_unless_it_is_empty() {
    let (demo, ids) = with_events(4);
    let target = format!("/events?topic=t&lastEventId={}", ids[0]);
    let with = |header: &str| {
        let request = Request::stream(&target).header("Last-Event-ID", header);
        first(request.open(demo.app))
    };
    assert_eq!(with(&ids[2]), "4");
    assert_eq!(with(""), "2");
}

#[test]
fn w01_a_last_event_id_that_cannot_be_read_is_a_reset_and_never_silence() {
    let (demo, _) = with_events(2);
    let long = "x".repeat(5000);
    for value in ["%FF", "%ZZ", "a%20b", "nobody's", "%00", &long] {
        for name in NAMES {
            let target = format!("/events?topic=t&{name}={value}");
            let stream = Request::stream(&target).open(demo.app);
            assert_eq!(first(stream), "reset", "{name}={:.20}", value);
        }
    }
    let two = "/events?topic=t&lastEventId=%FF&last_event_id=%FE";
    assert_eq!(first(Request::stream(two).open(demo.app)), "reset");
}

#[test]
fn w04_a_page_may_post_json_to_a_stream_that_is_opened_by_post() {
    for methods in ["post", "get-and-post"] {
        let settings = Settings::open().set("policy.methods", methods);
        let demo = Demo::start(DEMO, &settings);
        let ask = |headers: &str| {
            let preflight = Request::preflight("/events", APP, "POST", headers);
            preflight.send(demo.app)
        };
        for headers in ["content-type", "authorization,content-type", "Content-Type"] {
            let response = ask(headers);
            assert_eq!(response.status(), 204, "{methods} {headers}");
            expect::readable_from(&response.head, APP);
            let allowed = response.head.headers.list("access-control-allow-headers");
            assert!(allowed.contains(&"content-type".to_owned()), "{allowed:?}");
        }
        assert_eq!(ask("content-type,x-evil").status(), 403, "{methods}");
    }
    let demo = Demo::start(DEMO, &Settings::open());
    let preflight = Request::preflight("/events", APP, "GET", "content-type");
    assert_eq!(preflight.send(demo.app).status(), 403, "a GET has no body");
}

#[test]
fn w04_a_post_stream_takes_the_accept_of_api_clients_in_both_modes() {
    for mode in ["explicit", "negotiate"] {
        let settings = Settings::open()
            .set("policy.methods", "get-and-post")
            .set("policy.accept", mode);
        let demo = Demo::start(DEMO, &settings);
        let post = |accept: Option<&str>| {
            let request = Request::new("POST", "/events").header("Origin", APP);
            let request = accept
                .into_iter()
                .fold(request, |request, accept| request.header("Accept", accept));
            request.body("application/json", r#"{"stream":true}"#)
        };
        for accept in [
            None,
            Some("application/json"),
            Some("*/*"),
            Some("application/json, text/plain, */*"),
            Some("application/json, text/event-stream"),
            Some("text/event-stream"),
        ] {
            // The demo does not read the body, and so its connection closes: no `expect::ok`.
            let response = post(accept).send(demo.app);
            assert_eq!(response.status(), 200, "{mode} {accept:?}");
            expect::readable_from(&response.head, APP);
            let kind = response.header("content-type");
            assert_eq!(kind, Some("text/event-stream; charset=utf-8"));
        }
        let html = post(Some("text/html"));
        expect::refused(&html, &demo, (406, "not_acceptable"), Some(APP));
        let get = Request::new("GET", "/events").header("Accept", "application/json");
        expect::refused(&get, &demo, (406, "not_acceptable"), None);
    }
}

/// Streams without guards.
fn serve(config: StreamConfig) -> InProcess {
    serve_with(config, &Gate::default())
}

/// The same; the pieces of two of them wait for this gate.
fn serve_with(config: StreamConfig, gate: &Gate) -> InProcess {
    let gate = web::Data::new(gate.clone());
    InProcess::start(move |listener| {
        let hub = Hub::builder().stream(config).build().expect("a hub");
        let app_hub = hub.clone();
        let application = move || {
            App::new()
                .app_data(app_hub.clone())
                .app_data(gate.clone())
                .route("/plain", web::post().to(plain))
                .route("/plain-and-slow", web::post().to(plain_and_slow))
                .route("/plain-at-a-gate", web::post().to(plain_at_a_gate))
                .route("/plain-with-pings", web::post().to(plain_with_pings))
                .route("/once", web::get().to(once))
                .route("/topic", web::get().to(topic))
        };
        let server = EventServer::new(application).workers(1).hub(&hub);
        Ok(server.shutdown_signal(no_signals()).listen(listener)?.run())
    })
}

async fn topic(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("t", subscriber)
}

fn pieces(delay: Duration) -> impl stream::Stream<Item = Result<&'static str, AnswerError>> {
    stream::iter(["a", "b"]).then(move |piece| async move {
        tokio::time::sleep(delay).await;
        Ok(piece)
    })
}

/// Shut until the test opens it.
#[derive(Clone, Default)]
struct Gate(Arc<Notify>);

impl Gate {
    fn open(&self) {
        self.0.notify_one();
    }

    /// The pieces, once it is open.
    fn pieces(&self) -> impl stream::Stream<Item = Result<&'static str, AnswerError>> + use<> {
        let gate = Arc::clone(&self.0);
        stream::once(async move { gate.notified().await })
            .flat_map(|()| stream::iter(["a", "b"].map(Ok)))
    }
}

async fn plain(subscriber: Subscriber) -> impl Responder {
    Answer::new(pieces(Duration::ZERO), subscriber).plain()
}

async fn plain_and_slow(subscriber: Subscriber) -> impl Responder {
    Answer::new(pieces(Duration::from_millis(700)), subscriber).plain()
}

async fn plain_at_a_gate(gate: web::Data<Gate>, subscriber: Subscriber) -> impl Responder {
    Answer::new(gate.pieces(), subscriber).plain()
}

async fn plain_with_pings(gate: web::Data<Gate>, subscriber: Subscriber) -> impl Responder {
    let ping = Event::data("{}").name("ping").expect("a name");
    Answer::new(gate.pieces(), subscriber)
        .plain()
        .heartbeats(Heartbeats::Event(ping))
}

async fn once(subscriber: Subscriber) -> impl Responder {
    let events = ["1", "2"].map(Event::data);
    Sse::from_stream(stream::iter(events), subscriber).once()
}

fn busy_heart() -> StreamConfig {
    let mut config = StreamConfig::default();
    config.heartbeat = Duration::from_millis(200);
    config
}

fn body(address: SocketAddr, target: &str) -> String {
    let request = Request::new("POST", target)
        .header("Accept", "application/json")
        .body("application/json", "{}");
    let response = request.send(address);
    assert_eq!(response.status(), 200);
    response.text()
}

#[test]
fn w05_a_plain_answer_is_data_from_the_first_byte_to_the_last() {
    let server = serve(busy_heart());
    let expected = "data: \"a\"\n\ndata: \"b\"\n\ndata: [DONE]\n\n";
    assert_eq!(body(server.address(), "/plain"), expected);
    // Several heartbeats long.
    assert_eq!(body(server.address(), "/plain-and-slow"), expected);
}

#[test]
fn w05_the_head_of_a_plain_answer_does_not_wait_for_its_first_byte() {
    let gate = Gate::default();
    let server = serve_with(busy_heart(), &gate);
    let request = Request::new("POST", "/plain-at-a-gate").body("application/json", "{}");
    let response = request.send(server.address());
    assert_eq!(response.status(), 200);
    // Not before: whoever waits for the first byte would wait for ever.
    gate.open();
    let expected = "data: \"a\"\n\ndata: \"b\"\n\ndata: [DONE]\n\n";
    assert_eq!(response.text(), expected);
}

#[test]
fn w05_heartbeats_of_a_plain_answer_have_the_form_that_was_asked_for() {
    let gate = Gate::default();
    let server = serve_with(busy_heart(), &gate);
    let request = Request::new("POST", "/plain-with-pings").body("application/json", "{}");
    let mut response = request.send(server.address());
    assert_eq!(response.status(), 200);
    // The answer begins when its client has had a ping.
    let ping = "event: ping\ndata: {}\n\n";
    let first = response.piece(LIMIT).expect("a ping").expect("no end");
    assert_eq!(String::from_utf8_lossy(&first), ping);
    gate.open();
    let rest = response.text().replace(ping, "");
    assert_eq!(rest, "data: \"a\"\n\ndata: \"b\"\n\ndata: [DONE]\n\n");
}

#[test]
fn w_08_a_stream_that_is_over_for_good_is_answered_with_204() {
    let server = serve(StreamConfig::default());
    let request = Request::stream("/once");
    let blocks = request.open(server.address()).until_end(LIMIT);
    let events = blocks.iter().filter(|block| block.data().is_some());
    let events = events.collect::<Vec<_>>();
    let names = events.iter().map(|event| event.event());
    assert_eq!(names.collect::<Vec<_>>(), [None, None, Some("end")]);
    let retry = blocks.iter().rev().find_map(Block::retry);
    assert!(retry.is_some_and(|retry| retry <= 1500), "soon: {retry:?}");
    let id = events[2].id().expect("an ID");
    let again = request.header("Last-Event-ID", id).send(server.address());
    assert_eq!(again.status(), 204);
    assert_eq!(again.header("cache-control"), Some("no-store"));
    // Another ID is no end.
    let other = Request::stream("/once").header("Last-Event-ID", "2");
    assert_eq!(other.open(server.address()).next_event().data(), Some("1"));
}

/// The reconnection times of the first and of the last block.
fn retries(stream: &mut EventStream) -> (u64, u64) {
    let blocks = stream.until_end(LIMIT);
    let retries = blocks.iter().filter_map(Block::retry).collect::<Vec<_>>();
    let [first, last] = retries[..] else {
        panic!("two times: {retries:?}");
    };
    (first, last)
}

#[test]
fn w03_streams_that_end_by_age_come_back_soon_and_not_together() {
    let mut config = StreamConfig::default();
    config.max_lifetime = Some(Duration::from_secs(2));
    let server = serve(config);
    let streams = (0..200).map(|_| Request::stream("/topic").open(server.address()));
    let mut seen = HashSet::new();
    for mut stream in streams.collect::<Vec<_>>() {
        let (first, last) = retries(&mut stream);
        assert!((24_000..=36_000).contains(&first), "after a cut: {first}");
        assert!((500..=1500).contains(&last), "after the end: {last}");
        seen.insert(last);
    }
    assert!(seen.len() > 100, "spread: {}", seen.len());
}
