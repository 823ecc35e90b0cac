//! What the recorder promises of its counts, whatever happens around it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use actix_web::{
    http::{Method, header},
    test::TestRequest,
};
use actix_web_sse::{
    Event, Hub,
    config::TopicConfig,
    observe::{
        CloseReason, End, Observer, Opened, OriginClass, RefusalMode, RefusalReason, Refused,
        Resume, Sent, SentKind, StreamObserver, Visitor,
    },
};
use actix_web_sse_metrics::{Metrics, Recorder};

fn open(observer: &Recorder) -> Box<dyn StreamObserver> {
    let request = TestRequest::get().to_http_request();
    let visitor = Visitor::unknown(&request, "/events");
    observer.opened(&Opened::new(&visitor, 1.into(), Resume::Fresh))
}

/// The sum of the samples whose line begins with this.
fn sum(text: &str, beginning: &str) -> f64 {
    text.lines()
        .filter(|line| line.starts_with(beginning))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(_, value)| value.parse::<f64>().unwrap())
        .sum()
}

#[test]
fn m07_a_stream_whose_end_was_not_reported_is_an_error_and_not_open_for_ever() {
    let metrics = Metrics::new().unwrap();
    let observer = metrics.observer();
    drop(open(&observer));
    let panicked = thread::spawn(move || {
        let _stream = open(&observer);
        std::panic::resume_unwind(Box::new("a panic beside an open stream"));
    });
    assert!(panicked.join().is_err());
    let text = metrics.text();
    assert_eq!(sum(&text, "sse_connections_active{"), 0.0);
    assert_eq!(
        sum(&text, "sse_connections_closed_total{reason=\"error\""),
        2.0
    );
    assert_eq!(sum(&text, "sse_clients "), 0.0);
}

#[test]
fn m04_publications_are_counted_by_the_settings_of_their_topics_and_never_by_topic() {
    let metrics = Metrics::new().unwrap();
    let hub = Hub::builder()
        .observer(metrics.observer())
        .with(|hub, _| {
            hub.topics = ["prices/*", "news"].map(TopicConfig::of).into();
        })
        .build()
        .unwrap();
    for topic in ["prices/a", "prices/b", "news", "others", "more"] {
        hub.publish(topic, Event::data("x")).unwrap();
    }
    let text = metrics.text();
    assert_eq!(sum(&text, "sse_events_published_total "), 5.0);
    let by_settings = "sse_topic_events_published_total{topics=";
    assert_eq!(sum(&text, &format!("{by_settings}\"prices/*\"}}")), 2.0);
    assert_eq!(sum(&text, by_settings), 3.0);
    assert!(
        !text.contains("prices/a") && !text.contains("others"),
        "{text}"
    );
}

#[test]
fn delivery_lag_is_counted_by_the_settings_of_topics() {
    let metrics = Metrics::new().unwrap();
    // Of two threads, and of one that has ended.
    for _ in 0..2 {
        let observer = metrics.observer();
        let deliver = move || {
            let stream = open(&observer);
            let meter = stream.meter().unwrap();
            for (topics, millis) in [(Some("prices/*"), 2), (Some("news"), 80), (None, 1)] {
                let mut sent = Sent::new(SentKind::Event, 1, 10);
                sent.lag = Some(Duration::from_millis(millis));
                sent.topics = topics;
                meter.sent(&sent);
                sent.lag = None;
                meter.sent(&sent);
            }
        };
        thread::spawn(deliver).join().unwrap();
    }
    let text = metrics.text();
    let count = |topics| {
        let lag = "sse_topic_delivery_lag_seconds_count{topics=";
        sum(&text, &format!("{lag}{topics}"))
    };
    assert_eq!(
        (count("\"prices/*\""), count("\"news\""), count("")),
        (2.0, 2.0, 4.0)
    );
    assert_eq!(sum(&text, "sse_delivery_lag_seconds_count{"), 6.0);
    let sum = sum(&text, "sse_topic_delivery_lag_seconds_sum{topics=\"news\"}");
    assert!((sum - 0.16).abs() < 1e-9, "{sum}");
}

#[test]
fn m07_open_is_always_opened_minus_closed() {
    const STREAMS: u32 = 2_000;
    let metrics = Metrics::builder().route("/events").build().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let observer = metrics.observer();
                scope.spawn(move || {
                    let mut streams = Vec::new();
                    for n in 0..STREAMS {
                        let stream = open(&observer);
                        let meter = stream.meter().unwrap();
                        meter.sent(&Sent::new(SentKind::Event, 1, 10));
                        streams.push(stream);
                        if n % 2 == 1 {
                            for stream in streams.drain(..) {
                                stream.closed(&End::new(CloseReason::ClientGone, Duration::ZERO));
                            }
                        }
                    }
                })
            })
            .collect();
        let (metrics, done) = (&metrics, &done);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                let text = metrics.text();
                let [active, opened, closed] = ["active", "opened_total", "closed_total"]
                    .map(|name| sum(&text, &format!("sse_connections_{name}{{")));
                assert!(
                    active >= 0.0 && (opened - closed - active).abs() < 0.5,
                    "{text}"
                );
            }
        });
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let text = metrics.text();
    let all = f64::from(3 * STREAMS);
    assert_eq!(sum(&text, "sse_connections_active{"), 0.0);
    assert_eq!(sum(&text, "sse_connections_opened_total{"), all);
    assert_eq!(sum(&text, "sse_connections_closed_total{"), all);
    assert_eq!(sum(&text, "sse_events_sent_total{kind=\"event\""), all);
}

