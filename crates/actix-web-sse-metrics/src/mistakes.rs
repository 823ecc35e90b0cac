//! The mounting mistakes that were detected.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web_sse::observe::Misconfiguration;

#[derive(Debug, Default)]
pub(crate) struct Mistakes([AtomicBool; Misconfiguration::ALL.len()]);

impl Mistakes {
    /// Records a mistake; returns whether it is the first of its kind.
    pub(crate) fn note(&self, mistake: Misconfiguration) -> bool {
        self.at(mistake)
            .is_some_and(|seen| !seen.swap(true, Ordering::Relaxed))
    }

    pub(crate) fn seen(&self, mistake: Misconfiguration) -> bool {
        self.at(mistake)
            .is_some_and(|seen| seen.load(Ordering::Relaxed))
    }

    fn at(&self, mistake: Misconfiguration) -> Option<&AtomicBool> {
        let known = Misconfiguration::ALL;
        let index = known.iter().position(|known| *known == mistake)?;
        self.0.get(index)
    }
}
