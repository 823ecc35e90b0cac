use super::PLAIN;
use crate::board::{Board, heatmap, lines, stack, stat};

pub fn board() -> Board {
    Board {
        uid: "sse-connections",
        title: "Event streams / Connections and reconnects",
        description: "How streams come, stay and go.",
        anchor: "sse_build_info",
        panels: vec![
            stat(
                "Open streams",
                "short",
                PLAIN,
                "sum(sse_connections_active{%})",
                "Streams open now.",
            ),
            stat(
                "Capacity in use",
                "percentunit",
                (0.7, 0.9),
                r#"max(sum by (job, instance) (sse_connections_active{%}) / on (job, instance) sse_connections_limit{%,scope="total"})"#,
                "Open streams over the limit of the process, on the fullest instance.",
            ),
            stat(
                "Requests",
                "reqps",
                PLAIN,
                "sum(rate(sse_connection_attempts_total{%}[~]))",
                "Requests that reached the guards per second.",
            ),
            stat(
                "Oldest stream",
                "s",
                (86_400.0, 172_800.0),
                "max(sse_connection_age_seconds_max{%})",
                "Age of the oldest open stream. Far beyond the maximum lifetime its end was missed.",
            ),
            stat(
                "Resumed without loss",
                "percentunit",
                PLAIN,
                r#"sum(rate(sse_resumes_total{%,result="hit"}[~])) / sum(rate(sse_resumes_total{%}[~]))"#,
                "The share of reconnects with a last event ID whose missed events were all still there.",
            ),
            stat(
                "Draining",
                "short",
                (1.0, 1000.0),
                "sum(sse_draining{%})",
                "Instances that are ending their streams to shut down.",
            ),
            stack(
                "Open streams by instance",
                "short",
                &[(
                    "{{instance}}",
                    "sum by (instance) (sse_connections_active{%})",
                )],
                "Uneven after a deployment until the streams' maximum lifetime has passed.",
            ),
            lines(
                "Opened and closed",
                "cps",
                &[
                    ("opened", "sum(rate(sse_connections_opened_total{%}[~]))"),
                    ("closed", "sum(rate(sse_connections_closed_total{%}[~]))"),
                ],
                "Both high with a steady level between them: clients come back again and again.",
            ),
            lines(
                "Closed by reason",
                "cps",
                &[(
                    "{{reason}}",
                    "sum by (reason) (rate(sse_connections_closed_total{%}[~]))",
                )],
                "Streams ended per second.",
            ),
            lines(
                "Requests by route",
                "reqps",
                &[(
                    "{{route}}",
                    "sum by (route) (rate(sse_connection_attempts_total{%}[~]))",
                )],
                "Requests that reached the guards per second.",
            ),
            heatmap(
                "Duration",
                "s",
                "sum by (le) (increase(sse_connection_duration_seconds_bucket{%}[~]))",
                "How long the streams lasted that ended. A band at five seconds is Chromium, which reads a blocked reply on for so long; a band at 30 s or 60 s is a proxy's time-out.",
            ),
            lines(
                "Duration, quantiles",
                "s",
                &[
                    (
                        "median",
                        "histogram_quantile(0.5, sum by (le) (rate(sse_connection_duration_seconds_bucket{%}[~])))",
                    ),
                    (
                        "90 %",
                        "histogram_quantile(0.9, sum by (le) (rate(sse_connection_duration_seconds_bucket{%}[~])))",
                    ),
                    (
                        "99 %",
                        "histogram_quantile(0.99, sum by (le) (rate(sse_connection_duration_seconds_bucket{%}[~])))",
                    ),
                ],
                "Of the streams that ended. A sharp edge at 30 s or 60 s is a proxy's time-out.",
            ),
            lines(
                "Oldest stream",
                "s",
                &[
                    (
                        "{{route}}",
                        "max by (route) (sse_connection_age_seconds_max{%})",
                    ),
                    (
                        "lifetime limit",
                        "max(sse_connection_lifetime_limit_seconds{%})",
                    ),
                ],
                "Age of the oldest open stream, and the longest life that a stream may have (0: no limit).",
            ),
            stack(
                "Resumes",
                "cps",
                &[(
                    "{{result}}",
                    "sum by (result) (rate(sse_resumes_total{%}[~]))",
                )],
                "hit: everything missed was replayed. gap: some of it was no longer kept. unknown: the ID is none of the topic's.",
            ),
            lines(
                "Streams and limits",
                "short",
                &[
                    (
                        "{{instance}} open",
                        "sum by (instance) (sse_connections_active{%})",
                    ),
                    (
                        "{{instance}} limit",
                        r#"sum by (instance) (sse_connections_limit{%,scope="total"})"#,
                    ),
                ],
                "How close each instance is to its limit.",
            ),
            stack(
                "Lanes",
                "cps",
                &[(
                    "{{lane}}, {{reason}}",
                    "sum by (lane, reason) (rate(sse_connection_lanes_total{%}[~]))",
                )],
                "How the bytes of new streams reach their connections. socket: the stream has taken its socket over from actix, whose buffers are freed; body: through actix, for the reason beside it.",
            ),
            lines(
                "Streams of probes",
                "cps",
                &[(
                    "{{route}}",
                    "sum by (route) (rate(sse_probe_closes_total{%}[~]))",
                )],
                "Streams of sse-probe that ended. They are counted as all others are, but never as closed at once.",
            ),
            lines(
                "Time of a scrape",
                "s",
                &[(
                    "{{instance}}",
                    "max by (instance) (sse_scrape_duration_seconds{%})",
                )],
                "How long it took to gather these metrics.",
            ),
            lines(
                "Threads",
                "short",
                &[("{{instance}}", "process_threads{%}")],
                "OS threads of the process.",
            ),
        ],
    }
}
