//! The handle that everything else hangs on, and its builder.

use std::{fmt, io, sync::Arc};

use prometheus::Registry;

use crate::{
    catalogue::{CATALOGUE, PROCESS_CATALOGUE},
    clock::Clock,
    closes::CloseThresholds,
    collector::RecorderCollector,
    core::{Core, Settings},
    exemplars::Shown,
    exposition::{Format, render},
    levels::LimitScope,
    log::{JsonLayer, Log, LogBuilder, LogGuard, json_layer_to},
    process::ProcessCollector,
    recorder::Recorder,
    trace::TraceSource,
};

/// The metrics of one process: hands out observers, and shows what they counted.
///
/// Cheap to clone; all clones are the same metrics.
///
/// ```
/// use actix_web_sse_metrics::Metrics;
///
/// let metrics = Metrics::builder()
///     .route("/events")
///     .origin("https://app.example.com")
///     .build()?;
/// assert!(metrics.text().contains("sse_connections_active{route=\"/events\"} 0"));
/// # Ok::<(), actix_web_sse_metrics::MetricsError>(())
/// ```
#[derive(Clone)]
pub struct Metrics {
    pub(crate) core: Arc<Core>,
    registry: Registry,
}

/// Why the metrics could not be set up: another collector of the given registry has one of our
/// names, or the recorder was registered twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsError(String);

impl fmt::Display for MetricsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot register the metrics: {}", self.0)
    }
}

impl std::error::Error for MetricsError {}

impl Metrics {
    /// Metrics with every default; routes and origins are learned as they come, up to a bound.
    ///
    /// # Errors
    /// None in practice: a registry of its own has no names to clash with.
    pub fn new() -> Result<Self, MetricsError> {
        Self::builder().build()
    }

    /// Metrics that know their routes and origins from the start, so that every series stands at
    /// zero before its first event.
    pub fn builder() -> MetricsBuilder {
        MetricsBuilder::default()
    }

    /// The observer to hand to the hub and to the policy.
    #[must_use]
    pub fn observer(&self) -> Recorder {
        Recorder {
            core: Arc::clone(&self.core),
        }
    }

    /// A log observer whose records these metrics count. Compose it: `(metrics.observer(),
    /// metrics.log().build())`.
    pub fn log(&self) -> LogBuilder {
        Log::builder()
            .counts(Arc::clone(&self.core.logs))
            .closes(self.core.closes.clone())
            .traces(self.core.traces.clone())
    }

    /// [`log::json_layer_to`](crate::log::json_layer_to), with what it drops exported as
    /// `sse_log_records_dropped_total`.
    pub fn json_layer(&self, writer: impl io::Write + Send + 'static) -> (JsonLayer, LogGuard) {
        let (layer, guard) = json_layer_to(writer);
        self.count_dropped(&guard);
        (layer, guard)
    }

    /// Exports what this queue drops, for a log that was there before the metrics.
    pub fn count_dropped(&self, guard: &LogGuard) {
        self.core.logs.queue(guard.counter());
    }

    /// Declares a limit that no policy has reported.
    pub fn set_limit(&self, scope: LimitScope, streams: u64) {
        self.core.levels.limit(scope, streams);
    }

    /// Sets the function that each scrape calls for `sse_draining`: whether the process drains.
    pub fn draining_when(&self, probe: impl Fn() -> bool + Send + Sync + 'static) {
        self.core.levels.draining_when(Box::new(probe));
    }

    /// The metrics in Prometheus's text format 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        self.render(Format::Text)
    }

    pub(crate) fn render(&self, format: Format) -> String {
        let exemplars = match format {
            Format::Text => Shown::default(),
            // Before the counts, so that each stands in a bucket that has counted it.
            Format::OpenMetrics => self.core.exemplars(),
        };
        render(&self.registry.gather(), format, &exemplars)
    }

    /// The most series that these metrics can ever have, whatever clients send; those of other
    /// collectors in the same registry not counted.
    #[must_use]
    pub fn max_series(&self) -> usize {
        let bounds = self.core.bounds();
        CATALOGUE
            .iter()
            .chain(PROCESS_CATALOGUE)
            .map(|row| row.series(&bounds))
            .sum()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("max_series", &self.max_series())
            .finish_non_exhaustive()
    }
}

/// Configures [`Metrics`].
#[derive(Debug)]
#[must_use = "`build` makes the metrics"]
pub struct MetricsBuilder {
    settings: Settings,
    registry: Option<Registry>,
    clock: Clock,
}

