//! No panel is empty: each query of each dashboard runs against a real Prometheus that scraped a
//! real server under mixed traffic. What the probe's dashboard shows comes from another exporter;
//! `probe_alerts` looks at it.

use std::{fs, path::PathBuf};

use actix_web_sse_tests::{
    Claims, Demo, LIMIT, Prometheus, Redis, Request, Settings, Traffic, until,
};
use serde_json::Value;

use crate::DEMO;

const ORIGIN: &str = "https://app.example.com";

/// The variables of a dashboard, and what stands for all of their values.
const VARIABLES: [(&str, &str); 6] = [
    ("cluster", ".*"),
    ("namespace", ".*"),
    ("job", ".+"),
    ("instance", ".+"),
    ("route", ".*"),
    ("origin", ".*"),
];

pub(crate) fn dashboard(name: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../grafana/dashboards");
    let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The queries of a dashboard with all values of all variables chosen, and the titles of their panels.
pub(crate) fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    // Below a heading lie panels of its own.
    let panels = panels.flat_map(|panel| match panel["panels"].as_array() {
        Some(below) if !below.is_empty() => below.iter().collect(),
        _ => vec![panel],
    });
    panels
        .flat_map(|panel| {
            // A heading and a list of alerts ask for nothing.
            let targets = panel["targets"].as_array().into_iter().flatten();
            targets.map(|target| {
                let query = text(&target["expr"]).replace("$__rate_interval", "10s");
                let query = VARIABLES.iter().fold(query, |query, (variable, all)| {
                    query.replace(&format!("\"${variable}\""), &format!("\"{all}\""))
                });
                (text(&panel["title"]), query)
            })
        })
        .collect()
}

#[test]
fn no_panel_is_empty_under_mixed_traffic() {
    let redis = Redis::start();
    let with_settings = toml::toml! { match = "*" };
    let settings = Settings::reference()
        .set("policy.limits.connects_per_second", 10_000)
        .set("hub.topics", vec![with_settings])
        .set("backplane.redis", format!("redis://{}", redis.address()));
    let demo = Demo::start(DEMO, &settings);
    let prometheus = Prometheus::scraping(&[("sse", demo.metrics)], &[]);
    // One stream that stays, so that there are levels to show.
    let token = demo.token(&Claims::of("stays"));
    let stays = Request::stream("/events?topic=mixed")
        .bearer(&token)
        .open(demo.app);
    let mut traffic = Traffic::of(ORIGIN);
    for name in ["overview", "cors", "auth", "delivery", "connections"] {
        for (title, query) in queries(&dashboard(name)) {
            until(
                &format!("{name}: {title}: {query} shows something"),
                LIMIT,
                || {
                    traffic.round(&demo);
                    let shown = prometheus.query(&query);
                    shown
                        .iter()
                        .any(|sample| !sample.value.is_nan())
                        .then_some(())
                },
            );
        }
    }
    drop(stays);
}
