//! Reads the counts for a scrape. The cost grows with routes, origins and threads, not with
//! streams.

use std::{collections::HashMap, sync::Arc, time::Instant};

use actix_web_sse::observe::{AuthMethod, CloseReason, CorsVerdict, Misconfiguration};
use prometheus::{
    core::{Collector, Desc},
    proto,
};

use crate::{
    catalogue::{self as c, CATALOGUE, Metric},
    closes::ImmediateClose,
    core::Core,
    families::Families,
    labels::OTHER,
    log::LogEvent,
    reports::{Diagnosis, SHARES},
    route::{RESUMES, Route, Streams},
    worker::Totals,
};

/// The recorder's side of a `prometheus` registry.
#[derive(Debug)]
pub(crate) struct RecorderCollector {
    core: Arc<Core>,
    descs: Vec<Desc>,
}

/// The registry's descriptions of these rows.
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
        self.per_route(&mut families);
        self.clients(&mut families);
        self.origins(&mut families);
        self.levels(&mut families);
        self.records(&mut families);
        self.core.hubs.collect(&mut families);
        self.core.backplanes.collect(&mut families);
        self.core.scraped(began.elapsed());
        families.single(
            &c::SCRAPE_DURATION,
            self.core.scrape_duration().as_secs_f64(),
        );
        families.finish()
    }
}

/// A streaming route as one scrape sees it.
struct Seen<'a> {
    name: &'a str,
    streams: &'a Streams,
    closed: Vec<u64>,
    totals: Totals,
}

impl<'a> Seen<'a> {
    /// Reads the closes before the opens: no stream can then be closed and not opened.
    fn of(name: &'a str, streams: &'a Streams) -> Self {
        Self {
            name,
            streams,
            closed: (0..CloseReason::ALL.len())
                .map(|index| streams.closed.get(index))
                .collect(),
            totals: streams.threads.totals(),
        }
    }
}

impl RecorderCollector {
    fn per_route(&self, families: &mut Families) {
        let routes = self.core.routes();
        // `other` stands for routes beyond the bound; it is shown when there are any.
        let routes: Vec<_> = routes
            .iter()
            .filter(|(name, route)| &**name != OTHER || route.attempts.get() > 0 || busy(route))
            .collect();
        families.family(&c::ATTEMPTS, |family| {
            for (name, route) in &routes {
                family.count(&[name], route.attempts.get());
            }
        });
        families.family(&c::REJECTED, |family| {
            for (name, route) in &routes {
                for (reason, mode, count) in route.rejections() {
                    family.count(&[name, reason.as_str(), mode.as_str()], count);
                }
            }
        });
        let origins = self.core.origins.names();
        families.family(&c::REJECTED_CORS, |family| {
            for (name, route) in &routes {
                for (number, verdict, mode, count) in route.refusals() {
                    let origin = origins.get(number).map_or(OTHER, |origin| &**origin);
                    family.count(&[name, origin, verdict.as_str(), mode.as_str()], count);
                }
            }
        });
        families.family(&c::AUTH_REQUIRED, |family| {
            for (name, _) in &routes {
                let required = self.core.auth_required.iter().any(|route| route == name);
                family.value(&[name], f64::from(u8::from(required)));
            }
        });
        let seen: Vec<_> = routes
            .iter()
            .filter_map(|(name, route)| Some(Seen::of(name, route.opened_streams()?)))
            .collect();
        self.streams(families, &seen);
        deliveries(families, &seen);
    }

