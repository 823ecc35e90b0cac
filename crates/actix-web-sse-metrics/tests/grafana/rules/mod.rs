//! The recording and alert rules, and the files that Prometheus reads.
//!
//! Expressions are written with these abbreviations:
//!
//! | | |
//! |---|---|
//! | `<F>` | the labels that tell one deployment from another |
//! | `<I>` | those, and the labels that tell one process from another |
//! | `<S>` | the labels that a probe and its servers have in common |
//! | `{%}`, `{%,a="b"}` | a selector, with the matchers of the settings |
//! | `<t name>` | a threshold of the settings |
//! | `<inc selector range>` | the increase of a counter that may be new: see [`increase`] |
//!
//! and texts with `<place>`, which names the deployment, and `<process>`, which names the process.

mod auth;
mod backplane;
mod connections;
mod cors;
mod delivery;
mod health;
mod origins;
mod probe;

use std::fmt::Write as _;

use crate::{boards, settings::Settings};

/// A recording rule.
pub struct Record {
    pub name: &'static str,
    pub expr: &'static str,
}

/// An alert rule.
#[derive(Debug, Clone)]
pub struct Alert {
    pub name: &'static str,
    pub expr: &'static str,
    /// How long the condition must hold: `2m`.
    pub after: &'static str,
    /// How long the alert stays when the condition no longer holds.
    pub keep: &'static str,
    pub severity: &'static str,
    /// The cause that several alerts may point to; Alertmanager groups by it.
    pub fault: &'static str,
    /// The dashboard that shows it, and the panel.
    pub board: &'static str,
    pub panel: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
}

/// What most alerts have.
pub const ALERT: Alert = Alert {
    name: "",
    expr: "",
    after: "",
    keep: "",
    severity: "warning",
    fault: "",
    board: "overview",
    panel: "",
    summary: "",
    description: "",
};

pub struct Group {
    pub name: &'static str,
    pub records: Vec<Record>,
    pub alerts: Vec<Alert>,
}

/// One file of rules.
pub struct File {
    pub name: &'static str,
    pub comment: &'static str,
    pub groups: Vec<Group>,
}

/// Everything. Recorded series stand in the group of the alerts that use them: rules of a group
/// are evaluated in order.
pub fn files() -> [File; 2] {
    [
        File {
            name: "alerts",
            comment: "Rules for what actix-web-sse-metrics exports. Each alert has a section in runbook.md.",
            groups: vec![
                cors::group(),
                origins::group(),
                auth::group(),
                connections::group(),
                delivery::group(),
                backplane::group(),
                health::group(),
            ],
        },
        File {
            name: "probe",
            comment: "Rules for what sse-probe exports. Each alert has a section in runbook.md.",
            groups: vec![probe::group()],
        },
    ]
}

/// Every alert of every file.
pub fn alerts() -> Vec<Alert> {
    let groups = files().into_iter().flat_map(|file| file.groups);
    groups.flat_map(|group| group.alerts).collect()
}

/// The increase of a counter over a range, also if its first sample lies within: `increase` does
/// not see what happened before it. A counter is new only if it was not there in the quarter of an
/// hour before the range, nor an hour and a day ago, so that a gap in the scrapes does not make its
/// whole value an increase, of a process that is minutes old neither.
fn increase(selector: &str, range: &str) -> String {
    let earlier = if range == "1h" { "3h" } else { "1h" };
    format!(
        "(({selector} unless (last_over_time({selector}[15m] offset {range}) or {selector} offset \
         {earlier} or {selector} offset 1d)) or increase({selector}[{range}]))"
    )
}

impl Settings {
    /// The expression that is meant by the abbreviated one.
    pub fn expand(&self, expr: &str) -> String {
        let fleet = self.labels.fleet.join(", ");
        let instance = [&*self.labels.fleet, &*self.labels.instance].concat();
        let mut text = expr
            .replace("<F>", &fleet)
            .replace("<I>", &instance.join(", "))
            .replace("<S>", &self.labels.site.join(", "));
        text = replace_each(&text, "<t ", |name| self.threshold(name).to_string());
        text = replace_each(&text, "<inc ", |counter| {
            let (selector, range) = counter.rsplit_once(' ').unwrap_or((counter, "5m"));
            increase(selector, range)
        });
        match self.selector.is_empty() {
            true => text.replace("{%}", "").replace("{%,", "{"),
            false => text.replace('%', &self.selector),
        }
    }

    fn text(&self, text: &str) -> String {
        let labels = |names: &[String]| {
            let last = names.len().saturating_sub(1);
            names
                .iter()
                .enumerate()
                .map(|(index, name)| {
                    let slash = if index == last { "" } else { "/" };
                    format!("{{{{ with $labels.{name} }}}}{{{{ . }}}}{slash}{{{{ end }}}}")
                })
                .collect::<String>()
        };
        let process: Vec<_> = self.labels.instance.first().into_iter().cloned().collect();
        text.replace("<place>", &labels(&self.labels.fleet))
            .replace("<process>", &labels(&process))
    }

