//! What a scrape says about the hubs of the process and their workers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use actix_web::{App, HttpServer, web};
use actix_web_sse::{Hub, Subscriber};
use actix_web_sse_metrics::Metrics;

/// The value of the first series that begins like this.
fn value(metrics: &Metrics, beginning: &str) -> Option<f64> {
    let text = metrics.text();
    let line = text.lines().find(|line| line.starts_with(beginning))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_scrape_says_what_the_hub_was_told_and_nothing_without_a_hub() {
    let metrics = Metrics::new().unwrap();
    assert_eq!(value(&metrics, "sse_hub_info"), None);
    let hub = Hub::builder()
        .observer(metrics.observer())
        .with(|_, stream| stream.max_lifetime = Some(Duration::from_secs(900)))
        .build()
        .unwrap();
    assert_eq!(
        value(&metrics, "sse_connection_lifetime_limit_seconds "),
        Some(900.0)
    );
    assert_eq!(value(&metrics, "sse_hub_heartbeat_seconds "), Some(15.0));
    let info = "sse_hub_info{backplane=\"false\",resume=\"true\"}";
    assert_eq!(value(&metrics, info), Some(1.0));
    drop(hub);
    assert_eq!(value(&metrics, "sse_hub_info"), None);
}

#[test]
fn one_hub_without_a_limit_is_no_limit() {
    let metrics = Metrics::new().unwrap();
    let hub = |lifetime| {
        Hub::builder()
            .observer(metrics.observer())
            .with(|_, stream| stream.max_lifetime = lifetime)
            .build()
            .unwrap()
    };
    let _hubs = [hub(Some(Duration::from_secs(900))), hub(None)];
    assert_eq!(
        value(&metrics, "sse_connection_lifetime_limit_seconds "),
        Some(0.0)
    );
}

/// One of two workers is blocked by a handler, as by a call that does not belong there.
#[actix_web::test]
async fn a_worker_that_is_blocked_grows_old_and_the_others_do_not() {
    let metrics = Metrics::new().unwrap();
    let hub = Hub::builder().observer(metrics.observer()).build().unwrap();
    let server = HttpServer::new({
        let hub = hub.clone();
        move || {
            App::new()
                .app_data(hub.clone())
                .route("/events", web::get().to(events))
                .route("/block", web::get().to(block))
        }
    })
    .workers(1)
    .bind("127.0.0.1:0")
    .unwrap();
    let address = server.addrs()[0];
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(running);

    let stream = request(address, "/events");
    let age = || value(&metrics, "sse_worker_tick_age_seconds{");
    wait(|| age().is_some()).await;
    let blocked = request(address, "/block");
    // Longer than between two ticks of a worker that is well, on a busy machine too.
    wait(|| age().is_some_and(|age| age > 9.0)).await;
    RELEASED.store(true, Ordering::SeqCst);
    wait(|| age().is_some_and(|age| age < 6.0)).await;
    drop((stream, blocked));
    handle.stop(false).await;
}

async fn events(hub: Hub, subscriber: Subscriber) -> impl actix_web::Responder {
    hub.subscribe("t", subscriber)
}

/// The worker may go on.
static RELEASED: AtomicBool = AtomicBool::new(false);

async fn block() -> &'static str {
    while !RELEASED.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(20));
    }
    "at last"
}

fn request(address: std::net::SocketAddr, path: &str) -> std::net::TcpStream {
    use std::io::Write;
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
    )
    .unwrap();
    connection
}

/// Waits for a condition, for at most a minute.
async fn wait(condition: impl Fn() -> bool) {
    for _ in 0..600 {
        if condition() {
            return;
        }
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come about within a minute");
}
