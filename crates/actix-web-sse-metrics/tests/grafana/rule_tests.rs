//! The alert and recording rules: names, annotations, runbook.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::{boards, grafana, lint, names, promql::selectors, situations};

fn rules() -> Vec<Value> {
    let mut rules = Vec::new();
    for file in ["alerts", "probe"] {
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

/// The alerts that are promised to users: none of them disappears unnoticed.
#[test]
fn the_alerts_of_the_catalogue_are_there() {
    let ours: BTreeSet<_> = named("alert").into_iter().map(|(name, _)| name).collect();
    for promised in
        "SSECorsRegression SSECorsPolicyDrift SSERejectedOriginSpike SSEUnknownOriginScan \
        SSEZombieStreams SSEAuthBypass SSEAuthFailureSpike SSEReconnectStorm SSEMassDisconnect \
        SSEImmediateCloseRateHigh SSEIpLimitSaturated SSECapacityNearLimit SSESlowConsumers \
        SSEDeliveryLagHigh SSETimeToFirstEventHigh SSEStreamSilent SSEResumeGaps SSEStreamLeak \
        SSEClientReportsCorsBlocked SSELabelOverflow SSETargetMissing SSEProbeFailed \
        SSEProbeCorsHeaderMissing SSEProbeBuffering SSEProbeAuthBypass SSEProbeCertExpiring"
            .split_whitespace()
    {
        assert!(ours.contains(promised), "{promised}");
    }
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
                    names::TARGET.contains(&label) || names::labels(name).contains(&label),
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
        assert!(queries.contains(&name), "{name} is not used");
    }
}

/// A rule that names a job is silent where the job has another name.
#[test]
fn no_rule_looks_at_the_name_of_a_job_and_every_aggregation_keeps_the_labels_of_the_fleet() {
    let settings = crate::settings();
    let fleet = settings.labels.fleet.join(", ");
    let site = format!("({})", settings.labels.site.join(", "));
    for rule in rules() {
        let query = rule["expr"].as_str().unwrap();
        for selector in selectors(query).unwrap() {
            let named = selector
                .matchers
                .iter()
                .any(|matcher| matcher.name == "job");
            assert!(!named, "{query}");
        }
        for by in query.split("by (").skip(1) {
            let kept = by.starts_with(&fleet) || format!("({by}").starts_with(&site);
            assert!(kept, "by ({by}");
        }
    }
}

/// A fault that was always there, or that lasts, must not become normal.
#[test]
fn every_average_over_a_day_is_bounded_or_of_calm_times_only() {
    for rule in rules() {
        let query = rule["expr"].as_str().unwrap();
        for (before, after) in query
            .match_indices("avg_over_time(")
            .map(|(at, _)| query.split_at(at))
        {
            let bounded = before.trim_end().ends_with("clamp(")
                || before.contains("last_over_time(")
                || after.contains("calm_ratio");
            assert!(bounded, "{query}");
        }
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
        let settings = crate::settings();
        let there = format!("{}/d/sse-runbook?viewPanel=", settings.grafana_url);
        let panel = annotation("runbook_url");
        let panel = panel
            .strip_prefix(&there)
            .and_then(|panel| panel.parse().ok());
        assert_eq!(panel_about(panel), (name.clone(), "text".to_owned()));
        let dashboard = annotation("dashboard_url");
        let path = dashboard
            .strip_prefix(&format!("{}/d/", settings.grafana_url))
            .unwrap();
        let (uid, _) = path.split_once('?').unwrap();
        assert!(dashboards.contains(&uid), "{name}: {dashboard}");
        section(&runbook, &name);
    }
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("## "));
    for section in sections.filter(|section| section.starts_with("SSE")) {
        assert!(
            named("alert").iter().any(|(name, _)| name == section),
            "the runbook has a section for {section}, no alert"
        );
    }
}

/// Title and kind of a panel of the runbook's dashboard.
fn panel_about(id: Option<u64>) -> (String, String) {
    let board = fs::read_to_string(grafana().join("dashboards/runbook.json")).unwrap();
    let board: Value = serde_json::from_str(&board).unwrap();
    let panel = lint::panels(&board)
        .into_iter()
        .find(|panel| panel["id"].as_u64() == id);
    let [title, kind] =
        ["title", "type"].map(|key| panel.unwrap()[key].as_str().unwrap().to_owned());
    (title, kind)
}

