//! What the hubs of this process were told to do, and how their workers are.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web_sse::{HubInfo, HubWatch};

use crate::{
    catalogue::{self as c, MAX_WORKERS},
    families::Families,
    labels::OTHER,
};

/// How many hubs of one process are asked. A process has one, a test perhaps a few.
const MAX_HUBS: usize = 64;

/// The hubs that report to these metrics.
#[derive(Debug, Default)]
pub(crate) struct Hubs(Mutex<Vec<HubWatch>>);

impl Hubs {
    /// A hub was built. Those that are gone make room.
    pub(crate) fn watch(&self, watch: &HubWatch) {
        let mut hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|hub| hub.info().is_some());
        if hubs.len() < MAX_HUBS {
            hubs.push(watch.clone());
        }
    }

    pub(crate) fn collect(&self, families: &mut Families) {
        let hubs = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let infos: Vec<_> = hubs.iter().filter_map(HubWatch::info).collect();
        let Some(first) = infos.first() else {
            return;
        };
        families.family(&c::HUB_INFO, |family| {
            let yes_no = |flag| if flag { "true" } else { "false" };
            let (resume, backplane) = (first.replay_events > 0, first.backplane);
            family.value(&[yes_no(backplane), yes_no(resume)], 1.0);
        });
        let heartbeat = infos.iter().map(|info| info.heartbeat).max();
        families.single(
            &c::HUB_HEARTBEAT,
            heartbeat.unwrap_or_default().as_secs_f64(),
        );
        families.single(&c::LIFETIME_LIMIT, longest(&infos).as_secs_f64());
        families.family(&c::WORKER_TICK_AGE, |family| {
            for (worker, age) in by_worker(&hubs) {
                family.value(&[&worker], age.as_secs_f64());
            }
        });
    }
}

/// The longest life that any stream may have: none if one hub sets no limit.
fn longest(infos: &[HubInfo]) -> Duration {
    let limits: Option<Vec<_>> = infos.iter().map(|info| info.max_lifetime).collect();
    limits.into_iter().flatten().max().unwrap_or_default()
}

/// The age of the latest tick of each worker; of workers beyond the bound that of the oldest.
fn by_worker(hubs: &[HubWatch]) -> BTreeMap<String, Duration> {
    let mut ages = BTreeMap::new();
    for (worker, age) in hubs.iter().flat_map(HubWatch::worker_ages) {
        let bounded = usize::try_from(worker).is_ok_and(|worker| worker < MAX_WORKERS);
        let name = if bounded {
            worker.to_string()
        } else {
            OTHER.to_owned()
        };
        let oldest: &mut Duration = ages.entry(name).or_default();
        *oldest = age.max(*oldest);
    }
    ages
}
