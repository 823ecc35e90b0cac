//! For Prometheus: the metrics of the catalogue, from one report.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use prometheus::{Gauge, GaugeVec, Opts, Registry, TextEncoder};

use super::{CheckReport, Checked, Facts};
use crate::{
    checks::{Profile, Verdict},
    observe::AttemptError,
};

/// The report in Prometheus' text format.
///
/// # Errors
///
/// Two metrics of one name: a fault of this program.
pub fn prom(
    checked: &Checked,
    profile: Profile,
    took: Duration,
) -> Result<String, prometheus::Error> {
    let registry = Registry::new();
    register(&registry, &HashMap::new(), checked, profile, took)?;
    TextEncoder::new().encode_to_string(&registry.gather())
}

/// Puts the metrics of one probe into a registry, each with these constant labels. Without a reply there are only
/// `probe_success` (0), `probe_duration_seconds`, `probe_sse_info`, `probe_sse_browser_opens` (0) and the reason; what was not
/// seen has no sample.
///
/// # Errors
///
/// The registry holds one of the names already.
pub fn register(
    registry: &Registry,
    labels: &HashMap<String, String>,
    checked: &Checked,
    profile: Profile,
    took: Duration,
) -> Result<(), prometheus::Error> {
    let into = Into { registry, labels };
    let put = |name, help, value| into.gauge(name, help, value);
    let reason = match checked {
        Ok(report) => report.reason(profile),
        Err(why) => Some(why.reason()),
    };
    put(
        "probe_success",
        "1 if the stream was reached and no check failed.",
        flag(reason.is_none()),
    )?;
    put(
        "probe_sse_browser_opens",
        "1 if a browser gives the stream to a page of the origin.",
        flag(checked.as_ref().is_ok_and(|r| r.facts.browser_opens)),
    )?;
    if let Some(reason) = reason {
        let gauges = into.gauges(
            "probe_sse_failure_info",
            "1 with the reason of a failure: the first check that failed, or why there was no reply.",
            &["reason"],
        )?;
        gauges.with_label_values(&[reason]).set(1.0);
        registry.register(Box::new(gauges))?;
    }
    put(
        "probe_duration_seconds",
        "How long the probe took.",
        took.as_secs_f64(),
    )?;
    let info = into.gauges(
        "probe_sse_info",
        "Always 1; the label tells the version of sse-probe.",
        &["version"],
    )?;
    info.with_label_values(&[env!("CARGO_PKG_VERSION")])
        .set(1.0);
    registry.register(Box::new(info))?;
    let report = match checked {
        Ok(report) => report,
        Err(AttemptError::HeldBack(_)) => return put(BUFFERING, BUFFERING_HELP, 1.0),
        Err(_) => return Ok(()),
    };
    let facts = &report.facts;
    put(
        "probe_http_status_code",
        "The status of the reply.",
        f64::from(facts.status),
    )?;
    let version = facts.version.parse().unwrap_or(0.0);
    put(
        "probe_http_version",
        "The version of HTTP that was spoken.",
        version,
    )?;
    let tls = flag(facts.tls_version.is_some());
    put("probe_http_ssl", "1 if TLS was used.", tls)?;
    if let Some(expiry) = facts.certificate_expiry.and_then(unix) {
        put(
            "probe_ssl_earliest_cert_expiry",
            "When the first certificate of the presented chain expires, in Unix time.",
            expiry,
        )?;
    }
    if let Some(expiry) = facts.chain_expiry.and_then(unix) {
        put(
            "probe_ssl_last_chain_expiry_timestamp_seconds",
            "When the chain from the server's own certificate to its issuers expires, in Unix time.",
            expiry,
        )?;
    }
    if let Some(version) = facts.tls_version {
        let gauges = into.gauges(
            "probe_tls_version_info",
            "1 with the version of TLS.",
            &["version"],
        )?;
        gauges.with_label_values(&[version]).set(1.0);
        registry.register(Box::new(gauges))?;
    }
    put(
        "probe_dns_lookup_time_seconds",
        "How long the lookup of the name took.",
        facts.phases.resolve.as_secs_f64(),
    )?;
    put(
        "probe_ip_protocol",
        "The version of IP that was used: 4 or 6.",
        if facts.address.is_ipv4() { 4.0 } else { 6.0 },
    )?;
    let redirects = u32::try_from(facts.redirects).unwrap_or(u32::MAX);
    put(
        "probe_http_redirects",
        "Redirects that were followed.",
        f64::from(redirects),
    )?;
    optional(&into, facts)?;
    put(BUFFERING, BUFFERING_HELP, flag(facts.buffering))?;
    put(
        "probe_sse_auth_bypass",
        "1 if the stream opens without credentials although it needs some.",
        flag(facts.auth_bypass),
    )?;
    phases(&into, facts)?;
    checks(&into, report, profile)?;
    cors(&into, facts)
}

