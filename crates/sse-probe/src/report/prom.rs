//! For Prometheus: the metrics of the catalogue, from the results of probes.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use prometheus::{
    TextEncoder,
    proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use super::{CheckReport, Checked, failure};
use crate::{
    checks::{CheckResult, Outcome},
    http::AttemptError,
};

/// Metrics of probes, by name. Several probes have a label `instance` each.
#[derive(Debug, Default)]
pub struct Metrics {
    families: BTreeMap<&'static str, MetricFamily>,
    instance: Option<String>,
}

/// A name and its help.
pub(crate) type Name = (&'static str, &'static str);

#[rustfmt::skip]
mod names {
    use super::Name;

    pub(super) const BUILD_INFO: Name = ("sse_probe_build_info", "1 with the version of sse-probe.");
    pub(super) const SUCCESS: Name = ("probe_success", "1 if the stream was reached and no check failed.");
    pub(super) const DURATION: Name = ("probe_duration_seconds", "How long the probe took.");
    pub(super) const OPENS: Name = ("probe_sse_browser_opens", "1 if a browser gives the stream to a page of the origin.");
    pub(super) const FAILURE: Name = ("probe_sse_failure_info", "1 with the reason of a failure: the first check that failed, or why there was no reply.");
    pub(super) const BUFFERING: Name = ("probe_sse_buffering_detected", "1 if something provably holds bytes of the stream back.");
    pub(super) const TLS_VERSION: Name = ("probe_tls_version_info", "1 with the version of TLS.");
    pub(super) const PHASES: Name = ("probe_http_duration_seconds", "How long each phase of the exchange took.");
    pub(super) const CHECKS: Name = ("probe_sse_check_passed", "1 for each check that does not fail the probe, 0 for each other.");
    pub(super) const VERDICT: Name = ("probe_sse_cors_verdict", "1 for the verdict of a browser on pages of that origin.");
}

impl Metrics {
    /// Sets a gauge with these labels.
    pub fn set(&mut self, (name, help): Name, labels: &[(&str, &str)], value: f64) {
        let instance = self.instance.as_deref().map(|name| ("instance", name));
        let mut labels: Vec<_> = labels.iter().copied().chain(instance).collect();
        labels.sort_unstable();
        let pair = |(name, value): &(&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::from_label(labels.iter().map(pair).collect());
        metric.set_gauge(gauge);
        let family = self.families.entry(name).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(MetricType::GAUGE);
            family
        });
        let mut metrics = family.take_metric();
        metrics.push(metric);
        family.set_metric(metrics);
    }

    /// Sets the gauge that tells sse-probe from others.
    pub fn set_build_info(&mut self) {
        let version = env!("CARGO_PKG_VERSION");
        self.set(names::BUILD_INFO, &[("version", version)], 1.0);
    }

    /// What follows is of that target.
    pub fn of_instance(&mut self, instance: &str) {
        self.instance = Some(instance.to_owned());
    }

    /// Adds the metrics of one probe. Without a reply there are only `probe_success` (0), `probe_duration_seconds`,
    /// `sse_probe_build_info`, `probe_sse_browser_opens` (0) and the reason; what was not seen has no sample.
    pub fn add(&mut self, checked: &Checked, took: Duration) {
        let failure = failure(checked);
        self.set_build_info();
        self.set(names::SUCCESS, &[], flag(failure.is_none()));
        if let Some((reason, _)) = failure {
            self.set(names::FAILURE, &[("reason", reason)], 1.0);
        }
        self.set(names::DURATION, &[], took.as_secs_f64());
        match checked {
            Ok(report) => self.report(report),
            Err(why) => {
                self.set(names::OPENS, &[], 0.0);
                if matches!(why, AttemptError::HeldBack(_)) {
                    self.set(names::BUFFERING, &[], 1.0);
                }
            }
        }
    }

    fn report(&mut self, report: &CheckReport) {
        let facts = &report.facts;
        let time = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let whole = |time: Option<SystemTime>| time.map(|time| unix(time).trunc());
        let redirects = u32::try_from(facts.redirects).unwrap_or(u32::MAX);
        self.set(names::OPENS, &[], flag(facts.browser_opens));
        self.set(names::BUFFERING, &[], flag(facts.buffering));
        #[rustfmt::skip]
        let gauges = [
            ("probe_http_status_code", "The status of the reply.", Some(f64::from(facts.status))),
            ("probe_http_version", "The version of HTTP that was spoken.", facts.version.parse().ok()),
            ("probe_http_ssl", "1 if TLS was used.", Some(flag(facts.tls_version.is_some()))),
            ("probe_http_redirects", "Redirects that were followed.", Some(f64::from(redirects))),
            ("probe_ip_protocol", "The version of IP that was used: 4 or 6.", Some(if facts.address.is_ipv4() { 4.0 } else { 6.0 })),
            ("probe_dns_lookup_time_seconds", "How long the lookup of the name took.", time(Some(facts.phases.resolve))),
            ("probe_ssl_earliest_cert_expiry", "When the first certificate of the presented chain expires, in Unix time.", whole(facts.certificate_expiry)),
            ("probe_ssl_last_chain_expiry_timestamp_seconds", "When the chain from the server's own certificate to its issuers expires, in Unix time.", whole(facts.chain_expiry)),
            ("probe_sse_time_to_first_byte_seconds", "From the request to the first byte of the body.", time(facts.first_byte)),
            ("probe_sse_time_to_first_event_seconds", "From the request to the first event.", time(facts.first_event)),
            ("probe_sse_heartbeat_interval_seconds_max", "The longest time between two comments or events.", time(facts.heartbeat_max)),
            ("probe_sse_retry_seconds", "The reconnection time that the stream sets.", time(facts.retry)),
            ("probe_sse_resume_supported", "1 if a reconnect with Last-Event-ID brings what was missed.", facts.resume.map(flag)),
            ("probe_sse_auth_bypass", "1 if the stream opens without credentials although it needs some.", Some(flag(facts.auth_bypass))),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                self.set((name, help), &[], value);
            }
        }
        if let Some(version) = facts.tls_version {
            self.set(names::TLS_VERSION, &[("version", version)], 1.0);
        }
        for (phase, time) in [
            ("resolve", facts.phases.resolve),
            ("connect", facts.phases.connect),
            ("tls", facts.phases.tls),
            ("processing", facts.phases.processing),
            ("transfer", facts.transfer),
        ] {
            self.set(names::PHASES, &[("phase", phase)], time.as_secs_f64());
        }
        let judged = |o: &&Outcome| o.result != CheckResult::Skipped;
        for outcome in report.outcomes.iter().filter(judged) {
            let passed = flag(outcome.result == CheckResult::Passed);
            self.set(names::CHECKS, &[("check", outcome.check)], passed);
        }
        for fact in &facts.cors {
            let mode = fact.credentials.as_str();
            for (verdict, allowed) in [("allowed", true), ("blocked", false)] {
                let labels = [
                    ("origin_role", fact.role),
                    ("credentials", mode),
                    ("verdict", verdict),
                ];
                self.set(names::VERDICT, &labels, flag(fact.allowed == allowed));
            }
        }
    }

    /// In Prometheus' text format, after other metrics.
    ///
    /// # Errors
    ///
    /// A metric without a name: a fault of this program.
    pub fn text(self, mut others: Vec<MetricFamily>) -> Result<String, String> {
        others.extend(self.families.into_values());
        let text = TextEncoder::new().encode_to_string(&others);
        text.map_err(|why| why.to_string())
    }
}

pub(crate) fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// A point in time, in Unix time.
pub(crate) fn unix(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
