//! Whether the metrics themselves can be relied on.

use super::{ALERT, Alert, Group, Record};

pub fn group() -> Group {
    Group {
        name: "sse-health",
        records: vec![
            // Processes of ours, known for a day, and for as long as they cannot be read.
            Record {
                name: "job_instance:sse_build_info:known",
                expr: r#"
                    max by (<I>) (last_over_time(sse_build_info{%}[1d]))
                    or
                    (last_over_time(job_instance:sse_build_info:known[6h]) and on (<I>) (max by (<I>) (up{%}) == 0))
                "#,
            },
        ],
        alerts: vec![
            Alert {
                name: "SSELabelOverflow",
                expr: "sum by (<F>, metric) (increase(sse_label_overflow_total{%}[1h])) > 0",
                severity: "info",
                board: "cors",
                panel: "Values without a label",
                summary: "Some values of {{ $labels.metric }} have no label of their own (<place>).",
                description: "The bound on series is reached; {{ $value | humanize }} samples were counted as other in an hour.",
                ..ALERT
            },
            // Instances that service discovery no longer lists have no `up`: they were replaced.
            Alert {
                name: "SSETargetMissing",
                expr: r#"
                    (max by (<I>) (up{%}) == 0 and on (<I>) job_instance:sse_build_info:known)
                    or
                    (
                      (max by (<I>) (up{%}) == 0)
                        and on (<F>)
                      (count by (<F>) (job_instance:sse_build_info:known) unless on (<F>) count by (<F>) (sse_build_info{%}))
                    )
                "#,
                after: "3m",
                severity: "critical",
                fault: "target",
                board: "overview",
                panel: "Versions",
                summary: "Prometheus cannot read the metrics of <process> (<place>).",
                description: "The target is down. Every other alert is blind to it.",
                ..ALERT
            },
        ],
    }
}
