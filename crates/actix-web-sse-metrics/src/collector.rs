//! Collects the families of a scrape. The cost grows with routes, origins and threads, not with
//! streams.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use actix_web_sse::observe::Misconfiguration;
use prometheus::{
    core::{Collector, Desc},
    proto,
};

use crate::{
    catalogue::{self as c, CATALOGUE, Metric},
    cells::Snapshot,
    core::Core,
    families::Families,
    labels::OTHER,
};

/// The recorder's side of a `prometheus` registry.
#[derive(Debug)]
pub(crate) struct RecorderCollector {
    core: Arc<Core>,
    descs: Vec<Desc>,
}

/// The `prometheus` descriptions of these rows.
pub(crate) fn descs(rows: &[Metric]) -> prometheus::Result<Vec<Desc>> {
    rows.iter()
        .map(|row| {
            let labels = row
                .labels
                .iter()
                .map(|label| label.name.to_owned())
                .collect();
            Desc::new(
                row.name.to_owned(),
                row.help.to_owned(),
                labels,
                HashMap::new(),
            )
        })
        .collect()
}

impl RecorderCollector {
    pub(crate) fn new(core: Arc<Core>) -> prometheus::Result<Self> {
        Ok(Self {
            core,
            descs: descs(CATALOGUE)?,
        })
    }
}

impl Collector for RecorderCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let began = Instant::now();
        let mut families = Families::default();
        let core = &self.core;
        core.counters.collect_streams(&mut families);
        core.counters.collect(&mut families);
        self.routes(&mut families);
        self.deliveries(&mut families);
        self.clients(&mut families);
        self.rejected_origins(&mut families);
        self.levels(&mut families);
        core.logs.collect(&mut families);
        core.hubs.collect(&mut families);
        core.backplanes.collect(&mut families);
        self.core.scraped(began.elapsed());
        families.single(
            &c::SCRAPE_DURATION,
            self.core.scrape_duration().as_secs_f64(),
        );
        families.finish()
    }
}

impl RecorderCollector {
    fn routes(&self, families: &mut Families) {
        let routes = self.core.counters.attempts.collect_by_route(families);
        families.family(&c::AUTH_REQUIRED, |family| {
            for (name, _) in &routes {
                let required = self
                    .core
                    .auth_required
                    .iter()
                    .any(|route| **route == **name);
                family.value(&[name], f64::from(u8::from(required)));
            }
        });
    }

    /// What the threads have counted.
    fn deliveries(&self, families: &mut Families) {
        let routes = self.core.streaming().into_iter();
        let routes: Vec<_> = routes
            .map(|(name, threads)| (name, threads.totals()))
            .collect();
        families.family(&c::EVENTS_SENT, |family| {
            for (name, totals) in &routes {
                family.count(&[name, "event"], totals.event);
                family.count(&[name, "replay"], totals.replay);
                family.count(&[name, "heartbeat"], totals.heartbeat);
            }
        });
        families.family(&c::SENT_BYTES, |family| {
            for (name, totals) in &routes {
                family.count(&[name], totals.bytes);
            }
        });
        families.family(&c::DROPPED, |family| {
            for (name, totals) in &routes {
                family.count(&[name, "skip"], totals.dropped);
            }
        });
        families.family(&c::DELIVERY_LAG, |family| {
            for (name, totals) in &routes {
                family.histogram(&[name], &totals.lag);
            }
        });
        let mut of_topics = BTreeMap::<&str, Snapshot>::new();
        let each = routes.iter().flat_map(|(_, totals)| &totals.lag_of_topics);
        for (topics, lag) in each {
            let all = of_topics.entry(topics);
            all.and_modify(|all| all.merge(lag))
                .or_insert_with(|| lag.clone());
        }
        if !of_topics.is_empty() {
            families.family(&c::TOPICS_LAG, |family| {
                for (topics, lag) in &of_topics {
                    family.histogram(&[topics], lag);
                }
            });
        }
        families.family(&c::TIME_TO_FIRST_EVENT, |family| {
            for (name, totals) in &routes {
                family.histogram(&[name], &totals.first_event);
            }
        });
        let now = self.core.clock.now();
        families.family(&c::AGE_MAX, |family| {
            for (name, totals) in &routes {
                let age = totals.oldest.map(|opened| now.saturating_sub(opened));
                family.value(&[name], age.unwrap_or_default().as_secs_f64());
            }
        });
    }

    fn clients(&self, families: &mut Families) {
        let (max, clients) = self.core.clients.levels();
        families.single(&c::CLIENT_STREAMS_MAX, max as f64);
        families.single(&c::CLIENTS, clients as f64);
    }

    fn rejected_origins(&self, families: &mut Families) {
        let counts = self.core.rejected.counts();
        families.family(&c::REJECTED_ORIGINS, |family| {
            for (origin, per_route) in &counts.labelled {
                for (route, count) in per_route {
                    family.count(&[route, origin], *count);
                }
            }
            for route in self.core.routes() {
                let count = counts.other.get(&route).copied();
                // Known routes are exported at zero from the start.
                if count.is_some() || &*route != OTHER {
                    family.count(&[&route, OTHER], count.unwrap_or_default());
                }
            }
        });
        families.single(&c::REJECTED_ORIGINS_DISTINCT, counts.distinct);
    }

    fn levels(&self, families: &mut Families) {
        families.family(&c::BUILD_INFO, |family| {
            family.value(&[env!("CARGO_PKG_VERSION")], 1.0)
        });
        families.family(&c::LIMIT, |family| {
            for (limited, streams) in &self.core.levels.limits() {
                let scope = limited.scope.as_str();
                family.count(&[&limited.policy, scope, &limited.network], *streams);
            }
        });
        families.family(&c::POLICY_INFO, |family| {
            for policy in self.core.levels.policies() {
                let yes_no = |flag| if flag { "true" } else { "false" };
                family.value(
                    &[
                        &policy.hash,
                        yes_no(policy.credentials),
                        yes_no(policy.wildcard),
                    ],
                    1.0,
                );
            }
        });
        families.single(
            &c::DRAINING,
            f64::from(u8::from(self.core.levels.draining())),
        );

        families.family(&c::MISCONFIGURED, |family| {
            for cause in Misconfiguration::ALL {
                let seen = self.core.mistakes.seen(*cause);
                family.value(&[cause.as_str()], f64::from(u8::from(seen)));
            }
        });
    }
}
