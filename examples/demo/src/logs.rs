use std::io;

use actix_web_sse_metrics::log::json_layer_with;
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Log records go to standard error as JSON lines, for standard output says where to look.
/// `RUST_LOG` chooses among them.
pub(crate) fn start() {
    let wanted = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    // Fails if the process that has us inside logs already; then its subscriber is the right one.
    let _ = tracing_subscriber::registry()
        .with(json_layer_with(io::stderr).with_filter(wanted))
        .try_init();
}
