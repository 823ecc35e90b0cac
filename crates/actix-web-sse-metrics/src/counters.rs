//! The counters and histograms of the `prometheus` crate, for everything that is not counted at each
//! delivery; that is in [`worker`](crate::worker).

use std::sync::atomic::{Ordering, fence};

use actix_web_sse::observe::{
    AuthMethod, CloseReason, CorsVerdict, Lane, RefusalMode, RefusalReason, Resume,
};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, core::Collector,
};

use crate::{
    catalogue::{self as c, Metric},
    closes::ImmediateClose,
    diagnosis::{Diagnosis, SHARES},
    families::Families,
    labels::OTHER,
    worker::bounds,
};

/// The results of a resume that are counted: a stream that began afresh resumed nothing.
pub(crate) const RESUMES: &[Resume] = &[Resume::Hit, Resume::Gap, Resume::Unknown];

/// A counter of the catalogue, with a series for each combination of label values.
#[derive(Debug, Clone)]
pub(crate) struct Counter(IntCounterVec);

impl Counter {
    pub(crate) fn new(row: &Metric) -> prometheus::Result<Self> {
        let labels: Vec<_> = row.labels.iter().map(|label| label.name).collect();
        IntCounterVec::new(Opts::new(row.name, row.help), &labels).map(Self)
    }

    /// The series of these label values, in the order of the row's labels; made at the first call.
    pub(crate) fn series(&self, labels: &[&str]) -> prometheus::Result<IntCounter> {
        self.0.get_metric_with_label_values(labels)
    }

    pub(crate) fn inc(&self, labels: &[&str]) {
        // Fails for a wrong number of labels only.
        if let Ok(series) = self.series(labels) {
            series.inc();
        }
    }

    /// Makes a series, so that it is exported at zero before its first event.
    fn show(&self, labels: &[&str]) {
        drop(self.series(labels));
    }

    pub(crate) fn collect(&self, families: &mut Families) {
        families.add(self.0.collect());
    }

    /// The sums of all series by the value of their `route`.
    pub(crate) fn collect_by_route(&self, families: &mut Families) -> Vec<(String, f64)> {
        let collected = self.0.collect();
        let mut sums: Vec<(String, f64)> = Vec::new();
        for metric in collected.iter().flat_map(|family| family.get_metric()) {
            let labels = metric.get_label().iter();
            let route = labels.filter(|label| label.name() == "route");
            for route in route.map(|label| label.value()) {
                let value = metric.get_counter().get_value();
                match sums.iter_mut().find(|(known, _)| known == route) {
                    Some((_, sum)) => *sum += value,
                    None => sums.push((route.to_owned(), value)),
                }
            }
        }
        families.add(collected);
        sums
    }
}

/// A histogram of the catalogue without labels.
pub(crate) fn histogram(row: &Metric) -> prometheus::Result<Histogram> {
    Histogram::with_opts(histogram_opts(row))
}

fn histogram_opts(row: &Metric) -> HistogramOpts {
    HistogramOpts::new(row.name, row.help).buckets(bounds(row).to_vec())
}

/// What is counted once for each request, stream, publication or report.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) attempts: Counter,
    pub(crate) rejected: Counter,
    pub(crate) rejected_cors: Counter,
    pub(crate) opened: Counter,
    pub(crate) opened_cors: Counter,
    closed: Counter,
    pub(crate) immediate_close: Counter,
    pub(crate) probe_closes: Counter,
    pub(crate) resumes: Counter,
    lanes: Counter,
    duration: HistogramVec,
    pub(crate) client_streams: Histogram,
    pub(crate) token_ttl: Histogram,
    pub(crate) published: Counter,
    pub(crate) topics_published: Counter,
    pub(crate) label_overflow: Counter,
    pub(crate) reports: Counter,
    pub(crate) blocked: Counter,
    pub(crate) operator_actions: Counter,
}

/// What operators can do on the operations page.
const OPERATOR_ACTIONS: [&str; 2] = [END_STREAM, END_USER];
pub(crate) const END_STREAM: &str = "end_stream";
pub(crate) const END_USER: &str = "end_user";

