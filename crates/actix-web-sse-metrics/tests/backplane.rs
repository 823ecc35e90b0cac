//! The rows about the backplane are there with a backplane, and not without.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web_sse::{
    Backplane, BackplaneFuture, BackplaneStats, Event, Hub,
    backplane::{History, Revocation, Sink},
};
use actix_web_sse_metrics::{CATALOGUE, Metrics};

/// An engine whose stats a test sets.
#[derive(Clone, Default)]
struct Engine(Arc<Mutex<(BackplaneStats, Option<Sink>)>>);

impl Engine {
    fn say(&self, change: impl FnOnce(&mut BackplaneStats)) {
        change(&mut self.0.lock().unwrap().0);
    }

    fn relay(&self, lag: Duration) {
        let sink = self.0.lock().unwrap().1.clone().unwrap();
        sink.relayed("t", lag);
    }
}

impl Backplane for Engine {
    fn start(&self, sink: Sink) {
        self.0.lock().unwrap().1 = Some(sink);
    }

    fn publish(&self, _: &str, _: Event) -> BackplaneFuture<u64> {
        Box::pin(ready(Ok(1)))
    }

    fn history(&self, _: Vec<Arc<str>>, _: u64) -> BackplaneFuture<History> {
        Box::pin(ready(Ok(History::default())))
    }

    fn revoke(&self, _: Revocation) {}

    fn stats(&self) -> BackplaneStats {
        self.0.lock().unwrap().0.clone()
    }
}

fn hub(metrics: &Metrics, engine: &Engine) -> Hub {
    let hub = Hub::builder().observer(metrics.observer());
    hub.backplane(engine.clone()).build().unwrap()
}

/// The value of a series without labels, if it is there.
fn value(metrics: &Metrics, name: &str) -> Option<f64> {
    let text = metrics.text();
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn without_a_backplane_there_is_no_row_about_one() {
    let metrics = Metrics::new().unwrap();
    let _hub = Hub::builder().observer(metrics.observer()).build().unwrap();
    assert!(!metrics.text().contains("sse_backplane"));
}

#[test]
fn a_hub_with_a_backplane_shows_every_row_by_itself_and_none_when_it_is_gone() {
    let metrics = Metrics::new().unwrap();
    let engine = Engine::default();
    let hub = hub(&metrics, &engine);
    let rows = CATALOGUE.iter().map(|row| row.name);
    let rows: Vec<_> = rows
        .filter(|name| name.starts_with("sse_backplane"))
        .collect();
    let text = metrics.text();
    for row in &rows {
        assert!(text.contains(&format!("# TYPE {row} ")), "{row}");
    }
    assert!(rows.len() >= 12, "{rows:?}");

    engine.say(|stats| {
        stats.connected = true;
        stats.silent = Duration::from_millis(1500);
        stats.pending = 3;
        stats.unpublished = 7;
    });
    engine.relay(Duration::from_millis(40));
    engine.relay(Duration::from_secs(2));
    for (name, expected) in [
        ("sse_backplane_connected", 1.0),
        ("sse_backplane_silent_seconds", 1.5),
        ("sse_backplane_backlog", 3.0),
        ("sse_backplane_unpublished_total", 7.0),
        ("sse_backplane_published_total", 0.0),
        ("sse_backplane_lag_seconds_count", 2.0),
        ("sse_backplane_lag_seconds_bucket{le=\"0.05\"}", 1.0),
        ("sse_backplane_lag_seconds_sum", 2.04),
    ] {
        assert_eq!(value(&metrics, name), Some(expected), "{name}");
    }
    drop(hub);
    assert!(!metrics.text().contains("sse_backplane"));
}

#[test]
fn two_hubs_of_a_process_are_combined_and_the_worse_state_is_exported() {
    let metrics = Metrics::new().unwrap();
    let engines = [Engine::default(), Engine::default()];
    let _hubs = [hub(&metrics, &engines[0]), hub(&metrics, &engines[1])];
    engines[0].say(|stats| {
        stats.connected = true;
        stats.delivered = 5;
    });
    engines[1].say(|stats| {
        stats.silent = Duration::from_secs(9);
        stats.delivered = 6;
    });
    assert_eq!(value(&metrics, "sse_backplane_connected"), Some(0.0));
    assert_eq!(value(&metrics, "sse_backplane_silent_seconds"), Some(9.0));
    assert_eq!(value(&metrics, "sse_backplane_delivered_total"), Some(11.0));
    engines[1].say(|stats| stats.connected = true);
    assert_eq!(value(&metrics, "sse_backplane_connected"), Some(1.0));
}
