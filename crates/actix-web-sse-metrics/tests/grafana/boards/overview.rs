use super::{PLAIN, closed_at_once, hop_and_remedy, refused_or_without_headers};
use crate::board::{Board, Panel, alerts, heading, lines, listing, stack, stat};

pub fn board() -> Board {
    Board {
        uid: "sse-overview",
        title: "Event streams / Overview",
        description: "Who is connected, what is refused, what is delivered.",
        anchor: "sse_build_info",
        panels: vec![
            heading("Is it broken?"),
            closed_at_once(),
            refused_or_without_headers(),
            Panel {
                width: 6,
                ..alerts()
            },
            hop_and_remedy(),
            heading("Now"),
            stat(
                "Open streams",
                "short",
                PLAIN,
                "sum(sse_connections_active{%})",
                "Streams open now, over all routes and instances.",
            ),
            stat(
                "Opened",
                "cps",
                PLAIN,
                "sum(rate(sse_connections_opened_total{%}[~]))",
                "Streams opened per second.",
            ),
            stat(
                "Refused",
                "reqps",
                (1.0, 10.0),
                r#"sum(rate(sse_connections_rejected_total{%,mode!="report_only"}[~]))"#,
                "Requests refused per second, whatever the reason.",
            ),
            stat(
                "Closed at once",
                "percentunit",
                (0.1, 0.3),
                r#"sum(rate(sse_connections_immediate_close_total{%,origin!~"none|same_origin"}[~])) / sum(rate(sse_connections_opened_total{%,origin!~"none|same_origin"}[~]))"#,
                "The share of cross-origin streams that the client closed before it can have used them. A browser that blocks a stream for its CORS headers looks like this from the server.",
            ),
            stat(
                "Client addresses",
                "short",
                PLAIN,
                "max(sse_clients{%})",
                "Distinct client addresses with an open stream, on the instance that has most. A client may be on several instances, so they are not added up.",
            ),
            stat(
                "Most of one address",
                "short",
                PLAIN,
                "max(sse_client_streams_max{%})",
                "How many streams the busiest client address holds on one instance.",
            ),
            heading("Traffic"),
            stack(
                "Open streams by route",
                "short",
                &[("{{route}}", "sum by (route) (sse_connections_active{%})")],
                "Streams open now.",
            ),
            lines(
                "Opened by origin",
                "cps",
                &[(
                    "{{origin}}",
                    "sum by (origin) (rate(sse_connections_opened_total{%}[~]))",
                )],
                "Streams opened per second, by entry of the allow-list; none: no browser, or a same-origin request of one; other: not on the list.",
            ),
            lines(
                "Closed by reason",
                "cps",
                &[(
                    "{{reason}}",
                    "sum by (reason) (rate(sse_connections_closed_total{%}[~]))",
                )],
                "Streams ended per second. Every stream ends with exactly one reason.",
            ),
            lines(
                "Refused by reason",
                "reqps",
                &[(
                    "{{reason}}",
                    r#"sum by (reason) (rate(sse_connections_rejected_total{%,mode!="report_only"}[~])) > 0 or label_replace(sum(rate(sse_connections_rejected_total{%,mode!="report_only"}[~])), "reason", "all", "", "")"#,
                )],
                "Requests refused per second, by error code, and all together.",
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
                "Delivery lag",
                "s",
                &[
                    (
                        "median",
                        "histogram_quantile(0.5, sum by (le) (rate(sse_delivery_lag_seconds_bucket{%}[~])))",
                    ),
                    (
                        "99 %",
                        "histogram_quantile(0.99, sum by (le) (rate(sse_delivery_lag_seconds_bucket{%}[~])))",
                    ),
                ],
                "From the publication of an event to handing it to the socket.",
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
            heading("The processes"),
            listing(
                "Versions",
                "short",
                "count by (version, job) (sse_build_info{%})",
                "How many instances of a job run which version.",
            ),
            listing(
                "Hubs",
                "short",
                "max by (job, instance, backplane, resume) (sse_hub_info{%})",
                "Whether a hub has a backplane, and whether it keeps events for clients that come back.",
            ),
            lines(
                "Memory",
                "bytes",
                &[("{{instance}}", "process_resident_memory_bytes{%}")],
                "Resident memory of the process.",
            ),
            lines(
                "CPU",
                "short",
                &[("{{instance}}", "rate(process_cpu_seconds_total{%}[~])")],
                "Cores in use.",
            ),
            lines(
                "File descriptors in use",
                "percentunit",
                &[("{{instance}}", "process_open_fds{%} / process_max_fds{%}")],
                "Each HTTP/1.1 stream holds one. When all are in use no client can connect any more.",
            ),
        ],
    }
}
