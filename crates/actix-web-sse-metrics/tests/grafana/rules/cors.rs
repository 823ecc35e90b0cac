//! Whether browsers can use the streams that they open.

use super::{ALERT, Alert, Group, Record};

/// Streams that are subject to CORS and to an entry of the allow-list. What an origin that is on
/// no list does with a stream of a policy on trial is nobody's regression.
pub fn group() -> Group {
    Group {
        name: "sse-cors",
        records: records(),
        alerts: vec![
            Alert {
                name: "SSECorsRegression",
                expr: r#"
                    (
                      job_route_origin:sse_connections_immediate_close:increase5m >= <t immediate_closes>
                        and
                      job_route_origin:sse_connections_immediate_close:increase5m
                        > job_route_origin:sse_connections_immediate_close:limit
                          * job_route_origin:sse_connections_opened:increase5m
                        and
                      job_route_origin:sse_connections_immediate_close:increase5m
                        - job_route_origin:sse_connections_immediate_close:usual
                          * job_route_origin:sse_connections_opened:increase5m
                        > 2.5 * sqrt(job_route_origin:sse_connections_opened:increase5m)
                    )
                    or
                    (
                      job_route_origin:sse_connections_immediate_close:increase30m >= <t immediate_closes>
                        and
                      job_route_origin:sse_connections_immediate_close:increase30m
                        > <t immediate_share_most> * job_route_origin:sse_connections_opened:increase30m
                        and
                      job_route_origin:sse_connections_immediate_close:increase30m
                        - job_route_origin:sse_connections_immediate_close:usual
                          * job_route_origin:sse_connections_opened:increase30m
                        > 2.5 * sqrt(job_route_origin:sse_connections_opened:increase30m)
                        unless
                      job_route_origin:sse_connections_immediate_close:calm5m
                    )
                "#,
                after: "2m",
                keep: "10m",
                severity: "critical",
                fault: "cors",
                board: "cors",
                panel: "Closed at once by origin",
                summary: "Browsers on {{ $labels.origin }} close the streams of {{ $labels.route }} at once (<place>).",
                description: "{{ $value | humanize }} streams of this origin were closed before they can have been used, far more than usual. Browsers do that when Access-Control-Allow-Origin is missing, wrong or doubled in what reaches them.",
            },
            Alert {
                name: "SSECorsRegressionLikely",
                expr: r#"
                    (
                      job_route_origin:sse_interval_closes:ratio5m > <t immediate_share>
                        and
                      job_route_origin:sse_interval_closes:ratio5m
                        > job_route_origin:sse_interval_closes:average1d + <t immediate_share_usual_most>
                    )
                    or
                    (
                      job_route_origin:sse_interval_closes:ratio30m > <t immediate_share>
                        and
                      job_route_origin:sse_interval_closes:ratio30m
                        > job_route_origin:sse_interval_closes:average1d + <t immediate_share_usual_most>
                        unless
                      job_route_origin:sse_interval_closes:ratio5m
                        <= job_route_origin:sse_interval_closes:average1d + 0.2
                    )
                "#,
                after: "2m",
                keep: "10m",
                severity: "critical",
                fault: "cors",
                board: "cors",
                panel: "Closed at once by class",
                summary: "Streams of {{ $labels.route }} opened by pages of {{ $labels.origin }} end as blocked ones do (<place>).",
                description: "{{ $value | humanizePercentage }} of them, far more than usual. When they ended is known as an interval only, as over HTTP/2 and behind HAProxy with HTTP/1.1 in front.",
            },
            Alert {
                name: "SSECorsOpenedDenied",
                expr: r#"
                    (
                      sum by (<F>, route) (<inc sse_connections_opened_cors_total{%,verdict="denied"} 15m>)
                        - on (<F>, route)
                      (
                        sum by (<F>, route) (<inc sse_connections_rejected_cors_total{%,mode="report_only",verdict="denied"} 15m>)
                          or
                        0 * sum by (<F>, route) (sse_connections_opened_cors_total{%,verdict="denied"})
                      )
                    ) > <t opened_denied>
                "#,
                after: "1m",
                keep: "10m",
                severity: "critical",
                fault: "cors",
                board: "cors",
                panel: "Opened by verdict",
                summary: "The application opens streams of {{ $labels.route }} without the CORS headers that browsers ask for (<place>).",
                description: "{{ $value | humanize }} streams in 15 minutes left the application without them: a route without the policy, or something within the application that takes the headers away.",
            },
            Alert {
                name: "SSEImmediateCloseRateHigh",
                expr: r#"
                    job_route_origin:sse_connections_immediate_close:increase30m >= <t immediate_closes>
                      and
                    job_route_origin:sse_connections_immediate_close:increase30m
                      > clamp_min(2 * job_route_origin:sse_connections_immediate_close:usual, <t immediate_share_warning>)
                        * job_route_origin:sse_connections_opened:increase30m
                      and
                    job_route_origin:sse_connections_immediate_close:increase30m
                      - job_route_origin:sse_connections_immediate_close:usual
                        * job_route_origin:sse_connections_opened:increase30m
                      > 2.5 * sqrt(job_route_origin:sse_connections_opened:increase30m)
                      unless
                    job_route_origin:sse_connections_immediate_close:calm5m
                "#,
                after: "10m",
                keep: "10m",
                board: "cors",
                panel: "Closed at once by origin",
                summary: "More streams of {{ $labels.route }} are closed at once than usual by pages of {{ $labels.origin }} (<place>).",
                description: "{{ $value | humanize }} streams in 30 minutes were closed before they can have been used: some browsers are blocked, or a page opens streams that it does not want.",
                ..ALERT
            },
            Alert {
                name: "SSECorsPolicyDrift",
                expr: r#"
                    count by (<F>, policy_hash) (count by (<I>, policy_hash) (sse_cors_policy_info{%}))
                      < on (<F>) group_left ()
                    count by (<F>) (count by (<I>) (sse_build_info{%}))
                "#,
                after: "45m",
                board: "cors",
                panel: "Policies in force",
                summary: "Instances of <place> enforce different CORS policies.",
                description: "Only {{ $value }} instances have the policy {{ $labels.policy_hash }}. Whether a browser is served depends on the instance that it meets.",
                ..ALERT
            },
            Alert {
                name: "SSEReportOnlyRefusals",
                expr: r#"sum by (<F>, route, reason) (<inc sse_connections_rejected_total{%,mode="report_only"} 1h>) > <t report_only>"#,
                severity: "info",
                board: "cors",
                panel: "Would be refused",
                summary: "The policy on trial would refuse requests for {{ $labels.route }} (<place>).",
                description: "{{ $value | humanize }} in an hour, as {{ $labels.reason }}. Nothing was refused.",
                ..ALERT
            },
            Alert {
                name: "SSEClientReportsCorsBlocked",
                // Of several clients: one alone, whatever it sends, pages nobody.
                expr: r#"sum by (<F>, origin) (<inc sse_client_reports_total{%,diagnosis="cors_blocked"} 15m>) > <t client_reports>
and
count by (<F>, origin) (sum by (<F>, origin, share) (<inc sse_client_blocked_reports_total{%} 15m>) > 0) >= 3"#,
                keep: "10m",
                severity: "critical",
                fault: "cors",
                board: "cors",
                panel: "Browser reports",
                summary: "Browsers report that CORS blocks streams{{ with $labels.origin }} on {{ . }}{{ end }} (<place>).",
                description: "{{ $value | humanize }} reports of at least three clients in 15 minutes, from the script on the page.",
                ..ALERT
            },
        ],
    }
}

