use std::io;

use actix_web_sse_metrics::log::{LogGuard, TARGET, json_layer_to, json_layer_with, log_panics};
use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{DynFilterFn, LevelFilter},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::tour;

/// Log records go to standard error as JSON lines, for standard output says where to look.
/// `RUST_LOG` chooses among them. They go through a queue that waits for no reader; what is left in
/// it is written when the guard is dropped.
pub(crate) fn start() -> LogGuard {
    let wanted = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    let (lines, guard) = json_layer_to(io::stderr());
    let followed = DynFilterFn::new(|record, _| {
        record.target() == TARGET && *record.level() <= Level::INFO && tour::is_followed()
    })
    .with_max_level_hint(LevelFilter::INFO);
    // Fails if the process that has us inside logs already; then its subscriber is the right one.
    let installed = tracing_subscriber::registry()
        .with(lines.with_filter(wanted))
        .with(json_layer_with(tour::Lines).with_filter(followed))
        .try_init();
    if installed.is_ok() {
        log_panics();
    }
    guard
}
