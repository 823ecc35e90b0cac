//! Which origins are refused.

use super::{ALERT, Alert, Group, Record};

pub fn group() -> Group {
    Group {
        name: "sse-origins",
        records: vec![
            Record {
                name: "job_route_origin:sse_rejected_origins:increase15m",
                expr: r#"sum by (<F>, route, origin) (<inc sse_rejected_origins_total{%} 15m>)"#,
            },
            // The increase from which an origin is an alarm: set when it begins, held as long as it
            // is exceeded.
            Record {
                name: "job_route_origin:sse_rejected_origins:limit",
                expr: r#"
                    (
                      last_over_time(job_route_origin:sse_rejected_origins:limit[1h])
                        < job_route_origin:sse_rejected_origins:increase15m
                    )
                    or
                    clamp_min(
                      <t rejected_origin_times> * avg_over_time(job_route_origin:sse_rejected_origins:increase15m[1d] offset 30m),
                      <t rejected_origin>
                    )
                    or
                    0 * job_route_origin:sse_rejected_origins:increase15m + <t rejected_origin>
                "#,
            },
            // Entries of the allow-list with which streams were opened within a day.
            Record {
                name: "job_route_entry:sse_connections_opened:max_over_time1d",
                expr: r#"
                    label_replace(
                      max_over_time(job_route_origin:sse_connections_opened:increase5m[1d]) > 0,
                      "entry", "$1", "origin", "(.*)"
                    )
                "#,
            },
            // What is refused now and was let in by such an entry: exactly, by a pattern for one
            // label or for two, or by a pattern for any port.
            Record {
                name: "job_route_origin:sse_lost_origins:increase15m",
                expr: r#"
                    (
                      (job_route_origin:sse_rejected_origins:increase15m{origin!="other"} > 0)
                        and on (<F>, route, origin)
                      job_route_entry:sse_connections_opened:max_over_time1d
                    )
                    or
                    label_replace(
                      label_replace(job_route_origin:sse_rejected_origins:increase15m{origin!="other"} > 0, "entry", "$1*.$2", "origin", "([a-z]+://)[^.]+[.](.+)")
                        and on (<F>, route, entry)
                      job_route_entry:sse_connections_opened:max_over_time1d,
                      "entry", "", "entry", ".*"
                    )
                    or
                    label_replace(
                      label_replace(job_route_origin:sse_rejected_origins:increase15m{origin!="other"} > 0, "entry", "$1*.$2", "origin", "([a-z]+://)[^.]+[.][^.]+[.](.+)")
                        and on (<F>, route, entry)
                      job_route_entry:sse_connections_opened:max_over_time1d,
                      "entry", "", "entry", ".*"
                    )
                    or
                    label_replace(
                      label_replace(job_route_origin:sse_rejected_origins:increase15m{origin!="other"} > 0, "entry", "$1:*", "origin", "(.+):[0-9]+")
                        and on (<F>, route, entry)
                      job_route_entry:sse_connections_opened:max_over_time1d,
                      "entry", "", "entry", ".*"
                    )
                    or
                    (
                      (job_route_origin:sse_rejected_origins:increase15m > 0)
                        and
                      last_over_time(job_route_origin:sse_lost_origins:increase15m[6h])
                    )
                "#,
            },
        ],
        alerts: vec![
            Alert {
                name: "SSEOriginLost",
                expr: "job_route_origin:sse_lost_origins:increase15m",
                keep: "30m",
                severity: "critical",
                fault: "allow-list",
                board: "cors",
                panel: "Refused origins",
                summary: "{{ $labels.origin }} is refused at {{ $labels.route }}, and opened streams there within the last day (<place>).",
                description: "{{ $value | humanize }} refusals in 15 minutes. The allow-list lost this origin, or the pattern that let it in.",
                ..ALERT
            },
            Alert {
                name: "SSERejectedOriginSpike",
                expr: "job_route_origin:sse_rejected_origins:increase15m > job_route_origin:sse_rejected_origins:limit",
                after: "2m",
                keep: "10m",
                fault: "allow-list",
                board: "cors",
                panel: "Refused origins",
                summary: "The origin {{ $labels.origin }} is refused at {{ $labels.route }} much more often than before (<place>).",
                description: "{{ $value | humanize }} refusals in 15 minutes: a front end that moved, or somebody who tries.",
                ..ALERT
            },
            Alert {
                name: "SSEUnknownOriginScan",
                expr: "max by (<F>) (delta(sse_rejected_origins_distinct{%}[15m])) > <t origin_scan>",
                severity: "info",
                board: "cors",
                panel: "Distinct refused origins",
                summary: "Somebody tries many origins on <place>.",
                description: "About {{ $value | humanize }} origins that were never seen before were refused in 15 minutes by one instance.",
                ..ALERT
            },
        ],
    }
}
