//! A dashboard in a few words, and the JSON that Grafana imports (classic schema 42).

use serde_json::{Value, json};

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
    /// A heading that can be opened; the panels after it lie below it. For what not everybody has.
    Row,
}

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
/// and `[~]` for the range that every rate has.
pub fn expand(query: &str) -> String {
    query
        .replace('%', r#"job=~"$job",instance=~"$instance""#)
        .replace("[~]", "[$__rate_interval]")
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Board {
    pub fn json(&self) -> Value {
        let mut panels: Vec<Value> = Vec::new();
        let (mut x, mut y, mut row_height) = (0, 0, 0);
        for (index, panel) in self.panels.iter().enumerate() {
            if x + panel.width > WIDTH {
                (x, y) = (0, y + row_height);
            }
            row_height = panel.height();
            let json = panel.json(index + 1, x, y);
            let row = panels.last_mut().and_then(|last| last.get_mut("panels"));
            match row.and_then(Value::as_array_mut) {
                Some(below) if !matches!(panel.view, View::Row) => below.push(json),
                _ => panels.push(json),
            }
            x += panel.width;
        }
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
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
            "annotations": {"list": annotations()},
            "templating": {"list": self.variables()},
            "panels": panels,
        })
    }

    fn variables(&self) -> Value {
        let query = |name: &str, label: &str, query: String| {
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
                "allValue": ".+",
                "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
                "hide": 0,
                "options": [],
                "regex": "",
                "skipUrlSync": false,
                "sort": 1,
            })
        };
        json!([
            {
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
            },
            query("job", "Job", format!("label_values({}, job)", self.anchor)),
            query(
                "instance",
                "Instance",
                format!("label_values({}{{job=~\"$job\"}}, instance)", self.anchor),
            ),
        ])
    }
}

fn annotations() -> Value {
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
            "ALERTS{alertname=~\"SSE.+\",alertstate=\"firing\"}",
            "{{alertname}}",
            "{{severity}} {{job}} {{instance}} {{route}}",
        ),
        annotation(
            "Restarts",
            "blue",
            &expand("changes(process_start_time_seconds{%}[5m]) > 0"),
            "Restart",
            "{{instance}}",
        ),
    ])
}

impl Panel {
    const fn height(&self) -> u32 {
        match self.view {
            View::Row => 1,
            // One more, and Grafana draws the past below the number.
            View::Stat { .. } => 5,
            View::Lines | View::Stack | View::Table | View::Listing => 8,
        }
    }

    fn json(&self, id: usize, x: u32, y: u32) -> Value {
        let (kind, options) = match self.view {
            View::Row => {
                return json!({
                    "id": id,
                    "title": self.title,
                    "type": "row",
                    "collapsed": true,
                    "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height()},
                    "panels": [],
                });
            }
            View::Stat { .. } => (
                "stat",
                json!({
                    "colorMode": "value",
                    "graphMode": "area",
                    "justifyMode": "auto",
                    "orientation": "auto",
                    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                    "textMode": "auto",
                    "wideLayout": true,
                }),
            ),
            View::Lines | View::Stack => (
                "timeseries",
                json!({
                    "legend": {
                        "calcs": [],
                        "displayMode": "list",
                        "placement": "bottom",
                        "showLegend": true,
                    },
                    "tooltip": {"mode": "multi", "sort": "desc"},
                }),
            ),
            View::Table | View::Listing => (
                "table",
                json!({
                    "cellHeight": "sm",
                    "footer": {"countRows": false, "fields": "", "reducer": ["sum"], "show": false},
                    "showHeader": true,
                }),
            ),
        };
        let mut panel = json!({
            "id": id,
            "title": self.title,
            "description": self.description,
            "type": kind,
            "datasource": datasource(),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height()},
            "fieldConfig": {"defaults": self.field_defaults(), "overrides": self.overrides()},
            "options": options,
            "targets": self.targets(),
            "transparent": false,
        });
        if self.is_table()
            && let Some(panel) = panel.as_object_mut()
        {
            let mut hidden = json!({"Time": true, "__name__": true});
            if matches!(self.view, View::Listing) {
                hidden["Value"] = json!(true);
            }
            panel.insert(
                "transformations".to_owned(),
                json!([{"id": "organize", "options": {
                    "excludeByName": hidden, "indexByName": {}, "renameByName": {},
                }}]),
            );
        }
        panel
    }

    const fn is_table(&self) -> bool {
        matches!(self.view, View::Table | View::Listing)
    }

    fn field_defaults(&self) -> Value {
        let steps = |warn: f64, alarm: f64| {
            json!([
                {"color": "green", "value": null},
                {"color": "orange", "value": warn},
                {"color": "red", "value": alarm},
            ])
        };
        let mut defaults = json!({
            "color": {"mode": "palette-classic"},
            "unit": self.unit,
            "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}]},
        });
        let Some(fields) = defaults.as_object_mut() else {
            return defaults;
        };
        match self.view {
            View::Stat { warn, alarm } => {
                fields.insert("color".to_owned(), json!({"mode": "thresholds"}));
                if warn < alarm {
                    fields.insert(
                        "thresholds".to_owned(),
                        json!({"mode": "absolute", "steps": steps(warn, alarm)}),
                    );
                }
            }
            View::Lines | View::Stack => {
                let stacked = matches!(self.view, View::Stack);
                fields.insert("min".to_owned(), json!(0));
                fields.insert(
                    "custom".to_owned(),
                    json!({
                        "drawStyle": "line",
                        "lineInterpolation": "linear",
                        "lineWidth": 1,
                        "fillOpacity": if stacked { 30 } else { 10 },
                        "showPoints": "never",
                        "spanNulls": false,
                        "stacking": {"group": "A", "mode": if stacked { "normal" } else { "none" }},
                        "axisPlacement": "auto",
                        "scaleDistribution": {"type": "linear"},
                    }),
                );
            }
            View::Table | View::Listing | View::Row => {}
        }
        defaults
    }

    /// A limit is a line by itself, not something that is used.
    fn overrides(&self) -> Value {
        let has_limit = |(legend, _): &(&str, &str)| legend.ends_with("limit");
        if !self.queries.iter().any(has_limit) {
            return json!([]);
        }
        json!([{
            "matcher": {"id": "byRegexp", "options": "/limit$/"},
            "properties": [
                {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}},
                {"id": "custom.fillOpacity", "value": 0},
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}},
            ],
        }])
    }

    fn targets(&self) -> Value {
        let letters = 'A'..='Z';
        self.queries
            .iter()
            .zip(letters)
            .map(|((legend, query), letter)| {
                let table = self.is_table();
                json!({
                    "refId": letter.to_string(),
                    "datasource": datasource(),
                    "editorMode": "code",
                    "expr": expand(query),
                    "format": if table { "table" } else { "time_series" },
                    "instant": table,
                    "range": !table,
                    "legendFormat": if legend.is_empty() { "__auto" } else { legend },
                })
            })
            .collect()
    }
}
