//! A panel as Grafana imports it.

use serde_json::{Value, json};

use crate::{
    board::{Panel, View, datasource, expand, fleet},
    settings::Settings,
};

/// Which alerts the list shows: those of the chosen deployments.
fn alert_filter(settings: &Settings) -> String {
    let matchers: Vec<_> = fleet(settings)
        .map(|label| format!("{label}=~\"${{{label}:regex}}\""))
        .collect();
    format!("{{{}}}", matchers.join(","))
}

impl Panel {
    pub const fn height(&self) -> u32 {
        match self.view {
            View::Row | View::Heading => 1,
            // One more, and Grafana draws the past below the number.
            View::Stat { .. } => 5,
            View::Text(_) => 7,
            _ => 8,
        }
    }

    pub fn json(&self, id: usize, x: u32, y: u32, board: &str, settings: &Settings) -> Value {
        let (kind, options) = match self.view {
            View::Alerts => {
                return json!({
                    "id": id,
                    "title": self.title,
                    "description": self.description,
                    "type": "alertlist",
                    "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height()},
                    "options": {
                        "alertName": "SSE",
                        "alertInstanceLabelFilter": alert_filter(settings),
                        "datasource": "$datasource",
                        "groupBy": [],
                        "groupMode": "default",
                        "maxItems": 20,
                        "sortOrder": 3,
                        "stateFilter": {"firing": true, "pending": false, "error": true, "noData": false, "normal": false},
                        "viewMode": "list",
                    },
                });
            }
            View::Text(markdown) => {
                return json!({
                    "id": id,
                    "title": self.title,
                    "description": self.description,
                    "type": "text",
                    "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height()},
                    "options": {"mode": "markdown", "content": markdown.trim()},
                });
            }
            View::Row | View::Heading => {
                return json!({
                    "id": id,
                    "title": self.title,
                    "type": "row",
                    "collapsed": matches!(self.view, View::Row),
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
            View::Timeline(_) => (
                "state-timeline",
                json!({
                    "alignValue": "left",
                    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": false},
                    "mergeValues": true,
                    "rowHeight": 0.8,
                    "showValue": "auto",
                    "tooltip": {"mode": "single", "sort": "none"},
                }),
            ),
            View::Heatmap => (
                "heatmap",
                json!({
                    "calculate": false,
                    "cellGap": 1,
                    "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "scale": "exponential", "fill": "dark-orange", "reverse": false},
                    "exemplars": {"color": "rgba(255,0,255,0.7)"},
                    "filterValues": {"le": 1e-9},
                    "legend": {"show": true},
                    "rowsFrame": {"layout": "auto"},
                    "tooltip": {"mode": "single", "yHistogram": true, "showColorScale": false},
                    "yAxis": {"axisPlacement": "left", "reverse": false, "unit": self.unit},
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
            "fieldConfig": {"defaults": self.field_defaults(board, settings), "overrides": self.overrides()},
            "options": options,
            "targets": self.targets(settings),
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

    fn field_defaults(&self, board: &str, settings: &Settings) -> Value {
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
            "links": self.links(board, settings),
        });
        let Some(fields) = defaults.as_object_mut() else {
            return defaults;
        };
        match self.view {
            View::Stat { warn, alarm } => {
                fields.insert("color".to_owned(), json!({"mode": "thresholds"}));
                let steps = match warn < alarm {
                    true => steps(warn, alarm),
                    // Bad from the first on: nothing between green and red.
                    false if alarm > 0.0 => json!([
                        {"color": "green", "value": null},
                        {"color": "red", "value": alarm},
                    ]),
                    false => json!([{"color": "green", "value": null}]),
                };
                let thresholds = json!({"mode": "absolute", "steps": steps});
                fields.insert("thresholds".to_owned(), thresholds);
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
            View::Timeline(steps) => {
                fields.insert("color".to_owned(), json!({"mode": "thresholds"}));
                fields.insert(
                    "custom".to_owned(),
                    json!({"fillOpacity": 80, "lineWidth": 0, "spanNulls": false}),
                );
                let colours: Vec<_> = steps
                    .iter()
                    .enumerate()
                    .map(|(index, (from, colour, _))| {
                        json!({"color": colour, "value": (index > 0).then_some(from)})
                    })
                    .collect();
                fields.insert(
                    "thresholds".to_owned(),
                    json!({"mode": "absolute", "steps": colours}),
                );
                let mappings: Vec<_> = steps
                    .iter()
                    .enumerate()
                    .map(|(index, (from, colour, word))| {
                        let to = steps.get(index + 1).map(|(next, _, _)| next - 1e-9);
                        json!({"type": "range", "options": {
                            "from": from, "to": to, "result": {"text": word, "color": colour, "index": index},
                        }})
                    })
                    .collect();
                fields.insert("mappings".to_owned(), json!(mappings));
            }
            View::Heatmap => {
                fields.insert(
                    "custom".to_owned(),
                    json!({"scaleDistribution": {"type": "linear"}}),
                );
            }
            View::Table
            | View::Listing
            | View::Row
            | View::Heading
            | View::Alerts
            | View::Text(_) => {}
        }
        defaults
    }

    /// From a value to the runbook, to the boards that say more, and to the logs.
    fn links(&self, board: &str, settings: &Settings) -> Value {
        let link =
            |title: &str, url: String| json!({"title": title, "url": url, "targetBlank": true});
        let mut links = vec![link("Runbook", settings.runbook())];
        let shows = |label: &str| {
            let queries = self.queries.iter();
            queries.clone().any(|(legend, query)| {
                legend.contains(&format!("{{{{{label}}}}}"))
                    || query.contains(&format!("({label})"))
            })
        };
        for (label, other, title) in [
            ("origin", "cors", "This origin"),
            ("route", "delivery", "Delivery of this route"),
            ("instance", "connections", "Connections of this instance"),
        ] {
            if shows(label) && board != format!("sse-{other}") {
                let variable = format!("var-{label}=${{__field.labels.{label}}}");
                links.push(link(
                    title,
                    format!("/d/sse-{other}?${{__url_time_range}}&{variable}"),
                ));
            }
        }
        if !settings.logs_url.is_empty() {
            let url = settings.logs_url.replace("{query}", "${__field.labels}");
            links.push(link("Logs", url));
        }
        json!(links)
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

    fn targets(&self, settings: &Settings) -> Value {
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
                    "expr": expand(query, settings),
                    "format": match self.view {
                        View::Heatmap => "heatmap",
                        _ if table => "table",
                        _ => "time_series",
                    },
                    "instant": table,
                    "range": !table,
                    "legendFormat": if legend.is_empty() { "__auto" } else { legend },
                })
            })
            .collect()
    }
}
