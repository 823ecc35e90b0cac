//! E16: heartbeats are seen by nobody.

use std::time::Duration;

use actix_web::{App, HttpServer, web};
use actix_web_sse::{
    Event, ForEventStreams, Hub, Subscriber, config::StreamConfig, observe::CloseReason,
};
use actix_web_sse_tests::{InProcess, LIMIT, Recorder, no_signals, until};

use super::under_test::{Client, Entry, Kind};

/// One event, many heartbeats, a clean end; what the client saw of it. Clients that act on every
/// blank line (facts B8) would see messages that nobody sent.
fn e16_one_event_and_many_heartbeats_are_one_event(start: impl Fn(&str) -> Client) {
    let recorder = Recorder::default();
    let mut config = StreamConfig::default();
    config.heartbeat = Duration::from_millis(100);
    let hub = Hub::builder()
        .stream(config)
        .observer(recorder.clone())
        .build()
        .unwrap();
    let served = hub.clone();
    let server = InProcess::start(move |listener| {
        let app_hub = served.clone();
        let server = HttpServer::new(move || {
            let hub = app_hub.clone();
            let stream = move |subscriber: Subscriber| {
                let subscription = hub.subscribe("t", subscriber);
                async move { subscription }
            };
            App::new().route("/events", web::get().to(stream))
        });
        let server = server.workers(1).for_event_streams(&served);
        Ok(server.shutdown_signal(no_signals()).listen(listener)?.run())
    });
    let client = start(&format!("http://{}/events", server.address()));
    until("the client follows", LIMIT, || {
        (hub.subscribers("t") == 1).then_some(())
    });
    let id = hub.publish("t", Event::data("x")).unwrap().id.unwrap();
    client.wait_for_data("x");
    until("ten heartbeats have left", LIMIT, || {
        (recorder.look().heartbeats >= 10).then_some(())
    });
    hub.disconnect_topic("t");
    client.wait("hears the end", |entries| {
        entries.contains(&Entry::Ended).then_some(())
    });
    let end = recorder.wait_for_ends(1)[0];
    assert_eq!((end.reason, end.events), (CloseReason::Revoked, 1));
    assert_eq!(
        client.events(),
        [("message".to_owned(), id, "x".to_owned())],
        "one event, and no phantom"
    );
}

#[test]
fn e16_httpx_sse_yields_one_event() {
    e16_one_event_and_many_heartbeats_are_one_event(Client::httpx_sse);
}

#[test]
fn e16_fetch_event_source_calls_onmessage_once() {
    e16_one_event_and_many_heartbeats_are_one_event(|url| {
        Client::start(Kind::FetchEventSource, url)
    });
}

#[test]
fn e16_fetch_stream_dispatches_one_event() {
    e16_one_event_and_many_heartbeats_are_one_event(|url| Client::start(Kind::FetchStream, url));
}
