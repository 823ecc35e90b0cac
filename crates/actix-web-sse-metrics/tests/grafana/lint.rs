//! The seventeen rules of Grafana's dashboard-linter, without exclusions.

use serde_json::Value;

use crate::panels::list;
pub use crate::panels::panels;

use crate::promql::{Selector, selectors};

/// A rule's name and what it finds wrong with a dashboard.
pub type Rule = (&'static str, fn(&Value) -> Vec<String>);

pub const RULES: [Rule; 17] = [
    ("template-datasource-rule", template_datasource),
    ("template-job-rule", |board| template(board, "job", "Job")),
    ("template-instance-rule", |board| {
        template(board, "instance", "Instance")
    }),
    ("template-label-promql-rule", template_label_promql),
    ("template-on-time-change-reload-rule", template_reload),
    ("panel-datasource-rule", panel_datasource),
    ("panel-title-description-rule", panel_title_description),
    ("panel-units-rule", panel_units),
    ("panel-no-targets-rule", panel_targets),
    ("target-logql-rule", no_loki),
    ("target-logql-auto-rule", no_loki),
    ("target-promql-rule", target_promql),
    ("target-rate-interval-rule", target_rate_interval),
    ("target-job-rule", |board| {
        target_matcher(board, "job", "$job")
    }),
    ("target-instance-rule", |board| {
        target_matcher(board, "instance", "$instance")
    }),
    ("target-counter-agg-rule", target_counter_agg),
    ("uneditable-dashboard", uneditable),
];

/// The units that our panels may have: of the linter's list, those that make sense here.
const UNITS: [&str; 10] = [
    "short",
    "percentunit",
    "s",
    "bytes",
    "Bps",
    "cps",
    "ops",
    "reqps",
    "none",
    "bool",
];

/// Every query of every panel, with the panel's title.
pub fn queries(board: &Value) -> Vec<(&str, &str)> {
    panels(board)
        .into_iter()
        .flat_map(|panel| {
            let title = panel["title"].as_str().unwrap_or_default();
            list(panel, "/targets")
                .into_iter()
                .map(move |target| (title, target["expr"].as_str().unwrap_or_default()))
        })
        .collect()
}

fn variables<'a>(board: &'a Value, kind: &str) -> Vec<&'a Value> {
    let mut variables = list(board, "/templating/list");
    variables.retain(|variable| variable["type"] == kind);
    variables
}

fn fault(ok: bool, text: impl Into<String>) -> Option<String> {
    (!ok).then(|| text.into())
}

fn template_datasource(board: &Value) -> Vec<String> {
    match *variables(board, "datasource") {
        [one] => [
            fault(
                one["name"] == "datasource",
                "the variable is not called datasource",
            ),
            fault(
                one["label"] == "Data source",
                "the variable is not labelled Data source",
            ),
            fault(
                one["query"] == "prometheus",
                "the variable is not for Prometheus",
            ),
        ]
        .into_iter()
        .flatten()
        .collect(),
        _ => vec!["there is not one variable for the data source".to_owned()],
    }
}

