//! Whether events reach their streams, and in time.

use super::{ALERT, Alert, Group, Record};

pub fn group() -> Group {
    Group {
        name: "sse-delivery",
        records: vec![
            Record {
                name: "job_route:sse_delivery_lag_seconds:p99_rate10m",
                expr: "histogram_quantile(0.99, sum by (<F>, route, le) (rate(sse_delivery_lag_seconds_bucket{%}[10m])))",
            },
            Record {
                name: "job_route:sse_events_sent:increase10m",
                expr: r#"sum by (<F>, route) (increase(sse_events_sent_total{%,kind="event"}[10m]))"#,
            },
            // 1 where events came in each ten minutes of the last two hours, and held while none come.
            Record {
                name: "job_route:sse_events_expected:bool",
                expr: r#"
                    (min_over_time(job_route:sse_events_sent:increase10m[2h] offset 10m) > bool 0)
                      and (job_route:sse_events_sent:increase10m offset 2h)
                      and (min_over_time(job_route:sse_events_sent:increase10m[2h] offset 10m) > 0)
                    or
                    (
                      last_over_time(job_route:sse_events_expected:bool[1h])
                        and (job_route:sse_events_sent:increase10m == 0)
                    )
                "#,
            },
        ],
        alerts: vec![
            Alert {
                name: "SSESlowConsumers",
                expr: r#"
                    (
                      sum by (<F>, route) (increase(sse_connections_closed_total{%,reason=~"slow_consumer|stalled"}[5m])) > <t slow_streams>
                        and
                      sum by (<F>, route) (increase(sse_connections_closed_total{%,reason=~"slow_consumer|stalled"}[5m]))
                        > <t slow_share> * sum by (<F>, route) (increase(sse_connections_closed_total{%}[5m]))
                    )
                    or
                    (
                      sum by (<F>, route) (increase(sse_events_dropped_total{%}[5m])) > <t slow_events>
                        and
                      sum by (<F>, route) (increase(sse_events_dropped_total{%}[5m]))
                        > <t slow_share> * sum by (<F>, route) (increase(sse_events_sent_total{%,kind="event"}[5m]))
                    )
                "#,
                after: "2m",
                keep: "10m",
                board: "delivery",
                panel: "Ended for want of pace",
                summary: "Clients of {{ $labels.route }} do not keep up (<place>).",
                description: "{{ $value | humanize }} streams ended for it, or events were skipped, in five minutes.",
                ..ALERT
            },
            // As OpenMetrics the bound of a bucket is 1.0, as text it is 1.
            Alert {
                name: "SSEDeliveryLagHigh",
                expr: r#"
                    job_route:sse_delivery_lag_seconds:p99_rate10m > <t delivery_lag_seconds>
                      and on (<F>, route)
                    (
                      sum by (<F>, route) (increase(sse_delivery_lag_seconds_count{%}[10m]))
                        -
                      sum by (<F>, route) (increase(sse_delivery_lag_seconds_bucket{%,le=~"1|1[.]0"}[10m]))
                    ) >= <t delivery_lag_events>
                "#,
                after: "5m",
                keep: "10m",
                board: "delivery",
                panel: "Delivery lag",
                summary: "Events of {{ $labels.route }} reach the sockets {{ $value | humanizeDuration }} late (<place>).",
                description: "One event in a hundred waits longer than this between publication and socket.",
                ..ALERT
            },
            Alert {
                name: "SSEDeliveryStalled",
                expr: r#"
                    job_route:sse_events_expected:bool
                      and on (<F>, route)
                    (job_route:sse_events_sent:increase10m == 0)
                      and on (<F>, route)
                    sum by (<F>, route) (min_over_time(sse_connections_active{%}[10m])) > 0
                "#,
                after: "1m",
                keep: "5m",
                board: "delivery",
                panel: "Events sent",
                summary: "No stream of {{ $labels.route }} has been sent an event for ten minutes (<place>).",
                description: "In the two hours before, events came all the time: the publisher has stopped, or what lies between it and the streams.",
                ..ALERT
            },
            Alert {
                name: "SSETimeToFirstEventHigh",
                expr: r#"
                    histogram_quantile(0.9, sum by (<F>, route, le) (rate(sse_time_to_first_event_seconds_bucket{%}[30m]))) > <t first_event_seconds>
                      and on (<F>, route)
                    sum by (<F>, route) (increase(sse_time_to_first_event_seconds_count{%}[30m])) >= 10
                "#,
                after: "15m",
                keep: "15m",
                severity: "info",
                board: "delivery",
                panel: "Time to the first event",
                summary: "New streams of {{ $labels.route }} wait {{ $value | humanizeDuration }} for their first event (<place>).",
                description: "One stream in ten waits longer than this. On a quiet topic that is no fault; raise the threshold there.",
                ..ALERT
            },
            Alert {
                name: "SSEWorkerStuck",
                expr: "max by (<I>, worker) (sse_worker_tick_age_seconds{%}) > <t worker_tick_seconds>",
                after: "1m",
                severity: "critical",
                fault: "worker",
                board: "delivery",
                panel: "Idle time of the workers",
                summary: "Worker {{ $labels.worker }} of <process> has done nothing for {{ $value | humanizeDuration }} (<place>).",
                description: "Something blocks its thread: its streams get neither events nor heartbeats, and their ends are not noticed.",
                ..ALERT
            },
            Alert {
                name: "SSEStreamSilent",
                expr: r#"
                    sum by (<I>, route) (min_over_time(sse_connections_active{%}[5m])) > 0
                      and on (<I>, route)
                    sum by (<I>, route) (increase(sse_sent_bytes_total{%}[5m])) == 0
                "#,
                after: "2m",
                severity: "critical",
                fault: "worker",
                board: "delivery",
                panel: "Sent",
                summary: "The {{ $value }} streams of {{ $labels.route }} on <process> are silent (<place>).",
                description: "Not even heartbeats have gone out for five minutes.",
                ..ALERT
            },
        ],
    }
}