impl Default for MetricsBuilder {
    fn default() -> Self {
        Self {
            settings: Settings {
                routes: Vec::new(),
                auth_required: Vec::new(),
                more_routes: 16,
                origins: Vec::new(),
                more_origins: 32,
                rejected_origins: 20,
                rejected_threshold: 3,
                ipv6_prefix: 64,
                closes: CloseThresholds::default(),
                traces: TraceSource::default(),
            },
            registry: None,
            clock: Clock::start(),
        }
    }
}

impl MetricsBuilder {
    /// A route that opens streams: the match pattern (`/rooms/{room}/events`), not a path. Its
    /// series stand at zero from the start.
    pub fn route(mut self, pattern: &str) -> Self {
        if !self.settings.routes.iter().any(|known| **known == *pattern) {
            self.settings.routes.push(pattern.into());
        }
        self
    }

    /// A route whose every stream must be authenticated. The alert on authentication bypass
    /// compares this declaration with the streams that were opened, so declare it here even where the
    /// policy requires the same.
    pub fn auth_required(mut self, pattern: &str) -> Self {
        self.settings.auth_required.push(pattern.into());
        self.route(pattern)
    }

    /// An entry of the allow-list. A policy that reports to the observer adds its own entries.
    pub fn origin(mut self, entry: &str) -> Self {
        self.settings.origins.push(entry.into());
        self
    }

    /// How many routes may be learned besides the declared ones. Default 16; the rest is `other`.
    pub fn max_learned_routes(mut self, routes: usize) -> Self {
        self.settings.more_routes = routes;
        self
    }

    /// How many origins may be learned from policies besides the declared ones. Default 32; the
    /// rest is `other`.
    pub fn max_learned_origins(mut self, origins: usize) -> Self {
        self.settings.more_origins = origins;
        self
    }

    /// How many rejected origins get a label of their own, each after how many rejections.
    /// Default 20, after 3: an origin that the allow-list lost is an alarm at its third refusal, and what is refused
    /// only once or twice is as a rule a stray request.
    pub fn rejected_origins(mut self, labels: usize, threshold: u32) -> Self {
        self.settings.rejected_origins = labels;
        self.settings.rejected_threshold = threshold;
        self
    }

