//! A real Alertmanager.

use std::{fs, net::SocketAddr, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::{LIMIT, Process, Request, free_port, port::local};

/// An Alertmanager that keeps to itself: no cluster, nothing on disk but in a folder of its own.
#[derive(Debug)]
pub struct Alertmanager {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts one with this configuration and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start, or refuses the configuration.
    #[must_use]
    #[track_caller]
    pub fn start(yaml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("alertmanager.yml");
        fs::write(&config, yaml).expect("its configuration is written");
        let address = local(free_port());
        let process = Process::spawn(
            Command::new("prometheus-alertmanager")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!(
                    "--storage.path={}",
                    folder.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={address}"))
                .arg("--cluster.listen-address="),
        );
        process.wait_for_line("word that it listens", LIMIT, |line| {
            (line.contains("Listening on") && line.contains(&address.to_string())).then_some(())
        });
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }

    /// Where Prometheus sends its alerts.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The alerts of this name that it holds, as its API shows them.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    #[track_caller]
    pub fn alerts(&self, name: &str) -> Vec<Value> {
        let answer = Request::new("GET", "/api/v2/alerts").send(self.address);
        let alerts = answer.json();
        let alerts = alerts.as_array().expect("a list of alerts").iter();
        alerts
            .filter(|alert| alert["labels"]["alertname"] == name)
            .cloned()
            .collect()
    }
}
