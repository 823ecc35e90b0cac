//! Prometheus metrics and structured logs for the event streams of [`actix_web_sse`].
//!
//! ```
//! use actix_web::{App, HttpServer};
//! use actix_web_sse::Hub;
//! use actix_web_sse_metrics::{Metrics, log::RedactedRootSpan};
//! use tracing_actix_web::TracingLogger;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = Metrics::builder().auth_required("/events").build()?;
//! // To the subscriber; the guard lives to the end of `main`.
//! let (lines, _guard) = metrics.json_layer(std::io::stdout());
//! let log = metrics.log().build();
//! let hub = Hub::builder().observer((metrics.observer(), log)).build()?;
//! println!("at most {} series", metrics.max_series());
//!
//! let server = HttpServer::new(move || {
//!     App::new()
//!         .wrap(TracingLogger::<RedactedRootSpan>::new())
//!         .app_data(hub.clone())
//!         .service(metrics.endpoint("/metrics"))
//! });
//! # drop(server);
//! # Ok(())
//! # }
//! ```
//!
//! # Rooms
//!
//! A module uses only modules below it:
//!
//! ```text
//! operations                                             the operations page
//! endpoint, reports                                      `/metrics`, what operators see, what browsers report
//! metrics                                                the handle that everything hangs on, and its builder
//! process                                                the metrics of the process
//! recorder, collector, spans                             the observer that counts, what a scrape gets, the observer that traces
//! core                                                   all counts of one process
//! origins, live                                          rejected origins, by name up to a bound; what the operations page shows
//! backplane, log                                         levels of a backplane; lines for streams and refusals
//! counters, hubs                                         what is counted once a stream or request; levels of hubs
//! families                                               samples in the form of the `prometheus` crate
//! levels, worker                                         limits and their levels; what each thread counts alone
//! catalogue, head_requests, recent                       every metric with its labels and bound; who asked for a reason; latest entries
//! diagnosis, exposition, clients, closes, cells          reports and their rate; formats; addresses; ends that show a blocked stream; counters of one thread
//! exemplars                                              the latest traced observations
//! trace                                                  which trace a request belongs to
//! ages, clock, distinct, labels, mistakes, probe  small parts
//! ```
//!
//! # What is recorded
//!
//! [`Metrics`] creates a [`Recorder`], the observer that counts, and exports the counts at an
//! [`Endpoint`] in an application or on a [separate listener](Metrics::serve). [`CATALOGUE`] lists
//! every metric with its name, help, labels and bound; `METRICS.md` is generated from it. Dashboards,
//! alerts and a runbook are in the repository's `grafana` folder.
//!
//! A hub with a backplane registers it with its observer when it is built; only then the metrics of
//! the backplane are exported.
//!
//! [`log::Log`] writes a line when a stream opens, when it ends, and when a request is refused.
//!
//! With a [`trace::TraceSource`] the latency histograms have exemplars, and lines of the log the trace of their
//! request. [`spans::Spans`] makes spans of opens, ends and publications. The feature `opentelemetry` reads the
//! context of the application's own spans.
//!
//! [`Metrics::reports`] receives what no server can see: why a browser's `EventSource` gave up.
//! [`Metrics::operators`] lists the addresses and origins that must not become labels. With the
//! feature `operations`, `Metrics::operations` is a page for people: every open stream with what it
//! does, refusals with their remedy, and a button that ends a stream.
//!
//! # What it costs
//!
//! A write to a socket updates counters that only its own thread writes: no lock, no shared cache
//! line, a few nanoseconds. What happens once for each stream or request is counted by the
//! `prometheus` crate. A scrape sums the threads and takes the same time with one stream as with a
//! million. The benchmark of the repository measures both.
//!
//! # What can go wrong
//!
//! - **Series.** Labels hold values from closed lists and from the configuration. Routes and
//!   origins beyond a bound become `other`, and `sse_label_overflow_total` says so;
//!   [`Metrics::max_series`] is the most there can ever be.
//! - **A stream whose end is not reported.** If an observer's box is dropped without `closed` (a
//!   panic in another observer, say), the recorder counts an end with reason `error`: the number
//!   of open streams never stays up.
//! - **Addresses.** They are those that the guards found out. Without a `Policy` that trusts the
//!   proxy in front, all clients have the proxy's address.
//! - **A route without a `Policy`.** Its streams count as `denied` to pages of other origins, for
//!   within it it is unknown whether another middleware adds the headers. Where one does
//!   (`actix_cors::Cors`), wrap a [`CorsWitness`](actix_web_sse::observe::CorsWitness) around the
//!   application: it looks at the headers as they leave, and such streams count as what they are.
//!   A connect line of the log is written before that.
//! - **Requests that look for the reason.** A page whose stream was refused asks why, with one or two
//!   `HEAD` requests of the script's. A `HEAD` that is refused for its origin or its fetch metadata
//!   counts as an attempt and, if the origin was never seen before, among the distinct ones, but
//!   not as another rejection. A `HEAD` that is refused for anything else counts like every request: tokens can
//!   be tried with it.
//! - **A log that is not read.** Lines go through a bounded queue; when it is full they are
//!   dropped and counted in `sse_log_records_dropped_total`, and nothing waits.
//! - **Mistakes in mounting.** What a request shows to be mounted wrongly is
//!   `sse_misconfigured{cause="…"} 1`, and a line of the log with the remedy.
//! - **Probes.** What a client that says it is `sse-probe` closes at once is no immediate close, the
//!   foreign origins that it sends are no rejected origins by name, and the IDs that it makes up
//!   no resumes: each would be worth an alert on a quiet server. Its streams and refusals count.
//!
//! Deploy `/metrics` on its own listener, or keep it from the public at the proxy: it tells how
//! many people use what. It is never behind the stream guards, and has no CORS headers.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod ages;
mod backplane;
mod catalogue;
mod cells;
mod clients;
mod clock;
mod closes;
mod collector;
mod core;
mod counters;
mod diagnosis;
mod distinct;
mod endpoint;
mod exemplars;
mod exposition;
mod families;
mod head_requests;
mod hubs;
mod labels;
mod levels;
#[cfg(feature = "operations")]
mod live;
pub mod log;
mod metrics;
mod mistakes;
#[cfg(feature = "operations")]
mod operations;
mod origins;
mod probe;
mod process;
mod recent;
mod recorder;
mod reports;
pub mod spans;
pub mod trace;
mod worker;

pub use catalogue::{CATALOGUE, Kind, Label, Metric, PROCESS_CATALOGUE, Values};
pub use closes::{CloseThresholds, ImmediateClose};
pub use diagnosis::Diagnosis;
pub use endpoint::{
    Endpoint,
    operators::{OperatorAccess, OperatorsEndpoint, WeakToken},
};
pub use levels::LimitScope;
pub use metrics::{Metrics, MetricsBuilder, MetricsError};
#[cfg(feature = "operations")]
pub use operations::Operations;
pub use recorder::Recorder;
pub use reports::ReportsEndpoint;
