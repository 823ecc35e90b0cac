//! What is seen from outside.

use super::{DAY, Flow, HOUR, Pod, Situation, counter, level, ring};

const URL: &str = "https://events.example.com/events";

/// A target of the probe, with all in order but what is given.
struct Target {
    series: Vec<(String, String)>,
}

fn target() -> Target {
    let target = Target { series: Vec::new() };
    target
        .with("up", "", &[(4 * DAY, 1.0)])
        .with("sse_probe_build_info", "version=\"1\"", &[(4 * DAY, 1.0)])
        .with("probe_success", "", &[(4 * DAY, 1.0)])
        .verdict("allowed", "include", &[(4 * DAY, 1.0)])
        .verdict("foreign", "include", &[(4 * DAY, 0.0)])
        .with(
            "probe_sse_check_passed",
            "check=\"vary\"",
            &[(4 * DAY, 1.0)],
        )
        .with("probe_sse_auth_bypass", "", &[(4 * DAY, 0.0)])
        .with("probe_sse_buffering_detected", "", &[(4 * DAY, 0.0)])
}

impl Target {
    fn with(self, metric: &str, labels: &str, flow: Flow<'_>) -> Self {
        self.values(metric, labels, level(flow))
    }

    fn values(mut self, metric: &str, labels: &str, values: String) -> Self {
        let comma = if labels.is_empty() { "" } else { "," };
        let series = format!(
            "{metric}{{namespace=\"prod\",job=\"probe\",instance=\"{URL}\"{comma}{labels}}}"
        );
        self.series.retain(|(other, _)| *other != series);
        self.series.push((series, values));
        self
    }

    /// Whether a browser lets a page of such an origin read, over time.
    fn verdict(self, role: &str, credentials: &str, allowed: Flow<'_>) -> Self {
        let blocked: Vec<_> = allowed
            .iter()
            .map(|(minutes, value)| (*minutes, 1.0 - value))
            .collect();
        let labels = |verdict: &str| {
            format!("origin_role=\"{role}\",credentials=\"{credentials}\",verdict=\"{verdict}\"")
        };
        self.with("probe_sse_cors_verdict", &labels("allowed"), allowed)
            .with("probe_sse_cors_verdict", &labels("blocked"), &blocked)
    }
}

impl Situation {
    fn target(self, target: Target) -> Self {
        let series = target.series.into_iter();
        series.fold(self, |situation, (name, values)| {
            situation.series(&name, values)
        })
    }
}

/// In order for an hour, then not for two days, then again.
const BAD: Flow<'_> = &[(HOUR, 0.0), (2 * DAY, 1.0), (HOUR, 0.0)];
const GOOD: Flow<'_> = &[(HOUR, 1.0), (2 * DAY, 0.0), (HOUR, 1.0)];
const END: u32 = HOUR + 2 * DAY - 1;

