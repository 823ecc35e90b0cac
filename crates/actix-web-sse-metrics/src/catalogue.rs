//! The one table of everything that is exported: names, help, types, labels and bounds.
//!
//! The collector builds its families from these rows; tests hold the documents, dashboards and
//! rules against them.

use std::fmt;

use crate::diagnosis::SHARES;

/// What kind of metric a row is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Only ever rises, until the process restarts.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts observations in cumulative buckets with these upper bounds.
    Histogram(&'static [f64]),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        })
    }
}

/// The source of a label's values, which bounds their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Values {
    /// The routes: those declared to the builder and the first few others, then `other`.
    Routes,
    /// The entries of the allow-list, `same_origin`, `none`, `null`, `other`.
    Origins,
    /// The first K rejected origins that passed the threshold, and `other`.
    RejectedOrigins,
    /// A closed list in code.
    Closed(usize),
    /// The entries of `[[hub.topics]]`, at most 100.
    TopicSettings,
    /// One value for each policy of the process, of which the first few are shown.
    Policies,
    /// Fixed by another label of the same row.
    Dependent,
}

/// A label and where its values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Label {
    /// The label's name.
    pub name: &'static str,
    /// Where its values come from.
    pub values: Values,
}

/// One row of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// The name on `/metrics`.
    pub name: &'static str,
    /// The help text on `/metrics`.
    pub help: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The labels, in the order in which the recorder gives their values.
    pub labels: &'static [Label],
}

/// How many values the open label sets may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) routes: usize,
    pub(crate) origins: usize,
    pub(crate) rejected_origins: usize,
}

/// How many networks of one policy with limits of their own are shown.
pub(crate) const MAX_NETWORKS: usize = 8;

/// How many workers of one process have a label of their own.
pub(crate) const MAX_WORKERS: usize = 64;

/// How many policies of one process are shown.
pub(crate) const MAX_POLICIES: usize = 8;

impl Metric {
    /// The most series this row can ever have.
    pub(crate) fn series(&self, bounds: &Bounds) -> usize {
        let per_set = match self.kind {
            Kind::Histogram(buckets) => buckets.len() + 3,
            Kind::Counter | Kind::Gauge => 1,
        };
        self.labels
            .iter()
            .map(|label| match label.values {
                Values::Routes => bounds.routes,
                Values::Origins => bounds.origins,
                Values::RejectedOrigins => bounds.rejected_origins + 1,
                Values::Closed(count) => count,
                Values::Policies => MAX_POLICIES + 1,
                Values::TopicSettings => 100,
                Values::Dependent => 1,
            })
            .product::<usize>()
            * per_set
    }
}

const fn label(name: &'static str, values: Values) -> Label {
    Label { name, values }
}

const ROUTE: Label = label("route", Values::Routes);
const ORIGIN: Label = label("origin", Values::Origins);

const DURATION: &[f64] = &[
    0.05, 0.4, 1.0, 2.5, 4.5, 4.98, 5.05, 5.4, 5.9, 7.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
    14400.0, 43200.0, 86400.0,
];
const FIRST_EVENT: &[f64] = &[
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];
const LAG: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const STREAMS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0, 50.0];
const TTL: &[f64] = &[
    10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0,
];

macro_rules! catalogue {
    ($($id:ident: $name:literal, $kind:expr, [$($label:expr),*], $help:literal;)+) => {
        $(pub(crate) const $id: Metric = Metric {
            name: $name,
            help: $help,
            kind: $kind,
            labels: &[$($label),*],
        };)+

        /// Every metric that this crate exports, the process's own included.
        pub const CATALOGUE: &[Metric] = &[$($id,)+];
    };
}

