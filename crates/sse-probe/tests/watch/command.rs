//! `sse-probe watch` as a program: signals, the log, `--check-config`.

use std::process::Command;

/// Sends a signal by the name that `kill` has for it.
fn signal(child: &std::process::Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn sighup_reads_the_configuration_again_and_kills_nothing() {
    use std::io::{BufRead, BufReader};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:0\"\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sse-probe"))
        .args(["watch", "--config", file.to_str().unwrap()])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // Ends with the program at the latest.
    let mut wait_for = |part: &str| {
        let found = lines.find(|line| line.as_ref().unwrap().contains(part));
        assert!(found.is_some(), "the program ended before it said `{part}`");
    };
    wait_for("listening on 127.0.0.1:");
    signal(&child, "-HUP");
    wait_for("the configuration was read again");
    std::fs::write(&file, "interval = \"soon\"\n").unwrap();
    signal(&child, "-HUP");
    wait_for("the old one stays");
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The lines that `watch` writes, until one has that part.
fn watched(config: &str, part: &str) -> Vec<String> {
    use std::io::{BufRead, BufReader};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.toml");
    std::fs::write(&file, config).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sse-probe"))
        .args(["watch", "--config", file.to_str().unwrap()])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        seen.push(line.unwrap());
        if seen.last().unwrap().contains(part) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    seen
}

#[test]
fn a_failed_probe_is_logged_with_its_reason() {
    let config =
        "listen = \"127.0.0.1:0\"\n[[targets]]\nurl = \"http://127.0.0.1:1/?token=s3cret\"\n";
    let lines = watched(config, "a probe failed");
    let line = lines.last().unwrap();
    for part in [
        "a probe failed",
        "reason=\"connect\"",
        "refuses the connection",
        "http://127.0.0.1:1/",
    ] {
        assert!(line.contains(part), "no `{part}` in {lines:#?}");
    }
    assert!(!line.contains("s3cret"), "{line}");
}

#[test]
fn check_config_judges_the_file_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.toml");
    let judge = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sse-probe"));
        command.args([
            "watch",
            "--config",
            file.to_str().unwrap(),
            "--check-config",
        ]);
        command.output().unwrap()
    };
    let output = judge("[modules.app]\norigin = \"https://app.example.com\"\n");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"2 modules, 0 targets\n");
    let output = judge("concurrency = 0\ninterval = \"0s\"\n");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("concurrency") && said.contains("interval"),
        "{said}"
    );
}