/// The usual share is an average over a day of the time in which the share was not above its
/// limit, and it is held while it is: a fault is not learned, however long it lasts.
fn records() -> Vec<Record> {
    vec![
        Record {
            name: "job_route_origin:sse_connections_opened:increase5m",
            expr: r#"sum by (<F>, route, origin) (<inc sse_connections_opened_total{%,origin!~"none|same_origin|other"} 5m>)"#,
        },
        Record {
            name: "job_route_origin:sse_connections_opened:increase30m",
            expr: r#"sum by (<F>, route, origin) (<inc sse_connections_opened_total{%,origin!~"none|same_origin|other"} 30m>)"#,
        },
        Record {
            name: "job_route_origin:sse_connections_immediate_close:increase5m",
            expr: r#"sum by (<F>, route, origin) (<inc sse_connections_immediate_close_total{%,origin!~"none|same_origin|other",class!="interval"} 5m>)"#,
        },
        Record {
            name: "job_route_origin:sse_connections_immediate_close:increase30m",
            expr: r#"sum by (<F>, route, origin) (<inc sse_connections_immediate_close_total{%,origin!~"none|same_origin|other",class!="interval"} 30m>)"#,
        },
        // Ends that are known as intervals only. What pages do by themselves is in there, too: it is the
        // background that is subtracted.
        Record {
            name: "job_route_origin:sse_interval_closes:ratio5m",
            expr: r#"
                (
                  sum by (<F>, route, origin) (<inc sse_connections_immediate_close_total{%,origin!~"none|same_origin|other",class="interval"} 5m>)
                    / (job_route_origin:sse_connections_opened:increase5m >= 2 * <t immediate_closes>)
                )
            "#,
        },
        Record {
            name: "job_route_origin:sse_interval_closes:ratio30m",
            expr: r#"
                (
                  sum by (<F>, route, origin) (<inc sse_connections_immediate_close_total{%,origin!~"none|same_origin|other",class="interval"} 30m>)
                    / (job_route_origin:sse_connections_opened:increase30m >= <t immediate_closes>)
                )
            "#,
        },
        Record {
            name: "job_route_origin:sse_interval_closes:average1d",
            expr: r#"
                (
                  avg_over_time(job_route_origin:sse_interval_closes:calm_ratio[1d])
                    and (job_route_origin:sse_interval_closes:calm_ratio offset 5m)
                )
                or
                last_over_time(job_route_origin:sse_interval_closes:average1d[6h])
            "#,
        },
        Record {
            name: "job_route_origin:sse_interval_closes:calm_ratio",
            expr: r#"
                (job_route_origin:sse_interval_closes:ratio30m <= job_route_origin:sse_interval_closes:average1d + 0.2)
                or
                (job_route_origin:sse_interval_closes:ratio30m unless job_route_origin:sse_interval_closes:average1d)
            "#,
        },
        Record {
            name: "job_route_origin:sse_connections_immediate_close:average1d",
            expr: r#"
                (
                  avg_over_time(job_route_origin:sse_connections_immediate_close:calm_ratio[1d])
                    and (job_route_origin:sse_connections_immediate_close:calm_ratio offset 1h)
                )
                or
                last_over_time(job_route_origin:sse_connections_immediate_close:average1d[6h])
            "#,
        },
        Record {
            name: "job_route_origin:sse_connections_immediate_close:usual",
            expr: r#"
                clamp_max(job_route_origin:sse_connections_immediate_close:average1d, <t immediate_share_usual_most>)
                or
                0 * job_route_origin:sse_connections_opened:increase30m + <t immediate_share_usual_most>
            "#,
        },
        // Where there are streams enough to see within minutes that a fault is over, the half hour
        // that it is still part of says nothing.
        Record {
            name: "job_route_origin:sse_connections_immediate_close:calm5m",
            expr: r#"
                job_route_origin:sse_connections_immediate_close:increase5m
                  <=
                0.75 * clamp_min(2 * job_route_origin:sse_connections_immediate_close:usual, <t immediate_share_warning>)
                  * (job_route_origin:sse_connections_opened:increase5m >= 2 * <t immediate_closes>)
            "#,
        },
        Record {
            name: "job_route_origin:sse_connections_immediate_close:limit",
            expr: "clamp(2 * job_route_origin:sse_connections_immediate_close:usual, <t immediate_share>, <t immediate_share_most>)",
        },
        Record {
            name: "job_route_origin:sse_connections_immediate_close:calm_ratio",
            expr: r#"
                (
                  job_route_origin:sse_connections_immediate_close:increase30m
                    / (job_route_origin:sse_connections_opened:increase30m >= 5)
                )
                  <=
                clamp_min(2 * job_route_origin:sse_connections_immediate_close:usual, <t immediate_share_warning>)
            "#,
        },
    ]
}
