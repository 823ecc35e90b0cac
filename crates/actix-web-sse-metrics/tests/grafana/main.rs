//! The dashboards and rules under `grafana/`, held against the catalogue.
//!
//! The dashboards are written here, in a few words each, and the JSON that Grafana imports is made
//! from them: `UPDATE_GOLDEN=1 cargo test -p actix-web-sse-metrics --test grafana` writes it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test may fail loudly, and documents itself by its names"
)]

mod board;
mod boards;
mod compose;
mod lint;
mod names;
mod packaging;
mod panel;
mod panels;
mod promql;
mod rule_tests;
mod rules;
mod settings;
#[cfg_attr(
    not(feature = "promtool"),
    allow(dead_code, reason = "promtool runs the situations")
)]
mod situations;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use actix_web_sse_metrics::{CATALOGUE, PROCESS_CATALOGUE};

/// Stands at the head of every file that is generated.
pub const GENERATED: &str = "# Generated from settings.yml; see README.md. Do not edit.\n";

/// The folder with everything for Prometheus and Grafana.
fn grafana() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../grafana")
}

/// The settings of the repository.
pub fn settings() -> settings::Settings {
    let text = fs::read_to_string(grafana().join("settings.yml")).unwrap();
    settings::Settings::parse(&text).unwrap()
}

/// Compares a file of the repository with what it should be, or writes it.
pub fn hold(file: &str, ours: &str) {
    let path = grafana().join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, ours).unwrap();
    }
    let theirs = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        ours == theirs,
        "{file} is not up to date: run with UPDATE_GOLDEN=1"
    );
}

#[test]
fn what_is_in_the_repository_is_what_is_written_here() {
    for (file, content) in packaging::files(&settings()) {
        hold(&file, &content);
    }
    hold("rules/situations.md", &situations::table());
    let boards = fs::read_dir(grafana().join("dashboards")).unwrap();
    assert_eq!(boards.count(), boards::all().len());
}

#[test]
fn all_seventeen_rules_of_the_dashboard_linter_hold() {
    for (name, board) in boards::all() {
        let board = board.json(&settings());
        for (rule, check) in lint::RULES {
            let faults = check(&board);
            assert!(faults.is_empty(), "{name}: {rule}: {faults:#?}");
        }
    }
}

#[test]
fn every_name_and_label_in_a_dashboard_exists() {
    for (_, board) in boards::all() {
        let board = board.json(&settings());
        for (title, query) in lint::queries(&board) {
            for selector in promql::selectors(query).unwrap() {
                let name = &selector.name;
                assert!(names::exists(name), "{title}: {name}");
                for matcher in &selector.matchers {
                    let label = matcher.name.as_str();
                    assert!(
                        names::TARGET.contains(&label) || names::labels(name).contains(&label),
                        "{title}: {name} has no label {label}",
                    );
                }
            }
        }
    }
}

#[test]
fn every_metric_is_on_some_dashboard() {
    let mut shown = BTreeSet::new();
    for (_, board) in boards::all() {
        let json = board.json(&settings());
        shown.insert(board.anchor.to_owned());
        let annotations = json["annotations"]["list"].as_array().unwrap().iter();
        let annotations = annotations.filter_map(|annotation| annotation["expr"].as_str());
        let queries = lint::queries(&json).into_iter().map(|(_, query)| query);
        for query in queries.chain(annotations) {
            for selector in promql::selectors(query).unwrap() {
                let name = selector
                    .name
                    .strip_suffix("_bucket")
                    .unwrap_or(&selector.name);
                shown.insert(name.to_owned());
            }
        }
    }
    // An address space says nothing about a process of today.
    let mut all: BTreeSet<_> = CATALOGUE
        .iter()
        .chain(PROCESS_CATALOGUE)
        .map(|row| row.name)
        .collect();
    all.extend(names::PROBE);
    all.remove("process_virtual_memory_bytes");
    all.retain(|name| !shown.contains(*name));
    assert_eq!(all, BTreeSet::new());
}

#[test]
fn dashboards_have_stable_and_distinct_identifiers() {
    let boards = boards::all();
    let uids: BTreeSet<_> = boards.iter().map(|(_, board)| board.uid).collect();
    assert_eq!(uids.len(), boards.len());
    for (name, board) in boards {
        assert_eq!(board.uid, format!("sse-{name}"));
        let json = board.json(&settings());
        assert_eq!(json["schemaVersion"], 42);
        let ids: BTreeSet<_> = lint::panels(&json)
            .iter()
            .map(|panel| panel["id"].as_u64())
            .collect();
        assert_eq!(ids.len(), lint::panels(&json).len());
    }
}
