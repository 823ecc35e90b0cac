//! The records, line by line, as an operator's log holds them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod sink;

use std::time::Duration;

use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse, http::header::HeaderValue, test::TestRequest, web,
};
use actix_web_sse::observe::{
    AuthMethod, CloseReason, CorsVerdict, End, Misconfiguration, Observer, Opened, OriginClass,
    RefusalMode, RefusalReason, Refused, Resume, Visitor,
};
use actix_web_sse_metrics::{
    Metrics,
    log::{self, AddressMode, FieldNames, Log, LogBuilder, RedactedRootSpan},
};
use serde_json::{Value, json};
use tracing_actix_web::{RequestId, TracingLogger};
use tracing_subscriber::{filter::LevelFilter, prelude::*};

use sink::Sink;

impl Sink {
    /// Everything that is logged on this thread goes here while the guard lives.
    fn install(&self) -> tracing::subscriber::DefaultGuard {
        let sink = self.clone();
        let layer = log::json_layer_with(move || sink.clone());
        tracing_subscriber::registry()
            .with(layer.with_filter(LevelFilter::TRACE))
            .set_default()
    }
}

const IDENTITY: [&str; 14] = [
    "event",
    "userId",
    "origin",
    "corsAllowed",
    "authMethod",
    "tokenTTL",
    "remoteAddr",
    "userAgent",
    "timestamp",
    "connectionId",
    "requestId",
    "route",
    "httpVersion",
    "lastEventId",
];

/// The keys of a line in the order in which they stand there.
fn keys(line: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(line).unwrap();
    let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
    keys.sort_by_key(|key| line.find(&format!("\"{key}\":")));
    keys
}

fn request() -> HttpRequest {
    // A terminal's control sequence in the form that HTTP lets through: CSI as U+009B.
    let agent = HeaderValue::from_bytes("Mozilla/5.0 \u{9b}31m\t".as_bytes()).unwrap();
    TestRequest::get()
        .peer_addr("203.0.113.45:4711".parse().unwrap())
        .insert_header(("origin", "https://app.example.com"))
        .insert_header(("user-agent", agent))
        .insert_header(("last-event-id", "41"))
        .uri("/events?ticket=CANARY")
        .insert_header(("authorization", "Bearer CANARY"))
        .insert_header(("cookie", "__Host-sid=CANARY"))
        .to_http_request()
}

