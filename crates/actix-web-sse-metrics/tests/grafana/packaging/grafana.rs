//! Alert rules that Grafana manages, for those who do not run Alertmanager.

use serde_json::{Value, json};

use crate::{
    boards, panels,
    rules::{self, Alert, Group},
    settings::Settings,
};

/// In Grafana's provisioning format. What they ask for, recorded series included, is in Prometheus.
pub fn alert_rules(settings: &Settings) -> String {
    let groups = rules::files().into_iter().flat_map(|file| file.groups);
    let groups: Vec<_> = groups
        .map(|group| {
            let rules: Vec<_> = group
                .alerts
                .iter()
                .map(|alert| rule(alert, settings))
                .collect();
            json!({
                "orgId": 1,
                "name": group.name,
                "folder": "Event streams",
                "interval": "1m",
                "rules": rules,
            })
        })
        .collect();
    let yaml = serde_yaml_ng::to_string(&json!({"apiVersion": 1, "groups": groups}));
    format!(
        "# Alert rules that Grafana manages: below its provisioning/alerting. Prometheus must have recording.yml.\n{}{}",
        crate::GENERATED,
        yaml.unwrap_or_default()
    )
}

/// The recording rules alone: for a Prometheus beside a Grafana that does the alerts.
pub fn recording_rules(settings: &Settings) -> String {
    let groups = rules::files().into_iter().flat_map(|file| file.groups);
    let groups: Vec<_> = groups
        .filter(|group| !group.records.is_empty())
        .map(|group| Group {
            alerts: Vec::new(),
            ..group
        })
        .collect();
    format!(
        "# What the alerts of rules.yml ask for. Not needed beside ../rules, which has these, too.\n{}{}",
        crate::GENERATED,
        rules::groups_yaml(&groups, settings)
    )
}

fn rule(alert: &Alert, settings: &Settings) -> Value {
    let severity = settings.severity(alert.name, alert.severity);
    let mut labels = json!({"severity": severity});
    if !alert.fault.is_empty() {
        labels["fault"] = json!(alert.fault);
    }
    let [(_, summary), (_, description), (_, runbook), _] = settings.annotations(alert);
    // A value of Prometheus' template is one of query A here.
    let text = |text: String| text.replace("$value", "$values.A.Value");
    let time = |time: &str| {
        if time.is_empty() {
            "0s".to_owned()
        } else {
            time.to_owned()
        }
    };
    json!({
        "uid": alert.name.to_lowercase(),
        "title": alert.name,
        "condition": "C",
        "for": time(alert.after),
        "keepFiringFor": time(alert.keep),
        // The expression has a sample where the alert fires, and none where it does not.
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": labels,
        "annotations": {
            "summary": text(summary),
            "description": text(description),
            "runbook_url": runbook,
            "__dashboardUid__": format!("sse-{}", alert.board),
            "__panelId__": panel(alert, settings).to_string(),
        },
        "data": [
            {
                "refId": "A",
                "relativeTimeRange": {"from": 600, "to": 0},
                "datasourceUid": settings.datasource_uid,
                "model": {
                    "refId": "A",
                    "datasource": {"type": "prometheus", "uid": settings.datasource_uid},
                    "editorMode": "code",
                    "expr": dedent(&settings.expand(alert.expr)),
                    "instant": true,
                    "range": false,
                    "intervalMs": 60_000,
                    "maxDataPoints": 43_200,
                },
            },
            {
                "refId": "C",
                "relativeTimeRange": {"from": 0, "to": 0},
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "C",
                    "type": "math",
                    "datasource": {"type": "__expr__", "uid": "__expr__"},
                    "expression": "is_number($A) || is_inf($A)",
                },
            },
        ],
    })
}

fn dedent(expr: &str) -> String {
    rules::dedent(expr).join("\n")
}

/// The number of the panel on its board that shows what the alert is about; 0 if there is none.
pub fn panel(alert: &Alert, settings: &Settings) -> u64 {
    let boards = boards::all();
    let board = boards.iter().find(|(name, _)| *name == alert.board);
    let json = board.map(|(_, board)| board.json(settings));
    let id = json.as_ref().and_then(|json| {
        let panels = panels::panels(json);
        let panel = panels
            .into_iter()
            .find(|panel| panel["title"] == alert.panel)?;
        panel["id"].as_u64()
    });
    id.unwrap_or_default()
}
