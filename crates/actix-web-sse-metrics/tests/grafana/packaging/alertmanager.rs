//! Who is told of an alert, and which alerts hold back which.

use std::fmt::Write as _;

use crate::{rules::quoted, settings::Settings};

/// Which alerts hold back which, for the same values of these labels: the cause its symptom.
const INHIBITIONS: [(&str, &str, Equal); 10] = [
    (
        "SSECorsRegression",
        "SSEImmediateCloseRateHigh|SSECorsRegressionLikely",
        Equal::Origin,
    ),
    (
        "SSECorsRegressionLikely",
        "SSEImmediateCloseRateHigh",
        Equal::Origin,
    ),
    (
        "SSECorsOpenedDenied",
        "SSECorsRegression|SSECorsRegressionLikely",
        Equal::Route,
    ),
    ("SSEOriginLost", "SSERejectedOriginSpike", Equal::Origin),
    ("SSEMassDisconnect", "SSEReconnectStorm", Equal::Fleet),
    (
        "SSECapacityExceeded",
        "SSECapacityNearLimit",
        Equal::Instance,
    ),
    ("SSEWorkerStuck", "SSEStreamSilent", Equal::Instance),
    (
        "SSEBackplaneLost",
        "SSEBackplaneLag|SSEPublicationsFailed",
        Equal::Instance,
    ),
    (
        "SSEProbeServerDisagree",
        "SSEProbeCorsHeaderMissing",
        Equal::Instance,
    ),
    (
        "SSEProbeCorsHeaderMissing|SSEProbeServerDisagree|SSEProbeForeignOriginAllowed|SSEProbeVaryMissing|SSEProbeAuthBypass|SSEProbeBuffering",
        "SSEProbeFailed",
        Equal::Instance,
    ),
];

enum Equal {
    Fleet,
    Route,
    Origin,
    Instance,
}

impl Equal {
    fn labels(&self, settings: &Settings) -> Vec<String> {
        let more: &[&str] = match self {
            Self::Fleet => &[],
            Self::Route => &["route"],
            Self::Origin => &["route", "origin"],
            Self::Instance => {
                return [&*settings.labels.fleet, &*settings.labels.instance].concat();
            }
        };
        let more: Vec<_> = more.iter().map(|label| (*label).to_owned()).collect();
        [&*settings.labels.fleet, &*more].concat()
    }
}

/// Every alert that holds back another, and every one that is held back.
#[cfg(test)]
pub fn inhibiting_and_inhibited() -> impl Iterator<Item = &'static str> {
    let pairs = INHIBITIONS.iter();
    pairs.flat_map(|(source, target, _)| source.split('|').chain(target.split('|')))
}

pub fn configuration(settings: &Settings) -> String {
    let site = settings.labels.site.join(", ");
    let alertmanager = &settings.alertmanager;
    let (file, channel) = (
        quoted(&alertmanager.slack_url_file),
        quoted(&alertmanager.slack_channel),
    );
    let pager = match &*alertmanager.pager_url {
        "" => String::new(),
        url => format!(
            "    webhook_configs:\n      - url: {}\n        send_resolved: true\n",
            quoted(url)
        ),
    };
    let mut text = format!(
        "# Who is told of an alert, and which alerts hold back which.\n{}\
         # One fault is one message: alerts that point to the same cause at the same place come together.\n\
         route:\n  receiver: chat\n  group_by: [{site}, fault]\n  group_wait: 30s\n  group_interval: 5m\n  \
         repeat_interval: 4h\n  routes:\n    - matchers: [severity = critical]\n      receiver: pager\n      \
         group_wait: 10s\n      repeat_interval: 1h\n    - matchers: [severity = info]\n      receiver: chat\n      \
         repeat_interval: 24h\n\n\
         templates:\n  - templates/*.tmpl\n\n",
        crate::GENERATED,
    );
    let slack = format!(
        "    slack_configs:\n      - api_url_file: {file}\n        channel: {channel}\n        send_resolved: true\n        \
         title: '{{{{ template \"sse.title\" . }}}}'\n        text: '{{{{ template \"sse.text\" . }}}}'\n        \
         color: '{{{{ template \"sse.color\" . }}}}'\n        actions:\n          - type: button\n            text: Runbook\n            \
         url: '{{{{ (index .Alerts 0).Annotations.runbook_url }}}}'\n          - type: button\n            text: Dashboard\n            \
         url: '{{{{ (index .Alerts 0).Annotations.dashboard_url }}}}'\n          - type: button\n            text: Silence\n            \
         url: '{{{{ template \"sse.silence\" . }}}}'\n"
    );
    let _ = write!(
        text,
        "receivers:\n  - name: chat\n{slack}  - name: pager\n{slack}{pager}\n# The cause holds back its symptoms.\ninhibit_rules:\n"
    );
    for (source, target, equal) in &INHIBITIONS {
        let _ = writeln!(
            text,
            "  - source_matchers: ['alertname =~ \"{source}\"']\n    target_matchers: ['alertname =~ \"{target}\"']\n    equal: [{}]",
            equal.labels(settings).join(", "),
        );
    }
    text
}

pub const TEMPLATE: &str = r#"{{/* Messages about event streams. Made by a program; see README.md. */}}
{{ define "sse.title" -}}
[{{ .Status | toUpper }}{{ if eq .Status "firing" }} {{ .Alerts.Firing | len }}{{ end }}] {{ with .GroupLabels.fault }}{{ . }}: {{ end }}{{ (index .Alerts 0).Annotations.summary }}
{{- end }}

{{ define "sse.text" -}}
{{ range .Alerts -}}
*{{ .Labels.alertname }}* ({{ .Labels.severity }}){{ if eq .Status "resolved" }} is over{{ end }}
{{ .Annotations.summary }}
{{ .Annotations.description }}
{{ with .Annotations.runbook_url }}<{{ . }}|Runbook>{{ end }} {{ with .Annotations.dashboard_url }}<{{ . }}|Dashboard>{{ end }}

{{ end -}}
{{- end }}

{{ define "sse.color" -}}
{{ if eq .Status "resolved" }}good{{ else if eq .CommonLabels.severity "critical" }}danger{{ else }}warning{{ end }}
{{- end }}

{{ define "sse.silence" -}}
{{ .ExternalURL }}/#/silences/new?filter=%7B{{ range $index, $label := .GroupLabels.SortedPairs }}{{ if $index }}%2C{{ end }}{{ $label.Name }}%3D%22{{ $label.Value | urlquery }}%22{{ end }}%7D
{{- end }}
"#;
