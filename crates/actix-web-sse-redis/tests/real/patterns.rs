//! Streams that follow a pattern, on nodes that follow nothing else.

use actix_web::{
    App, Responder,
    dev::ServiceResponse,
    test::{TestRequest, call_service, init_service},
    web,
};
use actix_web_sse::{Hub, Subscriber, TopicPattern};
use actix_web_sse_redis::RedisConfig;

use crate::{
    node::{Node, config, data, others_have_run, read, until},
    relay::Relay,
    server::Server,
};

async fn open(node: &Node, pattern: &str, last_event_id: Option<&str>) -> ServiceResponse {
    async fn follow(
        hub: Hub,
        subscriber: Subscriber,
        pattern: web::Path<String>,
    ) -> impl Responder {
        hub.subscribe(TopicPattern::from(pattern.as_str()), subscriber)
    }
    let app = App::new()
        .app_data(node.hub.clone())
        .route("/{pattern:.*}", web::get().to(follow));
    let app = init_service(app).await;
    let mut request = TestRequest::get().uri(&format!("/{pattern}"));
    if let Some(id) = last_event_id {
        request = request.insert_header(("last-event-id", id));
    }
    call_service(&app, request.to_request()).await
}

#[actix_web::test]
async fn s82_a_pattern_brings_every_event_of_every_node_large_ones_too() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    until(|| a.backplane.stats().connected && b.backplane.stats().connected).await;
    let stream = open(&b, "orders/*", None).await;
    let large = "x".repeat(40_000);
    let mut ids = Vec::new();
    for (topic, text) in [
        ("orders/1", "1"),
        ("orders/2", &large),
        ("orders", "no"),
        ("news", &large),
        ("orders/3/items", "3"),
    ] {
        ids.push(a.publish(topic, text).await);
    }
    let reading = read(stream, 3).await;
    assert_eq!(data(&reading), ["1", &large, "3"]);
    assert_eq!(reading.events[2].last_event_id, ids[4]);
    a.publish("orders/1", "missed").await;
    let back = open(&b, "orders/*", Some(&ids[1])).await;
    a.publish("orders/9", "live").await;
    assert_eq!(data(&read(back, 3).await), ["3", "missed", "live"]);
    // The other node has kept none of them.
    let reading = read(open(&a, "orders/*", Some(&ids[1])).await, 1).await;
    assert_eq!(reading.events[0].event, "reset");
}

#[actix_web::test]
async fn s82_what_came_while_a_node_was_cut_off_comes_later_or_ends_the_stream() {
    let server = Server::start();
    let relay = Relay::to(server.port);
    let a = Node::start(config(&server));
    let mut cut_off = RedisConfig::at(relay.url());
    cut_off.backoff_most = config(&server).backoff_most;
    for trimmed in [false, true] {
        let b = Node::start(cut_off.clone());
        until(|| a.backplane.stats().connected && b.backplane.stats().connected).await;
        let stream = open(&b, "t/*", None).await;
        let first = a.publish("t/1", "before").await;
        until(|| b.hub.position().to_string() == first).await;
        relay.sever();
        for number in 0..20 {
            a.publish("t/1", &number.to_string()).await;
        }
        if trimmed {
            server.command(&["XTRIM", "{sse}:log", "MAXLEN", "1"]);
        }
        relay.mend();
        if trimmed {
            let reading = read(stream, 30).await;
            assert!(reading.ended, "{reading:?}");
            let reading = read(open(&b, "t/*", Some(&first)).await, 1).await;
            assert_eq!(reading.events[0].event, "reset");
        } else {
            let expected = (0..20).map(|number| number.to_string());
            let expected = ["before".to_owned()].into_iter().chain(expected);
            assert_eq!(data(&read(stream, 21).await), expected.collect::<Vec<_>>());
        }
    }
}

#[actix_web::test]
async fn s82_a_redis_that_lost_its_data_ends_the_streams_of_patterns() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    until(|| a.backplane.stats().connected && b.backplane.stats().connected).await;
    // What has not been sent when a numbering ends is not sent any more.
    let reading = actix_web::rt::spawn(read(open(&b, "t/*", None).await, 30));
    let id = a.publish("t/1", "1").await;
    until(|| b.hub.position().to_string() == id).await;
    others_have_run().await;
    server.command(&["FLUSHALL"]);
    let reading = reading.await.unwrap();
    assert!(reading.ended, "{reading:?}");
    assert!(["1"].starts_with(&data(&reading)), "{reading:?}");
    let reading = read(open(&b, "t/*", Some(&id)).await, 1).await;
    assert_eq!(reading.events[0].event, "reset");
}
