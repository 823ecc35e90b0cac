//! What a fleet goes through, and which alerts ring for it: each situation is a unit test for
//! `promtool`, and a line of `grafana/rules/situations.md`. `tests/run rules` runs them.
//!
//! A situation is a list of processes with what they count, minute by minute, and what must fire
//! when. Every alert that fires at a time that is looked at must be expected: an alert too many
//! fails the test as an alert too few does.

mod auth;
mod backplane;
mod connections;
mod cors;
mod delivery;
mod fleet;
mod low;
mod origins;
mod probe;
mod replies;
mod series;

use std::{collections::BTreeSet, fmt::Write as _};

pub use series::{Flow, Pod, counter, level};

use crate::rules::quoted;

pub const HOUR: u32 = 60;
pub const DAY: u32 = 24 * HOUR;

/// What lasts longer is not looked at minute by minute to its end.
const LONG: u32 = 8 * HOUR;

/// An alert that is expected.
#[derive(Clone)]
pub struct Ring {
    pub alert: &'static str,
    pub severity: &'static str,
    pub labels: Vec<(&'static str, String)>,
    /// How many of them, where the labels above do not tell them apart.
    pub count: u32,
}

pub fn ring(severity: &'static str, alert: &'static str, labels: &[(&'static str, &str)]) -> Ring {
    Ring {
        alert,
        severity,
        labels: labels
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        count: 1,
    }
}

impl Ring {
    pub fn times(mut self, count: u32) -> Self {
        self.count = count;
        self
    }
}

pub struct Situation {
    pub topology: &'static str,
    pub traffic: &'static str,
    pub fault: &'static str,
    series: Vec<(String, String)>,
    /// At these minutes exactly these alerts fire.
    looks: Vec<(u32, Vec<Ring>)>,
    /// Alerts that may fire or not, because the situation is not about them.
    besides: Vec<&'static str>,
    minutes: u32,
}

impl Situation {
    pub fn new(topology: &'static str, traffic: &'static str, fault: &'static str) -> Self {
        Self {
            topology,
            traffic,
            fault,
            series: Vec::new(),
            looks: Vec::new(),
            besides: Vec::new(),
            minutes: 0,
        }
    }

    pub fn pod(mut self, pod: Pod) -> Self {
        self.series.extend(pod.series());
        self
    }

    pub fn pods(self, pods: impl IntoIterator<Item = Pod>) -> Self {
        pods.into_iter().fold(self, Self::pod)
    }

    pub fn series(mut self, name: &str, values: String) -> Self {
        self.series.push((name.to_owned(), values));
        self
    }

    /// Nothing may fire, from the start until this minute.
    pub fn quiet(mut self, until: u32) -> Self {
        let last = self.looks.last().map_or(0, |(minute, _)| *minute);
        let from = if last == 0 { 3 } else { last };
        for part in 0..=24 {
            let minute = from + (until - from) * part / 24;
            if self.looks.last().is_none_or(|(last, _)| *last < minute) {
                self.looks.push((minute, Vec::new()));
            }
        }
        self.minutes = self.minutes.max(until);
        self
    }

    /// These fire at this minute, until the other, and nothing else does.
    pub fn rings(mut self, from: u32, until: u32, rings: &[Ring]) -> Self {
        for part in 0..=8 {
            let minute = from + (until - from) * part / 8;
            if self.looks.last().is_none_or(|(last, _)| *last < minute) {
                self.looks.push((minute, rings.to_vec()));
            }
        }
        self.minutes = self.minutes.max(until);
        self
    }

    /// Nothing fires any more at this minute.
    pub fn clear(mut self, minute: u32) -> Self {
        self.looks.push((minute, Vec::new()));
        self.minutes = self.minutes.max(minute);
        self
    }

    /// This situation is not about these.
    pub fn besides(mut self, alerts: &[&'static str]) -> Self {
        self.besides.extend(alerts);
        self
    }

    pub fn is_quiet(&self) -> bool {
        self.looks.iter().all(|(_, rings)| rings.is_empty())
    }

    /// Whether nothing louder than `info` may ring.
    pub fn is_at_most_info(&self) -> bool {
        self.rings_at_all()
            .iter()
            .all(|ring| ring.severity == "info")
    }

    pub fn rings_at_all(&self) -> Vec<Ring> {
        let mut seen = BTreeSet::new();
        let rings = self.looks.iter().flat_map(|(_, rings)| rings.clone());
        rings
            .filter(|ring| seen.insert((ring.alert, ring.labels.clone())))
            .collect()
    }

    /// How long the latest of its alerts may take, in minutes from the fault: told by the first look
    /// at which something fires.
    pub fn first_ring(&self) -> Option<u32> {
        let ringing = self.looks.iter().find(|(_, rings)| !rings.is_empty());
        ringing.map(|(minute, _)| *minute)
    }

    fn last_ring(&self) -> Option<u32> {
        let mut looks = self.looks.iter().rev();
        looks
            .find(|(_, rings)| !rings.is_empty())
            .map(|(minute, _)| *minute)
    }

    fn name(&self) -> String {
        format!("{}; {}; {}", self.topology, self.traffic, self.fault)
    }

    /// What is looked at minute by minute: the beginning, or all of it if it does not last long.
    fn beginning(&self) -> u32 {
        let enough = self
            .first_ring()
            .map_or(6 * HOUR, |minute| minute + 2 * HOUR);
        if self.minutes <= LONG {
            self.minutes
        } else {
            self.minutes.min(enough)
        }
    }

    /// The files for `promtool test rules`: what lasts for days is looked at in the beginning minute by minute, and
    /// from beginning to end every ten minutes.
    pub fn yaml(&self) -> Vec<String> {
        let beginning = self.beginning();
        let mut files = vec![self.part(1, 0, beginning)];
        if self.minutes > beginning {
            files.push(self.part(10, beginning, self.minutes));
        }
        files
    }

    fn part(&self, interval: u32, from: u32, until: u32) -> String {
        let mut yaml = format!(
            "rule_files: [{0}/alerts.yml, {0}/probe.yml]\nevaluation_interval: {interval}m\ntests:\n",
            crate::grafana().join("rules").display(),
        );
        let name = quoted(&self.name());
        let _ = writeln!(
            yaml,
            "  - name: {name}\n    interval: 1m\n    input_series:"
        );
        for (series, values) in &self.series {
            let values = quoted(&series::cut(values, until + 1));
            let _ = writeln!(
                yaml,
                "      - series: {}\n        values: {values}",
                quoted(series)
            );
        }
        self.write_looks(&mut yaml, interval, from, until);
        yaml
    }

    fn write_looks(&self, yaml: &mut String, interval: u32, from: u32, until: u32) {
        let labels: BTreeSet<_> = self
            .looks
            .iter()
            .flat_map(|(_, rings)| rings)
            .flat_map(|ring| &ring.labels)
            .map(|(name, _)| *name)
            .collect();
        let mut by = vec!["alertname", "severity"];
        by.extend(labels);
        let besides = match self.besides.join("|") {
            none if none.is_empty() => String::new(),
            some => format!(",alertname!~\"{some}\""),
        };
        let expr = format!(
            "count by ({}) (ALERTS{{alertstate=\"firing\"{besides}}})",
            by.join(", ")
        );
        let _ = writeln!(yaml, "    promql_expr_test:");
        let looks = self
            .looks
            .iter()
            .filter(|(minute, _)| (from..=until).contains(minute));
        for (minute, rings) in looks {
            let minute = minute / interval * interval;
            let _ = writeln!(
                yaml,
                "      - expr: {}\n        eval_time: {minute}m",
                quoted(&expr)
            );
            if rings.is_empty() {
                let _ = writeln!(yaml, "        exp_samples: []");
            } else {
                let _ = writeln!(yaml, "        exp_samples:");
            }
            for ring in rings {
                let mut labels = format!(
                    "alertname=\"{}\",severity=\"{}\"",
                    ring.alert, ring.severity
                );
                for (name, value) in &ring.labels {
                    let _ = write!(labels, ",{name}=\"{value}\"");
                }
                let _ = writeln!(
                    yaml,
                    "          - {{labels: {}, value: {}}}",
                    quoted(&format!("{{{labels}}}")),
                    ring.count
                );
            }
        }
    }
}

/// Situations of a kind.
pub struct Theme {
    pub name: &'static str,
    pub situations: Vec<Situation>,
}

pub fn all() -> Vec<Theme> {
    let theme = |name, situations| Theme { name, situations };
    vec![
        theme("cors", cors::situations()),
        theme("replies", replies::situations()),
        theme("low", low::situations()),
        theme("origins", origins::situations()),
        theme("fleet", fleet::situations()),
        theme("auth", auth::situations()),
        theme("connections", connections::situations()),
        theme("delivery", delivery::situations()),
        theme("backplane", backplane::situations()),
        theme("probe", probe::situations()),
    ]
}

/// The table for people.
pub fn table() -> String {
    let themes = all();
    let count = |quiet: bool| {
        let situations = themes.iter().flat_map(|theme| &theme.situations);
        situations
            .filter(|situation| situation.is_at_most_info() == quiet)
            .count()
    };
    let mut table = format!(
        "# Situations\n\nWhat a fleet goes through, and which alerts ring for it. Each line is a unit test for `promtool` (`tests/run rules`): {} in \
         which something rings, and {} in which nothing louder than `info` does. An alert that rings and is not named here fails \
         the test.\n\nTimes are minutes from the start of the test.\n\n| topology | traffic | fault | rings |\n|---|---|---|---|\n",
        count(false),
        count(true),
    );
    for situation in themes.iter().flat_map(|theme| &theme.situations) {
        let rings: Vec<_> = situation
            .rings_at_all()
            .iter()
            .map(|ring| {
                let labels: Vec<_> = ring
                    .labels
                    .iter()
                    .map(|(_, value)| format!("`{value}`"))
                    .collect();
                format!("{} `{}` {}", ring.severity, ring.alert, labels.join(" "))
            })
            .collect();
        let rings = match (situation.first_ring(), situation.last_ring()) {
            (Some(first), Some(last)) => format!(
                "{}, {first} to {last} min",
                rings.join("; ").replace(" ;", ";")
            ),
            _ => "nothing".to_owned(),
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} |",
            situation.topology,
            situation.traffic,
            situation.fault,
            rings.replace('|', "\\|"),
        );
    }
    table
}
