//! What lies between the nodes.

use super::{ALERT, Alert, Group, Record};

pub fn group() -> Group {
    Group {
        name: "sse-backplane",
        records: vec![Record {
            name: "job_instance:sse_backplane_lag_seconds:p99_rate5m",
            expr: "histogram_quantile(0.99, sum by (<I>, le) (rate(sse_backplane_lag_seconds_bucket{%}[5m])))",
        }],
        alerts: vec![
            Alert {
                name: "SSEBackplaneLost",
                expr: r#"
                    max by (<I>) (
                      sse_backplane_connected{%} == 0
                        or
                      sse_backplane_silent_seconds{%} > <t backplane_silent_seconds>
                    )
                "#,
                after: "1m",
                severity: "critical",
                fault: "backplane",
                board: "delivery",
                panel: "Silence of the engine",
                summary: "<process> has lost its backplane (<place>).",
                description: "This node gets nothing from Redis: its streams stay open and get nothing new, nothing can be published through it, and revocations of other nodes do not reach it.",
                ..ALERT
            },
            Alert {
                name: "SSEBackplaneLag",
                expr: "job_instance:sse_backplane_lag_seconds:p99_rate5m > <t backplane_lag_seconds>",
                after: "5m",
                keep: "5m",
                fault: "backplane",
                board: "delivery",
                panel: "Backplane lag",
                summary: "Events reach <process> {{ $value | humanizeDuration }} after they were published (<place>).",
                description: "One event in a hundred takes longer than this from Redis to this node, before any of its streams can have it.",
                ..ALERT
            },
            Alert {
                name: "SSEPublicationsFailed",
                expr: "sum by (<I>) (<inc sse_backplane_unpublished_total{%} 5m>) > <t unpublished_events>",
                keep: "5m",
                fault: "backplane",
                board: "delivery",
                panel: "Published through the engine",
                summary: "Redis does not take what <process> publishes (<place>).",
                description: "{{ $value | humanize }} events in five minutes were not acknowledged; each was an error of its publisher.",
                ..ALERT
            },
            Alert {
                name: "SSEHistoryLost",
                expr: "sum by (<I>) (<inc sse_backplane_holes_total{%} 15m>) + sum by (<I>) (<inc sse_backplane_resets_total{%} 15m>) > 0",
                fault: "backplane",
                board: "delivery",
                panel: "History lost",
                summary: "Redis no longer has what streams of <process> lacked (<place>).",
                description: "Their clients were sent back, and were sent a gap signal.",
                ..ALERT
            },
            Alert {
                name: "SSERevocationsLost",
                expr: "sum by (<I>) (<inc sse_backplane_revocations_lost_total{%} 1h>) > 0",
                severity: "critical",
                fault: "backplane",
                board: "delivery",
                panel: "Revocations lost",
                summary: "Revocations of <process> did not reach the other nodes (<place>).",
                description: "About {{ $value | humanize }} in an hour: too many in one outage of Redis. The other nodes may still let in whom this one refuses.",
                ..ALERT
            },
        ],
    }
}
