//! Probing, by itself and on demand.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::time::{MissedTickBehavior, interval};

use super::{Module, Probed, State};
use crate::{
    AttemptError, check,
    exchange::{ExchangeError, Phase},
};

/// Probes one static target for ever.
pub(super) async fn forever(state: Arc<State>, index: usize) {
    let mut ticks = interval(state.config.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(target) = state.config.targets.get(index) else {
            return;
        };
        let Some(module) = state.config.modules.get(&target.module) else {
            return;
        };
        let Ok(permit) = state.probes.acquire().await else {
            return;
        };
        let probed = probe(module, &target.url, module.longest()).await;
        drop(permit);
        if let Some(slot) = state.results().get_mut(index) {
            *slot = Some(Arc::new(probed));
        }
    }
}

/// Probes once, for at most `limit`.
pub(super) async fn probe(module: &Module, url: &str, limit: Duration) -> Probed {
    let begun = Instant::now();
    let result = match module.target(url) {
        Ok(target) => tokio::time::timeout(limit, check(target))
            .await
            .unwrap_or(Err(AttemptError::Exchange(ExchangeError::Timeout(
                Phase::Head,
                limit,
            )))),
        Err(why) => Err(AttemptError::Exchange(ExchangeError::Request(why))),
    };
    Probed {
        success: result
            .as_ref()
            .is_ok_and(|r| r.is_clean_of(module.fail_on())),
        result,
        took: begun.elapsed(),
        at: SystemTime::now(),
    }
}
