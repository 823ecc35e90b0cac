//! What happens on the event streams of [`actix_web_sse`], for Prometheus, for logs and for
//! people.

mod ages;
mod catalogue;
mod cells;
mod clients;
mod clock;
mod closes;
mod collector;
mod core;
mod distinct;
mod endpoint;
mod families;
mod labels;
mod levels;
pub mod log;
mod metrics;
mod origins;
mod process;
mod recorder;
mod reports;
mod route;
mod worker;

pub use catalogue::{CATALOGUE, Kind, Label, Metric, PROCESS_CATALOGUE, Values};
pub use closes::{CloseThresholds, ImmediateClose};
pub use endpoint::{
    Endpoint,
    operators::{OperatorAccess, OperatorsEndpoint, WeakToken},
};
pub use levels::LimitScope;
pub use metrics::{Metrics, MetricsBuilder, MetricsError};
pub use recorder::Recorder;
pub use reports::{Diagnosis, ReportsEndpoint};
