//! Traces: exemplars, the fields of log lines, and spans.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may fail loudly")]

mod sink;

use std::{
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{App, HttpRequest, http::header::HeaderValue, test::TestRequest};
use actix_web_sse::observe::{
    CloseReason, End, Observer, Opened, Publication, RefusalMode, RefusalReason, Refused, Resume,
    Sent, SentKind, StreamObserver, Visitor,
};
use actix_web_sse_metrics::{
    Metrics,
    log::{self, FieldNames},
    spans::{self, Spans},
    trace::{TraceContext, TraceSource},
};
use serde_json::Value;
use tracing::{Subscriber, span};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::Context,
    prelude::*,
};

use sink::Sink;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

fn request(traceparent: Option<&[u8]>) -> HttpRequest {
    let request = TestRequest::get().peer_addr("192.0.2.1:4711".parse().unwrap());
    let request = match traceparent {
        Some(value) => {
            request.insert_header(("traceparent", HeaderValue::from_bytes(value).unwrap()))
        }
        None => request,
    };
    request.to_http_request()
}

fn open(observer: &impl Observer, request: &HttpRequest) -> Box<dyn StreamObserver> {
    let visitor = Visitor::unknown(request, "/events");
    observer.opened(&Opened::new(&visitor, 7.into(), Resume::Fresh))
}

/// A stream's first event after 20 ms, and a second one that is 2 ms old.
fn deliver(stream: &dyn StreamObserver) {
    let meter = stream.meter().unwrap();
    let mut first = Sent::new(SentKind::Replay, 1, 30);
    first.first_event_after = Some(Duration::from_millis(20));
    meter.sent(&first);
    let mut second = Sent::new(SentKind::Event, 1, 30);
    second.lag = Some(Duration::from_millis(2));
    meter.sent(&second);
}

fn traced() -> Metrics {
    let traces = TraceSource::traceparent();
    let metrics = Metrics::builder().route("/events").traces(traces);
    metrics.build().unwrap()
}

