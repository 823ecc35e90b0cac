//! A million hostile requests, and what they leave behind: nothing that grows.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderValue},
    test::TestRequest,
};
use actix_web_sse::observe::{
    AuthMethod, CloseReason, CorsVerdict, End, Observer, Opened, OriginClass, RefusalMode,
    RefusalReason, Refused, Resume, Visitor,
};
use actix_web_sse_metrics::{
    Metrics,
    log::{self, Log},
};
use tracing_subscriber::prelude::*;

const REQUESTS: u64 = 1_000_000;
/// Requests whose headers are made anew; each is sent with so many addresses and paths.
const EACH: u64 = 50;

/// A generator of its own: the same requests in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// An origin as a browser would write it, an invalid one, or bytes.
    fn origin(&mut self) -> Vec<u8> {
        let n = self.next();
        match n % 5 {
            0 => format!("https://{n:x}.example").into_bytes(),
            1 => format!("https://{}.example", "a".repeat((n % 4000) as usize)).into_bytes(),
            2 => format!("https://{n}\"}} evil_total 1").into_bytes(),
            3 => (0..n % 300)
                .map(|_| 0x80 | (self.next() & 0x7f) as u8)
                .collect(),
            _ => "null".into(),
        }
    }

    fn address(&mut self) -> Option<IpAddr> {
        match self.below(3) {
            0 => Some(Ipv4Addr::from(self.next() as u32).into()),
            1 => Some(Ipv6Addr::from(u128::from(self.next()) << 64).into()),
            _ => None,
        }
    }

    fn request(&mut self) -> HttpRequest {
        let origin = HeaderValue::from_bytes(&self.origin()).unwrap();
        let agent = format!(
            "Mozilla/{:x} {}",
            self.next(),
            "x".repeat(self.below(600) as usize)
        );
        TestRequest::get()
            .insert_header((header::ORIGIN, origin))
            .insert_header((header::USER_AGENT, agent))
            .insert_header(("last-event-id", self.next().to_string()))
            .to_http_request()
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        let index = self.below(values.len() as u64) as usize;
        *values.get(index).unwrap()
    }
}

/// Sends one request through both observers.
fn send(random: &mut Random, request: &HttpRequest, metrics: &impl Observer, log: &Log) {
    let path = format!("/{:x}", random.next());
    let entry = format!("https://{:x}.example", random.next());
    let origin = match random.below(3) {
        0 => OriginClass::Allowed(entry.into()),
        1 => OriginClass::Null,
        _ => OriginClass::Other,
    };
    let user = random.next().to_string();
    let mut visitor = Visitor::unknown(request, &path);
    visitor.origin = &origin;
    visitor.address = random.address();
    visitor.cors = random.pick(CorsVerdict::ALL);
    visitor.auth = random.pick(AuthMethod::ALL);
    visitor.user = Some(&user);
    visitor.token_ttl = Some(Duration::from_secs(random.below(u64::MAX)));
    metrics.attempted(&visitor);
    if random.below(4) > 0 {
        let reason = random.pick(RefusalReason::ALL);
        let mode = random.pick(RefusalMode::ALL);
        let status = random.below(1000) as u16;
        let refused = Refused::new(&visitor, reason, mode, status);
        metrics.refused(&refused);
        log.refused(&refused);
    } else {
        let opened = Opened::new(&visitor, random.next().into(), random.pick(Resume::ALL));
        let end = End::new(
            random.pick(CloseReason::ALL),
            Duration::from_millis(random.below(10_000)),
        );
        let (mut counted, logged) = (metrics.opened(&opened), log.opened(&opened));
        counted.judged(random.pick(CorsVerdict::ALL));
        counted.closed(&end);
        logged.closed(&end);
    }
}

fn samples(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[test]
fn m04_a_million_hostile_requests_leave_series_and_memory_as_they_were() {
    // The records are rendered in full, and thrown away.
    let layer = log::json_layer_with(io::sink);
    let _guard = tracing_subscriber::registry().with(layer).set_default();
    let metrics = Metrics::builder()
        .route("/events")
        .rejected_origins(20, 1)
        .build()
        .unwrap();
    let (observer, log) = (metrics.observer(), metrics.log().build());
    let mut random = Random(1);
    let mut settled = None;
    for n in 0..REQUESTS / EACH {
        let request = random.request();
        for _ in 0..EACH {
            send(&mut random, &request, &observer, &log);
        }
        // A tenth is enough to fill every table there is.
        if n == REQUESTS / EACH / 10 {
            settled = Some((samples(&metrics.text()), resident_kib()));
        }
    }
    let text = metrics.text();
    let (settled_samples, settled_kib) = settled.unwrap();
    assert_eq!(samples(&text), settled_samples, "series were still added");
    assert!(samples(&text) <= metrics.max_series());
    if let (Some(before), Some(after)) = (settled_kib, resident_kib()) {
        assert!(
            after <= before + 4096,
            "memory rose from {before} KiB to {after} KiB"
        );
    }
    for line in text.lines() {
        assert!(line.is_ascii() && line.len() < 500, "{line}");
    }
    assert!(!text.contains("evil"), "a client's bytes became a sample");
    assert!(text.contains("sse_connections_active{route=\"other\"} 0"));
}

#[test]
fn m04_declared_routes_and_origins_make_fewer_than_three_hundred_series() {
    let metrics = Metrics::builder()
        .auth_required("/events")
        .origin("https://app.example.com")
        .origin("https://*.tenant.example.net")
        .origin("http://localhost:5173")
        .build()
        .unwrap();
    let observer = metrics.observer();
    for n in 0..10_000 {
        let request = TestRequest::get()
            .insert_header((header::ORIGIN, format!("https://{}.example", n / 10)))
            .insert_header((header::USER_AGENT, n.to_string()))
            .to_http_request();
        let visitor = Visitor::unknown(&request, "/events");
        observer.attempted(&visitor);
        observer.refused(&Refused::new(
            &visitor,
            RefusalReason::OriginDenied,
            RefusalMode::Hard,
            403,
        ));
    }
    let samples = samples(&metrics.text());
    assert!(samples < 300, "{samples} series");
}
