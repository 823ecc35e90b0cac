//! What a server says that cannot start: one clear line for each fault, and exit code 2.

use std::{net::TcpListener, path::Path, process::Command};

use actix_web_sse_tests::{LIMIT, Outcome, Process, Settings};

use crate::DEMO;

fn start(config: &Path) -> Outcome {
    let mut demo = Command::new(DEMO);
    // Nothing that makes errors longer may make these longer.
    demo.env("RUST_BACKTRACE", "full")
        .arg("--config")
        .arg(config);
    Process::spawn(&mut demo).finish(LIMIT)
}

fn start_with(settings: &Settings) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.toml");
    settings.write(&path);
    start(&path)
}

/// One line on standard error, with this in it; nothing on standard output.
#[track_caller]
fn is_refused(outcome: &Outcome, lines: usize, named: &[&str]) {
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert_eq!(outcome.stderr.len(), lines, "{outcome:#?}");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
    let said = outcome.stderr.join("\n");
    for name in named {
        assert!(said.contains(name), "{name} in: {said}");
    }
    for noise in ["panicked", "backtrace", "stack", ".rs:"] {
        assert!(!said.contains(noise), "{noise} in: {said}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let outcome = start_with(&Settings::open().set("server.listen", address.as_str()));
    is_refused(&outcome, 1, &[&address]);
    let outcome = start_with(&Settings::open().set("metrics.listen", address.as_str()));
    is_refused(&outcome, 1, &[&address]);
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    is_refused(&start(&missing), 1, &["missing.toml"]);
    is_refused(&start(folder.path()), 1, &[]);
}

#[test]
fn a_configuration_that_is_no_toml_is_located() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.toml");
    std::fs::write(&path, "[server]\nlisten = \n").unwrap();
    is_refused(&start(&path), 1, &["broken.toml", "2"]);
}

#[test]
fn a_bad_origin_is_named() {
    for origin in [
        "https://app.example.com/",
        "null",
        "app.example.com",
        "https://*.com",
    ] {
        let outcome = start_with(&Settings::open().allow(&[origin]));
        is_refused(&outcome, 1, &["policy.origins.allow", origin]);
    }
}

#[test]
fn unknown_keys_and_bad_values_are_named() {
    for (key, value) in [
        ("server.lisen", toml::Value::from("127.0.0.1:0")),
        ("surprise.key", toml::Value::from(1)),
        ("stream.heartbeat", toml::Value::from("0s")),
        ("stream.retry", toml::Value::from("soon")),
        ("policy.overload", toml::Value::from("never")),
    ] {
        let outcome = start_with(&Settings::open().set(key, value));
        let named = key.split('.').next().unwrap();
        is_refused(&outcome, 1, &[named]);
    }
}

#[test]
fn f18_three_faults_are_reported_at_once() {
    let settings = Settings::open()
        .set("stream.heartbeat", "0s")
        .set("hub.max_event_bytes", 0)
        .allow(&["null"]);
    let outcome = start_with(&settings);
    is_refused(
        &outcome,
        3,
        &[
            "stream.heartbeat",
            "max_event_bytes",
            "policy.origins.allow",
        ],
    );
}
