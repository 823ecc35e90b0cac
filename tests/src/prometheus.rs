//! A real Prometheus, and its tools.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{LIMIT, Outcome, Process, Request, Sample, free_port, port::local, until};

/// A Prometheus that scrapes a few targets every quarter of a second.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start, or refuses a rules file.
    #[must_use]
    #[track_caller]
    pub fn scraping(targets: &[(&str, SocketAddr)], rules: &[PathBuf]) -> Self {
        Self::configured(&configuration(targets, rules))
    }

    /// Starts one that tells an Alertmanager of its alerts.
    ///
    /// # Panics
    /// If it does not start, or refuses a rules file.
    #[must_use]
    #[track_caller]
    pub fn telling(
        alertmanager: SocketAddr,
        targets: &[(&str, SocketAddr)],
        rules: &[PathBuf],
    ) -> Self {
        Self::configured(&format!(
            "alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: [\"{alertmanager}\"]\n{}",
            configuration(targets, rules)
        ))
    }

    /// Starts one with a configuration of its own and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start, or refuses the configuration.
    #[must_use]
    #[track_caller]
    pub fn configured(yaml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("prometheus.yml");
        fs::write(&config, yaml).expect("its configuration is written");
        let address = local(free_port());
        let process = Process::spawn(
            Command::new("prometheus")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={address}"))
                .arg("--enable-feature=exemplar-storage")
                .current_dir(folder.path()),
        );
        process.wait_for_line("word that it is ready", LIMIT, |line| {
            line.contains("Server is ready to receive web requests")
                .then_some(())
        });
        Self {
            address,
            process,
            _folder: folder,
        }
    }

    /// Where its pages and its API are.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.process.lines()
    }

    /// Asks for the value of an expression now.
    ///
    /// # Panics
    /// If Prometheus refuses the expression.
    #[must_use]
    #[track_caller]
    pub fn query(&self, expression: &str) -> Vec<Sample> {
        let answer = self.api(&format!("query?query={}", percent_encoded(expression)));
        let result = &answer["data"]["result"];
        let samples = result
            .as_array()
            .unwrap_or_else(|| panic!("no vector: {answer}"));
        samples.iter().map(sample).collect()
    }

    /// The exemplars of the last hour of all series of an expression.
    ///
    /// # Panics
    /// If Prometheus refuses the expression.
    #[must_use]
    #[track_caller]
    pub fn exemplars(&self, expression: &str) -> Vec<Value> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        let answer = self.api(&format!(
            "query_exemplars?query={}&start={}&end={}",
            percent_encoded(expression),
            now.saturating_sub(3600),
            now + 60,
        ));
        let series = answer["data"].as_array().into_iter().flatten();
        series
            .flat_map(|series| series["exemplars"].as_array().into_iter().flatten())
            .cloned()
            .collect()
    }

    /// Waits until the sum of an expression's values is this.
    ///
    /// # Panics
    /// If it never is, with what it was at last.
    #[track_caller]
    pub fn wait_for(&self, expression: &str, expected: f64) {
        let mut last = Vec::new();
        let asked = std::panic::Location::caller();
        let deadline = std::time::Instant::now() + LIMIT;
        until(
            &format!("{expression} is {expected} ({asked})"),
            LIMIT * 2,
            || {
                last = self.query(expression);
                let sum: f64 = last.iter().map(|sample| sample.value).sum();
                if !last.is_empty() && (sum - expected).abs() < 1e-9 {
                    return Some(());
                }
                assert!(
                    std::time::Instant::now() < deadline,
                    "{expression} is not {expected} but {last:#?}"
                );
                None
            },
        );
    }

    /// The names of the alerts that are in this state: `pending` or `firing`.
    #[must_use]
    #[track_caller]
    pub fn alerts(&self, state: &str) -> Vec<String> {
        let answer = self.api("alerts");
        let alerts = answer["data"]["alerts"]
            .as_array()
            .expect("a list of alerts");
        alerts
            .iter()
            .filter(|alert| alert["state"] == state)
            .filter_map(|alert| alert["labels"]["alertname"].as_str())
            .map(str::to_owned)
            .collect()
    }

    #[track_caller]
    fn api(&self, call: &str) -> Value {
        let response = Request::new("GET", &format!("/api/v1/{call}")).send(self.address);
        let answer = response.json();
        assert_eq!(answer["status"], "success", "{call}: {answer}");
        answer
    }
}

/// What `promtool check metrics` says of an exposition: nothing, when it is good.
///
/// # Panics
/// If promtool is not installed.
#[must_use]
#[track_caller]
pub fn check_metrics(exposition: &str) -> Outcome {
    let mut command = Command::new("promtool");
    let (process, mut input) = Process::spawn_with_input(command.args(["check", "metrics"]));
    // promtool may stop reading at the first fault; its exit code says so then.
    let _ = input.write_all(exposition.as_bytes());
    drop(input);
    process.finish(LIMIT)
}

fn configuration(targets: &[(&str, SocketAddr)], rules: &[PathBuf]) -> String {
    let interval = Duration::from_millis(250).as_millis();
    let mut yaml = format!(
        "global:\n  scrape_interval: {interval}ms\n  scrape_timeout: {interval}ms\n  \
         evaluation_interval: {interval}ms\n"
    );
    if !rules.is_empty() {
        yaml.push_str("rule_files:\n");
        for path in rules {
            writeln!(yaml, "  - {:?}", absolute(path)).expect("writing to a string");
        }
    }
    yaml.push_str("scrape_configs:\n");
    let mut jobs: Vec<(&str, Vec<String>)> = Vec::new();
    for (job, address) in targets {
        let address = format!("\"{address}\"");
        match jobs.iter_mut().find(|(known, _)| known == job) {
            Some((_, addresses)) => addresses.push(address),
            None => jobs.push((job, vec![address])),
        }
    }
    for (job, addresses) in jobs {
        let addresses = addresses.join(", ");
        write!(
            yaml,
            "  - job_name: {job}\n    static_configs:\n      - targets: [{addresses}]\n"
        )
        .expect("writing to a string");
    }
    yaml
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sample(entry: &Value) -> Sample {
    let metric = entry["metric"].as_object().expect("a series");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Sample {
        name: metric.get("__name__").map(text).unwrap_or_default(),
        labels: metric
            .iter()
            .map(|(label, value)| (label.clone(), text(value)))
            .collect(),
        value: text(&entry["value"][1]).parse().expect("a number"),
    }
}

/// For a query string (RFC 3986 § 2.1).
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string");
        }
        encoded
    })
}
