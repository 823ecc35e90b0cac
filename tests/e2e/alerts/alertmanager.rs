//! The way of an alert through a real Alertmanager, with the routes and inhibitions of the
//! repository, to whoever is called.

use std::{fs, path::Path};

use actix_web_sse_tests::{Alertmanager, Answer, Prometheus, Request, Site, until};
use serde_json::Value;

use super::{PATIENCE, short_rules::ShortRules};
use crate::application::Application;

const APP: &str = "https://app.example.com";

/// `grafana/alertmanager.yml` in a hurry, with the caller of this test where Slack and a pager are.
fn configuration(pager: &Site) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana");
    let text = fs::read_to_string(folder.join("alertmanager.yml")).unwrap();
    let (before, rest) = text.split_once("receivers:\n").unwrap();
    let (_, after) = rest.split_once("# The cause holds back").unwrap();
    let receivers: String = ["chat", "pager"]
        .map(|name| {
            let url = pager.origin();
            format!("  - name: {name}\n    webhook_configs: [{{url: \"{url}/\"}}]\n")
        })
        .concat();
    let templates = format!("{}/templates", folder.display());
    let text = format!("{before}receivers:\n{receivers}# {after}")
        .replace("templates/", &format!("{templates}/"));
    ["10s", "30s", "5m", "1h", "4h", "24h"]
        .iter()
        .fold(text, |text, long| {
            text.replace(&format!(": {long}\n"), ": 1s\n")
        })
}

/// The calls so far: each alert that they are about, and its state.
fn calls(pager: &Site) -> Vec<(String, String)> {
    let visits = pager.visits();
    let bodies = visits
        .iter()
        .map(|visit| serde_json::from_slice::<Value>(&visit.body).unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    bodies
        .flat_map(|call| {
            let alerts = call["alerts"].as_array().unwrap().clone();
            alerts.into_iter().map(move |alert| {
                let labels = &alert["labels"];
                assert_eq!(labels["job"], "sse", "{alert}");
                assert_eq!(labels["fault"], call["groupLabels"]["fault"], "{alert}");
                // What is critical goes to the pager.
                let receiver = if labels["severity"] == "critical" {
                    "pager"
                } else {
                    "chat"
                };
                assert_eq!(call["receiver"], receiver, "{alert}");
                (text(&labels["alertname"]), text(&alert["status"]))
            })
        })
        .collect()
}

#[test]
fn a_regression_reaches_whoever_is_called_and_holds_back_what_says_less() {
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
