//! The tables, the goals of performance, and the place in the README where they stand.

mod goals;

use std::{fmt, fs, io, path::Path};

use crate::{
    contestant::Contestant,
    parts::{self, Parts, Scrape},
    plan::Plan,
    statistics::median,
    strain::{MISSED, Strained},
};

/// One turn's figures; microseconds, milliseconds, KiB. `None`: not measured here.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    /// CPU per delivery, one event at a time.
    pub(crate) single: Option<f64>,
    /// CPU per delivery, in batches.
    pub(crate) batch: Option<f64>,
    /// Private memory per idle stream, KiB.
    pub(crate) memory: Option<f64>,
    /// CPU per open.
    pub(crate) open: Option<f64>,
    /// CPU per heartbeat.
    pub(crate) heartbeat: Option<f64>,
    /// From the publisher's request to the last stream, milliseconds.
    pub(crate) last: Option<f64>,
    /// CPU of a foreign thread per publication, with few streams and with all.
    pub(crate) foreign_few: Option<f64>,
    pub(crate) foreign_many: Option<f64>,
    /// The same of a bare wake of the server's thread.
    pub(crate) wake_few: Option<f64>,
    pub(crate) wake_many: Option<f64>,
    /// Bytes on the wire per single event.
    pub(crate) bytes: Option<f64>,
}

/// All turns of all contestants.
#[derive(Debug)]
pub(crate) struct Report {
    plan: Plan,
    turns: Vec<(Contestant, Vec<Measured>)>,
    strained: Vec<(Contestant, Strained)>,
    parts: Vec<Parts>,
    scrapes: Vec<Scrape>,
}

type Figure = fn(&Measured) -> Option<f64>;

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            turns: Vec::new(),
            strained: Vec::new(),
            parts: Vec::new(),
            scrapes: Vec::new(),
        }
    }

    pub(crate) fn add_parts(&mut self, parts: Parts) {
        self.parts.push(parts);
    }

    pub(crate) fn set_scrapes(&mut self, scrapes: [Scrape; 2]) {
        self.scrapes = scrapes.into();
    }

    pub(crate) fn add_strained(&mut self, contestant: Contestant, strained: Strained) {
        self.strained.push((contestant, strained));
    }

    pub(crate) fn add(&mut self, contestant: Contestant, measured: Measured) {
        match self
            .turns
            .iter_mut()
            .find(|(known, _)| *known == contestant)
        {
            Some((_, turns)) => turns.push(measured),
            None => self.turns.push((contestant, vec![measured])),
        }
    }

    fn turns(&self, contestant: Contestant) -> &[Measured] {
        self.turns
            .iter()
            .find(|(known, _)| *known == contestant)
            .map_or(&[], |(_, turns)| turns)
    }

    fn value(&self, contestant: Contestant, figure: Figure) -> Option<f64> {
        median(self.turns(contestant).iter().filter_map(figure).collect())
    }

    /// To the floor of the same round: what else the machine did then, it did to both.
    fn ratios(&self, contestant: Contestant, figure: Figure) -> Vec<f64> {
        let floors = self.turns(Contestant::Floor).iter().map(figure);
        let own = self.turns(contestant).iter().map(figure);
        own.zip(floors)
            .filter_map(|(own, floor)| Some(own? / floor?))
            .collect()
    }

    fn ratio(&self, contestant: Contestant, figure: Figure) -> Option<f64> {
        median(self.ratios(contestant, figure))
    }

    /// The same with the least and the most, as it stands in a table.
    fn ratio_cell(&self, contestant: Contestant, figure: Figure) -> String {
        let ratios = self.ratios(contestant, figure);
        let least = ratios.iter().copied().reduce(f64::min);
        let most = ratios.iter().copied().reduce(f64::max);
        match (median(ratios), least, most) {
            (Some(median), Some(least), Some(most)) => {
                format!("{median:.2} ({least:.2}–{most:.2})")
            }
            _ => cell(None, 2),
        }
    }

    /// Who took part.
    pub(crate) fn contestants(&self) -> impl Iterator<Item = Contestant> {
        self.turns.iter().map(|(contestant, _)| *contestant)
    }

    /// CPU per delivery with one event in flight, to the floor's: median, least, most.
    pub(crate) fn spread(&self, contestant: Contestant) -> Option<(f64, f64, f64)> {
        let ratios = self.ratios(contestant, |m| m.single);
        let least = ratios.iter().copied().reduce(f64::min)?;
        let most = ratios.iter().copied().reduce(f64::max)?;
        Some((median(ratios)?, least, most))
    }

    /// Private KiB per idle stream.
    pub(crate) fn memory(&self, contestant: Contestant) -> Option<f64> {
        self.value(contestant, |m| m.memory)
    }
}

