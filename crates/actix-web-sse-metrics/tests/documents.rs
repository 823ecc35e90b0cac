//! `METRICS.md` and the catalogue say the same.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{fmt::Write, fs};

use actix_web_sse_metrics::{CATALOGUE, Kind, Metric, PROCESS_CATALOGUE};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/METRICS.md");

fn row(metric: &Metric) -> String {
    let labels: Vec<_> = metric.labels.iter().map(|label| label.name).collect();
    let labels = if labels.is_empty() {
        "–".to_owned()
    } else {
        labels.join(", ")
    };
    let mut row = format!(
        "| `{}` | {} | {labels} | {}",
        metric.name, metric.kind, metric.help
    );
    if let Kind::Histogram(bounds) = metric.kind {
        let bounds: Vec<_> = bounds.iter().map(f64::to_string).collect();
        write!(row, " Buckets: {}.", bounds.join(" ")).unwrap();
    }
    row + " |\n"
}

fn document() -> String {
    let table = |rows: &[Metric]| {
        let rows: String = rows.iter().map(row).collect();
        format!("| name | type | labels | meaning |\n|---|---|---|---|\n{rows}")
    };
    format!(
        "# What is exported\n\n\
        Made from the catalogue in code: `UPDATE_GOLDEN=1 cargo test -p actix-web-sse-metrics --test documents`.\n\
        Label values come from closed lists and from the configuration, never from a client; a test sends a\n\
        million hostile requests and finds the series bounded. `route` is the match pattern; `origin` is an entry of the\n\
        allow-list, `same_origin`, `none`, `null` or `other`.\n\n\
        ## Event streams\n\n{}\n## The process (Linux)\n\n{}",
        table(CATALOGUE),
        table(PROCESS_CATALOGUE),
    )
}

#[test]
fn the_document_is_the_catalogue() {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(FILE, document()).unwrap();
    }
    let written = fs::read_to_string(FILE).unwrap();
    assert!(
        written == document(),
        "METRICS.md is not up to date: run with UPDATE_GOLDEN=1"
    );
}

#[test]
fn names_are_as_prometheus_wants_them() {
    for row in CATALOGUE.iter().chain(PROCESS_CATALOGUE) {
        let name = row.name;
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{name}"
        );
        assert_eq!(
            name.ends_with("_total"),
            row.kind == Kind::Counter,
            "{name}"
        );
        for word in ["counter", "gauge", "histogram"] {
            assert!(!name.contains(word), "{name}");
        }
        assert!(row.help.ends_with('.'), "{name}: {}", row.help);
    }
}
