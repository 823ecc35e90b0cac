//! What the probe sees from outside.

use super::{ALERT, Alert, Group, Record};

pub fn group() -> Group {
    Group {
        name: "sse-probe",
        records: vec![
            // Targets of sse-probe, known for a day, and for as long as they are not probed.
            Record {
                name: "job_instance:sse_probe_build_info:known",
                expr: r#"
                    max by (<I>) (last_over_time(sse_probe_build_info{%}[1d]))
                    or
                    (last_over_time(job_instance:sse_probe_build_info:known[6h]) and on (<I>) (max by (<I>) (up{%}) == 0))
                "#,
            },
        ],
        alerts: [cors(), others()].concat(),
    }
}

fn cors() -> Vec<Alert> {
    vec![
        Alert {
            name: "SSEProbeCorsHeaderMissing",
            expr: r#"max by (<I>, credentials) (probe_sse_cors_verdict{%,origin_role="allowed",verdict="blocked"}) == 1"#,
            after: "2m",
            severity: "critical",
            fault: "cors",
            board: "probe",
            panel: "What browsers decide",
            summary: "A browser would refuse the stream at {{ $labels.instance }} to an allowed origin (<place>).",
            description: "At the public URL the CORS headers are missing or wrong (credentials: {{ $labels.credentials }}).",
            ..ALERT
        },
        Alert {
            name: "SSEProbeServerDisagree",
            expr: r#"
                max by (<I>) (probe_sse_cors_verdict{%,origin_role="allowed",verdict="blocked"}) == 1
                  and on (<S>)
                sum by (<S>) (increase(sse_connections_opened_cors_total{%,verdict="allowed"}[15m])) > 0
            "#,
            after: "2m",
            severity: "critical",
            fault: "cors",
            board: "probe",
            panel: "What browsers decide",
            summary: "The application sends CORS headers that do not arrive at {{ $labels.instance }} (<place>).",
            description: "The probe is blocked, and the application opens streams with the right headers: something between them changes the headers. `sse-probe diff` names the hop.",
            ..ALERT
        },
        Alert {
            name: "SSEProbeForeignOriginAllowed",
            expr: r#"
                max by (<I>, origin_role) (probe_sse_cors_verdict{%,origin_role=~"foreign|look_alike|null",credentials="include",verdict="allowed"}) == 1
            "#,
            after: "1m",
            severity: "critical",
            fault: "cors",
            board: "probe",
            panel: "What browsers decide",
            summary: "Pages of other origins ({{ $labels.origin_role }}) may read the stream at {{ $labels.instance }} with the visitor's cookies (<place>).",
            description: "Something in front of the application, or the application, reflects origins that are not on the allow-list.",
            ..ALERT
        },
        Alert {
            name: "SSEProbeVaryMissing",
            expr: r#"min by (<I>) (probe_sse_check_passed{%,check="vary"}) == 0"#,
            after: "5m",
            fault: "cors",
            board: "probe",
            panel: "Checks",
            summary: "Replies at {{ $labels.instance }} lack `Vary: Origin` (<place>).",
            description: "A cache may give the reply for one origin to a page of another, which the browser then blocks.",
            ..ALERT
        },
    ]
}

fn others() -> Vec<Alert> {
    vec![
        Alert {
            name: "SSEProbeFailed",
            expr: r#"
                max by (<I>) (probe_success{%}) == 0
                  and on (<I>)
                job_instance:sse_probe_build_info:known
            "#,
            after: "5m",
            severity: "critical",
            fault: "probe",
            board: "probe",
            panel: "Success",
            summary: "The stream at {{ $labels.instance }} cannot be used (<place>).",
            description: "The probe did not reach it, or a check failed.",
            ..ALERT
        },
        Alert {
            name: "SSEProbeMissing",
            expr: r#"
                (max by (<I>) (up{%}) == 0 and on (<F>) count by (<F>) (job_instance:sse_probe_build_info:known))
                or
                (
                  time() - max by (<I>) (probe_sse_last_run_timestamp_seconds{%})
                    > on (<I>)
                  3 * max by (<I>) (probe_sse_interval_seconds{%} > 0)
                )
            "#,
            after: "3m",
            board: "probe",
            panel: "Success",
            summary: "The probe of {{ $labels.instance }} does not run (<place>).",
            description: "What browsers see at this URL is not known, and the alerts of the probe are blind.",
            ..ALERT
        },
        Alert {
            name: "SSEProbeBuffering",
            expr: "max by (<I>) (probe_sse_buffering_detected{%}) == 1",
            after: "5m",
            fault: "probe",
            board: "probe",
            panel: "Checks",
            summary: "Something holds back the stream at {{ $labels.instance }} (<place>).",
            description: "Bytes arrive late and together: a proxy or a CDN buffers the response.",
            ..ALERT
        },
        Alert {
            name: "SSEProbeAuthBypass",
            expr: "max by (<I>) (probe_sse_auth_bypass{%}) == 1",
            severity: "critical",
            fault: "auth",
            board: "probe",
            panel: "Checks",
            summary: "The stream at {{ $labels.instance }} opens without credentials (<place>).",
            description: "It is configured to need some.",
            ..ALERT
        },
        Alert {
            name: "SSEProbeCertExpiring",
            expr: r#"
                max by (<I>) (probe_ssl_earliest_cert_expiry{%}) - time() < <t certificate_days> * 86400
                  and on (<I>)
                job_instance:sse_probe_build_info:known
            "#,
            after: "1h",
            board: "probe",
            panel: "Certificate",
            summary: "A certificate of {{ $labels.instance }} expires in {{ $value | humanizeDuration }} (<place>).",
            description: "After that no browser opens the stream, and EventSource does not say why.",
            ..ALERT
        },
    ]
}
