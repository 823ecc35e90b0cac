use super::{ANY, HOLDS, PLAIN};
use crate::board::{Board, Panel, alerts, heading, lines, listing, stat, table, timeline};

pub fn board() -> Board {
    Board {
        uid: "sse-probe",
        title: "Event streams / Probe",
        description: "What sse-probe sees of the public URLs, as a browser would judge it.",
        anchor: "probe_success",
        panels: vec![
            heading("Is it broken?"),
            Panel {
                width: 18,
                ..timeline(
                    "Is it broken? What browsers would do",
                    HOLDS,
                    &[
                        (
                            "{{instance}} in order",
                            "min by (instance) (probe_success{%})",
                        ),
                        (
                            "{{instance}} lets its own pages read",
                            r#"max by (instance) (probe_sse_cors_verdict{%,origin_role="allowed",verdict="allowed"})"#,
                        ),
                        (
                            "{{instance}} keeps {{origin_role}} out",
                            r#"1 - max by (instance, origin_role) (probe_sse_cors_verdict{%,origin_role!="allowed",credentials="include",verdict="allowed"})"#,
                        ),
                    ],
                    "Red in the second line: the CORS headers are missing or wrong at the public URL. Red below: pages of other origins may read the stream with the visitor's cookies.",
                )
            },
            Panel {
                width: 6,
                ..alerts()
            },
            heading("Now"),
            stat(
                "Targets in order",
                "percentunit",
                PLAIN,
                "avg(probe_success{%})",
                "The share of targets whose stream was reached and passed every check.",
            ),
            stat(
                "Blocked by CORS",
                "short",
                ANY,
                r#"count(max by (job, instance) (probe_sse_cors_verdict{%,origin_role="allowed",verdict="blocked"}) == 1) or vector(0)"#,
                "Targets at which a browser would refuse the stream to an allowed origin.",
            ),
            stat(
                "Buffered",
                "short",
                ANY,
                "sum(probe_sse_buffering_detected{%})",
                "Targets behind something that holds the stream's bytes back.",
            ),
            stat(
                "Auth bypassed",
                "short",
                ANY,
                "sum(probe_sse_auth_bypass{%})",
                "Targets whose stream opens without credentials although it needs some.",
            ),
            stat(
                "First byte, worst",
                "s",
                (1.0, 5.0),
                "max(probe_sse_time_to_first_byte_seconds{%})",
                "From the request to the first byte of the body.",
            ),
            stat(
                "Longest probe",
                "s",
                PLAIN,
                "max(probe_duration_seconds{%})",
                "How long the slowest probe took.",
            ),
            lines(
                "Success",
                "short",
                &[("{{instance}}", "probe_success{%}")],
                "1 where the stream was reached and no check failed.",
            ),
            table(
                "Checks",
                "short",
                "sort(min by (instance, check) (probe_sse_check_passed{%}))",
                "1 for each check that found nothing worse than notes, 0 for each other.",
            ),
            listing(
                "What browsers decide",
                "short",
                "max by (instance, origin_role, credentials, verdict) (probe_sse_cors_verdict{%}) == 1",
                "The verdict of a browser, by the role of the page's origin and the credentials mode.",
            ),
            lines(
                "Time to the first byte and event",
                "s",
                &[
                    (
                        "{{instance}} byte",
                        "probe_sse_time_to_first_byte_seconds{%}",
                    ),
                    (
                        "{{instance}} event",
                        "probe_sse_time_to_first_event_seconds{%}",
                    ),
                ],
                "From the request.",
            ),
            lines(
                "Longest silence",
                "s",
                &[(
                    "{{instance}}",
                    "probe_sse_heartbeat_interval_seconds_max{%}",
                )],
                "The longest time between two comments or events. Proxies cut what is silent for 60 s.",
            ),
            lines(
                "Reconnection time",
                "s",
                &[("{{instance}}", "probe_sse_retry_seconds{%}")],
                "What the stream sets with retry.",
            ),
            lines(
                "Phases",
                "s",
                &[(
                    "{{phase}}",
                    "avg by (phase) (probe_http_duration_seconds{%})",
                )],
                "How long each phase of the exchange took, averaged over targets.",
            ),
            lines(
                "Status and protocol",
                "short",
                &[
                    ("{{instance}} status", "probe_http_status_code{%}"),
                    ("{{instance}} HTTP version", "probe_http_version{%}"),
                ],
                "The status of the reply and the version of HTTP that was spoken.",
            ),
            lines(
                "Certificate",
                "s",
                &[(
                    "{{instance}}",
                    "(probe_ssl_earliest_cert_expiry{%} - time()) or (probe_http_ssl{%} == 0)",
                )],
                "Until the first certificate of the chain expires; zero for targets without TLS.",
            ),
            lines(
                "Since the last probe",
                "s",
                &[
                    (
                        "{{instance}}",
                        "(time() - max by (instance) (probe_sse_last_run_timestamp_seconds{%})) or 0 * max by (instance) (probe_sse_browser_opens{%})",
                    ),
                    (
                        "{{instance}} interval",
                        "max by (instance) (probe_sse_interval_seconds{%}) or 0 * max by (instance) (probe_sse_browser_opens{%})",
                    ),
                ],
                "Of targets that the probe looks at by itself; 0 where each scrape is a probe.",
            ),
            lines(
                "Resume",
                "short",
                &[("{{instance}}", "probe_sse_resume_supported{%}")],
                "1 where a reconnect with Last-Event-ID brings what was missed.",
            ),
            listing(
                "Versions",
                "short",
                "count by (version, job) (sse_probe_build_info{%})",
                "How many targets of a job are probed by which version of sse-probe.",
            ),
        ],
    }
}