    fn streams(&self, families: &mut Families, seen: &[Seen<'_>]) {
        let origins = self.core.origins.names();
        let mut opened_sums = vec![0; seen.len()];
        families.family(&c::OPENED, |family| {
            for (route, sum) in seen.iter().zip(&mut opened_sums) {
                for (origin, counts) in origins.iter().zip(&route.streams.per_origin) {
                    for (index, method) in AuthMethod::ALL.iter().enumerate() {
                        let count = counts.opened.get(index);
                        *sum += count;
                        family.count(&[route.name, origin, method.as_str()], count);
                    }
                }
            }
        });
        families.family(&c::ACTIVE, |family| {
            for (route, opened) in seen.iter().zip(&opened_sums) {
                let closed: u64 = route.closed.iter().sum();
                family.count(&[route.name], opened.saturating_sub(closed));
            }
        });
        families.family(&c::CLOSED, |family| {
            for route in seen {
                for (reason, count) in CloseReason::ALL.iter().zip(&route.closed) {
                    family.count(&[route.name, reason.as_str()], *count);
                }
            }
        });
        families.family(&c::OPENED_CORS, |family| {
            for route in seen {
                for (index, verdict) in CorsVerdict::ALL.iter().enumerate() {
                    let count = route.streams.verdicts.get(index);
                    family.count(&[route.name, verdict.as_str()], count);
                }
            }
        });
        families.family(&c::IMMEDIATE_CLOSE, |family| {
            for route in seen {
                for (origin, counts) in origins.iter().zip(&route.streams.per_origin) {
                    for (index, class) in ImmediateClose::ALL.iter().enumerate() {
                        let count = counts.immediate.get(index);
                        family.count(&[route.name, origin, class.as_str()], count);
                    }
                }
            }
        });
        families.family(&c::RESUMES, |family| {
            for route in seen {
                for (index, result) in RESUMES.iter().enumerate() {
                    let count = route.streams.resumes.get(index);
                    family.count(&[route.name, result.as_str()], count);
                }
            }
        });
        families.family(&c::DURATION_SECONDS, |family| {
            for route in seen {
                family.histogram(&[route.name], &route.streams.duration.snapshot());
            }
        });
        let now = self.core.clock.now();
        families.family(&c::AGE_MAX, |family| {
            for route in seen {
                let age = route.totals.oldest.map(|opened| now.saturating_sub(opened));
                family.value(&[route.name], age.unwrap_or_default().as_secs_f64());
            }
        });
    }

    fn clients(&self, families: &mut Families) {
        let (max, clients) = self.core.clients.levels();
        families.single(&c::CLIENT_STREAMS_MAX, max as f64);
        families.single(&c::CLIENTS, clients as f64);
        families.family(&c::CLIENT_STREAMS, |family| {
            family.histogram(&[], &self.core.client_streams.snapshot());
        });
        families.family(&c::TOKEN_TTL, |family| {
            family.histogram(&[], &self.core.token_ttl.snapshot());
        });
    }

    fn origins(&self, families: &mut Families) {
        let counts = self.core.rejected.counts();
        let names = self.core.route_names.names();
        let route = |number: usize| names.get(number).map_or(OTHER, |name| &**name);
        families.family(&c::REJECTED_ORIGINS, |family| {
            for (origin, per_route) in &counts.labelled {
                for (number, count) in per_route {
                    family.count(&[route(*number), origin], *count);
                }
            }
            for (number, name) in names.iter().enumerate() {
                let count = counts.other.get(&number).copied();
                // Routes that are known stand at zero from the start.
                if count.is_some() || &**name != OTHER {
                    family.count(&[name, OTHER], count.unwrap_or_default());
                }
            }
        });
        families.single(&c::REJECTED_ORIGINS_DISTINCT, counts.distinct);
        families.family(&c::LABEL_OVERFLOW, |family| {
            family.count(&[c::ATTEMPTS.name], self.core.route_names.overflow.get());
            family.count(&[c::OPENED.name], self.core.origins.overflow.get());
            family.count(
                &[c::REJECTED_ORIGINS.name],
                self.core.rejected.overflow.get(),
            );
        });
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
        families.single(&c::PUBLISHED, self.core.published.get() as f64);
    }

    fn records(&self, families: &mut Families) {
        let names = self.core.origins.names();
        // A page has an origin, and as a rule one with a label of its own.
        let origins = names.iter().enumerate().filter(|(number, name)| {
            !["none", "null", OTHER].contains(&&***name) || self.core.reports.any(*number)
        });
        let origins = origins.collect::<Vec<_>>();
        families.family(&c::CLIENT_REPORTS, |family| {
            for (number, origin) in &origins {
                for diagnosis in Diagnosis::ALL {
                    let count = self.core.reports.get(*number, *diagnosis);
                    family.count(&[origin, diagnosis.as_str()], count);
                }
            }
        });
        families.family(&c::CLIENT_BLOCKED, |family| {
            // CORS blocks no page of the server's own origin.
            for (number, origin) in origins.iter().filter(|(_, name)| &***name != "same_origin") {
                for share in 0..SHARES {
                    let count = self.core.reports.blocked(*number, share);
                    family.count(&[origin, &share.to_string()], count);
                }
            }
        });
        families.family(&c::LOG_RECORDS, |family| {
            for event in LogEvent::ALL {
                family.count(&[event.as_str()], self.core.logs.written(*event));
            }
        });
        families.family(&c::LOG_SUPPRESSED, |family| {
            for event in LogEvent::ALL {
                family.count(&[event.as_str()], self.core.logs.suppressed(*event));
            }
        });
        families.single(&c::LOG_DROPPED, self.core.logs.dropped() as f64);
        families.family(&c::MISCONFIGURED, |family| {
            for cause in Misconfiguration::ALL {
                let seen = self.core.mistakes.seen(*cause);
                family.value(&[cause.as_str()], f64::from(u8::from(seen)));
            }
        });
    }
}

fn deliveries(families: &mut Families, seen: &[Seen<'_>]) {
    families.family(&c::EVENTS_SENT, |family| {
        for Seen { name, totals, .. } in seen {
            family.count(&[name, "event"], totals.event);
            family.count(&[name, "replay"], totals.replay);
            family.count(&[name, "heartbeat"], totals.heartbeat);
        }
    });
    families.family(&c::SENT_BYTES, |family| {
        for Seen { name, totals, .. } in seen {
            family.count(&[name], totals.bytes);
        }
    });
    families.family(&c::DROPPED, |family| {
        for Seen { name, totals, .. } in seen {
            family.count(&[name, "skip"], totals.dropped);
        }
    });
    families.family(&c::DELIVERY_LAG, |family| {
        for Seen { name, totals, .. } in seen {
            family.histogram(&[name], &totals.lag);
        }
    });
    families.family(&c::TIME_TO_FIRST_EVENT, |family| {
        for Seen { name, totals, .. } in seen {
            family.histogram(&[name], &totals.first_event);
        }
    });
}

fn busy(route: &Route) -> bool {
    route.rejections().next().is_some() || route.opened_streams().is_some()
}
