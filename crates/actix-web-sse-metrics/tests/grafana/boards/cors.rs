use super::{ANY_RATE, PLAIN, closed_at_once, hop_and_remedy, refused_or_without_headers};
use crate::board::{Board, Panel, alerts, heading, lines, listing, stack, stat};

pub fn board() -> Board {
    Board {
        uid: "sse-cors",
        title: "Event streams / CORS and origins",
        description: "Which origins open streams, which are refused, and whether browsers can use what was opened.",
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
                "Closed at once",
                "percentunit",
                (0.1, 0.3),
                r#"sum(rate(sse_connections_immediate_close_total{%,origin!~"none|same_origin"}[~])) / sum(rate(sse_connections_opened_total{%,origin!~"none|same_origin"}[~]))"#,
                "The share of cross-origin streams that the client closed before it can have used them.",
            ),
            stat(
                "Opened in vain",
                "cps",
                ANY_RATE,
                r#"sum(rate(sse_connections_opened_cors_total{%,verdict="denied"}[~]))"#,
                "Streams per second that were opened although the browser will refuse the reply: a route without the guard.",
            ),
            stat(
                "Origins refused",
                "reqps",
                (0.1, 1.0),
                r#"sum(rate(sse_connections_rejected_total{%,mode!="report_only",reason=~"origin_denied|origin_malformed"}[~]))"#,
                "Requests per second refused for their origin.",
            ),
            stat(
                "Distinct refused origins",
                "short",
                (50.0, 1000.0),
                "max(sse_rejected_origins_distinct{%})",
                "An estimate since the start of the instance that has seen most.",
            ),
            stat(
                "Reported by browsers",
                "cps",
                ANY_RATE,
                r#"sum(rate(sse_client_reports_total{%,diagnosis="cors_blocked"}[~]))"#,
                "Reports per second of browsers whose CORS check refused the stream, from the script on the page.",
            ),
            stat(
                "Policies",
                "short",
                PLAIN,
                "count(count by (policy_hash) (sse_cors_policy_info{%}))",
                "Distinct CORS policies over all instances. More than the application has means drift.",
            ),
            heading("Where, and since when"),
            lines(
                "Closed at once by origin",
                "percentunit",
                &[(
                    "{{origin}}",
                    r#"sum by (origin) (rate(sse_connections_immediate_close_total{%,origin!~"none|same_origin"}[~])) / sum by (origin) (rate(sse_connections_opened_total{%,origin!~"none|same_origin"}[~]))"#,
                )],
                "One origin alone: its entry in the allow-list, or its proxy. All at once: a proxy or a release that lost the header.",
            ),
            lines(
                "Closed at once by class",
                "cps",
                &[(
                    "{{class}}",
                    r#"sum by (class) (rate(sse_connections_immediate_close_total{%,origin!~"none|same_origin"}[~]))"#,
                )],
                "instant: Firefox, and Chromium over HTTP/2. drain: Chromium over HTTP/1.1, which reads a blocked reply on for five seconds or 16 KiB. interval: perhaps one of these; only a later write showed the end.",
            ),
            stack(
                "Opened by verdict",
                "cps",
                &[(
                    "{{verdict}}",
                    "sum by (verdict) (rate(sse_connections_opened_cors_total{%}[~]))",
                )],
                "What a browser makes of the replies.",
            ),
            lines(
                "Refused origins",
                "reqps",
                &[(
                    "{{origin}}",
                    "sum by (origin) (rate(sse_rejected_origins_total{%}[~]))",
                )],
                "The first frequent refused origins by name, the rest as other. The logs and the operators' endpoint have them all.",
            ),
            lines(
                "Refused by rule",
                "reqps",
                &[(
                    "{{reason}}",
                    r#"sum by (reason) (rate(sse_connections_rejected_total{%,mode!="report_only",reason=~"origin_denied|origin_malformed|host_denied|fetch_metadata_denied|preflight_denied"}[~]))"#,
                )],
                "Requests per second, by the rule that refused them.",
            ),
            lines(
                "Refused by origin",
                "reqps",
                &[(
                    "{{origin}} {{verdict}}",
                    "sum by (origin, verdict) (rate(sse_connections_rejected_cors_total{%,mode!=\"report_only\"}[~]))",
                )],
                "Requests refused per second, whatever the reason. denied: the page cannot read why.",
            ),
            lines(
                "Would be refused",
                "reqps",
                &[(
                    "{{reason}}",
                    r#"sum by (reason) (rate(sse_connections_rejected_total{%,mode="report_only"}[~]))"#,
                )],
                "What a policy on trial (report-only) would refuse.",
            ),
            lines(
                "Browser reports",
                "cps",
                &[(
                    "{{diagnosis}} {{origin}}",
                    "sum by (diagnosis, origin) (rate(sse_client_reports_total{%}[~]))",
                )],
                "Why EventSource gave up, as the script on the page found out. unknown: a reply that the page could not read and that is not certainly the application's.",
            ),
            lines(
                "Clients that report blocked streams",
                "short",
                &[(
                    "{{origin}}",
                    "sum by (origin) (sgn(sum by (origin, share) (increase(sse_client_blocked_reports_total{%}[~]))))",
                )],
                "Of eight shares of all client addresses, those with such a report. One: it may be a single client.",
            ),
            lines(
                "Values without a label",
                "cps",
                &[(
                    "{{metric}}",
                    "sum by (metric) (rate(sse_label_overflow_total{%}[~]))",
                )],
                "Label values folded into other because the bound on series was reached.",
            ),
            Panel {
                width: 24,
                ..listing(
                    "Policies in force",
                    "short",
                    "count by (policy_hash, credentials, wildcard, instance) (sse_cors_policy_info{%})",
                    "Which instance enforces which policy.",
                )
            },
        ],
    }
}