async fn scrape(metrics: &Metrics, accept: &'static str) -> String {
    let app = actix_web::test::init_service(App::new().service(metrics.endpoint("/metrics"))).await;
    let request = TestRequest::with_uri("/metrics").insert_header(("accept", accept));
    let body = actix_web::test::call_and_read_body(&app, request.to_request()).await;
    String::from_utf8(body.to_vec()).unwrap()
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

#[actix_web::test]
async fn a_sampled_trace_is_an_exemplar_of_its_buckets_in_openmetrics() {
    let metrics = traced();
    let stream = open(
        &metrics.observer(),
        &request(Some(traceparent("01").as_bytes())),
    );
    deliver(&*stream);
    let text = scrape(&metrics, OPENMETRICS).await;
    let labels = format!("{{trace_id=\"{TRACE}\",span_id=\"{SPAN}\"}}");
    let lines: Vec<_> = text.lines().filter(|line| line.contains(" # ")).collect();
    let at = |line: &str, name: &str, le: &str, value: &str| {
        let sample = format!("{name}_bucket{{route=\"/events\",le=\"{le}\"}} 1");
        let (counted, exemplar) = line.split_once(" # ").unwrap();
        assert_eq!(counted, sample);
        let (observed, time) = exemplar.rsplit_once(' ').unwrap();
        assert_eq!(observed, format!("{labels} {value}"));
        let (seconds, millis) = time.split_once('.').unwrap();
        assert!(
            seconds.parse::<u64>().unwrap() > 1_700_000_000 && millis.len() == 3,
            "{time}"
        );
    };
    assert_eq!(lines.len(), 2, "{lines:?}");
    at(lines[0], "sse_delivery_lag_seconds", "0.0025", "0.002");
    at(lines[1], "sse_time_to_first_event_seconds", "0.025", "0.02");
    let plain = scrape(&metrics, "text/plain").await;
    assert!(!plain.contains(TRACE), "{plain}");
}

#[actix_web::test]
async fn what_is_no_sampled_trace_leaves_no_exemplar() {
    let metrics = traced();
    let unsampled = traceparent("00");
    let bad = traceparent("01").to_uppercase();
    let long = traceparent("01").repeat(1000);
    for header in [
        None,
        Some(unsampled.as_bytes()),
        Some(bad.as_bytes()),
        Some(long.as_bytes()),
        Some(b"\xff\xfe"),
        Some(b""),
    ] {
        let stream = open(&metrics.observer(), &request(header));
        deliver(&*stream);
    }
    assert!(!scrape(&metrics, OPENMETRICS).await.contains(" # "));
    // Without a source nothing is read of a request.
    let metrics = Metrics::builder().route("/events").build().unwrap();
    let stream = open(
        &metrics.observer(),
        &request(Some(traceparent("01").as_bytes())),
    );
    deliver(&*stream);
    assert!(!scrape(&metrics, OPENMETRICS).await.contains(" # "));
}

#[actix_web::test]
async fn a_later_exemplar_replaces_that_of_its_bucket_on_whichever_thread() {
    let metrics = traced();
    for number in 1..=3 {
        let observer = metrics.observer();
        std::thread::spawn(move || {
            let header = format!("00-{number:032x}-{SPAN}-01");
            let stream = open(&observer, &request(Some(header.as_bytes())));
            deliver(&*stream);
        })
        .join()
        .unwrap();
        // The second look finds it where the sums of ended threads are.
        for _ in 0..2 {
            let text = scrape(&metrics, OPENMETRICS).await;
            let shown = format!("trace_id=\"{number:032x}\"");
            assert_eq!(text.matches(&shown).count(), 2, "{number}");
            assert_eq!(text.matches("trace_id=").count(), 2, "{number}");
        }
    }
}

#[actix_web::test]
async fn streams_without_a_trace_share_the_meter_of_their_thread() {
    let (metrics, header) = (traced(), traceparent("01"));
    let meter = |header: Option<&str>| {
        let stream = open(&metrics.observer(), &request(header.map(str::as_bytes)));
        stream.meter().unwrap()
    };
    let plain = meter(None);
    assert!(Rc::ptr_eq(&plain, &meter(None)));
    assert!(Rc::ptr_eq(&plain, &meter(Some(&traceparent("00")))));
    assert!(!Rc::ptr_eq(&plain, &meter(Some(&header))));
}

/// The lines of a stream and of a refusal.
fn logged(names: FieldNames, header: Option<&str>) -> Vec<Value> {
    let sink = Sink::default();
    let writer = sink.clone();
    let guard = tracing_subscriber::registry()
        .with(log::json_layer_with(move || writer.clone()))
        .set_default();
    let log = traced().log().names(names).build();
    let request = request(header.map(str::as_bytes));
    open(&log, &request).closed(&End::new(CloseReason::Drain, Duration::ZERO));
    let visitor = Visitor::unknown(&request, "/events");
    let (reason, mode) = (RefusalReason::OriginDenied, RefusalMode::Hard);
    log.refused(&Refused::new(&visitor, reason, mode, 403));
    drop(guard);
    sink.lines()
}

#[test]
fn m12_every_line_of_a_traced_request_carries_its_trace() {
    // Not sampled: whoever reads the log can still put requests together.
    let header = traceparent("00");
    for (names, trace, span) in [
        (FieldNames::Camel, "traceId", "spanId"),
        (FieldNames::OpenTelemetry, "trace_id", "span_id"),
    ] {
        let lines = logged(names, Some(&header));
        assert_eq!(lines.len(), 3, "{lines:?}");
        for line in lines {
            assert_eq!(
                (&line[trace], &line[span]),
                (&TRACE.into(), &SPAN.into()),
                "{line}"
            );
        }
        for line in logged(names, None) {
            let keys = line.as_object().unwrap();
            assert!(
                !keys.contains_key(trace) && !keys.contains_key(span),
                "{line}"
            );
        }
    }
}

#[test]
fn an_application_can_name_the_trace_itself() {
    let own = |_: &HttpRequest| TraceContext::new(0xabc, 0xdef, true);
    let metrics = Metrics::builder().traces(TraceSource::from_fn(own));
    let metrics = metrics.build().unwrap();
    let stream = open(&metrics.observer(), &request(None));
    let other = open(&metrics.observer(), &request(None));
    assert!(!Rc::ptr_eq(
        &stream.meter().unwrap(),
        &other.meter().unwrap()
    ));
}

/// Notes the names of spans.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<&'static str>>>);

impl<S: Subscriber> Layer<S> for Names {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        self.0.lock().unwrap().push(attributes.metadata().name());
    }
}

