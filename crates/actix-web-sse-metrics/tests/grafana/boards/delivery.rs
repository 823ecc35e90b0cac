use super::{PLAIN, nodes};
use crate::board::{Board, heatmap, lines, stat};

pub fn board() -> Board {
    Board {
        uid: "sse-delivery",
        title: "Event streams / Delivery and slow consumers",
        description: "How fast events reach the sockets, and who does not keep up.",
        anchor: "sse_build_info",
        panels: [
            stat(
                "Published",
                "ops",
                PLAIN,
                "sum(rate(sse_events_published_total{%}[~]))",
                "Events that the hub accepted per second.",
            ),
            stat(
                "Delivered",
                "ops",
                PLAIN,
                r#"sum(rate(sse_events_sent_total{%,kind="event"}[~]))"#,
                "Events handed to sockets per second.",
            ),
            stat(
                "Delivery lag, 99 %",
                "s",
                (0.5, 1.0),
                "histogram_quantile(0.99, sum by (le) (rate(sse_delivery_lag_seconds_bucket{%}[~])))",
                "From the publication of an event to handing it to the socket.",
            ),
            stat(
                "Slow consumers",
                "cps",
                (0.01, 1.0),
                r#"sum(rate(sse_connections_closed_total{%,reason=~"slow_consumer|stalled"}[~]))"#,
                "Streams per second ended because the client did not keep up.",
            ),
            stat(
                "Missed events",
                "ops",
                (0.01, 1.0),
                "sum(rate(sse_events_dropped_total{%}[~]))",
                "Events per second that a slow subscriber skipped, with a `lagged` event in their place.",
            ),
            stat(
                "Replayed",
                "ops",
                PLAIN,
                r#"sum(rate(sse_events_sent_total{%,kind="replay"}[~]))"#,
                "Events per second sent again to clients that came back.",
            ),
            lines(
                "Idle time of the workers",
                "s",
                &[(
                    "{{instance}} {{worker}}",
                    "max by (instance, worker) (sse_worker_tick_age_seconds{%})",
                )],
                "For how long a worker thread that has streams has not run its timers. More than a few seconds: something blocks it.",
            ),
            lines(
                "Heartbeat interval",
                "s",
                &[("{{instance}}", "sse_hub_heartbeat_seconds{%}")],
                "After how much silence a heartbeat goes out, as configured.",
            ),
            heatmap(
                "Delivery lag, distribution",
                "s",
                "sum by (le) (increase(sse_delivery_lag_seconds_bucket{%}[~]))",
                "From the publication of an event to handing it to the socket.",
            ),
            lines(
                "Delivery lag",
                "s",
                &[
                    (
                        "median",
                        "histogram_quantile(0.5, sum by (le) (rate(sse_delivery_lag_seconds_bucket{%}[~])))",
                    ),
                    (
                        "90 %",
                        "histogram_quantile(0.9, sum by (le) (rate(sse_delivery_lag_seconds_bucket{%}[~])))",
                    ),
                    (
                        "99 %",
                        "histogram_quantile(0.99, sum by (le) (rate(sse_delivery_lag_seconds_bucket{%}[~])))",
                    ),
                ],
                "From the publication of an event to handing it to the socket; of several in one write, the oldest.",
            ),
            lines(
                "Delivery lag by route and topics, 99 %",
                "s",
                &[
                    (
                        "{{route}}",
                        "histogram_quantile(0.99, sum by (le, route) (rate(sse_delivery_lag_seconds_bucket{%}[~])))",
                    ),
                    (
                        "{{topics}}",
                        "histogram_quantile(0.99, sum by (le, topics) (rate(sse_topic_delivery_lag_seconds_bucket{%}[~])))",
                    ),
                ],
                "A route that lags alone has slow consumers; all at once, the process is short of CPU. Below the routes, topics with settings of their own: linger is part of their lag.",
            ),
            lines(
                "Events sent",
                "ops",
                &[(
                    "{{kind}}",
                    "sum by (kind) (rate(sse_events_sent_total{%}[~]))",
                )],
                "Events, replayed events and heartbeats handed to sockets per second.",
            ),
            lines(
                "Published",
                "ops",
                &[
                    (
                        "{{instance}}",
                        "sum by (instance) (rate(sse_events_published_total{%}[~]))",
                    ),
                    (
                        "{{topics}}",
                        "sum by (topics) (rate(sse_topic_events_published_total{%}[~]))",
                    ),
                ],
                "Events that the hub accepted per second; below the processes, those of topics with settings of their own.",
            ),
            lines(
                "Sockets per event",
                "short",
                &[(
                    "{{job}}",
                    r#"sum by (job) (rate(sse_events_sent_total{%,kind="event"}[~])) / sum by (job) (rate(sse_events_published_total{%}[~]))"#,
                )],
                "How many sockets each published event was handed to, on all nodes together.",
            ),
            lines(
                "Sent",
                "Bps",
                &[(
                    "{{route}}",
                    "sum by (route) (rate(sse_sent_bytes_total{%}[~]))",
                )],
                "Body bytes handed to sockets per second.",
            ),
            lines(
                "Ended for want of pace",
                "cps",
                &[(
                    "{{reason}} {{route}}",
                    r#"sum by (reason, route) (rate(sse_connections_closed_total{%,reason=~"slow_consumer|stalled"}[~]))"#,
                )],
                "slow_consumer: it fell further behind than the hub allows. stalled: it took no byte for the stall time.",
            ),
            lines(
                "Missed events by route",
                "ops",
                &[(
                    "{{route}}",
                    "sum by (route) (rate(sse_events_dropped_total{%}[~]))",
                )],
                "Events that slow subscribers skipped, with `lagged` events in their place.",
            ),
            lines(
                "Time to the first event",
                "s",
                &[
                    (
                        "median",
                        "histogram_quantile(0.5, sum by (le) (rate(sse_time_to_first_event_seconds_bucket{%}[~])))",
                    ),
                    (
                        "90 %",
                        "histogram_quantile(0.9, sum by (le) (rate(sse_time_to_first_event_seconds_bucket{%}[~])))",
                    ),
                ],
                "From the request to the stream's first event. On a quiet topic this is the time between events.",
            ),
            lines(
                "Bytes per stream",
                "Bps",
                &[(
                    "{{route}}",
                    "sum by (route) (rate(sse_sent_bytes_total{%}[~])) / sum by (route) (sse_connections_active{%})",
                )],
                "Body bytes per second and open stream. At zero the streams are silent: not even heartbeats go out.",
            ),
        ]
        .into_iter()
        .chain(nodes::panels())
        .collect(),
    }
}
