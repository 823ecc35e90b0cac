//! Probing, in rounds and on demand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

use super::{
    HISTORY, State,
    config::{Loaded, Module},
    lock,
};
use crate::{
    browser::Origin,
    checks::{Profile, Verdict},
    http::ExchangeError,
    observe::AttemptError,
    report::{Checked, check_with, shown_url},
};

/// What a probe in rounds may take beyond the time that the stream is held. The held stream is one of some twenty
/// exchanges; a target so slow that they take a minute more is not well.
const BEYOND_HOLD: Duration = Duration::from_secs(60);

/// What is left of the time for the answer.
const MARGIN: Duration = Duration::from_millis(250);

/// A probe and its result.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) id: u64,
    pub(super) at: SystemTime,
    pub(super) url: String,
    pub(super) module: String,
    pub(super) profile: Profile,
    pub(super) checked: Checked,
    pub(super) took: Duration,
}

impl Probed {
    /// Why it failed: a label, and a sentence. None if it did not.
    pub(super) fn failure(&self) -> Option<(&'static str, String)> {
        match &self.checked {
            Err(why) => Some((why.reason(), why.to_string())),
            Ok(report) => {
                let reason = report.reason(self.profile)?;
                let outcome = report.outcome(reason)?;
                let mut findings = outcome.findings().iter();
                let finding = findings.find(|f| f.fails(self.profile));
                let text = match (finding, &outcome.verdict) {
                    (Some(finding), _) => finding.seen.clone(),
                    (None, Verdict::Judged(seen, _) | Verdict::Skipped(seen)) => seen.clone(),
                };
                Some((reason, text))
            }
        }
    }
}

/// Probes one static target for ever. The targets share the interval, so that their rounds do not begin at one moment.
pub(super) async fn forever(state: Arc<State>, loaded: Arc<Loaded>, index: usize) {
    let config = &loaded.config;
    let share = |index: usize| {
        let parts = u32::try_from(config.targets.len())
            .unwrap_or(u32::MAX)
            .max(1);
        (config.interval / parts).saturating_mul(u32::try_from(index).unwrap_or(u32::MAX))
    };
    let mut ticks = interval_at(Instant::now() + share(index), config.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Some(target) = config.targets.get(index) else {
        return;
    };
    let Some(module) = loaded.module(&target.module) else {
        return;
    };
    let hold = module.options.hold.unwrap_or(Duration::from_secs(35));
    let limit = module.options.timeout.unwrap_or(hold + BEYOND_HOLD);
    loop {
        ticks.tick().await;
        let Ok(permit) = state.rounds.acquire().await else {
            return;
        };
        let probed = Arc::new(probe(module, &target.url, limit).await);
        drop(permit);
        state.keep(&probed);
        lock(&state.results).insert(target.instance(), probed);
    }
}

/// Probes once, for at most `limit`. What is not seen by then is not judged.
pub(super) async fn probe(module: Module<'_>, url: &str, limit: Duration) -> Probed {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let at = SystemTime::now();
    let begun = Instant::now();
    let limit = module.options.timeout.map_or(limit, |own| own.min(limit));
    let end = begun + limit;
    let target = module.options.target_by(url, module.dialer.clone());
    let (shown, checked) = match target {
        Ok(target) => {
            let shown = shown_url(target.url());
            let all = check_with(target, Some(end - MARGIN.min(limit / 4)), &|_| {});
            let checked = timeout_at(end, all).await;
            (shown, checked.unwrap_or(Err(AttemptError::OutOfTime)))
        }
        Err(why) => {
            let origin = url.parse().map(|url| Origin::of(&url).to_string());
            let why = AttemptError::Exchange(ExchangeError::Request(why));
            (origin.unwrap_or_default(), Err(why))
        }
    };
    let probed = Probed {
        id: COUNT.fetch_add(1, Ordering::Relaxed),
        at,
        url: shown,
        module: module.name.to_owned(),
        profile: module.options.profile,
        checked,
        took: begun.elapsed(),
    };
    if let Some((reason, text)) = probed.failure() {
        tracing::warn!(
            id = probed.id,
            target_url = probed.url,
            module = probed.module,
            reason,
            why = text,
            "a probe failed"
        );
    }
    probed
}

impl State {
    /// Keeps it for the page of the last probes.
    pub(super) fn keep(&self, probed: &Arc<Probed>) {
        let mut history = lock(&self.history);
        history.push_front(Arc::clone(probed));
        history.truncate(HISTORY);
    }
}