fn with_visitor<R>(request: &HttpRequest, f: impl FnOnce(&Visitor<'_>) -> R) -> R {
    let origin = OriginClass::Allowed("https://app.example.com".into());
    let mut visitor = Visitor::unknown(request, "/events");
    visitor.origin = &origin;
    visitor.cors = CorsVerdict::Allowed;
    visitor.auth = AuthMethod::Cookie;
    visitor.user = Some("u_123");
    visitor.token_ttl = Some(Duration::from_secs(3600));
    f(&visitor)
}

/// Opens and closes a stream; returns its two lines.
fn one_stream(log: LogBuilder) -> (String, String) {
    let sink = Sink::default();
    let guard = sink.install();
    let log = log.build();
    let stream = with_visitor(&request(), |visitor| {
        log.opened(&Opened::new(visitor, 7.into(), Resume::Hit))
    });
    let mut end = End::new(CloseReason::ClientGone, Duration::from_millis(4));
    end.events = 3;
    end.bytes = 120;
    end.heartbeats = 1;
    end.time_to_first_event = Some(Duration::from_millis(2));
    stream.closed(&end);
    drop(guard);
    let text = sink.text();
    let mut lines = text.lines().map(str::to_owned);
    (lines.next().unwrap(), lines.next().unwrap())
}

#[test]
fn m12_a_connect_line_has_exactly_its_keys() {
    let (connect, _) = one_stream(Log::builder());
    assert_eq!(keys(&connect), IDENTITY);
    let mut line: Value = serde_json::from_str(&connect).unwrap();
    let timestamp = line["timestamp"].take();
    assert!(timestamp.as_str().unwrap().ends_with('Z'));
    assert_eq!(
        line,
        json!({
            "event": "sse_connect",
            "userId": "u_123",
            "origin": "https://app.example.com",
            "corsAllowed": true,
            "authMethod": "cookie",
            "tokenTTL": 3600,
            "remoteAddr": "203.0.113.45",
            "userAgent": "Mozilla/5.0 \\u{9b}31m\\u{9}",
            "timestamp": null,
            "connectionId": "0000000000000007",
            "requestId": null,
            "route": "/events",
            "httpVersion": "1.1",
            "lastEventId": true,
        }),
    );
}

#[test]
fn m12_a_close_line_has_the_identity_and_the_totals() {
    let (connect, close) = one_stream(Log::builder());
    let rest = [
        "reason",
        "durationMs",
        "eventsSent",
        "bytesSent",
        "heartbeatsSent",
        "timeToFirstEventMs",
        "immediateClose",
    ];
    assert_eq!(keys(&close), [&IDENTITY[..], &rest[..]].concat());
    let (connect, close): (Value, Value) = (
        serde_json::from_str(&connect).unwrap(),
        serde_json::from_str(&close).unwrap(),
    );
    for key in IDENTITY
        .iter()
        .filter(|key| !["event", "timestamp"].contains(key))
    {
        assert_eq!(connect[key], close[key], "{key}");
    }
    assert_eq!(
        rest.map(|key| close[key].clone()),
        [
            json!("client_gone"),
            json!(4),
            json!(3),
            json!(120),
            json!(1),
            json!(2),
            json!("instant")
        ],
    );
}

#[test]
fn a_reject_line_says_why_and_leaves_absent_values_null() {
    let sink = Sink::default();
    let guard = sink.install();
    let request = TestRequest::get().to_http_request();
    let mut visitor = Visitor::unknown(&request, "/events");
    visitor.cors = CorsVerdict::Denied;
    Log::new().refused(&Refused::new(
        &visitor,
        RefusalReason::OriginMalformed,
        RefusalMode::Hard,
        403,
    ));
    drop(guard);
    let text = sink.text();
    let line = text.lines().next().unwrap();
    assert_eq!(
        keys(line),
        [&IDENTITY[..], &["reason", "hint", "status", "mode"]].concat()
    );
    let line: Value = serde_json::from_str(line).unwrap();
    for absent in [
        "userId",
        "origin",
        "tokenTTL",
        "remoteAddr",
        "userAgent",
        "connectionId",
    ] {
        assert_eq!(line[absent], Value::Null, "{absent}");
    }
    assert_eq!(line["corsAllowed"], false);
    assert_eq!(
        (&line["reason"], &line["status"]),
        (&json!("origin_malformed"), &json!(403))
    );
    assert_eq!(line["hint"], RefusalReason::OriginMalformed.hint());
}

#[test]
fn m14_addresses_are_logged_as_configured() {
    let address = |mode| {
        let (connect, _) = one_stream(Log::builder().addresses(mode));
        serde_json::from_str::<Value>(&connect).unwrap()["remoteAddr"].clone()
    };
    assert_eq!(address(AddressMode::Truncated), "203.0.113.0");
    assert_eq!(address(AddressMode::Off), Value::Null);
    assert_eq!(
        address(AddressMode::Hashed(b"key".to_vec()))
            .as_str()
            .unwrap()
            .len(),
        16
    );
}

#[test]
fn opentelemetry_names_replace_ours() {
    let (connect, _) = one_stream(Log::builder().names(FieldNames::OpenTelemetry));
    let keys = keys(&connect);
    for name in [
        "client.address",
        "user_agent.original",
        "user.id",
        "http.route",
        "network.protocol.version",
    ] {
        assert!(keys.iter().any(|key| key == name), "{name}");
    }
    for name in ["remoteAddr", "userAgent", "userId", "route", "httpVersion"] {
        assert!(!keys.iter().any(|key| key == name), "{name}");
    }
}

#[test]
fn m10_a_flood_of_refusals_is_a_few_lines_and_an_exact_count() {
    let sink = Sink::default();
    let guard = sink.install();
    let metrics = Metrics::new().unwrap();
    let log = metrics.log().build();
    let request = TestRequest::get().to_http_request();
    let visitor = Visitor::unknown(&request, "/events");
    let began = std::time::Instant::now();
    for _ in 0..10_000 {
        log.refused(&Refused::new(
            &visitor,
            RefusalReason::IpLimit,
            RefusalMode::Soft,
            200,
        ));
    }
    let seconds = began.elapsed().as_secs() as usize + 1;
    drop(guard);
    let lines = sink.lines();
    assert!(
        lines.len() <= 10 * seconds,
        "{} lines in {seconds} s",
        lines.len()
    );
    let text = metrics.text();
    let count = |name: &str| -> u64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.trim().parse().unwrap()
    };
    let written = count("sse_log_records_total{event=\"sse_reject\"}");
    let suppressed = count("sse_log_records_suppressed_total{event=\"sse_reject\"}");
    assert_eq!(written + suppressed, 10_000);
    assert_eq!(
        written,
        lines
            .iter()
            .filter(|line| line["event"] == "sse_reject")
            .count() as u64
    );
}