fn refuse(observer: &Recorder, method: Method, reason: RefusalReason, origin: &str) {
    let request = TestRequest::default()
        .method(method)
        .insert_header((header::ORIGIN, origin))
        .to_http_request();
    let visitor = Visitor::unknown(&request, "/events");
    observer.refused(&Refused::new(&visitor, reason, RefusalMode::Hard, 403));
}

/// What the script on a page does: it asks for a stream, and then twice for the reason.
#[test]
fn a_blocked_page_counts_once_and_head_hides_nothing() {
    let metrics = Metrics::builder()
        .route("/events")
        .rejected_origins(5, 1)
        .build()
        .unwrap();
    let observer = metrics.observer();
    for (method, reason) in [
        (Method::GET, RefusalReason::OriginDenied),
        (Method::HEAD, RefusalReason::FetchMetadataDenied),
        (Method::HEAD, RefusalReason::OriginDenied),
    ] {
        refuse(&observer, method, reason, "https://moved.example.com");
    }
    let text = metrics.text();
    assert_eq!(sum(&text, "sse_connections_rejected_total{"), 1.0);
    assert_eq!(sum(&text, "sse_rejected_origins_total{"), 1.0);
    let labels = "{origin=\"https://moved.example.com\",route=\"/events\"} ";
    let label = format!("sse_rejected_origins_total{labels}");
    assert_eq!(
        sum(&text, &label),
        1.0,
        "from the first on, as the threshold is 1"
    );
    let unread = "sse_connections_rejected_cors_total{mode=\"hard\",origin=\"none\",route=\"/events\",verdict=\"no_origin\"} ";
    assert_eq!(sum(&text, unread), 1.0, "as the guards saw the visitor");
    assert_eq!(sum(&text, "sse_rejected_origins_distinct ").round(), 1.0);

    for n in 0..50 {
        let origin = format!("https://{n}.example.com");
        refuse(
            &observer,
            Method::HEAD,
            RefusalReason::OriginDenied,
            &origin,
        );
    }
    let guess = RefusalReason::InvalidToken;
    refuse(&observer, Method::HEAD, guess, "https://app.example.com");
    let text = metrics.text();
    assert!(sum(&text, "sse_rejected_origins_distinct ") > 45.0);
    let guesses = "sse_connections_rejected_total{mode=\"hard\",reason=\"invalid_token\"";
    assert_eq!(sum(&text, guesses), 1.0, "{text}");
}

/// A probe opens and closes streams all day, sends foreign origins to have them refused, and asks
/// for what nobody has. A browser that does so has trouble.
#[test]
fn what_a_probe_tries_is_nobodys_trouble() {
    let metrics = Metrics::builder().route("/events").build().unwrap();
    let observer = metrics.observer();
    for (agent, expected) in [("sse-probe/0.1.0", 0.0), ("Mozilla/5.0 sse-probe/", 1.0)] {
        let request = TestRequest::get()
            .insert_header((header::USER_AGENT, agent))
            .insert_header((header::ORIGIN, "https://foreign.example"))
            .to_http_request();
        let origin = OriginClass::Other;
        let mut visitor = Visitor::unknown(&request, "/events");
        visitor.origin = &origin;
        let mut stream = observer.opened(&Opened::new(&visitor, 1.into(), Resume::Unknown));
        stream.resumed(Resume::Gap);
        stream.closed(&End::new(CloseReason::ClientGone, Duration::ZERO));
        let reason = RefusalReason::OriginDenied;
        observer.refused(&Refused::new(&visitor, reason, RefusalMode::Hard, 403));
        let text = metrics.text();
        for name in [
            "sse_connections_immediate_close_total{",
            "sse_rejected_origins_total{",
            "sse_resumes_total{result=\"unknown\"",
            "sse_resumes_total{result=\"gap\"",
        ] {
            assert_eq!(sum(&text, name), expected, "{agent}: {name}");
        }
    }
    let text = metrics.text();
    assert_eq!(sum(&text, "sse_connections_opened_total{"), 2.0);
    assert_eq!(sum(&text, "sse_probe_closes_total{"), 1.0);
    assert_eq!(sum(&text, "sse_connections_rejected_total{"), 2.0);
    assert_eq!(sum(&text, "sse_rejected_origins_distinct ").round(), 1.0);
}
