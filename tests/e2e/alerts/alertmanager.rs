//! The way of an alert through a real Alertmanager, with the routes and inhibitions of the
//! repository, to whoever is called.

use std::{fs, path::Path};

use actix_web_sse_tests::{Alertmanager, Answer, Prometheus, Request, Site, until};
use serde_json::Value;

use super::{PATIENCE, short_rules::ShortRules};
use crate::application::Application;

const APP: &str = "https://app.example.com";

/// `grafana/alertmanager.yml` in a hurry, with somebody to call where it has nobody.
fn configuration(pager: &Site) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana/alertmanager.yml");
    let text = fs::read_to_string(file).unwrap();
    let receiver = format!(
        "  - name: nobody\n    webhook_configs: [{{url: \"{}/\"}}]\n",
        pager.origin()
    );
    let called = text.replace("  - name: nobody\n", &receiver);
    assert_ne!(called, text, "the receiver has another name");
    ["30s", "5m", "4h"].iter().fold(called, |text, long| {
        text.replace(&format!(": {long}\n"), ": 1s\n")
    })
}

/// The calls so far: the alert that each group is about, and its state.
fn calls(pager: &Site) -> Vec<(String, String)> {
    let visits = pager.visits();
    let bodies = visits
        .iter()
        .map(|visit| serde_json::from_slice::<Value>(&visit.body).unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    bodies
        .map(|call| {
            assert_eq!(call["receiver"], "nobody");
            let labels = &call["groupLabels"];
            assert_eq!(labels["job"], "sse", "{call}");
            (text(&labels["alertname"]), text(&call["status"]))
        })
        .collect()
}

#[test]
fn a_regression_pages_the_operator_and_inhibits_lesser_alerts() {
    let application = Application::start(APP);
    let pager = Site::serve(|_| Answer::status(200));
    let alertmanager = Alertmanager::start(&configuration(&pager));
    let rules = ShortRules::write();
    let targets = [("sse", application.address)];
    let prometheus = Prometheus::telling(alertmanager.address(), &targets, &rules.files());
    prometheus.wait_for("min(up{job='sse'})", 1.0);

    // What the server sees of a browser whose CORS check fails.
    let blocked = || drop(Request::event_source("/events", APP).send(application.address));
    until(
        "the lesser alert is held back by the greater",
        PATIENCE,
        || {
            blocked();
            let lesser = alertmanager.alerts("SSEImmediateCloseRateHigh");
            let status = &lesser.first()?["status"];
            let held_back = status["state"] == "suppressed"
                && status["inhibitedBy"]
                    .as_array()
                    .is_some_and(|by| by.len() == 1);
            held_back.then_some(())
        },
    );
    until("the regression is told", PATIENCE, || {
        blocked();
        let called = calls(&pager);
        let told =
            |(name, state): &(String, String)| name == "SSECorsRegression" && state == "firing";
        called.iter().any(told).then_some(())
    });
    until("its end is told", PATIENCE, || {
        let called = calls(&pager);
        let told =
            |(name, state): &(String, String)| name == "SSECorsRegression" && state == "resolved";
        called.iter().any(told).then_some(())
    });
    let called = calls(&pager);
    assert!(
        called
            .iter()
            .all(|(name, _)| name != "SSEImmediateCloseRateHigh"),
        "{called:?}"
    );
}
