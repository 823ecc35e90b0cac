//! Streams as a whole: how many there are, how they come and go.

use super::{ALERT, Alert, Group, Record};

pub fn group() -> Group {
    Group {
        name: "sse-connections",
        records: records(),
        alerts: [loads(), ends()].concat(),
    }
}

fn records() -> Vec<Record> {
    vec![
        Record {
            name: "job_instance:sse_connections_active:sum",
            expr: "sum by (<I>) (sse_connections_active{%})",
        },
        Record {
            name: "job:sse_connections_active:sum",
            expr: "sum by (<F>) (job_instance:sse_connections_active:sum)",
        },
        // Of instances that neither drain nor have just started: what is missing there is lost.
        Record {
            name: "job_instance:sse_connections_active:settled",
            expr: r#"
                job_instance:sse_connections_active:sum
                  unless on (<I>) (max by (<I>) (max_over_time(sse_draining{%}[10m])) == 1)
                  unless on (<I>) (max by (<I>) (changes(process_start_time_seconds{%}[10m])) > 0)
            "#,
        },
        Record {
            name: "job:sse_connections_active:before",
            expr: r#"
                sum by (<F>) (
                  min_over_time(job_instance:sse_connections_active:sum[1h] offset 5m)
                    and on (<I>) job_instance:sse_connections_active:settled
                )
            "#,
        },
        // The number of streams below which most of them were lost: set when it happens, held until they
        // are back, or for some hours: those who do not come back then have left.
        Record {
            name: "job:sse_mass_disconnect:limit",
            expr: r#"
                (
                  last_over_time(job:sse_mass_disconnect:limit[15m])
                    > sum by (<F>) (job_instance:sse_connections_active:settled)
                  and
                  avg_over_time(job:sse_connections_active:sum[6h]) > last_over_time(job:sse_mass_disconnect:limit[15m])
                )
                or
                (
                  <t mass_disconnect_left> * (job:sse_connections_active:before > <t mass_disconnect_streams>)
                    > sum by (<F>) (job_instance:sse_connections_active:settled)
                  and
                  sum by (<F>) (increase(sse_connections_closed_total{%,reason=~"client_gone|error|slow_consumer|stalled|expired"}[1h]))
                    > <t mass_disconnect_left> * job:sse_connections_active:before
                )
            "#,
        },
        Record {
            name: "job:sse_connection_attempts:rate5m",
            expr: "sum by (<F>) (rate(sse_connection_attempts_total{%}[5m]))",
        },
        // The rate from which a storm is one: set when it begins, held as long as it is exceeded.
        // Ends that the server wanted bring their clients back in an order that it chose.
        Record {
            name: "job:sse_reconnect_storm:limit",
            expr: r#"
                (last_over_time(job:sse_reconnect_storm:limit[15m]) < job:sse_connection_attempts:rate5m)
                or
                (
                  (<t reconnects_times> * avg_over_time(job:sse_connection_attempts:rate5m[1h] offset 10m))
                    < (job:sse_connection_attempts:rate5m > <t reconnects_per_second>)
                  and (job:sse_connection_attempts:rate5m offset 30m)
                  and
                  sum by (<F>) (
                    label_replace(increase(sse_connections_closed_total{%,reason=~"client_gone|error|slow_consumer|stalled|expired|revoked"}[15m]), "of", "closed", "", "")
                      or
                    label_replace(increase(sse_connections_rejected_total{%,reason=~"rate_limit|capacity|ip_limit|user_limit",mode!="report_only"}[15m]), "of", "rejected", "", "")
                  )
                    > 0.8 * sum by (<F>) (increase(sse_connection_attempts_total{%}[15m]))
                )
            "#,
        },
        Record {
            name: "job_instance:sse_streams_per_client:ratio",
            expr: r#"
                job_instance:sse_connections_active:sum
                  / on (<I>) (max by (<I>) (sse_clients{%}) > 5)
            "#,
        },
        Record {
            name: "job_instance:sse_streams_per_client:limit",
            expr: r#"
                (last_over_time(job_instance:sse_streams_per_client:limit[1h]) < job_instance:sse_streams_per_client:ratio)
                or
                <t leak_times> * avg_over_time(job_instance:sse_streams_per_client:ratio[1d] offset 1h)
            "#,
        },
    ]
}