pub fn situations() -> Vec<Situation> {
    let at = |severity, alert| ring(severity, alert, &[("instance", URL)]);
    let cases = [
        (
            "the CORS headers are missing at the public URL, for two days",
            target().verdict("allowed", "include", GOOD),
            HOUR + 4,
            vec![at("critical", "SSEProbeCorsHeaderMissing")],
        ),
        (
            "the edge reflects any origin, for two days",
            target().verdict("foreign", "include", BAD),
            HOUR + 3,
            vec![at("critical", "SSEProbeForeignOriginAllowed")],
        ),
        (
            "the edge lets in an origin that looks like an allowed one, for two days",
            target().verdict("look_alike", "include", BAD),
            HOUR + 3,
            vec![at("critical", "SSEProbeForeignOriginAllowed")],
        ),
        (
            "the edge allows `null`, for two days",
            target().verdict("null", "include", BAD),
            HOUR + 3,
            vec![at("critical", "SSEProbeForeignOriginAllowed")],
        ),
        (
            "`Vary: Origin` is lost, for two days",
            target().with("probe_sse_check_passed", "check=\"vary\"", GOOD),
            HOUR + 8,
            vec![at("warning", "SSEProbeVaryMissing")],
        ),
        (
            "a check fails, for two days",
            target().with("probe_success", "", GOOD),
            HOUR + 8,
            vec![at("critical", "SSEProbeFailed")],
        ),
        (
            "the stream opens without credentials, for two days",
            target().with("probe_sse_auth_bypass", "", BAD),
            HOUR + 2,
            vec![at("critical", "SSEProbeAuthBypass")],
        ),
        (
            "a proxy buffers, for two days",
            target().with("probe_sse_buffering_detected", "", BAD),
            HOUR + 8,
            vec![at("warning", "SSEProbeBuffering")],
        ),
        (
            "the probe itself is down, for two days",
            target()
                .with("up", "", GOOD)
                .values(
                    "probe_success",
                    "",
                    format!("1x{} stale _x{} 1x60", HOUR - 1, 2 * DAY - 1),
                )
                .values(
                    "sse_probe_build_info",
                    "version=\"1\"",
                    format!("1x{} stale _x{} 1x60", HOUR - 1, 2 * DAY - 1),
                ),
            HOUR + 5,
            vec![at("warning", "SSEProbeMissing")],
        ),
        (
            "the probe hangs: it has not run for more than three intervals",
            target()
                .with("probe_sse_interval_seconds", "", &[(4 * DAY, 60.0)])
                .values(
                    "probe_sse_last_run_timestamp_seconds",
                    "",
                    format!(
                        "0+60x{} {}x{} {}+60x90",
                        HOUR - 1,
                        (HOUR - 1) * 60,
                        2 * DAY - 1,
                        (END + 1) * 60
                    ),
                ),
            HOUR + 10,
            vec![at("warning", "SSEProbeMissing")],
        ),
    ];
    let rings = cases.into_iter().map(|(fault, target, from, rings)| {
        Situation::new("a probe of the public URL", "any", fault)
            .target(target)
            .quiet(HOUR - 1)
            .rings(from, END, &rings)
            .clear(END + 20)
    });
    let expiry = |days: f64| [(4 * DAY, days * 86_400.0)];
    let api = || {
        Pod::new("prod", "api", "api-0").with(
            "sse_connections_opened_cors_total",
            "route=\"/events\",verdict=\"allowed\"",
            counter(&[(4 * DAY, 10.0)]),
        )
    };
    rings
        .chain([
            Situation::new(
                "a probe of the public URL, and the application",
                "ten streams a minute",
                "the header is lost between them, for two days",
            )
            .target(target().verdict("allowed", "include", GOOD))
            .pod(api())
            .quiet(HOUR - 1)
            .rings(
                HOUR + 4,
                END,
                &[
                    at("critical", "SSEProbeCorsHeaderMissing"),
                    at("critical", "SSEProbeServerDisagree"),
                ],
            ),
            Situation::new(
                "a probe of the public URL",
                "any",
                "a certificate expires within two weeks",
            )
            .target(target().with("probe_ssl_earliest_cert_expiry", "", &expiry(12.0)))
            .rings(HOUR + 5, 2 * DAY, &[at("warning", "SSEProbeCertExpiring")]),
            Situation::new("a probe of the public URL", "any", "none")
                .target(target().with("probe_ssl_earliest_cert_expiry", "", &expiry(40.0)))
                .pod(api())
                .quiet(2 * DAY),
            Situation::new(
                "a probe of a public stream without credentials, which every page may read",
                "any",
                "none",
            )
            .target(target().verdict("allowed", "omit", &[(DAY, 1.0)]).verdict(
                "foreign",
                "omit",
                &[(DAY, 1.0)],
            ))
            .quiet(DAY),
            Situation::new(
                "a probe of the public URL",
                "any",
                "none: one probe in an hour fails",
            )
            .target(target().with(
                "probe_success",
                "",
                &[(HOUR, 1.0), (1, 0.0), (HOUR, 1.0), (1, 0.0), (HOUR, 1.0)],
            ))
            .quiet(3 * HOUR),
        ])
        .collect()
}
