//! What rang, when, and whether it should have.

use std::{collections::BTreeMap, time::Duration};

use actix_web_sse_tests::Prometheus;

use crate::cell::Cell;

/// When the fault begins, when it is mended, when the program ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phases {
    pub(crate) fault: Duration,
    pub(crate) mended: Duration,
    pub(crate) end: Duration,
}

/// An alert of a namespace, with its severity and route.
type Key = (String, String, String, String);

pub(crate) struct Report {
    phases: Phases,
    /// When each alert was first and last seen firing.
    seen: BTreeMap<Key, (Duration, Duration)>,
    latest: Duration,
}

impl Report {
    pub(crate) fn new(phases: Phases) -> Self {
        Self {
            phases,
            seen: BTreeMap::new(),
            latest: Duration::ZERO,
        }
    }

    /// Looks every five seconds.
    pub(crate) fn look(&mut self, now: Duration, prometheus: &Prometheus) {
        if now < self.latest + Duration::from_secs(5) {
            return;
        }
        self.latest = now;
        for alert in prometheus.query("ALERTS{alertstate='firing'}") {
            let label = |name: &str| alert.labels.get(name).cloned().unwrap_or_default();
            let key = (
                label("namespace"),
                label("alertname"),
                label("severity"),
                label("route"),
            );
            self.seen.entry(key).or_insert((now, now)).1 = now;
        }
    }

    /// Prints the table. How many cells are wrong: silent, or ringing for nothing.
    pub(crate) fn print(&self, cells: &[Cell], counts: &[String]) -> usize {
        println!("| cell | visitors | rang | wrong |\n|---|---|---|---|");
        let mut wrong_cells = 0;
        for (cell, count) in cells.iter().zip(counts) {
            let (rang, wrong) = self.of(cell);
            wrong_cells += usize::from(!wrong.is_empty());
            println!(
                "| {} | {count} | {} | {} |",
                cell.name(),
                rang.join("; "),
                wrong.join("; ")
            );
        }
        println!("{wrong_cells} of {} cells wrong", cells.len());
        wrong_cells
    }

    fn of(&self, cell: &Cell) -> (Vec<String>, Vec<String>) {
        let (mut rang, mut wrong) = (Vec::new(), Vec::new());
        let mut found = false;
        let of_cell = self
            .seen
            .iter()
            .filter(|((namespace, ..), _)| *namespace == cell.name());
        for ((_, alert, severity, route), (first, last)) in of_cell {
            let since = first.as_secs_f64() - self.phases.fault.as_secs_f64();
            let still = if *last + Duration::from_secs(10) >= self.phases.end {
                ", still on"
            } else {
                ""
            };
            let said = format!("{severity} {alert} {route} {since:+.0} s{still}");
            let expected =
                cell.fault.alerts().contains(&&**alert) && route == "/events" && since >= 0.0;
            let besides = cell.fault.besides().contains(&&**alert) && since >= 0.0;
            found |= expected && severity == "critical" && *first < self.phases.mended;
            if !expected && !besides && severity != "info" {
                wrong.push(said.clone());
            }
            rang.push(said);
        }
        if !found && !cell.fault.alerts().is_empty() {
            wrong.push("silent".to_owned());
        }
        (rang, wrong)
    }
}