pub(crate) fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine(f)?;
        self.costs(f)?;
        self.strain(f)?;
        self.around(f)?;
        self.goals(f)
    }
}

impl Report {
    fn machine(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown processor", |(_, model)| model);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kernel = kernel.split('-').next().unwrap_or_default();
        let bytes = self.value(Contestant::Ours, |m| m.bytes);
        writeln!(
            f,
            "{model}, Linux {}; server and load generator on a core each, one worker, HTTP/1.1 over \
             loopback, `TCP_NODELAY` everywhere, {} bytes on the wire per event. CPU is the server's \
             user and system time. Medians of {} rounds; ratios are to the floor of the same round.\n",
            kernel.trim(),
            cell(bytes, 0),
            self.plan.rounds,
        )
    }

    fn costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        writeln!(
            f,
            "| server | CPU µs/delivery, 1 event in flight, {} streams | ratio | CPU µs/delivery, {} \
             in flight, {} streams | ratio | private KiB per idle stream | CPU µs per open | CPU \
             µs/heartbeat | ratio | ms to the last of {} streams |",
            plan.streams, plan.batch, plan.batch_streams, plan.streams
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|")?;
        for (contestant, _) in &self.turns {
            let value = |figure| self.value(*contestant, figure);
            let ratio = |figure| self.ratio_cell(*contestant, figure);
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                contestant.name(),
                cell(value(|m| m.single), 2),
                ratio(|m| m.single),
                cell(value(|m| m.batch), 2),
                ratio(|m| m.batch),
                cell(value(|m| m.memory), 2),
                cell(value(|m| m.open), 0),
                cell(value(|m| m.heartbeat), 2),
                ratio(|m| m.heartbeat),
                cell(value(|m| m.last), 0),
            )?;
        }
        writeln!(f)
    }

    fn strain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.strained.is_empty() {
            return Ok(());
        }
        let plan = &self.plan;
        writeln!(
            f,
            "| under strain | private KiB per stream of 1000 | of {} | ms to the last of {} while clients come and go | ms, 99 %, while one of twenty is not read | ms \
             until a close is noticed | CPU µs per client that comes back with {MISSED} events missed | s until all {} have \
             them |\n|---|---|---|---|---|---|---|---|",
            plan.crowd, plan.streams, plan.crowd
        )?;
        for (contestant, _) in &self.turns {
            let own = || self.strained.iter().filter(|(of, _)| of == contestant);
            let value = |figure: fn(&Strained) -> Option<f64>, decimals| {
                let values = own().filter_map(|(_, strained)| figure(strained));
                cell(median(values.collect()), decimals)
            };
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                contestant.name(),
                value(|s| s.few, 2),
                value(|s| s.many, 2),
                value(|s| s.last, 0),
                value(|s| s.stalled, 0),
                value(|s| s.close, 2),
                value(|s| s.back, 0),
                value(|s| s.all_back, 2),
            )?;
        }
        writeln!(f)
    }

    /// How much more this set costs than none, in the same round.
    fn part(
        &self,
        set: usize,
        compare: impl Fn(&parts::Measured, &parts::Measured) -> f64,
    ) -> Option<f64> {
        let rounds = self.parts.iter();
        median(
            rounds
                .filter_map(|round| Some(compare(round.sets.get(set)?, round.sets.first()?)))
                .collect(),
        )
    }

    fn refusal(&self, kind: usize, figure: impl Fn(&parts::Refused) -> f64) -> Option<f64> {
        let rounds = self.parts.iter();
        median(
            rounds
                .filter_map(|round| Some(figure(round.refusals.get(kind)?)))
                .collect(),
        )
    }

    /// The refusal that costs most.
    fn dearest(&self, figure: impl Fn(&parts::Refused) -> f64) -> Option<f64> {
        (0..self.parts.first()?.refusals.len())
            .filter_map(|kind| self.refusal(kind, &figure))
            .reduce(f64::max)
    }

    fn around(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(last) = self.parts.last() else {
            return Ok(());
        };
        writeln!(
            f,
            "| around each of {} streams | CPU µs per open | more than none | private KiB per idle stream | CPU µs/delivery, 1 in \
             flight | to none | {} in flight | to none |\n|---|---|---|---|---|---|---|---|",
            self.plan.guarded, self.plan.batch
        )?;
        for (set, measured) in last.sets.iter().enumerate() {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                measured.name,
                cell(self.part(set, |own, _| own.open), 1),
                cell(self.part(set, |own, none| own.open - none.open), 1),
                cell(self.part(set, |own, _| own.memory), 2),
                cell(self.part(set, |own, _| own.single), 2),
                cell(self.part(set, |own, none| own.single / none.single), 2),
                cell(self.part(set, |own, _| own.batch), 2),
                cell(self.part(set, |own, none| own.batch / none.batch), 2),
            )?;
        }
        writeln!(
            f,
            "\n| refused, with guards, metrics and logs | CPU µs | the same request to a bare actix \
             handler | of it ours | memory after {} of them, KiB |\n|---|---|---|---|---|",
            self.plan.refusals
        )?;
        for (kind, refused) in last.refusals.iter().enumerate() {
            let value = |figure: fn(&parts::Refused) -> f64| cell(self.refusal(kind, figure), 0);
            writeln!(
                f,
                "| {} | {} | {} | {} | {} |",
                refused.name,
                value(|r| r.cpu),
                value(|r| r.bare),
                value(|r| r.cpu - r.bare),
                value(|r| r.grown),
            )?;
        }
        writeln!(
            f,
            "\n| scrape of `/metrics` with | CPU ms | ms | bytes |\n|---|---|---|---|"
        )?;
        for scrape in &self.scrapes {
            writeln!(
                f,
                "| {} streams | {:.2} | {:.2} | {} |",
                scrape.streams, scrape.cpu, scrape.wait, scrape.bytes
            )?;
        }
        writeln!(f)
    }
}