impl Counters {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let counters = Self {
            attempts: Counter::new(&c::ATTEMPTS)?,
            rejected: Counter::new(&c::REJECTED)?,
            rejected_cors: Counter::new(&c::REJECTED_CORS)?,
            opened: Counter::new(&c::OPENED)?,
            opened_cors: Counter::new(&c::OPENED_CORS)?,
            closed: Counter::new(&c::CLOSED)?,
            immediate_close: Counter::new(&c::IMMEDIATE_CLOSE)?,
            probe_closes: Counter::new(&c::PROBE_CLOSES)?,
            resumes: Counter::new(&c::RESUMES)?,
            lanes: Counter::new(&c::LANES)?,
            duration: HistogramVec::new(histogram_opts(&c::DURATION_SECONDS), &["route"])?,
            client_streams: histogram(&c::CLIENT_STREAMS)?,
            token_ttl: histogram(&c::TOKEN_TTL)?,
            published: Counter::new(&c::PUBLISHED)?,
            topics_published: Counter::new(&c::TOPICS_PUBLISHED)?,
            label_overflow: Counter::new(&c::LABEL_OVERFLOW)?,
            reports: Counter::new(&c::CLIENT_REPORTS)?,
            blocked: Counter::new(&c::CLIENT_BLOCKED)?,
            operator_actions: Counter::new(&c::OPERATOR_ACTIONS)?,
        };
        counters.published.show(&[]);
        for action in OPERATOR_ACTIONS {
            counters.operator_actions.show(&[action]);
        }
        // The others when there is a stream of their kind: they say how a process is set up, and no rule
        // looks at their first sample.
        let lane = Lane::Socket;
        counters.lanes.show(&[lane.name(), lane.as_str()]);
        Ok(counters)
    }

    /// Counts how a stream's bytes reach its connection.
    pub(crate) fn carried(&self, lane: Lane) {
        self.lanes.inc(&[lane.name(), lane.as_str()]);
    }

    /// Counts the end of a stream.
    pub(crate) fn close(&self, route: &str, reason: CloseReason, seconds: f64) {
        if let Ok(duration) = self.duration.get_metric_with_label_values(&[route]) {
            duration.observe(seconds);
        }
        // Paired with the fence in `collect_streams`.
        fence(Ordering::Release);
        self.closed.inc(&[route, reason.as_str()]);
    }

    /// Adds opened, closed and active streams. The ends are read first, and the fences order them
    /// after their openings: so no scrape shows a stream that ended and never opened.
    pub(crate) fn collect_streams(&self, families: &mut Families) {
        let closed = self.closed.collect_by_route(families);
        fence(Ordering::Acquire);
        let opened = self.opened.collect_by_route(families);
        families.family(&c::ACTIVE, |family| {
            for (route, opened) in &opened {
                let closed = closed.iter().find(|(known, _)| known == route);
                let closed = closed.map_or(0.0, |(_, closed)| *closed);
                family.value(&[route], (opened - closed).max(0.0));
            }
        });
    }

    /// Adds everything but attempts, opened and closed streams.
    pub(crate) fn collect(&self, families: &mut Families) {
        for counter in [
            &self.rejected,
            &self.rejected_cors,
            &self.opened_cors,
            &self.immediate_close,
            &self.probe_closes,
            &self.resumes,
            &self.lanes,
            &self.published,
            &self.topics_published,
            &self.label_overflow,
            &self.reports,
            &self.blocked,
            &self.operator_actions,
        ] {
            counter.collect(families);
        }
        families.add(self.duration.collect());
        families.add(self.client_streams.collect());
        families.add(self.token_ttl.collect());
    }

    /// Shows every refusal that the guards can answer on this route.
    pub(crate) fn show_refusals(&self, route: &str) {
        for reason in RefusalReason::ALL {
            for mode in RefusalMode::ALL {
                if is_usual(*reason, *mode) {
                    self.rejected.show(&[route, reason.as_str(), mode.as_str()]);
                }
            }
        }
    }

    /// Shows the series of a route that opens streams, without those of origins.
    pub(crate) fn show_streams(&self, route: &str) {
        for reason in CloseReason::ALL {
            self.closed.show(&[route, reason.as_str()]);
        }
        for verdict in CorsVerdict::ALL {
            self.opened_cors.show(&[route, verdict.as_str()]);
        }
        self.probe_closes.show(&[route]);
        for result in RESUMES {
            self.resumes.show(&[route, result.as_str()]);
        }
        drop(self.duration.get_metric_with_label_values(&[route]));
    }

    /// Shows the series of an origin on a route that opens streams.
    pub(crate) fn show_origin(&self, route: &str, origin: &str) {
        for method in AuthMethod::ALL {
            self.opened.show(&[route, origin, method.as_str()]);
        }
        for class in ImmediateClose::ALL {
            self.immediate_close.show(&[route, origin, class.as_str()]);
        }
    }

    /// Shows the reports of an origin. `none`, `null` and `other` are shown after their first report
    /// only: pages of the allow-list have another label.
    pub(crate) fn show_reports(&self, origin: &str, is_reported: bool) {
        if ["none", "null", OTHER].contains(&origin) && !is_reported {
            return;
        }
        for diagnosis in Diagnosis::ALL {
            self.reports.show(&[origin, diagnosis.as_str()]);
        }
        // CORS blocks no page of the server's own origin.
        if origin != "same_origin" {
            for share in 0..SHARES {
                self.blocked.show(&[origin, &share.to_string()]);
            }
        }
    }
}

/// Whether a guard answers this refusal in this way: every refusal has its status, only those for
/// want of capacity have a soft answer, and only the rules about origin and host can be tried out.
const fn is_usual(reason: RefusalReason, mode: RefusalMode) -> bool {
    use RefusalReason as R;
    match mode {
        RefusalMode::Hard => true,
        RefusalMode::Soft => matches!(
            reason,
            R::IpLimit
                | R::UserLimit
                | R::RateLimit
                | R::Capacity
                | R::Draining
                | R::AuthUnavailable
        ),
        RefusalMode::ReportOnly => matches!(
            reason,
            R::HostDenied | R::OriginDenied | R::OriginMalformed | R::FetchMetadataDenied
        ),
        _ => false,
    }
}
