//! What stands in `packaging/sse-probe`, as far as it can be run without the places that it is for.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

mod support;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use support::{APP, Reply, Server, good, steadily};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/sse-probe")
}

/// The action's check, with this program on the path.
async fn action(inputs: &[(&str, &str)]) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_sse-probe")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command
        .arg(folder().join("check.sh"))
        .env("PATH", path)
        .env("SSE_PROBE_BEARER", "token")
        .envs(inputs.iter().copied());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_action_annotates_and_fails_where_the_edge_differs() {
    let app = Server::start(good).await;
    let edge = Server::start(|r| good(r).without("Access-Control-Allow-Credentials")).await;
    let (direct, same, other) = (app.url(), app.url(), edge.url());
    let arguments = "--credentials --hold 1s";
    let inputs = |url| {
        [
            ("URL", url),
            ("DIRECT", direct.as_str()),
            ("ORIGIN", APP),
            ("PROFILE", "strict"),
            ("ARGUMENTS", arguments),
        ]
    };
    let is_good = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.lines().last().unwrap().starts_with("good"), "{text}");
    };
    steadily(async || action(&inputs(same.as_str())).await, is_good).await;
    let differs = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.starts_with("::error title=sse-probe diff%2C stripped"),
            "{text}"
        );
    };
    steadily(async || action(&inputs(other.as_str())).await, differs).await;
}

#[tokio::test]
async fn the_action_compares_with_an_application_that_checks_the_host() {
    let app = Server::start(|request| match request.get("host") {
        Some("api.example.com") => good(request),
        _ => Reply::new(421),
    })
    .await;
    let edge = Server::start(good).await;
    let (direct, url) = (app.url(), edge.url());
    let output = action(&[
        ("URL", &url),
        ("DIRECT", &direct),
        ("ORIGIN", APP),
        ("ARGUMENTS", "--credentials --hold 1s"),
        ("DIFF_ARGUMENTS", "--host-direct api.example.com"),
    ])
    .await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(!app.requests().is_empty());
}

#[tokio::test]
async fn the_recipe_with_a_policy_works() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let policy = format!("[policy.origins]\nallow = [\"{APP}\"]\ncredentials = true\n");
    std::fs::write(file.path(), policy).unwrap();
    let server = Server::start(good).await;
    let url = server.url();
    let inputs = [
        ("URL", url.as_str()),
        ("POLICY", file.path().to_str().unwrap()),
        ("ARGUMENTS", "--credentials --hold 1s"),
    ];
    let is_good = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{text}");
    };
    steadily(async || action(&inputs).await, is_good).await;
}

#[test]
fn the_unit_uses_an_option_that_there_is_and_reloads_by_the_signal_that_is_read() {
    let unit = std::fs::read_to_string(folder().join("sse-probe.service")).unwrap();
    assert!(unit.contains("ExecReload=/bin/kill -HUP $MAINPID"));
    let help = Command::new(env!("CARGO_BIN_EXE_sse-probe"))
        .args(["watch", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = unit.lines().filter(|line| line.starts_with("ExecStart"));
    let options = commands.flat_map(str::split_whitespace);
    for option in options.filter(|word| word.starts_with("--")) {
        assert!(help.contains(option), "{option}");
    }
}
