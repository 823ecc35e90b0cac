//! What cannot run says why in one line for each fault, and exits with 2.
#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is the test's failure"
)]

use std::{
    io::Write,
    net::TcpListener,
    process::{Command, Output},
};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(arguments)
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap()
}

/// Runs the demo with this configuration, which must be refused, and returns what it said.
fn refused(config: &str) -> Vec<String> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(config.as_bytes()).unwrap();
    lines_of(&demo(&["--config", file.path().to_str().unwrap()]))
}

fn lines_of(output: &Output) -> Vec<String> {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(!message.contains("backtrace"), "{message}");
    assert!(output.stdout.is_empty(), "nothing was announced");
    message.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_one(lines: &[String], parts: &[&str]) {
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in parts {
        assert!(
            lines.iter().all(|line| line.contains(part)),
            "{part} in {lines:?}"
        );
    }
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let lines = refused(&format!("[server]\nlisten = \"{address}\"\n"));
    assert_one(&lines, &["server.listen", &address, "choose another port"]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_one_clear_line() {
    let lines = lines_of(&demo(&["--config", "/nowhere/demo.toml"]));
    assert_one(&lines, &["/nowhere/demo.toml", "No such file"]);
}

#[test]
fn a_bad_origin_is_one_clear_line_with_the_remedy() {
    let lines = refused(
        "[server]\nlisten = \"127.0.0.1:0\"\n\
         [policy.origins]\nallow = [\"https://app.example.com/\"]\n",
    );
    assert_one(&lines, &["origins.allow", "https://app.example.com/"]);
}

#[test]
fn an_unknown_key_is_named() {
    let lines = refused("[hub]\nreplay_event = 1\n");
    assert_one(&lines, &["hub", "`replay_event`", "`replay_events`"]);
}

#[test]
fn all_sections_report_their_faults_at_once() {
    let lines = refused(
        "[server]\nlisten = \"127.0.0.1:0\"\n\
         [hub]\nsubscriber_events = 0\n\
         [stream]\nheartbeat = \"0s\"\nstall = \"1s\"\n\
         [policy.origins]\nallow = [\"*\"]\ncredentials = true\n",
    );
    for key in ["hub.subscriber_events", "stream.heartbeat", "origins"] {
        assert!(
            lines.iter().any(|line| line.contains(key)),
            "{key} in {lines:?}"
        );
    }
}

#[test]
fn a_missing_certificate_is_named() {
    let lines = refused(
        "[server]\nlisten = \"127.0.0.1:0\"\ntls = { cert = \"/nowhere/c.pem\", key = \"/nowhere/k.pem\" }\n",
    );
    assert_one(&lines, &["server.tls.cert", "/nowhere/c.pem"]);
}

#[test]
fn an_unknown_argument_is_refused_and_help_is_not() {
    assert_eq!(demo(&["--nonsense"]).status.code(), Some(2));
    assert_eq!(demo(&["--help"]).status.code(), Some(0));
}

#[test]
fn the_printed_defaults_are_a_configuration() {
    let printed = demo(&["--print-config"]);
    assert_eq!(printed.status.code(), Some(0));
    let text = String::from_utf8(printed.stdout).unwrap();
    // Read, and refused for nothing but the port, which is made one that is in use.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = text.replace("127.0.0.1:8080\"       ", &format!("{address}\" "));
    let text = text.replace("127.0.0.1:8081", "127.0.0.1:0");
    assert_one(&refused(&text), &["server.listen", &address]);
}

#[test]
fn a_token_that_could_be_guessed_is_refused() {
    let lines = refused(
        "[server]\nlisten = \"127.0.0.1:0\"\n[metrics]\noperators = { bearer = \"short\" }\n",
    );
    assert_one(&lines, &["metrics.operators.bearer", "at least 16 bytes"]);
    assert!(!lines.concat().contains("short"), "no secret is shown");
}

#[test]
fn a_short_secret_is_refused_and_not_shown() {
    let lines = refused(
        "[server]\nlisten = \"127.0.0.1:0\"\n[auth]\njwt_hs256_secret = \"hunter2hunter2\"\n",
    );
    assert_one(&lines, &["auth.jwt_hs256_secret", "32 bytes"]);
    assert!(!lines.concat().contains("hunter2"), "no secret is shown");
}
