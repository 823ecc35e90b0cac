//! What recording costs: for each write to a socket, for each stream opened and closed, and for a
//! scrape while many streams are open.
//!
//! `cargo run --release -p actix-web-sse-metrics --example cost`

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use actix_web::test::TestRequest;
use actix_web_sse::observe::{
    CloseReason, End, Observer, Opened, OriginClass, Resume, Sent, SentKind, StreamObserver,
    Visitor,
};
use actix_web_sse_metrics::{Metrics, log};
use tracing_subscriber::prelude::*;

const WRITES: u32 = 10_000_000;
const OPENS: u32 = 200_000;
const STREAMS: u32 = 19_000;
const SCRAPES: u32 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layer = log::json_layer_with(std::io::sink);
    let _guard = tracing_subscriber::registry().with(layer).set_default();
    let metrics = Metrics::builder().auth_required("/events").build()?;
    let log = metrics.log().build();

    println!("{:>10} ns per write, metrics", writes(&metrics.observer()));
    println!(
        "{:>10} ns per write, metrics and log",
        writes(&(metrics.observer(), log.clone()))
    );
    println!("{:>10} ns per write, nobody (the calls alone)", writes(&()));
    println!(
        "{:>10} ns per open and close, metrics",
        opens(&metrics.observer())
    );
    println!(
        "{:>10} ns per open and close, metrics and log",
        opens(&(metrics.observer(), log))
    );

    let observer = metrics.observer();
    let streams: Vec<_> = (0..STREAMS).map(|n| open(&observer, n)).collect();
    let began = Instant::now();
    for _ in 0..SCRAPES {
        black_box(metrics.text());
    }
    let micros = began.elapsed().as_micros() / u128::from(SCRAPES);
    println!(
        "{micros:>10} µs per scrape with {} open streams",
        streams.len()
    );
    Ok(())
}

fn open(observer: &impl Observer, n: u32) -> Box<dyn StreamObserver> {
    let request = TestRequest::get()
        .insert_header(("origin", "https://app.example.com"))
        .insert_header((
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101",
        ))
        .to_http_request();
    let origin = OriginClass::Allowed("https://app.example.com".into());
    let mut visitor = Visitor::unknown(&request, "/events");
    visitor.origin = &origin;
    visitor.address = Some(IpAddr::V4(Ipv4Addr::from(n)));
    observer.attempted(&visitor);
    observer.opened(&Opened::new(&visitor, u64::from(n).into(), Resume::Fresh))
}

fn writes(observer: &impl Observer) -> f64 {
    let mut stream = open(observer, 0);
    let mut sent = Sent::new(SentKind::Event, 1, 114);
    sent.lag = Some(Duration::from_micros(300));
    let began = Instant::now();
    for _ in 0..WRITES {
        stream.sent(black_box(&sent));
    }
    let nanos = began.elapsed().as_secs_f64() * 1e9 / f64::from(WRITES);
    stream.closed(&End::new(CloseReason::Complete, Duration::ZERO));
    (nanos * 10.0).round() / 10.0
}

fn opens(observer: &impl Observer) -> f64 {
    // Making the request is not what is measured.
    let request = TestRequest::get()
        .insert_header(("origin", "https://app.example.com"))
        .insert_header((
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101",
        ))
        .to_http_request();
    let origin = OriginClass::Allowed("https://app.example.com".into());
    let began = Instant::now();
    for n in 0..OPENS {
        let mut visitor = Visitor::unknown(&request, "/events");
        visitor.origin = &origin;
        visitor.address = Some(IpAddr::V4(Ipv4Addr::from(n)));
        observer.attempted(&visitor);
        let stream = observer.opened(&Opened::new(&visitor, u64::from(n).into(), Resume::Fresh));
        stream.closed(&End::new(CloseReason::ClientGone, Duration::from_secs(60)));
    }
    (began.elapsed().as_secs_f64() * 1e9 / f64::from(OPENS)).round()
}
