//! More streams on one worker than it wakes at a time.

use std::future::poll_fn;

use actix_web::{
    App, Responder,
    body::MessageBody,
    test::{TestRequest, call_service, init_service},
    web,
};
use actix_web_sse::{Event, Hub, Subscriber};

const STREAMS: usize = 300;
const EVENTS: usize = 40;

async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("crowd", subscriber)
}

/// The data of the events in a text, without those of the anchor.
fn events_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "{}")
}

#[actix_web::test]
async fn each_stream_of_a_crowd_has_every_event_in_order_while_others_publish_and_leave() {
    // From here on time passes only when nobody has anything to do: a stream that was forgotten
    // would hear of its events with its next heartbeat, and not before.
    tokio::time::pause();
    let hub = Hub::builder().build().unwrap();
    let publish = |hub: &Hub, number| hub.publish("crowd", Event::data(format!("{number}.")));
    let app = App::new()
        .app_data(hub.clone())
        .route("/events", web::get().to(events));
    let app = init_service(app).await;
    let mut readers = Vec::new();
    for stream in 0..STREAMS {
        let request = TestRequest::get().uri("/events").to_request();
        let body = call_service(&app, request).await.into_body();
        let hub = hub.clone();
        readers.push(actix_web::rt::spawn(async move {
            let mut body = std::pin::pin!(body);
            // Every third leaves amid the rounds.
            let wanted = if stream % 3 == 0 { stream % 7 } else { EVENTS };
            let mut text = String::new();
            let mut seen = 0;
            while seen < wanted {
                let bytes = poll_fn(|cx| body.as_mut().poll_next(cx)).await;
                text += std::str::from_utf8(&bytes.unwrap().unwrap()).unwrap();
                let now = events_of(&text).count();
                // From the midst of a round: some have had this event, others not.
                if stream == 100 && now > seen && now < EVENTS {
                    publish(&hub, now).unwrap();
                }
                seen = now;
            }
            (wanted, text)
        }));
    }
    publish(&hub, 0).unwrap();
    for reader in readers {
        let (wanted, text) = reader.await.unwrap();
        let data = events_of(&text).collect::<Vec<_>>();
        let expected = (0..data.len()).map(|number| format!("{number}."));
        assert_eq!(data, expected.collect::<Vec<_>>());
        assert!(data.len() >= wanted);
        let comments = text.lines().filter(|line| line.starts_with(':')).count();
        assert!(comments <= 1, "a stream was forgotten");
    }
    assert_eq!(hub.subscribers("crowd"), 0);
}
