//! The hub shared by several demos through Redis, and what can be seen of that.

use std::collections::HashMap;

use actix_web_sse_redis::{BackplaneStats, LinkChange, RedisBackplane, RedisConfig};
use prometheus::{
    core::{Collector, Desc},
    proto::{Counter, Gauge, Metric, MetricFamily, MetricType},
};

/// Connects as the configuration says; the connection's changes go to the log.
///
/// # Errors
/// One line: a setting that cannot be, or no Redis.
pub(crate) fn connect(config: RedisConfig) -> Result<RedisBackplane, String> {
    RedisBackplane::connect_observed(config, log).map_err(|error| error.to_string())
}

fn log(change: &LinkChange) {
    match change {
        LinkChange::Connected { at } => tracing::info!(at, "backplane connected"),
        LinkChange::Lost { at, why, retry_in } => {
            tracing::warn!(at, why, ?retry_in, "backplane lost");
        }
        _ => {}
    }
}

/// A row of `/metrics`: its name, what it is, and where it comes from.
type Row = (&'static str, &'static str, fn(&BackplaneStats) -> f64);

const GAUGES: [Row; 5] = [
    (
        "sse_backplane_connected",
        "Whether Redis answers: 1 or 0.",
        |stats| f64::from(u8::from(stats.connected)),
    ),
    (
        "sse_backplane_silent_seconds",
        "For how long the reader has had no answer from Redis; it asks every second.",
        |stats| stats.silent.as_secs_f64(),
    ),
    (
        "sse_backplane_lag_seconds",
        "How old the newest event was when it was delivered on this node.",
        |stats| stats.lag.as_secs_f64(),
    ),
    (
        "sse_backplane_backlog",
        "Publications that wait for Redis.",
        |stats| stats.pending as f64,
    ),
    (
        "sse_backplane_topics",
        "Topics that this node reads from Redis.",
        |stats| stats.topics as f64,
    ),
];

const COUNTERS: [Row; 7] = [
    (
        "sse_backplane_failures_total",
        "Connections to Redis that ended, and attempts that failed.",
        |stats| stats.failures as f64,
    ),
    (
        "sse_backplane_published_total",
        "Events that Redis acknowledged.",
        |stats| stats.published as f64,
    ),
    (
        "sse_backplane_unpublished_total",
        "Events that Redis did not acknowledge.",
        |stats| stats.unpublished as f64,
    ),
    (
        "sse_backplane_delivered_total",
        "Events that came from Redis.",
        |stats| stats.delivered as f64,
    ),
    (
        "sse_backplane_holes_total",
        "How often a topic's streams ended because Redis no longer had what they lacked.",
        |stats| stats.holes as f64,
    ),
    (
        "sse_backplane_resets_total",
        "How often Redis had lost its history and every client was told.",
        |stats| stats.resets as f64,
    ),
    (
        "sse_backplane_revocations_lost_total",
        "Revocations that other nodes were not told of.",
        |stats| stats.revocations_lost as f64,
    ),
];

/// The backplane's rows of `/metrics`.
pub(crate) struct BackplaneCollector {
    backplane: RedisBackplane,
    descs: Vec<Desc>,
}

impl BackplaneCollector {
    /// # Errors
    /// None in practice: the names are valid.
    pub(crate) fn new(backplane: RedisBackplane) -> prometheus::Result<Self> {
        let descs = GAUGES.iter().chain(&COUNTERS).map(|(name, help, _)| {
            Desc::new(
                (*name).to_owned(),
                (*help).to_owned(),
                Vec::new(),
                HashMap::new(),
            )
        });
        Ok(Self {
            backplane,
            descs: descs.collect::<Result<_, _>>()?,
        })
    }
}

impl Collector for BackplaneCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stats = self.backplane.stats();
        let gauges = GAUGES
            .iter()
            .map(|row| family(row, MetricType::GAUGE, &stats));
        let counters = COUNTERS
            .iter()
            .map(|row| family(row, MetricType::COUNTER, &stats));
        gauges.chain(counters).collect()
    }
}

fn family((name, help, read): &Row, kind: MetricType, stats: &BackplaneStats) -> MetricFamily {
    let value = read(stats);
    let mut metric = Metric::default();
    if kind == MetricType::GAUGE {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    } else {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    }
    let mut family = MetricFamily::default();
    family.set_name((*name).to_owned());
    family.set_help((*help).to_owned());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}
