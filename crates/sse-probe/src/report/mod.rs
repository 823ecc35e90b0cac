//! The result of a check, and its forms.

mod facts;
mod human;
mod json;
mod junit;
mod prom;

use std::time::Duration;

pub use self::{
    facts::Facts,
    human::human,
    json::json,
    junit::junit,
    prom::{Seen, prom, register, register_round},
};
pub(crate) use self::{
    human::{colour, describe},
    json::finding as finding_json,
};
use crate::{
    advice::Software,
    check::{Outcome, Verdict, judge},
    finding::Level,
    survey::Survey,
};

/// What a check of a stream came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// The stream's URL.
    pub url: String,
    /// Every check with its answer, in order.
    pub outcomes: Vec<Outcome>,
    /// What was measured.
    pub facts: Facts,
    /// The hops that show themselves.
    pub software: Vec<Software>,
    /// How long it took.
    pub took: Duration,
}

impl CheckReport {
    pub(crate) fn new(survey: &Survey, took: Duration) -> Self {
        let outcomes = judge(survey);
        let mut url = survey.target.url.clone();
        // A query may hold a token.
        if url.query().is_some() {
            url.set_query(Some("…"));
        }
        Self {
            url: url.to_string().replace("%E2%80%A6", "…"),
            facts: Facts::of(survey, &outcomes),
            software: Software::seen_in(&survey.main.head.headers),
            outcomes,
            took,
        }
    }

    /// The worst level that was found.
    #[must_use]
    pub fn worst(&self) -> Option<Level> {
        self.outcomes.iter().filter_map(Outcome::worst).max()
    }

    /// Whether nothing of that level or worse was found.
    #[must_use]
    pub fn is_clean_of(&self, level: Level) -> bool {
        self.worst() < Some(level)
    }

    /// Whether nothing but notes was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_clean_of(Level::Warning)
    }

    /// The outcome of the check of that name, if it was run.
    #[must_use]
    pub fn outcome(&self, check: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|o| o.check == check)
    }

    /// How many checks passed, found something, and were skipped.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for outcome in &self.outcomes {
            match &outcome.verdict {
                Verdict::Skipped(_) => tally.skipped += 1,
                Verdict::Judged(..) if outcome.passed() => tally.passed += 1,
                Verdict::Judged(..) => tally.failed += 1,
            }
            for finding in outcome.findings() {
                match finding.level {
                    Level::Fault => tally.faults += 1,
                    Level::Warning => tally.warnings += 1,
                    Level::Note => tally.notes += 1,
                }
            }
        }
        tally
    }
}

/// Numbers of checks and findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Checks without warnings and faults.
    pub passed: usize,
    /// Checks with some.
    pub failed: usize,
    /// Checks that could not be judged.
    pub skipped: usize,
    /// Faults in all.
    pub faults: usize,
    /// Warnings in all.
    pub warnings: usize,
    /// Notes in all.
    pub notes: usize,
}
