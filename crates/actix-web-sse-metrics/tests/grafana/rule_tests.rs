//! The alert and recording rules: names, annotations, runbook.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::{boards, grafana, names, promql::selectors};

/// Every alert that the catalogue promises.
const ALERTS: [&str; 31] = [
    "SSECorsRegression",
    "SSECorsPolicyDrift",
    "SSERejectedOriginSpike",
    "SSEUnknownOriginScan",
    "SSEZombieStreams",
    "SSEAuthBypass",
    "SSEAuthFailureSpike",
    "SSEReconnectStorm",
    "SSEMassDisconnect",
    "SSEImmediateCloseRateHigh",
    "SSEIpLimitSaturated",
    "SSECapacityNearLimit",
    "SSESlowConsumers",
    "SSEDeliveryLagHigh",
    "SSETimeToFirstEventHigh",
    "SSEStreamSilent",
    "SSEResumeGaps",
    "SSEBackplaneLost",
    "SSEBackplaneLag",
    "SSEPublicationsFailed",
    "SSEHistoryLost",
    "SSERevocationsLost",
    "SSEStreamLeak",
    "SSEClientReportsCorsBlocked",
    "SSELabelOverflow",
    "SSETargetMissing",
    "SSEProbeFailed",
    "SSEProbeCorsHeaderMissing",
    "SSEProbeBuffering",
    "SSEProbeAuthBypass",
    "SSEProbeCertExpiring",
];

fn rules() -> Vec<Value> {
    let mut rules = Vec::new();
    for file in ["recording", "alerts", "probe"] {
        let text = fs::read_to_string(grafana().join(format!("rules/{file}.yml"))).unwrap();
        let value: Value = serde_yaml_ng::from_str(&text).unwrap();
        for group in value["groups"].as_array().unwrap() {
            rules.extend(group["rules"].as_array().unwrap().iter().cloned());
        }
    }
    rules
}

fn named(kind: &str) -> Vec<(String, Value)> {
    rules()
        .into_iter()
        .filter_map(|rule| Some((rule[kind].as_str()?.to_owned(), rule)))
        .collect()
}

/// Every source file below a folder.
fn sources(folder: &Path) -> String {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| match path.is_dir() {
            true => sources(&path),
            false => fs::read_to_string(path).unwrap(),
        })
        .collect()
}

/// Firing and clearing is seen by the end-to-end suite; that it looks for each is seen here.
#[test]
fn every_alert_is_looked_for_in_the_end_to_end_suite() {
    let suite = sources(&grafana().join("../tests/e2e"));
    for (alert, _) in named("alert") {
        let provoked = suite.contains(&format!("(\"{alert}\", switch"))
            || suite.contains(&format!("provoke(\n        \"{alert}\""));
        let [fires, clears] = ["wait_firing", "wait_clear"]
            .map(|wait| suite.contains(&format!("{wait}(\"{alert}\"")));
        let [on, off] =
            [true, false].map(|state| suite.contains(&format!("wait(\"{alert}\", {state})")));
        assert!(provoked || (fires && clears) || (on && off), "{alert}");
    }
}

#[test]
fn the_alerts_are_those_of_the_catalogue() {
    let ours: BTreeSet<_> = named("alert").into_iter().map(|(name, _)| name).collect();
    let promised: BTreeSet<_> = ALERTS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(ours, promised);
}

#[test]
fn every_name_in_a_rule_exists() {
    let recorded: BTreeSet<_> = named("record").into_iter().map(|(name, _)| name).collect();
    for rule in rules() {
        let query = rule["expr"].as_str().unwrap();
        for selector in selectors(query).unwrap() {
            let name = &selector.name;
            assert!(
                names::exists(name) || recorded.contains(name),
                "{name} in {query}"
            );
            for matcher in selector.matchers.iter().filter(|_| names::exists(name)) {
                let label = matcher.name.as_str();
                assert!(
                    ["job", "instance"].contains(&label) || names::labels(name).contains(&label),
                    "{name} has no label {label}: {query}",
                );
            }
        }
    }
}

