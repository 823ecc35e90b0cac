//! Which way the dependencies point.

use std::process::Command;

use actix_web_sse_tests::{LIMIT, Process};

/// What a package asks for by itself, development apart: its name for the registry, whatever it
/// calls it.
fn direct_dependencies(package: &str) -> Vec<String> {
    let outcome = Process::spawn(
        Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--no-deps",
                "--format-version",
                "1",
                "--offline",
                "--manifest-path",
            ])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")),
    )
    .finish(LIMIT);
    assert_eq!(outcome.code, Some(0), "{:?}", outcome.stderr);
    let metadata: serde_json::Value = serde_json::from_str(&outcome.stdout.concat()).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages
        .iter()
        .find(|candidate| candidate["name"] == package)
        .unwrap();
    let dependencies = package["dependencies"].as_array().unwrap();
    dependencies
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_stream_crate_knows_neither_prometheus_nor_tracing_nor_redis() {
    let dependencies = direct_dependencies("actix-web-sse");
    assert!(
        dependencies.contains(&"actix-web".to_owned()),
        "{dependencies:?}"
    );
    for name in dependencies {
        for foreign in ["prometheus", "tracing", "opentelemetry", "redis", "metrics"] {
            assert!(!name.contains(foreign), "actix-web-sse depends on {name}");
        }
    }
}

#[test]
fn the_metrics_crate_depends_on_the_stream_crate_and_not_the_other_way() {
    let metrics = direct_dependencies("actix-web-sse-metrics");
    assert!(metrics.contains(&"actix-web-sse".to_owned()), "{metrics:?}");
    let streams = direct_dependencies("actix-web-sse");
    assert!(
        !streams.contains(&"actix-web-sse-metrics".to_owned()),
        "{streams:?}"
    );
}