fn loads() -> Vec<Alert> {
    vec![
        Alert {
            name: "SSEReconnectStorm",
            expr: "job:sse_connection_attempts:rate5m > job:sse_reconnect_storm:limit",
            after: "2m",
            keep: "5m",
            fault: "disconnects",
            board: "connections",
            panel: "Requests by route",
            summary: "Clients of <place> lose their streams and connect again far faster than usual.",
            description: "{{ $value | printf \"%.1f\" }} requests per second, more than five times those of the hour before.",
            ..ALERT
        },
        Alert {
            name: "SSECapacityNearLimit",
            expr: r#"
                job_instance:sse_connections_active:sum
                  / on (<I>) sum by (<I>) (sse_connections_limit{%,scope="total"}) > <t capacity_share>
            "#,
            after: "5m",
            keep: "10m",
            fault: "capacity",
            board: "connections",
            panel: "Streams and limits",
            summary: "<process> holds {{ $value | humanizePercentage }} of the streams that it may (<place>).",
            description: "At the limit new clients are turned away.",
            ..ALERT
        },
        Alert {
            name: "SSECapacityExceeded",
            expr: r#"sum by (<I>) (<inc sse_connections_rejected_total{%,reason="capacity",mode!="report_only"} 15m>) > 0"#,
            after: "2m",
            keep: "10m",
            fault: "capacity",
            board: "connections",
            panel: "Streams and limits",
            summary: "<process> turns clients away because it is full (<place>).",
            description: "{{ $value | humanize }} requests within 15 minutes.",
            ..ALERT
        },
    ]
}

fn ends() -> Vec<Alert> {
    vec![
        Alert {
            name: "SSEMassDisconnect",
            expr: r#"
                sum by (<F>) (job_instance:sse_connections_active:settled) < job:sse_mass_disconnect:limit
            "#,
            keep: "5m",
            severity: "critical",
            fault: "disconnects",
            board: "connections",
            panel: "Closed by reason",
            summary: "More than half of the streams of <place> ended at once.",
            description: "{{ $value | humanize }} streams are left on instances that neither drain nor were restarted.",
            ..ALERT
        },
        Alert {
            name: "SSEZombieStreams",
            expr: r#"
                max by (<I>, route) (sse_connection_age_seconds_max{%})
                  > on (<I>) group_left ()
                (1.1 * max by (<I>) (sse_connection_lifetime_limit_seconds{%} > 0) + 120)
                or
                (
                  (max by (<I>, route) (sse_connection_age_seconds_max{%}) > <t zombie_seconds>)
                    unless on (<I>)
                  sse_connection_lifetime_limit_seconds{%}
                )
            "#,
            board: "connections",
            panel: "Oldest stream",
            summary: "A stream of {{ $labels.route }} on <process> is {{ $value | humanizeDuration }} old (<place>).",
            description: "That is more than its maximum lifetime: the end of its client was not noticed.",
            ..ALERT
        },
        Alert {
            name: "SSEStreamLeak",
            expr: r#"
                job_instance:sse_streams_per_client:ratio > job_instance:sse_streams_per_client:limit
                  and on (<I>)
                job_instance:sse_connections_active:sum > <t leak_streams>
            "#,
            after: "15m",
            keep: "15m",
            board: "connections",
            panel: "Open streams by instance",
            summary: "Streams pile up on <process> (<place>).",
            description: "{{ $value | printf \"%.1f\" }} streams for each client address, half as many again as usual.",
            ..ALERT
        },
        Alert {
            name: "SSEResumeGaps",
            expr: r#"
                (
                  sum by (<F>) (
                    increase(sse_resumes_total{%,result="gap"}[15m])
                      or
                    (
                      increase(sse_resumes_total{%,result="unknown"}[15m])
                        unless on (<F>)
                      (max by (<F>) (process_start_time_seconds{%}) > time() - 1800)
                    )
                  )
                  > <t resume_gap_share> * sum by (<F>) (increase(sse_resumes_total{%}[15m]))
                ) > <t resume_gaps>
            "#,
            after: "5m",
            keep: "10m",
            board: "connections",
            panel: "Resumes",
            summary: "Clients of <place> come back too late for what they missed.",
            description: "{{ $value | humanize }} reconnects in 15 minutes asked for events that are no longer kept.",
            ..ALERT
        },
    ]
}
