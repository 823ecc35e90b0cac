//! A dashboard in a few words, and the JSON that Grafana imports (classic schema 42).

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{names, settings::Settings};

/// The whole width of a dashboard, in grid columns.
const WIDTH: u32 = 24;

pub struct Board {
    pub uid: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    /// The metric whose labels fill the `job` and `instance` variables.
    pub anchor: &'static str,
    pub panels: Vec<Panel>,
}

pub enum View {
    /// One number, with the value from which it is shown as a warning and as an alarm.
    Stat { warn: f64, alarm: f64 },
    /// Lines over time.
    Lines,
    /// Areas over time, one upon the other.
    Stack,
    /// The latest samples, one row each.
    Table,
    /// Their labels alone: the values say nothing.
    Listing,
    /// Bands of colour over time, one for each series: up to which value which word.
    Timeline(&'static [Step]),
    /// How many values lie where, over time.
    Heatmap,
    /// The alerts that fire.
    Alerts,
    /// Markdown.
    Text(&'static str),
    /// A heading above what follows.
    Heading,
    /// A heading that can be opened; the panels after it lie below it. For what not everybody has.
    Row,
}

/// From this value on, this colour and this word.
pub type Step = (f64, &'static str, &'static str);

pub struct Panel {
    pub title: &'static str,
    pub description: &'static str,
    pub view: View,
    pub unit: &'static str,
    pub width: u32,
    /// Legend and query.
    pub queries: Vec<(&'static str, &'static str)>,
}

pub fn stat(
    title: &'static str,
    unit: &'static str,
    (warn, alarm): (f64, f64),
    query: &'static str,
    description: &'static str,
) -> Panel {
    Panel {
        title,
        description,
        view: View::Stat { warn, alarm },
        unit,
        width: 4,
        queries: vec![("", query)],
    }
}

pub fn lines(
    title: &'static str,
    unit: &'static str,
    queries: &[(&'static str, &'static str)],
    description: &'static str,
) -> Panel {
    Panel {
        title,
        description,
        view: View::Lines,
        unit,
        width: 12,
        queries: queries.to_vec(),
    }
}

pub fn stack(
    title: &'static str,
    unit: &'static str,
    queries: &[(&'static str, &'static str)],
    description: &'static str,
) -> Panel {
    Panel {
        view: View::Stack,
        ..lines(title, unit, queries, description)
    }
}

pub fn table(
    title: &'static str,
    unit: &'static str,
    query: &'static str,
    description: &'static str,
) -> Panel {
    Panel {
        view: View::Table,
        ..lines(title, unit, &[("", query)], description)
    }
}

pub fn listing(
    title: &'static str,
    unit: &'static str,
    query: &'static str,
    description: &'static str,
) -> Panel {
    Panel {
        view: View::Listing,
        ..table(title, unit, query, description)
    }
}

pub fn timeline(
    title: &'static str,
    steps: &'static [Step],
    queries: &[(&'static str, &'static str)],
    description: &'static str,
) -> Panel {
    Panel {
        view: View::Timeline(steps),
        ..lines(title, "short", queries, description)
    }
}

pub fn heatmap(
    title: &'static str,
    unit: &'static str,
    query: &'static str,
    description: &'static str,
) -> Panel {
    Panel {
        view: View::Heatmap,
        ..lines(title, unit, &[("{{le}}", query)], description)
    }
}

pub fn alerts() -> Panel {
    Panel {
        view: View::Alerts,
        ..lines(
            "Firing alerts",
            "none",
            &[],
            "The alerts of this library that fire, with their runbooks.",
        )
    }
}

pub fn text(title: &'static str, markdown: &'static str, description: &'static str) -> Panel {
    Panel {
        view: View::Text(markdown),
        ..lines(title, "none", &[], description)
    }
}

pub fn heading(title: &'static str) -> Panel {
    Panel {
        view: View::Heading,
        ..row(title)
    }
}

pub fn row(title: &'static str) -> Panel {
    Panel {
        title,
        description: "",
        view: View::Row,
        unit: "none",
        width: WIDTH,
        queries: Vec::new(),
    }
}

/// Queries are written with `{%}` or `{%,label="value"}` for the matchers that every selector has,
/// and `[~]` for the range that every rate has. Every variable of the board is a matcher where the
/// metric has the label.
pub fn expand(query: &str, settings: &Settings) -> String {
    let mut parts = query.split("{%");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let name = expanded.rsplit(|c| !word(c)).next().unwrap_or_default();
        let labels = names::labels(name);
        let mut matchers = String::new();
        for variable in fleet(settings).chain(["job", "instance"]) {
            let _ = write!(matchers, "{variable}=~\"${variable}\",");
        }
        for variable in ["route", "origin"] {
            if labels.contains(&variable) {
                let _ = write!(matchers, "{variable}=~\"${variable}\",");
            }
        }
        let _ = write!(expanded, "{{{}{part}", matchers.trim_end_matches(','));
    }
    expanded.replace("[~]", "[$__rate_interval]")
}

/// The labels of the fleet that come before the job.
pub fn fleet(settings: &Settings) -> impl Iterator<Item = &str> {
    let fleet = settings.labels.fleet.iter().map(String::as_str);
    fleet.filter(|label| *label != "job")
}

pub fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Board {
    pub fn json(&self, settings: &Settings) -> Value {
        let mut panels: Vec<Value> = Vec::new();
        let (mut x, mut y, mut row_height) = (0, 0, 0);
        for (index, panel) in self.panels.iter().enumerate() {
            if x + panel.width > WIDTH {
                (x, y) = (0, y + row_height);
            }
            row_height = panel.height();
            let json = panel.json(index + 1, x, y, self.uid, settings);
            let row = panels.last_mut().filter(|last| last["collapsed"] == true);
            let row = row.and_then(|last| last.get_mut("panels"));
            match row.and_then(Value::as_array_mut) {
                Some(below) if !matches!(panel.view, View::Row | View::Heading) => below.push(json),
                _ => panels.push(json),
            }
            x += panel.width;
        }
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": format!(
                "{} Made by a program, so not editable here: \"Save as copy\" makes one that is.",
                self.description
            ),
            "tags": ["actix-web-sse", "sse"],
            "schemaVersion": 42,
            "version": 1,
            "editable": false,
            "graphTooltip": 1,
            "refresh": "30s",
            "timezone": "browser",
            "time": {"from": "now-3h", "to": "now"},
            "timepicker": {},
            "fiscalYearStartMonth": 0,
            "liveNow": false,
            "id": null,
            "links": [{
                "type": "dashboards",
                "title": "Event streams",
                "tags": ["actix-web-sse"],
                "asDropdown": true,
                "includeVars": true,
                "keepTime": true,
                "targetBlank": false,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }],
            "annotations": {"list": annotations(settings)},
            "templating": {"list": self.variables(settings)},
            "panels": panels,
        })
    }

    fn variables(&self, settings: &Settings) -> Value {
        let query = |name: &str, label: &str, all: &str, query: String| {
            json!({
                "name": name,
                "label": label,
                "type": "query",
                "datasource": datasource(),
                "definition": query,
                "query": query,
                "refresh": 2,
                "multi": true,
                "includeAll": true,
                "allValue": all,
                "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
                "hide": 0,
                "options": [],
                "regex": "",
                "skipUrlSync": false,
                "sort": 1,
            })
        };
        let mut variables = vec![json!({
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
            "hide": 0,
            "includeAll": false,
            "multi": false,
            "options": [],
            "refresh": 1,
            "regex": "",
            "skipUrlSync": false,
        })];
        // A label that this Prometheus does not set is matched by `.*`.
        let mut above = Vec::new();
        for label in fleet(settings) {
            let values = format!(
                "label_values({}{{{}}}, {label})",
                self.anchor,
                above.join(",")
            );
            variables.push(query(
                label,
                &capitalized(label),
                ".*",
                values.replace("{}", ""),
            ));
            above.push(format!("{label}=~\"${label}\""));
        }
        for label in ["job", "instance"] {
            let values = format!(
                "label_values({}{{{}}}, {label})",
                self.anchor,
                above.join(",")
            );
            variables.push(query(
                label,
                &capitalized(label),
                ".+",
                values.replace("{}", ""),
            ));
            above.push(format!("{label}=~\"${label}\""));
        }
        for (label, metric) in [
            ("route", "sse_connection_attempts_total"),
            ("origin", "sse_connections_opened_total"),
        ] {
            if self.anchor == "sse_build_info" {
                let values = format!("label_values({metric}{{{}}}, {label})", above.join(","));
                variables.push(query(label, &capitalized(label), ".*", values));
            }
        }
        json!(variables)
    }
}