const BUFFERING: &str = "probe_sse_buffering_detected";
const BUFFERING_HELP: &str = "1 if something provably holds bytes of the stream back.";

/// Where metrics go, and the labels that all of them have.
struct Into<'a> {
    registry: &'a Registry,
    labels: &'a HashMap<String, String>,
}

impl Into<'_> {
    fn gauge(&self, name: &str, help: &str, value: f64) -> Result<(), prometheus::Error> {
        let opts = Opts::new(name, help).const_labels(self.labels.clone());
        let gauge = Gauge::with_opts(opts)?;
        gauge.set(value);
        self.registry.register(Box::new(gauge))
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        names: &[&str],
    ) -> Result<GaugeVec, prometheus::Error> {
        let opts = Opts::new(name, help).const_labels(self.labels.clone());
        GaugeVec::new(opts, names)
    }
}

fn optional(into: &Into<'_>, facts: &Facts) -> Result<(), prometheus::Error> {
    let list = [
        (
            "probe_sse_time_to_first_byte_seconds",
            "From the request to the first byte of the body.",
            facts.first_byte.map(|t| t.as_secs_f64()),
        ),
        (
            "probe_sse_time_to_first_event_seconds",
            "From the request to the first event.",
            facts.first_event.map(|t| t.as_secs_f64()),
        ),
        (
            "probe_sse_heartbeat_interval_seconds_max",
            "The longest time between two comments or events.",
            facts.heartbeat_max.map(|t| t.as_secs_f64()),
        ),
        (
            "probe_sse_retry_seconds",
            "The reconnection time that the stream sets.",
            facts.retry.map(|t| t.as_secs_f64()),
        ),
        (
            "probe_sse_resume_supported",
            "1 if a reconnect with Last-Event-ID brings what was missed.",
            facts.resume.map(flag),
        ),
    ];
    for (name, help, value) in list {
        if let Some(value) = value {
            into.gauge(name, help, value)?;
        }
    }
    Ok(())
}

fn phases(into: &Into<'_>, facts: &Facts) -> Result<(), prometheus::Error> {
    let gauges = into.gauges(
        "probe_http_duration_seconds",
        "How long each phase of the exchange took.",
        &["phase"],
    )?;
    let phases = [
        ("resolve", facts.phases.resolve),
        ("connect", facts.phases.connect),
        ("tls", facts.phases.tls),
        ("processing", facts.phases.processing),
        ("transfer", facts.transfer),
    ];
    for (name, time) in phases {
        gauges.with_label_values(&[name]).set(time.as_secs_f64());
    }
    into.registry.register(Box::new(gauges))
}

fn checks(
    into: &Into<'_>,
    report: &CheckReport,
    profile: Profile,
) -> Result<(), prometheus::Error> {
    let gauges = into.gauges(
        "probe_sse_check_passed",
        "1 for each check that does not fail the probe, 0 for each other.",
        &["check"],
    )?;
    for outcome in &report.outcomes {
        if matches!(outcome.verdict, Verdict::Judged(..)) {
            gauges
                .with_label_values(&[outcome.check])
                .set(flag(outcome.passes(profile)));
        }
    }
    into.registry.register(Box::new(gauges))
}

fn cors(into: &Into<'_>, facts: &Facts) -> Result<(), prometheus::Error> {
    let gauges = into.gauges(
        "probe_sse_cors_verdict",
        "1 for the verdict of a browser on pages of that origin.",
        &["origin_role", "credentials", "verdict"],
    )?;
    for fact in &facts.cors {
        for (verdict, allowed) in [("allowed", true), ("blocked", false)] {
            gauges
                .with_label_values(&[fact.role, fact.credentials.as_str(), verdict])
                .set(flag(fact.allowed == allowed));
        }
    }
    into.registry.register(Box::new(gauges))
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

#[expect(clippy::cast_precision_loss, reason = "Unix time is far below 2^52")]
fn unix(time: SystemTime) -> Option<f64> {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .map(|t| t.as_secs() as f64)
}
