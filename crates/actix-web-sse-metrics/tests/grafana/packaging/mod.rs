//! What is made of the rules and dashboards for those who run them: Alertmanager's configuration,
//! Kubernetes manifests, alert rules that Grafana manages, a jsonnet mixin.

mod alertmanager;
mod grafana;
mod kubernetes;

#[cfg(test)]
pub use self::{alertmanager::inhibiting_and_inhibited, grafana::panel};
use crate::{boards, rules, settings::Settings};

/// Every file below `grafana/` that is made from the settings, with its content.
pub fn files(settings: &Settings) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for file in rules::files() {
        files.push((format!("rules/{}.yml", file.name), file.yaml(settings)));
    }
    for (name, board) in boards::all() {
        let json = serde_json::to_string_pretty(&board.json(settings)).unwrap_or_default();
        files.push((format!("dashboards/{name}.json"), json + "\n"));
    }
    let mut add = |name: &str, text: String| files.push((name.to_owned(), text));
    add("alertmanager.yml", alertmanager::configuration(settings));
    add("templates/sse.tmpl", alertmanager::TEMPLATE.to_owned());
    add("alerting/rules.yml", grafana::alert_rules(settings));
    add("alerting/recording.yml", grafana::recording_rules(settings));
    for (name, text) in kubernetes::manifests(settings) {
        add(name, text);
    }
    add("mixin.libsonnet", mixin());
    files
}

fn mixin() -> String {
    let boards: String = boards::all()
        .iter()
        .map(|(name, _)| format!("    'sse-{name}.json': import 'dashboards/{name}.json',\n"))
        .collect();
    let groups: Vec<_> = rules::files()
        .iter()
        .map(|file| format!("std.parseYaml(importstr 'rules/{}.yml').groups", file.name))
        .collect();
    format!(
        "// Made by a program; see README.md. The recording rules stand beside the alerts that use them.\n\
         {{\n  prometheusAlerts+:: {{\n    groups+: {},\n  }},\n  grafanaDashboards+:: {{\n{boards}  }},\n}}\n",
        groups.join(" + ")
    )
}