fn capitalized(text: &str) -> String {
    let (first, rest) = text.split_at(1.min(text.len()));
    first.to_uppercase() + rest
}

fn annotations(settings: &Settings) -> Value {
    let annotation = |name: &str, color: &str, query: &str, title: &str, text: &str| {
        json!({
            "name": name,
            "datasource": datasource(),
            "enable": true,
            "hide": false,
            "iconColor": color,
            "expr": query,
            "titleFormat": title,
            "textFormat": text,
            "step": "30s",
            "useValueForTime": false,
        })
    };
    json!([
        {
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": true,
            "hide": true,
            "iconColor": "rgba(0, 211, 255, 1)",
            "name": "Annotations & Alerts",
            "type": "dashboard",
        },
        annotation(
            "Firing alerts",
            "red",
            &expand("ALERTS{%,alertname=~\"SSE.+\",alertstate=\"firing\"}", settings)
                .replace("=~\"$job\"", "=~\"$job|\"")
                .replace("=~\"$instance\"", "=~\"$instance|\""),
            "{{alertname}}",
            "{{severity}} {{job}} {{instance}} {{route}}",
        ),
        annotation(
            "Restarts",
            "blue",
            &expand("changes(process_start_time_seconds{%}[5m]) > 0", settings),
            "Restart",
            "{{instance}}",
        ),
        annotation(
            "Deployments",
            "purple",
            &expand(
                "count by (job, version) (sse_build_info{%}) unless count by (job, version) (sse_build_info{%} offset 5m)",
                settings,
            ),
            "Another version",
            "{{job}} {{version}}",
        ),
        annotation(
            "Policy changes",
            "yellow",
            &expand(
                "count by (job, policy_hash) (sse_cors_policy_info{%}) unless count by (job, policy_hash) (sse_cors_policy_info{%} offset 5m)",
                settings,
            ),
            "Another CORS policy",
            "{{job}} {{policy_hash}}",
        ),
    ])
}
