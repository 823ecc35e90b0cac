//! Prometheus's text format 0.0.4.

use prometheus::{TextEncoder, proto::MetricFamily};

pub(crate) fn encode(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    // Fails for a family without a name or without samples, of which a registry gathers none.
    // What was written before it is still true.
    let _ = TextEncoder::new().encode_utf8(families, &mut text);
    text
}
