//! Figures: through Redis, and beside it local delivery. They are printed, and not judged:
//! `cargo test -p actix-web-sse-redis --features e2e figures -- --nocapture`.

use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web_sse::{Event, Hub};

use crate::{
    node::{Node, config, until},
    server::Server,
};

const EVENTS: usize = 500;

/// Times from the call of publish to the event in the response of a stream, one after the other.
async fn latencies(publisher: &Hub, reader: actix_web::dev::ServiceResponse) -> Vec<Duration> {
    let body = reader.into_body();
    let mut body = Box::pin(body);
    let mut times = Vec::new();
    for number in 0..EVENTS {
        let start = Instant::now();
        let text = format!("event {number};");
        publisher
            .publish_shared("t", Event::data(text.clone()))
            .await
            .unwrap();
        let mut seen = String::new();
        while !seen.contains(&text) {
            let chunk = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await;
            seen.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
        }
        times.push(start.elapsed());
    }
    times.sort();
    times
}

fn print(what: &str, times: &[Duration]) {
    let at = |part: f64| times[(times.len() as f64 * part) as usize];
    println!(
        "{what}: p50 {:?}, p90 {:?}, p99 {:?}",
        at(0.5),
        at(0.9),
        at(0.99)
    );
}

#[actix_web::test]
async fn figures_of_latency_and_throughput_through_redis_and_beside_it() {
    let server = Server::with(&["--appendfsync", "everysec"]);
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let across = latencies(&a.hub, b.follow("t", 1).await).await;
    print("publish to receipt, another node, through Redis", &across);

    let alone = Hub::builder().build().unwrap();
    let node = Node {
        hub: alone.clone(),
        backplane: a.backplane.clone(),
    };
    let local = latencies(&alone, node.open("t", None).await).await;
    print("publish to receipt, one hub without a backplane", &local);

    for waiting in [1, 100] {
        let start = Instant::now();
        let mut sent = 0;
        while start.elapsed() < Duration::from_secs(2) {
            let some = (0..waiting).map(|_| a.publish("flood", "0123456789abcdef"));
            sent += futures_util::future::join_all(some).await.len();
        }
        let rate = sent as f64 / start.elapsed().as_secs_f64();
        println!("acknowledged publications, {waiting} at a time: {rate:.0} per second");
    }
    for topics in [1000, 10_000] {
        let names = (0..topics).map(|n| format!("m{n}")).collect::<Vec<_>>();
        let stream = b.hub.clone();
        let many = Node {
            hub: stream,
            backplane: b.backplane.clone(),
        };
        let followed = many.open_many(names).await;
        until(|| b.backplane.stats().topics >= topics).await;
        let times = latencies(&a.hub, b.open("t", None).await).await;
        print(
            &format!("the same while the node reads {topics} topics"),
            &times,
        );
        drop(followed);
    }
}