/// The names of the spans of an open, a publication and an end.
fn spans_at(level: LevelFilter) -> Vec<&'static str> {
    let names = Names::default();
    let filter = Targets::new().with_target(spans::TARGET, level);
    let layer = names.clone().with_filter(filter);
    let guard = tracing_subscriber::registry().with(layer).set_default();
    let spans = Spans::new(TraceSource::traceparent());
    let stream = open(&spans, &request(Some(traceparent("01").as_bytes())));
    spans.published(&Publication::new("users/alice", 30));
    stream.closed(&End::new(CloseReason::ClientGone, Duration::from_secs(1)));
    drop(guard);
    names.0.lock().unwrap().clone()
}

#[test]
fn publications_are_spans_only_where_debug_is_asked_for() {
    assert_eq!(spans_at(LevelFilter::OFF), [""; 0]);
    assert_eq!(spans_at(LevelFilter::INFO), ["sse.open"]);
    // Without OpenTelemetry an end has no parent to belong to.
    assert_eq!(spans_at(LevelFilter::DEBUG), ["sse.open", "sse.publish"]);
}

#[cfg(feature = "opentelemetry")]
mod exported {
    use actix_web::{HttpResponse, web};
    use std::time::SystemTime;

    use actix_web_sse::{
        Event, Hub, Subscriber,
        config::TopicConfig,
        observe::{CorsVerdict, Lane},
    };
    use actix_web_sse_metrics::spans::ServerSpan;
    use opentelemetry::{
        global,
        trace::{SpanKind, Status, TracerProvider as _},
    };
    use opentelemetry_sdk::{
        error::OTelSdkResult,
        propagation::TraceContextPropagator,
        trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter},
    };
    use tracing_actix_web::TracingLogger;

    use super::*;

    /// Keeps what is exported.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    impl Kept {
        fn install(&self, sampler: Sampler) -> tracing::subscriber::DefaultGuard {
            global::set_text_map_propagator(TraceContextPropagator::new());
            let provider = SdkTracerProvider::builder()
                .with_simple_exporter(self.clone())
                .with_sampler(sampler)
                .build();
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
            let filter = Targets::new().with_target(spans::TARGET, LevelFilter::DEBUG);
            tracing_subscriber::registry()
                .with(layer.with_filter(filter))
                .set_default()
        }

        fn spans(&self) -> Vec<SpanData> {
            self.0.lock().unwrap().clone()
        }
    }

    fn attribute(span: &SpanData, key: &str) -> Option<String> {
        let mut all = span.attributes.iter();
        let found = all.find(|pair| pair.key.as_str() == key)?;
        Some(found.value.to_string())
    }

    fn is_number(span: &SpanData, key: &str) -> bool {
        let mut all = span.attributes.iter();
        all.any(|pair| {
            pair.key.as_str() == key && matches!(pair.value, opentelemetry::Value::I64(_))
        })
    }

    fn find<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
        let found = spans.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no {name}: {spans:#?}"))
    }

    async fn events(hub: Hub, subscriber: Subscriber) -> impl actix_web::Responder {
        hub.subscribe("users/alice", subscriber)
    }

    async fn publish(hub: Hub) -> HttpResponse {
        hub.publish("users/alice", Event::data("hello")).unwrap();
        HttpResponse::NoContent().finish()
    }

    /// What is exported of a stream that opened and ended, of a publication, and of a failure; with the
    /// metrics that have seen it.
    async fn course_of_events(sampler: Sampler, header: Option<&str>) -> (Vec<SpanData>, Metrics) {
        let kept = Kept::default();
        let guard = kept.install(sampler);
        let metrics = Metrics::builder()
            .route("/events")
            .traces(TraceSource::opentelemetry())
            .build()
            .unwrap();
        let spans = Spans::new(TraceSource::opentelemetry());
        let hub = Hub::builder()
            .observer((metrics.observer(), spans))
            .with(|hub, _| hub.topics.push(TopicConfig::of("users/*")))
            .build()
            .unwrap();
        let fail = || async { HttpResponse::InternalServerError().finish() };
        let app = actix_web::test::init_service(
            App::new()
                .app_data(hub.clone())
                .route("/events", web::get().to(events))
                .route("/publish", web::post().to(publish))
                .route("/fail", web::get().to(fail))
                .wrap(TracingLogger::<ServerSpan>::new()),
        )
        .await;
        let send = |request: TestRequest| {
            let request = match header {
                Some(header) => request.insert_header(("traceparent", header)),
                None => request,
            };
            actix_web::test::call_service(&app, request.to_request())
        };
        let stream = TestRequest::with_uri("/events?ticket=CANARY");
        let stream = stream.insert_header(("accept", "text/event-stream"));
        let stream = send(stream).await;
        assert_eq!(stream.status(), 200);
        assert_eq!(
            send(TestRequest::post().uri("/publish")).await.status(),
            204
        );
        assert_eq!(send(TestRequest::with_uri("/fail")).await.status(), 500);
        drop(stream);
        drop(guard);
        (kept.spans(), metrics)
    }

    #[actix_web::test]
    async fn a_stream_is_spans_of_one_trace_and_none_lasts_as_long_as_it() {
        let header = traceparent("01");
        let (spans, _) = course_of_events(Sampler::AlwaysOff, Some(&header)).await;
        assert_eq!(spans.len(), 0, "the sampler decides");
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        let (spans, _) = course_of_events(sampler, Some(&header)).await;
        let server = find(&spans, "GET /events");
        assert_eq!(server.span_context.trace_id().to_string(), TRACE);
        assert_eq!(server.parent_span_id.to_string(), SPAN);
        assert_eq!(server.span_kind, SpanKind::Server);
        assert_eq!(server.status, Status::Unset);
        for (key, value) in [
            ("http.request.method", "GET"),
            ("http.route", "/events"),
            ("http.response.status_code", "200"),
            ("url.scheme", "http"),
            ("network.protocol.version", "1.1"),
        ] {
            assert_eq!(attribute(server, key).as_deref(), Some(value), "{key}");
        }
        let open = find(&spans, "sse.open");
        assert_eq!(open.parent_span_id, server.span_context.span_id());
        assert_eq!(attribute(open, "sse.lane").as_deref(), Some("http_server"));
        assert_eq!(attribute(open, "client.address"), None);
        let verdicts = open.attributes.iter();
        let verdicts = verdicts.filter(|pair| pair.key.as_str() == "sse.cors");
        assert_eq!(verdicts.count(), 1, "{open:?}");
        let close = find(&spans, "sse.close");
        assert_eq!(close.parent_span_id, open.span_context.span_id());
        assert_eq!(close.span_context.trace_id(), open.span_context.trace_id());
        let reason = attribute(close, "sse.close_reason");
        assert_eq!(reason.as_deref(), Some("client_gone"));
        let connection = attribute(open, "sse.connection_id");
        assert!(connection.is_some() && attribute(close, "sse.connection_id") == connection);
        // The stream was open while the publication was made: its own spans had ended, or not begun.
        let publish = find(&spans, "publish users/*");
        for (span, key) in [
            (server, "http.response.status_code"),
            (close, "sse.duration_ms"),
            (close, "sse.bytes"),
            (publish, "messaging.message.body.size"),
        ] {
            assert!(is_number(span, key), "{key} of {span:?}");
        }
        assert!(open.end_time <= publish.start_time && publish.end_time <= close.start_time);
    }

    #[test]
    fn the_span_of_an_open_lasts_until_its_facts_are_known() {
        let kept = Kept::default();
        let guard = kept.install(Sampler::AlwaysOn);
        let spans = Spans::new(TraceSource::opentelemetry());
        let mut stream = open(&spans, &request(None));
        let opened = SystemTime::now();
        stream.judged(CorsVerdict::SameOrigin);
        stream.carried(Lane::HttpServer);
        drop(guard);
        let spans = kept.spans();
        let open = find(&spans, "sse.open");
        assert!(
            open.start_time <= opened && open.end_time >= opened,
            "{open:?}"
        );
    }

    #[actix_web::test]
    async fn a_publication_names_the_setting_and_not_the_topic() {
        let (spans, _) = course_of_events(Sampler::AlwaysOn, None).await;
        let publish = find(&spans, "publish users/*");
        assert_eq!(publish.span_kind, SpanKind::Producer);
        for (key, value) in [
            ("messaging.system", "sse"),
            ("messaging.operation.name", "publish"),
            ("messaging.operation.type", "send"),
            ("messaging.destination.template", "users/*"),
        ] {
            assert_eq!(attribute(publish, key).as_deref(), Some(value), "{key}");
        }
        let parent = find(&spans, "POST /publish");
        assert_eq!(publish.parent_span_id, parent.span_context.span_id());
        let all = format!("{spans:?}");
        assert!(!all.contains("alice"), "{all}");
        assert!(!all.contains("CANARY"), "m03: {all}");
    }

    #[actix_web::test]
    async fn a_failure_of_the_server_is_an_error_of_its_span() {
        let (spans, _) = course_of_events(Sampler::AlwaysOn, None).await;
        let failed = find(&spans, "GET /fail");
        assert!(matches!(failed.status, Status::Error { .. }), "{failed:?}");
        assert_eq!(attribute(failed, "error.type").as_deref(), Some("500"));
    }

    #[actix_web::test]
    async fn a_bad_traceparent_begins_a_new_trace() {
        for bad in [traceparent("01").to_uppercase(), "00-1-2-3".to_owned()] {
            let (spans, _) = course_of_events(Sampler::AlwaysOn, Some(&bad)).await;
            let server = find(&spans, "GET /events");
            assert_ne!(server.span_context.trace_id().to_string(), TRACE);
            assert_eq!(server.parent_span_id.to_string(), "0".repeat(16));
        }
    }

    #[actix_web::test]
    async fn the_exemplars_lead_to_the_trace_of_the_open() {
        let kept = Kept::default();
        let guard = kept.install(Sampler::AlwaysOn);
        let metrics = Metrics::builder().traces(TraceSource::opentelemetry());
        let metrics = metrics.build().unwrap();
        let span = tracing::info_span!(target: spans::TARGET, "of the application");
        let stream = span.in_scope(|| open(&metrics.observer(), &request(None)));
        deliver(&*stream);
        drop((span, guard));
        let spans = kept.spans();
        let context = &find(&spans, "of the application").span_context;
        let labels = format!(
            "{{trace_id=\"{}\",span_id=\"{}\"}}",
            context.trace_id(),
            context.span_id()
        );
        let text = scrape(&metrics, OPENMETRICS).await;
        assert_eq!(text.matches(&labels).count(), 2, "{text}");
    }
}
