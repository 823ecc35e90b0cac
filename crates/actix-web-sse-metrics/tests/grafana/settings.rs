//! The one configuration of what is generated: `grafana/settings.yml`.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub labels: Labels,
    /// Matchers for every selector of the rules, without braces.
    pub selector: String,
    pub grafana_url: String,
    /// Empty: the dashboard that has the runbook.
    pub runbook_url: String,
    pub logs_url: String,
    thresholds: BTreeMap<String, f64>,
    severities: BTreeMap<String, String>,
    pub alertmanager: Alertmanager,
    pub kubernetes: Kubernetes,
    pub datasource_uid: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// What tells one deployment from another.
    pub fleet: Vec<String>,
    /// What tells one process from another, besides those.
    pub instance: Vec<String>,
    /// What a probe and the servers that it looks at have in common.
    pub site: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// The file that has the URL of Slack's webhook in it: a secret.
    pub slack_url_file: String,
    pub slack_channel: String,
    /// Who is called for what is critical.
    pub pager_url: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub dashboard_label: BTreeMap<String, String>,
    pub dashboard_folder: String,
    pub image: String,
    pub probe_image: String,
    pub replicas: u32,
    pub drain_seconds: u32,
    pub pre_stop_seconds: u32,
    pub probe_targets: Vec<String>,
    pub probe_module: String,
    pub probe_origin: String,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// What is missing, unknown or no severity.
    pub fn parse(text: &str) -> Result<Self, String> {
        let settings: Self =
            serde_yaml_ng::from_str(text).map_err(|why| format!("the settings: {why}"))?;
        for (alert, severity) in &settings.severities {
            if !["critical", "warning", "info"].contains(&severity.as_str()) {
                return Err(format!(
                    "severities: {alert}: {severity}: it must be critical, warning or info"
                ));
            }
        }
        Ok(settings)
    }

    pub fn threshold(&self, name: &str) -> f64 {
        let threshold = self.thresholds.get(name);
        *threshold.unwrap_or_else(|| panic!("thresholds: {name} is missing from the settings"))
    }

    pub fn severity<'a>(&'a self, alert: &str, usual: &'a str) -> &'a str {
        self.severities.get(alert).map_or(usual, String::as_str)
    }

    /// The alerts whose severity is another than the usual one.
    pub fn regraded(&self) -> impl Iterator<Item = &str> {
        self.severities.keys().map(String::as_str)
    }
}