catalogue! {
    BUILD_INFO: "sse_build_info", Kind::Gauge, [label("version", Values::Closed(1))],
        "Always 1; the label tells the version of the library.";
    ATTEMPTS: "sse_connection_attempts_total", Kind::Counter, [ROUTE],
        "Requests that reached the guards of a stream.";
    REJECTED: "sse_connections_rejected_total", Kind::Counter,
        [ROUTE, label("reason", Values::Closed(20)), label("mode", Values::Closed(3))],
        "Requests that were refused, or would have been in report-only mode, by error code; not HEAD requests refused for where they come from.";
    REJECTED_CORS: "sse_connections_rejected_cors_total", Kind::Counter,
        [
            ROUTE,
            ORIGIN,
            label("verdict", Values::Closed(4)),
            label("mode", Values::Closed(3))
        ],
        "Requests that were refused, or would have been in report-only mode, by origin and by what a browser makes of the reply; denied: the page cannot read why.";
    OPENED: "sse_connections_opened_total", Kind::Counter,
        [ROUTE, ORIGIN, label("auth_method", Values::Closed(5))],
        "Streams opened.";
    OPENED_CORS: "sse_connections_opened_cors_total", Kind::Counter,
        [ROUTE, label("verdict", Values::Closed(4))],
        "Streams opened, by what a browser makes of the reply; denied: it will refuse it.";
    CLOSED: "sse_connections_closed_total", Kind::Counter,
        [ROUTE, label("reason", Values::Closed(11))],
        "Streams ended, by reason.";
    ACTIVE: "sse_connections_active", Kind::Gauge, [ROUTE],
        "Streams open now: always opened minus closed.";
    LIMIT: "sse_connections_limit", Kind::Gauge,
        [
            label("policy_hash", Values::Policies),
            label("scope", Values::Closed(3)),
            label("network", Values::Closed(MAX_NETWORKS + 1))
        ],
        "The most streams that a policy allows, per address of a network, per user and altogether; without a policy, that the process allows.";
    IMMEDIATE_CLOSE: "sse_connections_immediate_close_total", Kind::Counter,
        [ROUTE, ORIGIN, label("class", Values::Closed(3))],
        "Streams closed by the client before it can have used them, as those are that the browser's CORS check blocks; interval: perhaps, since only a later write showed it.";
    PROBE_CLOSES: "sse_probe_closes_total", Kind::Counter, [ROUTE],
        "Streams of sse-probe that ended, which are no immediate closes: `sse-probe closes` waits for its own.";
    DURATION_SECONDS: "sse_connection_duration_seconds", Kind::Histogram(DURATION), [ROUTE],
        "From the request to the stream's end.";
    AGE_MAX: "sse_connection_age_seconds_max", Kind::Gauge, [ROUTE],
        "Age of the oldest open stream.";
    TIME_TO_FIRST_EVENT: "sse_time_to_first_event_seconds", Kind::Histogram(FIRST_EVENT), [ROUTE],
        "From the request to the stream's first event, heartbeats not counted.";
    LANES: "sse_connection_lanes_total", Kind::Counter,
        [label("lane", Values::Dependent), label("reason", Values::Closed(11))],
        "Streams by how their bytes reach the connection: socket, the stream writes to its own socket; body, through actix, by the reason for that.";
    LIFETIME_LIMIT: "sse_connection_lifetime_limit_seconds", Kind::Gauge, [],
        "The longest life of a stream that the hub's configuration allows; 0: no limit.";
    HUB_INFO: "sse_hub_info", Kind::Gauge,
        [label("backplane", Values::Closed(1)), label("resume", Values::Dependent)],
        "Always 1; the labels tell whether the hub has a backplane, and whether it keeps events for clients that come back.";
    HUB_HEARTBEAT: "sse_hub_heartbeat_seconds", Kind::Gauge, [],
        "After how much silence a heartbeat goes out.";
    WORKER_TICK_AGE: "sse_worker_tick_age_seconds", Kind::Gauge,
        [label("worker", Values::Closed(MAX_WORKERS + 1))],
        "For how long each worker thread that has streams has not run its timers, which it does every five seconds.";
    DELIVERY_LAG: "sse_delivery_lag_seconds", Kind::Histogram(LAG), [ROUTE],
        "From the publication of an event to handing it to the socket; of several in one write, the oldest.";
    TOPICS_LAG: "sse_topic_delivery_lag_seconds", Kind::Histogram(LAG),
        [label("topics", Values::TopicSettings)],
        "As `sse_delivery_lag_seconds`, of topics with settings of their own, by the `match` of the entry.";
    EVENTS_SENT: "sse_events_sent_total", Kind::Counter,
        [ROUTE, label("kind", Values::Closed(3))],
        "Events, replayed events and heartbeats handed to sockets.";
    SENT_BYTES: "sse_sent_bytes_total", Kind::Counter, [ROUTE],
        "Body bytes handed to sockets.";
    DROPPED: "sse_events_dropped_total", Kind::Counter,
        [ROUTE, label("policy", Values::Closed(1))],
        "Events that a slow subscriber skipped, with a `lagged` event in their place.";
    PUBLISHED: "sse_events_published_total", Kind::Counter, [],
        "Events that the hub accepted.";
    TOPICS_PUBLISHED: "sse_topic_events_published_total", Kind::Counter,
        [label("topics", Values::TopicSettings)],
        "Events that the hub accepted of topics with settings of their own, by the `match` of the entry.";
    RESUMES: "sse_resumes_total", Kind::Counter, [ROUTE, label("result", Values::Closed(3))],
        "Streams opened with a Last-Event-ID, by what became of it.";
    CLIENT_STREAMS: "sse_client_streams", Kind::Histogram(STREAMS), [],
        "Open streams of a client address at the moment one more opens, that one included.";
    CLIENT_STREAMS_MAX: "sse_client_streams_max", Kind::Gauge, [],
        "Streams of the client address that has the most, now.";
    CLIENTS: "sse_clients", Kind::Gauge, [],
        "Distinct client addresses with an open stream, now.";
    REJECTED_ORIGINS: "sse_rejected_origins_total", Kind::Counter,
        [ROUTE, label("origin", Values::RejectedOrigins)],
        "Requests refused for their origin, HEAD not counted; the first frequent origins keep a label, the rest are other.";
    REJECTED_ORIGINS_DISTINCT: "sse_rejected_origins_distinct", Kind::Gauge, [],
        "Distinct rejected origins since the start, estimated to within a few per cent.";
    TOKEN_TTL: "sse_auth_token_ttl_seconds", Kind::Histogram(TTL), [],
        "Remaining life of the credentials when a stream opens.";
    AUTH_REQUIRED: "sse_route_auth_required", Kind::Gauge, [ROUTE],
        "1 where the operator declared that every stream must be authenticated, else 0.";
    POLICY_INFO: "sse_cors_policy_info", Kind::Gauge,
        [
            label("policy_hash", Values::Policies),
            label("credentials", Values::Dependent),
            label("wildcard", Values::Dependent)
        ],
        "Always 1; the labels tell which CORS policy this process enforces.";
    CLIENT_REPORTS: "sse_client_reports_total", Kind::Counter,
        [ORIGIN, label("diagnosis", Values::Closed(7))],
        "Reports by browsers of allowed origins whose EventSource gave up; unknown: not certainly a reply of the application's; dropped: reports that were not believed.";
    CLIENT_BLOCKED: "sse_client_blocked_reports_total", Kind::Counter,
        [ORIGIN, label("share", Values::Closed(SHARES))],
        "Reports that CORS blocked a stream, by the share of all client addresses that the client belongs to: several shares are several clients.";
    DRAINING: "sse_draining", Kind::Gauge, [],
        "1 while the process drains, else 0.";
    LABEL_OVERFLOW: "sse_label_overflow_total", Kind::Counter,
        [label("metric", Values::Closed(3))],
        "Label values folded into other because the bound on series was reached.";
    LOG_RECORDS: "sse_log_records_total", Kind::Counter, [label("event", Values::Closed(3))],
        "Log records written.";
    LOG_SUPPRESSED: "sse_log_records_suppressed_total", Kind::Counter,
        [label("event", Values::Closed(3))],
        "Log records left out by the rate limit.";
    LOG_DROPPED: "sse_log_records_dropped_total", Kind::Counter, [],
        "Log lines that were dropped because the log was read too slowly or could not be written.";
    MISCONFIGURED: "sse_misconfigured", Kind::Gauge, [label("cause", Values::Closed(7))],
        "1 where a request showed that the library is mounted wrongly, else 0; the log has the remedy.";
    OPERATOR_ACTIONS: "sse_operator_actions_total", Kind::Counter,
        [label("action", Values::Closed(2))],
        "What operators did on the operations page: end_stream, they ended one stream; end_user, all streams of a user.";
    BACKPLANE_CONNECTED: "sse_backplane_connected", Kind::Gauge, [],
        "1 while the backplane's engine answers, else 0. Of the backplane there are metrics only where a hub has one.";
    BACKPLANE_SILENT: "sse_backplane_silent_seconds", Kind::Gauge, [],
        "For how long this node has heard nothing from the engine, which it asks every second.";
    BACKPLANE_LAG: "sse_backplane_lag_seconds", Kind::Histogram(LAG), [],
        "From the publication of an event on whichever node to its arrival on this one, by the engine's clock.";
    BACKPLANE_BACKLOG: "sse_backplane_backlog", Kind::Gauge, [],
        "Publications of this node that wait for the engine.";
    BACKPLANE_TOPICS: "sse_backplane_topics", Kind::Gauge, [],
        "Topics that this node follows.";
    BACKPLANE_FAILURES: "sse_backplane_failures_total", Kind::Counter, [],
        "Connections to the engine that ended, and attempts that failed.";
    BACKPLANE_PUBLISHED: "sse_backplane_published_total", Kind::Counter, [],
        "Events of this node that the engine acknowledged.";
    BACKPLANE_UNPUBLISHED: "sse_backplane_unpublished_total", Kind::Counter, [],
        "Events of this node that the engine did not acknowledge; each was an error of its publisher's.";
    BACKPLANE_DELIVERED: "sse_backplane_delivered_total", Kind::Counter, [],
        "Events that came to this node from the engine.";
    BACKPLANE_HOLES: "sse_backplane_holes_total", Kind::Counter, [],
        "How often a topic's streams ended because the engine no longer had all that they lacked.";
    BACKPLANE_RESETS: "sse_backplane_resets_total", Kind::Counter, [],
        "How often the engine had lost its history, so that every client got a `reset`.";
    BACKPLANE_REVOCATIONS_LOST: "sse_backplane_revocations_lost_total", Kind::Counter, [],
        "Revocations of this node that did not reach the other nodes: too many in one outage.";
    BACKPLANE_UNCOUNTED: "sse_backplane_uncounted_streams_total", Kind::Counter, [],
        "Streams let in by this node's own count, because the engine could not be asked how many their user has on all nodes.";
    SCRAPE_DURATION: "sse_scrape_duration_seconds", Kind::Gauge, [],
        "How long it took to gather the library's metrics for this scrape.";
}

