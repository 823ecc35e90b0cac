//! The goals of performance, and which are met.

use std::fmt;

use super::{Report, cell};
use crate::{contestant::Contestant, statistics::median};

/// What is to be, at the most.
struct Goal {
    what: String,
    unit: &'static str,
    measured: Option<f64>,
    most: f64,
}

impl Report {
    /// With guards, metrics and logs where nothing else is said.
    fn all_goals(&self) -> Vec<Goal> {
        let (ours, plan) = (Contestant::Ours, &self.plan);
        let goal = |what: &str, most, unit, measured| Goal {
            what: what.to_owned(),
            unit,
            measured,
            most,
        };
        let beside = |own: Option<f64>, other: Option<f64>| Some(own? / other?);
        let strained = self.strained.iter();
        let close = strained
            .filter(|(of, _)| *of == ours)
            .filter_map(|(_, s)| s.close);
        let foreign =
            |streams| format!("publish from a foreign thread, less a bare wake, {streams} streams");
        vec![
            goal(
                "CPU per delivery, 1 in flight, bare",
                1.06,
                "× floor",
                self.ratio(ours, |m| m.single),
            ),
            goal(
                &format!("CPU per delivery, {} in flight, bare", plan.batch),
                0.9,
                "× floor",
                self.ratio(ours, |m| m.batch),
            ),
            goal(
                "the same on plain `HttpServer`, 1 in flight",
                1.25,
                "× floor",
                self.ratio(Contestant::Http, |m| m.single),
            ),
            goal(
                "memory per idle stream, bare",
                0.75,
                "KiB",
                self.value(ours, |m| m.memory),
            ),
            goal(
                "memory per idle stream",
                1.4,
                "KiB",
                self.part(3, |own, _| own.memory),
            ),
            goal(
                "heartbeat of an idle stream, bare",
                1.1,
                "× floor",
                self.ratio(ours, |m| m.heartbeat),
            ),
            goal(
                "open",
                1.0,
                "× actix-web-lab without any",
                beside(
                    self.part(3, |own, _| own.open),
                    self.value(Contestant::Lab, |m| m.open),
                ),
            ),
            goal(
                "the last stream gets an event, bare",
                1.05,
                "× floor",
                self.ratio(ours, |m| m.last),
            ),
            goal(
                "a close is noticed, bare",
                1.0,
                "ms",
                median(close.collect()),
            ),
            goal(
                &foreign(plan.few_streams),
                3.0,
                "µs",
                self.value(ours, |m| Some(m.foreign_few? - m.wake_few?)),
            ),
            goal(
                &foreign(plan.streams),
                3.0,
                "µs",
                self.value(ours, |m| Some(m.foreign_many? - m.wake_many?)),
            ),
            goal(
                "guards, metrics and logs, per open",
                10.0,
                "µs",
                self.part(3, |own, none| own.open - none.open),
            ),
            goal(
                "guards, metrics and logs, per delivery, 1 in flight",
                2.0,
                "%",
                self.part(3, |own, none| (own.single / none.single - 1.0) * 100.0),
            ),
            goal("the dearest refusal", 50.0, "µs", self.dearest(|r| r.cpu)),
            goal(
                "of a refusal, what is not actix's",
                50.0,
                "µs",
                self.dearest(|r| r.cpu - r.bare),
            ),
            goal(
                &format!("a scrape with {} open streams", plan.scraped),
                10.0,
                "ms",
                self.scrapes.last().map(|scrape| scrape.cpu),
            ),
        ]
    }

    pub(super) fn goals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| goal | at most | measured | |\n|---|---|---|---|")?;
        for goal in self.all_goals() {
            let Goal {
                what,
                unit,
                measured,
                most,
            } = goal;
            let verdict = match measured {
                Some(measured) if measured <= most => "met",
                Some(_) => "**missed**",
                None => "not measured",
            };
            let measured = cell(measured, 2);
            writeln!(
                f,
                "| {what} | {most} {unit} | {measured} {unit} | {verdict} |"
            )?;
        }
        let peers = [Contestant::Ours, Contestant::Lab, Contestant::Axum]
            .into_iter()
            .filter_map(|peer| {
                let few = self.value(peer, |m| m.foreign_few)?;
                let many = self.value(peer, |m| m.foreign_many)?;
                Some(format!("{}: {few:.0} and {many:.0} µs", peer.name()))
            })
            .collect::<Vec<_>>();
        if !peers.is_empty() {
            writeln!(
                f,
                "\nA publication from a foreign thread with {} and with {} streams, the wake included, costs {}.",
                self.plan.few_streams,
                self.plan.streams,
                peers.join("; ")
            )?;
        }
        Ok(())
    }
}