#[test]
fn every_recorded_series_is_used_and_well_named() {
    let queries: Vec<_> = rules()
        .iter()
        .flat_map(|rule| selectors(rule["expr"].as_str().unwrap()).unwrap())
        .map(|selector| selector.name)
        .collect();
    for (name, _) in named("record") {
        assert_eq!(
            name.split(':').count(),
            3,
            "{name} is not level:metric:operations"
        );
        // The level of open streams and the rates of opens and closes are for people's queries.
        let for_people = [
            "job:sse_connections_opened:rate5m",
            "job_reason:sse_connections_closed:rate5m",
        ];
        assert!(
            queries.contains(&name) || for_people.contains(&&*name),
            "{name} is not used"
        );
    }
}

#[test]
fn every_alert_tells_how_bad_it_is_what_it_means_and_where_to_look() {
    let runbook = fs::read_to_string(grafana().join("runbook.md")).unwrap();
    let dashboards: Vec<_> = boards::all()
        .into_iter()
        .map(|(_, board)| board.uid)
        .collect();
    for (name, rule) in named("alert") {
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}: {severity}"
        );
        let annotation = |key: &str| {
            rule["annotations"][key]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        for key in ["summary", "description"] {
            assert!(annotation(key).len() > 20, "{name} has no {key}");
        }
        assert_eq!(
            annotation("runbook_url"),
            format!("runbook.md#{}", name.to_lowercase())
        );
        let dashboard = annotation("dashboard_url");
        let uid = dashboard.strip_prefix("/d/").unwrap();
        assert!(dashboards.contains(&uid), "{name}: {dashboard}");
        section(&runbook, &name);
    }
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("## "));
    for section in sections.filter(|section| section.starts_with("SSE")) {
        assert!(
            ALERTS.contains(&section),
            "the runbook has a section for {section}, no alert"
        );
    }
}

/// Meaning, three checks, remedy: a section has all of them.
fn section(runbook: &str, alert: &str) {
    let heading = format!("\n## {alert}\n");
    let (_, rest) = runbook
        .split_once(&heading)
        .unwrap_or_else(|| panic!("no section {alert}"));
    let section = rest.split("\n## ").next().unwrap();
    for part in [
        "**Meaning.**",
        "**First checks.**",
        "1. ",
        "2. ",
        "3. ",
        "**Remedy.**",
    ] {
        assert!(section.contains(part), "{alert}: {part} is missing");
    }
}

#[test]
fn every_alert_has_a_unit_test_that_fires_and_one_that_does_not() {
    let folder = grafana().join("rules/tests");
    let mut fires = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for document in unit_tests(&folder) {
        for test in document["tests"].as_array().unwrap() {
            for case in test["alert_rule_test"].as_array().into_iter().flatten() {
                let name = case["alertname"].as_str().unwrap().to_owned();
                let expected = case["exp_alerts"].as_array().map_or(0, Vec::len);
                if expected > 0 {
                    &mut fires
                } else {
                    &mut silent
                }
                .insert(name);
            }
        }
    }
    for name in ALERTS {
        assert!(fires.contains(name), "no test in which {name} fires");
        assert!(silent.contains(name), "no test in which {name} is silent");
    }
}

fn unit_tests(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| serde_yaml_ng::from_str(&fs::read_to_string(file).unwrap()).unwrap())
        .collect()
}

/// What only Prometheus's own tool can say. Needs `promtool`, so it is not part of a plain
/// `cargo test`: run it with `--features promtool`.
#[cfg(feature = "promtool")]
mod promtool {
    use std::process::Command;

    use super::*;

    fn promtool(arguments: &[&str]) {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(grafana())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool {arguments:?}\n{text}");
    }

    #[test]
    fn promtool_accepts_the_configuration_and_the_rules() {
        promtool(&["check", "config", "prometheus.yml"]);
        promtool(&[
            "check",
            "rules",
            "rules/recording.yml",
            "rules/alerts.yml",
            "rules/probe.yml",
        ]);
    }

    #[test]
    fn the_unit_tests_of_the_rules_pass() {
        for file in [
            "cors",
            "auth",
            "connections",
            "delivery",
            "backplane",
            "health",
            "probe",
        ] {
            promtool(&["test", "rules", &format!("rules/tests/{file}.yml")]);
        }
    }
}