    /// Where the runbook is.
    pub fn runbook(&self) -> String {
        match &*self.runbook_url {
            "" => format!("{}/d/sse-runbook", self.grafana_url),
            url => url.to_owned(),
        }
    }

    /// Where it is about an alert.
    pub fn runbook_of(&self, alert: &Alert) -> String {
        let place = match &*self.runbook_url {
            "" => format!("?viewPanel={}", boards::runbook::panel(alert.name)),
            _ => format!("#{}", alert.name.to_lowercase()),
        };
        self.runbook() + &place
    }

    /// The dashboard, with the variables that the alert has labels for.
    pub fn dashboard(&self, alert: &Alert) -> String {
        let mut url = format!("{}/d/sse-{}?from=now-3h", self.grafana_url, alert.board);
        let labels = [
            &*self.labels.fleet,
            &["instance", "route", "origin"].map(String::from),
        ];
        for label in labels.concat() {
            let _ = write!(
                url,
                "{{{{ with $labels.{label} }}}}&var-{label}={{{{ . | urlquery }}}}{{{{ end }}}}"
            );
        }
        url
    }

    pub fn annotations(&self, alert: &Alert) -> [(&'static str, String); 4] {
        [
            ("summary", self.text(alert.summary)),
            ("description", self.text(alert.description)),
            ("runbook_url", self.runbook_of(alert)),
            ("dashboard_url", self.dashboard(alert)),
        ]
    }
}

fn replace_each(text: &str, start: &str, with: impl Fn(&str) -> String) -> String {
    let mut parts = text.split(start);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inside, rest) = part.split_once('>').unwrap_or((part, ""));
        replaced.push_str(&with(inside));
        replaced.push_str(rest);
    }
    replaced
}

impl File {
    /// The file as Prometheus reads it.
    pub fn yaml(&self, settings: &Settings) -> String {
        let mut yaml = format!("# {}\n{}", self.comment, crate::GENERATED);
        yaml.push_str(&groups_yaml(&self.groups, settings));
        yaml
    }
}

/// `groups:`, as in a rule file and in the specification of a `PrometheusRule`.
pub fn groups_yaml(groups: &[Group], settings: &Settings) -> String {
    let mut yaml = "groups:\n".to_owned();
    for group in groups {
        let _ = writeln!(yaml, "  - name: {}\n    rules:", group.name);
        for record in &group.records {
            let _ = writeln!(yaml, "      - record: {}", record.name);
            write_expr(&mut yaml, &settings.expand(record.expr));
        }
        for alert in &group.alerts {
            write_alert(&mut yaml, alert, settings);
        }
    }
    yaml
}

fn write_alert(yaml: &mut String, alert: &Alert, settings: &Settings) {
    let _ = writeln!(yaml, "      - alert: {}", alert.name);
    write_expr(yaml, &settings.expand(alert.expr));
    for (key, time) in [("for", alert.after), ("keep_firing_for", alert.keep)] {
        if !time.is_empty() {
            let _ = writeln!(yaml, "        {key}: {time}");
        }
    }
    let severity = settings.severity(alert.name, alert.severity);
    let _ = writeln!(yaml, "        labels:\n          severity: {severity}");
    if !alert.fault.is_empty() {
        let _ = writeln!(yaml, "          fault: {}", alert.fault);
    }
    let _ = writeln!(yaml, "        annotations:");
    for (key, text) in settings.annotations(alert) {
        let _ = writeln!(yaml, "          {key}: {}", quoted(&text));
    }
}

fn write_expr(yaml: &mut String, expr: &str) {
    let lines = dedent(expr);
    match &*lines {
        [line] if !line.contains([':', '#', '{']) => {
            let _ = writeln!(yaml, "        expr: {line}");
        }
        lines => {
            let _ = writeln!(yaml, "        expr: |");
            for line in lines {
                let _ = writeln!(yaml, "          {line}");
            }
        }
    }
}

/// The lines without the indentation that they have in the source.
pub fn dedent(text: &str) -> Vec<String> {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let least = lines.iter().map(indent).min().unwrap_or_default();
    let cut = |line: &&str| line.get(least..).unwrap_or_default().trim_end().to_owned();
    lines.iter().map(cut).collect()
}

/// A YAML string.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn a_counter_that_may_be_new_is_compared_with_what_was_before() {
    assert_eq!(
        increase("x", "5m"),
        "((x unless (last_over_time(x[15m] offset 5m) or x offset 1h or x offset 1d)) or increase(x[5m]))"
    );
}