const BEGIN: &str = "<!-- figures:begin -->";
const END: &str = "<!-- figures:end -->";

/// Puts the text between the markers, and touches nothing else.
pub(crate) fn write_between_markers(path: &Path, text: &str) -> io::Result<()> {
    let known = fs::read_to_string(path)?;
    let new = between_markers(&known, text).ok_or_else(|| no_markers(path))?;
    fs::write(path, new)
}

/// Fails if the text would have no place there.
pub(crate) fn has_markers(path: &Path) -> io::Result<()> {
    let known = fs::read_to_string(path)?;
    between_markers(&known, "")
        .map(drop)
        .ok_or_else(|| no_markers(path))
}

fn no_markers(path: &Path) -> io::Error {
    io::Error::other(format!("{} has no {BEGIN} … {END}", path.display()))
}

fn between_markers(known: &str, text: &str) -> Option<String> {
    let (head, rest) = known.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n{}\n{END}{tail}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let known = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = between_markers(&known, "new\n\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(between_markers(&new, "new").unwrap(), new);
        assert_eq!(between_markers("a\nb\n", "new"), None);
    }

    #[test]
    fn a_ratio_is_to_the_floor_of_the_same_round() {
        let mut report = Report::new(&Plan::quick());
        for (floor, ours) in [(1.0, 2.0), (10.0, 30.0), (1.0, 4.0)] {
            let measured = |single| Measured {
                single: Some(single),
                ..Measured::default()
            };
            report.add(Contestant::Floor, measured(floor));
            report.add(Contestant::Ours, measured(ours));
        }
        assert_eq!(report.ratio(Contestant::Ours, |m| m.single), Some(3.0));
        assert_eq!(report.ratio(Contestant::Ours, |m| m.batch), None);
    }
}