    /// The length of the IPv6 prefix that counts as one client, in bits. Default 64; use the value of
    /// the policy's limits.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.settings.ipv6_prefix = bits;
        self
    }

    /// What counts as an immediate close.
    pub fn closes(mut self, thresholds: CloseThresholds) -> Self {
        self.settings.closes = thresholds;
        self
    }

    /// Where the trace of a request is found, for exemplars and for the lines of
    /// [`Metrics::log`]. Default: nowhere.
    ///
    /// A write of a stream that belongs to a sampled trace costs a clock's reading and a lock that only
    /// scrapes contend for; all other writes cost what they cost without.
    pub fn traces(mut self, source: TraceSource) -> Self {
        self.settings.traces = source;
        self
    }

    /// Registers with this registry instead of one of its own, so that one `/metrics` shows the
    /// application's other metrics too.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Counts by a clock that the test moves.
    #[cfg(test)]
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the metrics and registers them.
    ///
    /// # Errors
    /// When the given registry has a metric of the same name already.
    pub fn build(self) -> Result<Metrics, MetricsError> {
        let say = |error: prometheus::Error| MetricsError(error.to_string());
        let core = Arc::new(Core::new(self.settings, self.clock).map_err(say)?);
        let own = self.registry.is_none();
        let registry = self.registry.unwrap_or_default();
        let recorder = RecorderCollector::new(Arc::clone(&core)).map_err(say)?;
        registry.register(Box::new(recorder)).map_err(say)?;
        let process = ProcessCollector::new().map_err(say)?;
        match registry.register(Box::new(process)) {
            // The application has process metrics of its own.
            Err(_) if !own => {}
            result => result.map_err(say)?,
        }
        Ok(Metrics { core, registry })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::Duration,
    };

    use actix_web::test::TestRequest;
    use actix_web_sse::observe::{
        AuthMethod, CloseReason, CorsVerdict, End, Observer, Opened, OriginClass, PolicyInfo,
        Publication, RefusalMode, RefusalReason, Refused, Resume, Sent, SentKind, Visitor,
    };

    use super::*;

    const ORIGIN: &str = "https://app.example.com";

    fn opened_by<R>(address: &str, f: impl FnOnce(&Visitor<'_>) -> R) -> R {
        let request = TestRequest::get()
            .peer_addr(format!("{address}:4711").parse().unwrap())
            .to_http_request();
        let origin = OriginClass::Allowed(ORIGIN.into());
        let mut visitor = Visitor::unknown(&request, "/events");
        visitor.origin = &origin;
        visitor.cors = CorsVerdict::Allowed;
        visitor.auth = AuthMethod::Cookie;
        visitor.token_ttl = Some(Duration::from_secs(3600));
        f(&visitor)
    }

    /// What a scrape shows after a known course of events, without what depends on the machine.
    fn course_of_events() -> String {
        let millis = Arc::new(AtomicU64::new(0));
        let metrics = Metrics::builder()
            .auth_required("/events")
            .rejected_origins(2, 2)
            .clock(Clock::Manual(Arc::clone(&millis)))
            .build()
            .unwrap();
        let observer = metrics.observer();
        let mut policy = PolicyInfo::new(vec![ORIGIN.into()], true);
        policy.per_ip = Some(4);
        policy.total = Some(1000);
        observer.policy(&policy);

        let open = |number: u64| {
            opened_by("192.0.2.1", |visitor| {
                observer.attempted(visitor);
                observer.opened(&Opened::new(visitor, number.into(), Resume::Hit))
            })
        };
        let (mut first, second, third) = (open(1), open(2), open(3));
        let meter = first.meter().unwrap();
        let mut sent = Sent::new(SentKind::Replay, 3, 90);
        sent.first_event_after = Some(Duration::from_millis(20));
        meter.sent(&sent);
        let mut sent = Sent::new(SentKind::Event, 2, 60);
        sent.lag = Some(Duration::from_millis(2));
        meter.sent(&sent);
        meter.sent(&Sent::new(SentKind::Heartbeat, 1, 2));
        meter.sent(&Sent::new(SentKind::Control, 0, 12));
        first.lagged(7);
        observer.published(&Publication::new("a topic", 30));
        second.closed(&End::new(CloseReason::ClientGone, Duration::from_millis(4)));
        third.closed(&End::new(
            CloseReason::ClientGone,
            Duration::from_millis(5003),
        ));

        let request = TestRequest::get()
            .insert_header(("origin", "https://evil.example"))
            .to_http_request();
        let visitor = Visitor::unknown(&request, "/events");
        for _ in 0..3 {
            observer.attempted(&visitor);
            observer.refused(&Refused::new(
                &visitor,
                RefusalReason::OriginDenied,
                RefusalMode::Hard,
                403,
            ));
        }
        millis.store(90_000, Ordering::Relaxed);
        let text = metrics.text();
        drop(first);
        let machine = ["process_", "sse_scrape_duration_seconds "];
        text.lines()
            .filter(|line| !machine.iter().any(|name| line.starts_with(name)))
            .filter(|line| !line.contains(" process_"))
            .fold(String::new(), |text, line| text + line + "\n")
    }

    #[test]
    fn a_known_course_of_events_is_the_golden_scrape() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.txt");
        let ours = course_of_events();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &ours).unwrap();
        }
        let golden = std::fs::read_to_string(path).unwrap();
        for (ours, golden) in ours.lines().zip(golden.lines()) {
            assert_eq!(ours, golden);
        }
        assert_eq!(ours.lines().count(), golden.lines().count());
    }

    #[test]
    fn a_second_recorder_in_the_same_registry_is_an_error() {
        let registry = Registry::new();
        Metrics::builder()
            .registry(registry.clone())
            .build()
            .unwrap();
        let error = Metrics::builder().registry(registry).build().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot register the metrics: "),
            "{error}"
        );
    }

    #[test]
    fn the_number_of_series_is_a_function_of_routes_origins_and_k() {
        let max = |routes: usize, origins, k| {
            Metrics::builder()
                .max_learned_routes(routes)
                .max_learned_origins(origins)
                .rejected_origins(k, 1)
                .build()
                .unwrap()
                .max_series()
        };
        // Each rejected origin at the one route and at `other`.
        assert_eq!(max(1, 1, 1) + 2 * 9, max(1, 1, 10));
        assert!(max(2, 1, 1) > max(1, 1, 1));
        assert!(max(1, 2, 1) > max(1, 1, 1));
    }
}
