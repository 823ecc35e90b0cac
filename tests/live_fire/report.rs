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

/// When an alert was first and last seen firing, and whether it was off in between.
#[derive(Debug, Clone, Copy)]
struct Firing {
    first: Duration,
    last: Duration,
    interrupted: bool,
}

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct Report {
    phases: Phases,
    seen: BTreeMap<Key, Firing>,
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
        if now < self.latest + PAUSE {
            return;
        }
        let before = std::mem::replace(&mut self.latest, now);
        for alert in prometheus.query("ALERTS{alertstate='firing'}") {
            let label = |name: &str| alert.labels.get(name).cloned().unwrap_or_default();
            let key = (
                label("namespace"),
                label("alertname"),
                label("severity"),
                label("route"),
            );
            let firing = self.seen.entry(key).or_insert_with_key(|key| {
                let (namespace, alert, severity, route) = key;
                eprintln!(
                    "{:5.0} s: {namespace}: {severity} {alert} {route}",
                    seconds(now)
                );
                Firing {
                    first: now,
                    last: now,
                    interrupted: false,
                }
            });
            firing.interrupted |= firing.last < before;
            firing.last = now;
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
        for ((_, alert, severity, route), firing) in of_cell {
            let Firing { first, last, .. } = *firing;
            let since = seconds(first) - seconds(self.phases.fault);
            let interrupted = if firing.interrupted {
                "interrupted, "
            } else {
                ""
            };
            let said = format!(
                "{severity} {alert} {route} {since:+.0} s, {interrupted}{}",
                self.stopped(last)
            );
            let expected =
                cell.fault.alerts().contains(&&**alert) && route == "/events" && since >= 0.0;
            let besides = cell.fault.besides().contains(&&**alert) && since >= 0.0;
            found |= expected && severity == "critical" && first < self.phases.mended;
            let stays = self.is_on_at_the_end(last)
                && self.phases.end > self.phases.mended + cell.fault.stays();
            let interrupted = firing.interrupted && expected;
            let throughout = cell.fault.throughout().contains(&&**alert);
            let right = expected || besides || severity == "info";
            if !throughout && (!right || stays || interrupted) {
                wrong.push(said.clone());
            }
            rang.push(said);
        }
        if !found && !cell.fault.alerts().is_empty() {
            wrong.push("silent".to_owned());
        }
        (rang, wrong)
    }

    fn is_on_at_the_end(&self, last: Duration) -> bool {
        last + 2 * PAUSE >= self.phases.end
    }

    fn stopped(&self, last: Duration) -> String {
        if self.is_on_at_the_end(last) {
            return "still on".to_owned();
        }
        let after = seconds(last) - seconds(self.phases.mended);
        format!("stopped {after:+.0} s after the mend")
    }
}

const fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
