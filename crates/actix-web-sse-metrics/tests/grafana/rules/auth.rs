//! Who gets in, who does not, and who asks for too much.

use super::{ALERT, Alert, Group, Record};

pub fn group() -> Group {
    Group {
        name: "sse-auth",
        records: vec![
            Record {
                name: "job:sse_auth_failures:ratio_increase15m",
                expr: r#"
                    sum by (<F>) (<inc sse_connections_rejected_total{%,mode!="report_only",reason=~"unauthorized|invalid_token|invalid_ticket|insufficient_scope"} 15m>)
                      /
                    (sum by (<F>) (<inc sse_connection_attempts_total{%} 15m>) > 0)
                "#,
            },
            // Bots and health checks are refused all day long: what counts is three times the usual
            // share. Held while it is exceeded.
            Record {
                name: "job:sse_auth_failures:limit",
                expr: r#"
                    (last_over_time(job:sse_auth_failures:limit[1h]) < job:sse_auth_failures:ratio_increase15m)
                    or
                    clamp(3 * avg_over_time(job:sse_auth_failures:ratio_increase15m[1d] offset 30m), <t auth_failure_share>, 0.9)
                "#,
            },
        ],
        alerts: vec![
            Alert {
                name: "SSEAuthBypass",
                expr: r#"
                    sum by (<F>, route) (
                      <inc sse_connections_opened_total{%,auth_method="none"} 1h>
                        * on (<I>, route) group_left ()
                      sse_route_auth_required{%}
                    ) > 0
                "#,
                severity: "critical",
                fault: "auth",
                board: "auth",
                panel: "Opened by method",
                summary: "Streams open without authentication on {{ $labels.route }} (<place>).",
                description: "The route is declared to require authentication; {{ $value | humanize }} streams opened without it within the last hour.",
                ..ALERT
            },
            Alert {
                name: "SSEAuthFailureSpike",
                expr: r#"
                    (
                      job:sse_auth_failures:ratio_increase15m > job:sse_auth_failures:limit
                        and
                      sum by (<F>) (increase(sse_connections_rejected_total{%,mode!="report_only",reason=~"unauthorized|invalid_token|invalid_ticket|insufficient_scope"}[15m])) > <t auth_failures>
                    )
                    or
                    (
                      (
                        sum by (<F>) (increase(sse_connections_rejected_total{%,mode!="report_only",reason=~"invalid_token|invalid_ticket|insufficient_scope"}[15m]))
                          /
                        (sum by (<F>) (increase(sse_connection_attempts_total{%}[15m])) > 0)
                      ) > 0.5
                        and
                      sum by (<F>) (increase(sse_connections_rejected_total{%,mode!="report_only",reason=~"invalid_token|invalid_ticket|insufficient_scope"}[15m])) > <t auth_failures>
                    )
                "#,
                after: "5m",
                keep: "10m",
                fault: "auth",
                board: "auth",
                panel: "Failures by reason",
                summary: "Authentication fails for many who ask <place> for a stream.",
                description: "{{ $value | humanizePercentage }} of all requests within 15 minutes failed to authenticate, far more than usual.",
                ..ALERT
            },
            Alert {
                name: "SSEIpLimitSaturated",
                expr: r#"
                    sum by (<I>) (increase(sse_connections_rejected_total{%,reason="ip_limit",mode!="report_only"}[5m])) > 0
                      and on (<I>)
                    max by (<I>) (sse_client_streams_max{%}) >= on (<I>) min by (<I>) (sse_connections_limit{%,scope="ip"})
                "#,
                after: "2m",
                keep: "10m",
                board: "auth",
                panel: "Most of one address",
                summary: "A client address holds as many streams of <process> as it may, and asks for more (<place>).",
                description: "{{ $value | humanize }} requests over the limit in five minutes: one abuser, a page that leaks streams, or many people behind one address.",
                ..ALERT
            },
        ],
    }
}
