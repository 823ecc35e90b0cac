//! What the recorder writes and the collector reads.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web_sse::observe::OriginClass;

use crate::{
    attempts::RecentAttempts,
    backplane::Backplanes,
    catalogue::{Bounds, CLIENT_STREAMS, TOKEN_TTL},
    cells::{Counter, Histogram},
    clients::Clients,
    clock::Clock,
    closes::CloseThresholds,
    hubs::Hubs,
    labels::LabelSet,
    levels::Levels,
    log::LogCounts,
    mistakes::Mistakes,
    origins::RejectedOrigins,
    reports::{ReportCounts, ReportLimit},
    route::Route,
    worker::bounds,
};

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Clock,
    pub(crate) closes: CloseThresholds,
    pub(crate) ipv6_prefix: u8,
    pub(crate) route_names: LabelSet,
    routes: RwLock<HashMap<usize, Arc<Route>>>,
    declared_routes: usize,
    pub(crate) auth_required: Vec<Arc<str>>,
    pub(crate) origins: LabelSet,
    pub(crate) rejected: RejectedOrigins,
    pub(crate) clients: Clients,
    pub(crate) client_streams: Histogram,
    pub(crate) token_ttl: Histogram,
    pub(crate) published: Counter,
    pub(crate) levels: Levels,
    pub(crate) hubs: Hubs,
    pub(crate) backplanes: Backplanes,
    pub(crate) logs: Arc<LogCounts>,
    pub(crate) mistakes: Mistakes,
    pub(crate) reports: ReportCounts,
    pub(crate) report_limit: ReportLimit,
    pub(crate) attempts: RecentAttempts,
    scrape_nanos: AtomicU64,
}

/// The origin labels that are there whatever the allow-list says.
const FIXED_ORIGINS: [&str; 3] = ["none", "same_origin", "null"];

/// What the builder hands over.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) routes: Vec<Arc<str>>,
    pub(crate) auth_required: Vec<Arc<str>>,
    pub(crate) more_routes: usize,
    pub(crate) origins: Vec<Arc<str>>,
    pub(crate) more_origins: usize,
    pub(crate) rejected_origins: usize,
    pub(crate) rejected_threshold: u32,
    pub(crate) ipv6_prefix: u8,
    pub(crate) closes: CloseThresholds,
}

impl Core {
    pub(crate) fn new(settings: Settings, clock: Clock) -> Self {
        let routes = settings.routes.iter().map(|route| &**route);
        let origins = FIXED_ORIGINS
            .into_iter()
            .chain(settings.origins.iter().map(|o| &**o));
        let origins = LabelSet::new(origins, settings.more_origins);
        let reports = ReportCounts::new(origins.max());
        let core = Self {
            clock,
            closes: settings.closes,
            ipv6_prefix: settings.ipv6_prefix,
            route_names: LabelSet::new(routes, settings.more_routes),
            routes: RwLock::default(),
            declared_routes: settings.routes.len(),
            auth_required: settings.auth_required,
            origins,
            rejected: RejectedOrigins::new(settings.rejected_origins, settings.rejected_threshold),
            clients: Clients::default(),
            client_streams: Histogram::new(bounds(&CLIENT_STREAMS)),
            token_ttl: Histogram::new(bounds(&TOKEN_TTL)),
            published: Counter::default(),
            levels: Levels::default(),
            hubs: Hubs::default(),
            backplanes: Backplanes::default(),
            logs: Arc::default(),
            mistakes: Mistakes::default(),
            reports,
            report_limit: ReportLimit::default(),
            attempts: RecentAttempts::default(),
            scrape_nanos: AtomicU64::new(0),
        };
        for route in &settings.routes {
            core.route(route);
        }
        core
    }

    /// The counts of a route; those of `other` if there is no room for it.
    pub(crate) fn route(&self, name: &str) -> Arc<Route> {
        let number = self.route_names.number(name);
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = routes.get(&number) {
            return Arc::clone(route);
        }
        drop(routes);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let route = routes.entry(number).or_insert_with(|| {
            let declared = (1..=self.declared_routes).contains(&number);
            Arc::new(Route::new(declared, self.origins.max()))
        });
        Arc::clone(route)
    }

    /// Every route so far with its name, in the order of their names.
    pub(crate) fn routes(&self) -> Vec<(Arc<str>, Arc<Route>)> {
        let names = self.route_names.names();
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let mut named: Vec<_> = routes
            .iter()
            .filter_map(|(number, route)| Some((names.get(*number)?.clone(), Arc::clone(route))))
            .collect();
        named.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        named
    }

    /// The number of an origin's label.
    pub(crate) fn origin(&self, origin: &OriginClass) -> usize {
        match origin {
            OriginClass::Other => 0,
            known => self.origins.number(known.label()),
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            routes: self.route_names.max(),
            origins: self.origins.max(),
            rejected_origins: self.rejected.max(),
        }
    }

    pub(crate) fn scraped(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.scrape_nanos.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn scrape_duration(&self) -> Duration {
        Duration::from_nanos(self.scrape_nanos.load(Ordering::Relaxed))
    }
}
