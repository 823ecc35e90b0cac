//! Which series there are to ask for.

use actix_web_sse_metrics::{CATALOGUE, Kind, PROCESS_CATALOGUE};

/// What sse-probe exports; see `metrics` in its own documentation.
pub const PROBE: [&str; 20] = [
    "sse_probe_build_info",
    "probe_sse_browser_opens",
    "probe_sse_interval_seconds",
    "probe_sse_last_run_timestamp_seconds",
    "probe_success",
    "probe_duration_seconds",
    "probe_http_status_code",
    "probe_http_version",
    "probe_http_ssl",
    "probe_ssl_earliest_cert_expiry",
    "probe_http_duration_seconds",
    "probe_sse_time_to_first_byte_seconds",
    "probe_sse_time_to_first_event_seconds",
    "probe_sse_heartbeat_interval_seconds_max",
    "probe_sse_retry_seconds",
    "probe_sse_buffering_detected",
    "probe_sse_resume_supported",
    "probe_sse_check_passed",
    "probe_sse_cors_verdict",
    "probe_sse_auth_bypass",
];

/// The labels that Prometheus gives to everything of a target.
pub const TARGET: [&str; 5] = ["cluster", "namespace", "job", "instance", "pod"];

/// Whether an exporter of ours, or Prometheus itself, has a series of this name.
pub fn exists(name: &str) -> bool {
    PROBE.contains(&name)
        || name == "up"
        || CATALOGUE
            .iter()
            .chain(PROCESS_CATALOGUE)
            .any(|row| match row.kind {
                Kind::Histogram(_) => ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|suffix| name.strip_suffix(suffix) == Some(row.name)),
                _ => name == row.name,
            })
}

/// The labels that a series of this name has, besides `job` and `instance`.
pub fn labels(name: &str) -> Vec<&'static str> {
    let rows = CATALOGUE.iter().chain(PROCESS_CATALOGUE);
    let row = rows
        .into_iter()
        .find(|row| name == row.name || name.strip_suffix("_bucket") == Some(row.name));
    match (name, row) {
        (_, Some(row)) => row
            .labels
            .iter()
            .map(|label| label.name)
            .chain(["le"])
            .collect(),
        ("probe_http_duration_seconds", _) => vec!["phase"],
        ("probe_sse_check_passed", _) => vec!["check"],
        ("probe_sse_cors_verdict", _) => vec!["origin_role", "credentials", "verdict"],
        _ => Vec::new(),
    }
}