#[test]
fn a_runbook_elsewhere_has_an_anchor_for_each_alert() {
    let text = fs::read_to_string(grafana().join("settings.yml")).unwrap();
    let elsewhere = "runbook_url: https://host.example/runbook.md";
    let text = text.replace("runbook_url: ''", elsewhere);
    let settings = crate::settings::Settings::parse(&text).unwrap();
    let alert = &crate::rules::alerts()[0];
    assert_eq!(
        settings.runbook_of(alert),
        "https://host.example/runbook.md#ssecorsregression"
    );
    assert_eq!(settings.runbook(), "https://host.example/runbook.md");
}

#[test]
fn panels_lead_to_the_logs_if_it_is_known_where_they_are() {
    let text = fs::read_to_string(grafana().join("settings.yml")).unwrap();
    let text = text.replace(
        "logs_url: ''",
        "logs_url: 'https://logs.example/?q={query}'",
    );
    let settings = crate::settings::Settings::parse(&text).unwrap();
    for (_, board) in boards::all() {
        let [with, without] = [&settings, &crate::settings()].map(|settings| {
            let board = board.json(settings).to_string();
            board.contains("https://logs.example/?q=${__field.labels}")
        });
        assert_eq!((with, without), (board.uid != "sse-runbook", false));
    }
}

#[test]
fn every_alert_has_a_panel_that_shows_it() {
    let settings = crate::settings();
    for alert in crate::rules::alerts() {
        let id = crate::packaging::panel(&alert, &settings);
        assert!(
            id > 0,
            "{}: {} has no panel {:?}",
            alert.name,
            alert.board,
            alert.panel
        );
    }
}

#[test]
fn alertmanager_knows_only_alerts_that_there_are() {
    let alerts: BTreeSet<_> = named("alert").into_iter().map(|(name, _)| name).collect();
    for name in crate::packaging::inhibiting_and_inhibited() {
        assert!(alerts.contains(name), "{name}");
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
fn every_alert_rings_in_a_situation_and_a_third_of_them_is_quiet() {
    let themes = situations::all();
    let situations: Vec<_> = themes.iter().flat_map(|theme| &theme.situations).collect();
    let rings: BTreeSet<_> = situations
        .iter()
        .flat_map(|situation| situation.rings_at_all())
        .map(|ring| ring.alert.to_owned())
        .collect();
    let alerts: BTreeSet<_> = named("alert").into_iter().map(|(name, _)| name).collect();
    assert_eq!(rings, alerts);
    let quiet = situations
        .iter()
        .filter(|situation| situation.is_quiet())
        .count();
    assert!(situations.len() >= 60, "{} situations", situations.len());
    assert!(
        3 * quiet >= situations.len(),
        "{quiet} of {}",
        situations.len()
    );
}

/// What only Prometheus's own tool can say. Needs `promtool`, so it is not part of a plain
/// `cargo test`: run it with `--features promtool`.
#[cfg(feature = "promtool")]
mod promtool {
    use std::{
        process::Command,
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
    };

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
            "--lint=all",
            "--lint-fatal",
            "rules/alerts.yml",
            "rules/probe.yml",
        ]);
    }

    /// Every situation, two at a time.
    #[test]
    fn every_situation_rings_as_it_should() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("situations");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        // To look at some only: SITUATION=cors, or a word of the fault.
        let wanted = std::env::var("SITUATION").unwrap_or_default();
        let mut files = Vec::new();
        for theme in situations::all() {
            for (index, situation) in theme.situations.iter().enumerate() {
                for (part, yaml) in situation.yaml().iter().enumerate() {
                    let name = format!("{}-{index}-{part}.yml", theme.name);
                    if name.contains(&wanted) || yaml.contains(&wanted) {
                        fs::write(folder.join(&name), yaml).unwrap();
                        files.push(folder.join(name));
                    }
                }
            }
        }
        assert!(!files.is_empty(), "no situation is about {wanted}");
        let next = AtomicUsize::new(0);
        let failures = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let test = ["test", "rules", file.to_str().unwrap()];
                        // Most of its time would go into collecting what one run hardly needs collected.
                        let output = Command::new("promtool")
                            .args(test)
                            .envs([("GOGC", "off"), ("GOMEMLIMIT", "1GiB")])
                            .output()
                            .unwrap();
                        if !output.status.success() {
                            let text = String::from_utf8_lossy(&output.stdout).into_owned()
                                + &String::from_utf8_lossy(&output.stderr);
                            failures.lock().unwrap().push(text);
                        }
                    }
                });
            }
        });
        let failures = failures.into_inner().unwrap();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}
