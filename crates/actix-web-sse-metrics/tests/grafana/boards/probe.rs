use super::PLAIN;
use crate::board::{Board, lines, listing, stat, table};

pub fn board() -> Board {
    Board {
        uid: "sse-probe",
        title: "Event streams / Probe",
        description: "What sse-probe sees of the public URLs, as a browser would judge it.",
        anchor: "probe_success",
        panels: vec![
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
                (1.0, 1000.0),
                r#"count(max by (job, instance) (probe_sse_cors_verdict{%,origin_role="allowed",verdict="blocked"}) == 1) or vector(0)"#,
                "Targets at which a browser would refuse the stream to an allowed origin.",
            ),
            stat(
                "Buffered",
                "short",
                (1.0, 1000.0),
                "sum(probe_sse_buffering_detected{%})",
                "Targets behind something that holds the stream's bytes back.",
            ),
            stat(
                "Auth bypassed",
                "short",
                (1.0, 1000.0),
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
                "Resume",
                "short",
                &[("{{instance}}", "probe_sse_resume_supported{%}")],
                "1 where a reconnect with Last-Event-ID brings what was missed.",
            ),
        ],
    }
}