/// Every metric of the process that is exported on Linux.
pub const PROCESS_CATALOGUE: &[Metric] = &[
    PROCESS_CPU,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_RESIDENT,
    PROCESS_VIRTUAL,
    PROCESS_START,
    PROCESS_THREADS,
];

macro_rules! process {
    ($($id:ident: $name:literal, $kind:expr, $help:literal;)+) => {
        $(pub(crate) const $id: Metric = Metric {
            name: $name,
            help: $help,
            kind: $kind,
            labels: &[],
        };)+
    };
}

process! {
    PROCESS_CPU: "process_cpu_seconds_total", Kind::Counter,
        "Total user and system CPU time spent in seconds.";
    PROCESS_OPEN_FDS: "process_open_fds", Kind::Gauge, "Number of open file descriptors.";
    PROCESS_MAX_FDS: "process_max_fds", Kind::Gauge, "Maximum number of open file descriptors.";
    PROCESS_RESIDENT: "process_resident_memory_bytes", Kind::Gauge,
        "Resident memory size in bytes.";
    PROCESS_VIRTUAL: "process_virtual_memory_bytes", Kind::Gauge, "Virtual memory size in bytes.";
    PROCESS_START: "process_start_time_seconds", Kind::Gauge,
        "Start time of the process since unix epoch in seconds.";
    PROCESS_THREADS: "process_threads", Kind::Gauge, "Number of OS threads in the process.";
}
