//! The state that the recorder writes and the collector reads.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web_sse::observe::{OriginClass, PolicyInfo};
use dashmap::DashMap;

use crate::{
    backplane::Backplanes,
    catalogue::{self as c, Bounds},
    clients::{Client, Clients},
    clock::Clock,
    closes::CloseThresholds,
    counters::Counters,
    diagnosis::{Diagnosis, ReportLimit, SHARES},
    exemplars::Shown,
    head_requests::RecentHeadRequests,
    hubs::Hubs,
    labels::{LabelSet, OTHER},
    levels::Levels,
    log::LogCounts,
    mistakes::Mistakes,
    origins::RejectedOrigins,
    trace::TraceSource,
    worker::Threads,
};

/// All counts, with the settings and tables that they need.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Clock,
    pub(crate) closes: CloseThresholds,
    pub(crate) ipv6_prefix: u8,
    pub(crate) traces: TraceSource,
    pub(crate) counters: Counters,
    routes: LabelSet,
    origins: LabelSet,
    /// The routes that open streams, each with what its threads count.
    streaming: DashMap<Arc<str>, Arc<Threads>>,
    /// Locked while series of a new route or origin are made, so that no combination is left out.
    expanding: Mutex<()>,
    pub(crate) auth_required: Vec<Arc<str>>,
    pub(crate) rejected: RejectedOrigins,
    pub(crate) clients: Clients,
    pub(crate) levels: Levels,
    pub(crate) hubs: Hubs,
    pub(crate) backplanes: Backplanes,
    pub(crate) logs: Arc<LogCounts>,
    pub(crate) mistakes: Mistakes,
    pub(crate) report_limit: ReportLimit,
    pub(crate) head_requests: RecentHeadRequests,
    /// For the operations page, once it is mounted.
    #[cfg(feature = "operations")]
    live: std::sync::OnceLock<Arc<crate::live::Live>>,
    scrape_nanos: AtomicU64,
}

/// The origin labels that exist independent of the allow-list.
const FIXED_ORIGINS: [&str; 3] = ["none", "same_origin", "null"];

/// The settings of the builder.
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
    pub(crate) traces: TraceSource,
}

impl Core {
    pub(crate) fn new(settings: Settings, clock: Clock) -> prometheus::Result<Self> {
        let routes = settings.routes.iter().map(|route| &**route);
        let origins = FIXED_ORIGINS
            .into_iter()
            .chain(settings.origins.iter().map(|o| &**o));
        let counters = Counters::new()?;
        let overflow = |row: &c::Metric| counters.label_overflow.series(&[row.name]);
        let core = Self {
            clock,
            closes: settings.closes,
            ipv6_prefix: settings.ipv6_prefix,
            traces: settings.traces,
            routes: LabelSet::new(routes, settings.more_routes, overflow(&c::ATTEMPTS)?),
            origins: LabelSet::new(origins, settings.more_origins, overflow(&c::OPENED)?),
            streaming: DashMap::new(),
            expanding: Mutex::default(),
            auth_required: settings.auth_required,
            rejected: RejectedOrigins::new(
                settings.rejected_origins,
                settings.rejected_threshold,
                overflow(&c::REJECTED_ORIGINS)?,
            ),
            clients: Clients::default(),
            levels: Levels::default(),
            hubs: Hubs::default(),
            backplanes: Backplanes::new()?,
            logs: Arc::new(LogCounts::new()?),
            mistakes: Mistakes::default(),
            report_limit: ReportLimit::default(),
            head_requests: RecentHeadRequests::default(),
            #[cfg(feature = "operations")]
            live: std::sync::OnceLock::new(),
            scrape_nanos: AtomicU64::new(0),
            counters,
        };
        for route in &settings.routes {
            core.counters.attempts.series(&[route])?;
            core.counters.show_refusals(route);
            core.threads(route);
        }
        for origin in core.origins.values() {
            core.counters.show_reports(&origin, false);
        }
        Ok(core)
    }

    /// The label of a route: its name, or `other` if there is no room for it.
    pub(crate) fn route(&self, name: &str) -> Arc<str> {
        let label = self.routes.label(name);
        // `other` is shown when it is used.
        if label.is_new || &*label.value == OTHER {
            drop(self.counters.attempts.series(&[&label.value]));
        }
        label.value
    }

    /// The labels of all routes so far.
    pub(crate) fn routes(&self) -> Vec<Arc<str>> {
        self.routes.values()
    }

    /// The label of an origin.
    pub(crate) fn origin(&self, origin: &OriginClass) -> Arc<str> {
        let label = match origin {
            OriginClass::Other => self.origins.label(OTHER),
            known => self.origins.label(known.label()),
        };
        if label.is_new {
            let _expanding = self.expand();
            for route in &self.streaming {
                self.counters.show_origin(route.key(), &label.value);
            }
            self.counters.show_reports(&label.value, false);
        }
        label.value
    }

    /// The series of an allow-list's entries exist at zero before their first stream.
    pub(crate) fn learn_origins(&self, policy: &PolicyInfo) {
        for origin in &policy.origins {
            self.origin(&OriginClass::Allowed(Arc::clone(origin)));
        }
    }

    /// What the threads count for a route's streams. The first call shows the series of its streams.
    pub(crate) fn threads(&self, route: &Arc<str>) -> Arc<Threads> {
        if let Some(threads) = self.streaming.get(route) {
            return Arc::clone(&threads);
        }
        let _expanding = self.expand();
        let threads = Arc::clone(&self.streaming.entry(Arc::clone(route)).or_default());
        self.counters.show_streams(route);
        for origin in self.origins.values() {
            self.counters.show_origin(route, &origin);
        }
        threads
    }

    /// What the operations page shows; `None` until it is mounted.
    #[cfg(feature = "operations")]
    pub(crate) fn live(&self) -> Option<&Arc<crate::live::Live>> {
        self.live.get()
    }

    /// From here on what the operations page shows is kept.
    #[cfg(feature = "operations")]
    pub(crate) fn keep_live(&self) -> &Arc<crate::live::Live> {
        self.live.get_or_init(Arc::default)
    }

    fn expand(&self) -> std::sync::MutexGuard<'_, ()> {
        self.expanding
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The routes that open streams.
    pub(crate) fn streaming(&self) -> Vec<(Arc<str>, Arc<Threads>)> {
        let routes = self.streaming.iter();
        routes
            .map(|route| (Arc::clone(route.key()), Arc::clone(route.value())))
            .collect()
    }

    /// The exemplars of all routes; none without a source of traces.
    pub(crate) fn exemplars(&self) -> Shown {
        let mut shown = Shown::default();
        if self.traces.is_nowhere() {
            return shown;
        }
        for (route, threads) in self.streaming() {
            let totals = threads.totals();
            shown.add(c::DELIVERY_LAG.name, &route, totals.lag.exemplars);
            shown.add(
                c::TIME_TO_FIRST_EVENT.name,
                &route,
                totals.first_event.exemplars,
            );
        }
        shown
    }

    /// Counts a report of a browser.
    pub(crate) fn report(&self, origin: &OriginClass, diagnosis: Diagnosis, client: Client) {
        let origin = self.origin(origin);
        self.counters.show_reports(&origin, true);
        self.counters.reports.inc(&[&origin, diagnosis.as_str()]);
        // CORS blocks no page of the server's own origin.
        if diagnosis == Diagnosis::CorsBlocked && &*origin != "same_origin" {
            let share = client.share(SHARES).to_string();
            self.counters.blocked.inc(&[&origin, &share]);
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            routes: self.routes.max(),
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