fn template(board: &Value, name: &str, label: &str) -> Vec<String> {
    let variables = list(board, "/templating/list");
    let Some(variable) = variables.iter().find(|variable| variable["name"] == name) else {
        return vec![format!("there is no variable {name}")];
    };
    let source = variable["datasource"]["uid"].as_str().unwrap_or_default();
    [
        fault(
            ["$datasource", "${datasource}"].contains(&source),
            "its data source is fixed",
        ),
        fault(variable["type"] == "query", "it is no query"),
        fault(
            variable["label"] == label,
            format!("it is not labelled {label}"),
        ),
        fault(variable["multi"] == true, "it takes one value only"),
        fault(variable["allValue"] == ".+", "its value for all is not .+"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn template_label_promql(board: &Value) -> Vec<String> {
    variables(board, "query")
        .into_iter()
        .filter_map(|variable| {
            let query = variable["query"].as_str()?;
            let inner = query
                .strip_prefix("label_values(")
                .and_then(|rest| rest.strip_suffix(')'));
            let selector = inner.and_then(|inner| inner.rsplit_once(", "));
            let ok = selector.is_some_and(|(selector, _)| selectors(selector).is_ok());
            fault(ok, format!("{query} is no query for labels"))
        })
        .collect()
}

fn template_reload(board: &Value) -> Vec<String> {
    variables(board, "query")
        .into_iter()
        .filter_map(|variable| {
            fault(
                variable["refresh"] == 2,
                format!("{} does not reload", variable["name"]),
            )
        })
        .collect()
}

fn of_panels(board: &Value, check: impl Fn(&Value) -> bool, text: &str) -> Vec<String> {
    // A list of alerts and a text ask Prometheus for nothing: the linter looks at panels that draw queries.
    let drawn = panels(board).into_iter();
    drawn
        .filter(|panel| panel["type"] != "alertlist" && panel["type"] != "text")
        .filter_map(|panel| fault(check(panel), format!("{} {text}", panel["title"])))
        .collect()
}

fn panel_datasource(board: &Value) -> Vec<String> {
    let chosen = |panel: &Value| panel["datasource"]["uid"] == "${datasource}";
    of_panels(board, chosen, "does not use the chosen data source")
}

fn panel_title_description(board: &Value) -> Vec<String> {
    let told = |panel: &Value| {
        ["title", "description"]
            .iter()
            .all(|key| panel[key].as_str().is_some_and(|text| !text.is_empty()))
    };
    of_panels(board, told, "has no title or no description")
}

fn panel_units(board: &Value) -> Vec<String> {
    let unit = |panel: &Value| {
        let unit = panel
            .pointer("/fieldConfig/defaults/unit")
            .and_then(Value::as_str);
        unit.is_some_and(|unit| UNITS.contains(&unit))
    };
    of_panels(board, unit, "has no valid unit")
}

fn panel_targets(board: &Value) -> Vec<String> {
    of_panels(
        board,
        |panel| !list(panel, "/targets").is_empty(),
        "has no query",
    )
}

/// There is no Loki here, so no query of its to be wrong; a test of ours, not an exclusion.
fn no_loki(board: &Value) -> Vec<String> {
    let prometheus = |value: &Value| value["datasource"]["type"] == "prometheus";
    let all =
        |panel: &Value| prometheus(panel) && list(panel, "/targets").into_iter().all(prometheus);
    of_panels(board, all, "asks something else than Prometheus")
}

fn target_promql(board: &Value) -> Vec<String> {
    queries(board)
        .into_iter()
        .filter_map(|(title, query)| {
            let error = selectors(query).err()?;
            Some(format!("{title}: {error}: {query}"))
        })
        .collect()
}

fn of_selectors(board: &Value, check: impl Fn(&Selector) -> bool, text: &str) -> Vec<String> {
    queries(board)
        .into_iter()
        .flat_map(|(title, query)| {
            let selectors = selectors(query).unwrap_or_default();
            let wrong = selectors.into_iter().filter(|selector| !check(selector));
            wrong
                .map(|selector| format!("{title}: {} {text}", selector.name))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn target_rate_interval(board: &Value) -> Vec<String> {
    let rate = |selector: &Selector| {
        !matches!(selector.function, Some("rate" | "irate")) || selector.ranges_over_rate_interval()
    };
    of_selectors(board, rate, "has a fixed range")
}

fn target_matcher(board: &Value, label: &str, pattern: &str) -> Vec<String> {
    let text = format!("has no {label}=~\"{pattern}\"");
    of_selectors(
        board,
        |selector| selector.matches_regex(label, pattern),
        &text,
    )
}

fn target_counter_agg(board: &Value) -> Vec<String> {
    let rated = |selector: &Selector| {
        !selector.name.ends_with("_total")
            || matches!(selector.function, Some("rate" | "irate" | "increase"))
    };
    of_selectors(board, rated, "is a counter without a rate")
}

fn uneditable(board: &Value) -> Vec<String> {
    fault(board["editable"] == false, "it is editable")
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{board, boards};

    fn sound() -> Value {
        boards::all()[0].1.json(&crate::settings())
    }

    /// Breaks a sound dashboard and says which rules notice.
    fn noticed(pointer: &str, value: Value) -> Vec<&'static str> {
        let mut board = sound();
        *board.pointer_mut(pointer).unwrap() = value;
        RULES
            .iter()
            .filter(|(_, rule)| !rule(&board).is_empty())
            .map(|(name, _)| *name)
            .collect()
    }

    #[test]
    fn every_rule_notices_what_it_is_there_for() {
        let query = |text: &str| json!(board::expand(text, &crate::settings()));
        let target = "/panels/1/targets/0/expr";
        for (pointer, value, rule) in [
            (
                "/templating/list/0/name",
                json!("source"),
                "template-datasource-rule",
            ),
            (
                "/templating/list/3/multi",
                json!(false),
                "template-job-rule",
            ),
            (
                "/templating/list/4/allValue",
                json!(".*"),
                "template-instance-rule",
            ),
            (
                "/templating/list/3/query",
                json!("label_values(, job)"),
                "template-label-promql-rule",
            ),
            (
                "/templating/list/3/refresh",
                json!(1),
                "template-on-time-change-reload-rule",
            ),
            (
                "/panels/1/datasource/uid",
                json!("abc"),
                "panel-datasource-rule",
            ),
            (
                "/panels/1/description",
                json!(""),
                "panel-title-description-rule",
            ),
            (
                "/panels/1/fieldConfig/defaults/unit",
                json!("apples"),
                "panel-units-rule",
            ),
            ("/panels/1/targets", json!([]), "panel-no-targets-rule"),
            (
                "/panels/1/targets/0/datasource/type",
                json!("loki"),
                "target-logql-rule",
            ),
            (
                "/panels/1/targets/0/datasource/type",
                json!("loki"),
                "target-logql-auto-rule",
            ),
            (target, json!("sum(("), "target-promql-rule"),
            (
                target,
                query("sum(rate(sse_sent_bytes_total{%}[5m]))"),
                "target-rate-interval-rule",
            ),
            (
                target,
                json!("sse_clients{instance=~\"$instance\"}"),
                "target-job-rule",
            ),
            (
                target,
                json!("sse_clients{job=~\"$job\"}"),
                "target-instance-rule",
            ),
            (
                target,
                query("sum(sse_sent_bytes_total{%})"),
                "target-counter-agg-rule",
            ),
            ("/editable", json!(true), "uneditable-dashboard"),
        ] {
            assert!(noticed(pointer, value).contains(&rule), "{rule}");
        }
    }
}