/// A handler that logs a record of ours and one of its own.
async fn stream(request: HttpRequest) -> HttpResponse {
    let id = request.extensions().get::<RequestId>().unwrap().to_string();
    let log = Log::new();
    let stream = with_visitor(&request, |visitor| {
        log.opened(&Opened::new(visitor, 1.into(), Resume::Fresh))
    });
    stream.closed(&End::new(CloseReason::Complete, Duration::ZERO));
    tracing::info!(answer = 42, "of the application");
    HttpResponse::Ok().body(id)
}

#[actix_web::test]
async fn m12_one_request_id_joins_all_lines_of_a_request() {
    let sink = Sink::default();
    let guard = sink.install();
    let app = actix_web::test::init_service(
        App::new()
            .wrap(TracingLogger::<RedactedRootSpan>::new())
            .route("/events", web::get().to(stream)),
    )
    .await;
    let request = TestRequest::with_uri("/events?ticket=CANARY").to_request();
    let id = actix_web::test::call_and_read_body(&app, request).await;
    drop(guard);
    let ours: Vec<_> = sink
        .lines()
        .into_iter()
        .filter(|line| line["event"].is_string() || line["message"] == "of the application")
        .collect();
    assert_eq!(ours.len(), 3, "{}", sink.text());
    for line in ours {
        assert_eq!(line["requestId"].as_str().unwrap().as_bytes(), id, "{line}");
    }
}

/// Prints spans and events as the usual text log does, so that what a span holds is seen too.
#[actix_web::test]
async fn m03_no_secret_of_a_request_reaches_any_log() {
    let sink = Sink::default();
    let (text_sink, json_sink) = (sink.clone(), sink.clone());
    let text_layer = tracing_subscriber::fmt::layer()
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || text_sink.clone());
    let json_layer = log::json_layer_with(move || json_sink.clone());
    let guard = tracing_subscriber::registry()
        .with(text_layer)
        .with(json_layer)
        .set_default();
    let app = actix_web::test::init_service(
        App::new()
            .wrap(TracingLogger::<RedactedRootSpan>::new())
            .route("/events", web::get().to(stream)),
    )
    .await;
    for query in [
        "ticket=CANARY",
        "TICKET=CANARY",
        "%74icket=CANARY",
        "x=1&access_token=CANARY",
        "lastEventId=CANARY",
    ] {
        for path in ["/events", "/CANARY"] {
            let request = TestRequest::with_uri(&format!("{path}?{query}"))
                .insert_header(("authorization", "Bearer CANARY"))
                .insert_header(("cookie", "__Host-sid=CANARY"))
                .insert_header(("last-event-id", "CANARY"))
                .insert_header(("referer", "https://app.example.com/?token=CANARY"))
                .insert_header(("forwarded", "for=CANARY"))
                .insert_header(("x-forwarded-for", "CANARY"))
                .insert_header(("proxy-authorization", "Basic CANARY"))
                .to_request();
            actix_web::test::call_and_read_body(&app, request).await;
        }
    }
    drop(guard);
    let text = sink.text();
    assert!(text.contains("http.route"), "the spans were printed");
    assert!(text.contains("sse_close"), "the records were printed");
    assert!(!text.contains("CANARY"), "{text}");
}

#[test]
fn a_mistake_in_mounting_is_one_line_with_its_remedy_and_one_series() {
    let sink = Sink::default();
    let _installed = sink.install();
    let metrics = Metrics::new().unwrap();
    let observers = [0, 1].map(|_| (metrics.observer(), metrics.log().build()));
    for observer in &observers {
        observer.misconfigured(Misconfiguration::HubNotDrained);
    }
    let lines = sink.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["event"], "sse_misconfigured");
    assert_eq!(lines[0]["cause"], "hub_not_drained");
    let remedy = lines[0]["remedy"].as_str().unwrap();
    assert!(remedy.contains(".for_event_streams([&one, &other])"));
    let text = metrics.text();
    assert!(text.contains("sse_misconfigured{cause=\"hub_not_drained\"} 1"));
    assert!(text.contains("sse_misconfigured{cause=\"no_hub\"} 0"));
    let [one, other] = observers.map(|observer| observer.destination());
    assert_eq!(one, other, "made by the same metrics");
    assert_ne!(one, metrics.observer().destination(), "without the log");
}
