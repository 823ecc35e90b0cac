use super::{ANY_RATE, PLAIN};
use crate::board::{Board, lines, stack, stat};

pub fn board() -> Board {
    Board {
        uid: "sse-auth",
        title: "Event streams / Authentication and abuse",
        description: "Who proves who they are, who fails to, and who takes more than a fair share.",
        anchor: "sse_build_info",
        panels: vec![
            stat(
                "Unauthenticated streams",
                "cps",
                ANY_RATE,
                r#"sum(sum by (job, instance, route) (rate(sse_connections_opened_total{%,auth_method="none"}[~])) * on (job, instance, route) sse_route_auth_required{%})"#,
                "Streams per second opened without authentication on routes that are declared to require it. Anything above zero is a bypass.",
            ),
            stat(
                "Failed authentication",
                "reqps",
                (0.5, 5.0),
                r#"sum(rate(sse_connections_rejected_total{%,reason=~"unauthorized|invalid_token|invalid_ticket|insufficient_scope"}[~]))"#,
                "Requests per second refused for want of valid credentials or rights.",
            ),
            stat(
                "Over a limit",
                "reqps",
                (0.5, 5.0),
                r#"sum(rate(sse_connections_rejected_total{%,reason=~"ip_limit|user_limit|rate_limit|capacity"}[~]))"#,
                "Requests per second refused by a limit.",
            ),
            stat(
                "Most of one address",
                "short",
                PLAIN,
                "max(sse_client_streams_max{%})",
                "How many streams the busiest client address holds on one instance.",
            ),
            stat(
                "Limit per address",
                "short",
                PLAIN,
                r#"min(sse_connections_limit{%,scope="ip"})"#,
                "The lowest limit on streams per client address in force.",
            ),
            stat(
                "Client addresses",
                "short",
                PLAIN,
                "max(sse_clients{%})",
                "Distinct client addresses with an open stream.",
            ),
            stack(
                "Opened by method",
                "cps",
                &[(
                    "{{auth_method}}",
                    "sum by (auth_method) (rate(sse_connections_opened_total{%}[~]))",
                )],
                "How the clients of opened streams proved who they are.",
            ),
            lines(
                "Failures by reason",
                "reqps",
                &[(
                    "{{reason}}",
                    r#"sum by (reason) (rate(sse_connections_rejected_total{%,reason=~"unauthorized|invalid_token|invalid_ticket|insufficient_scope|invalid_request|auth_unavailable"}[~]))"#,
                )],
                "unauthorized: nothing was presented. invalid_token and invalid_ticket: it did not hold. auth_unavailable: the authenticator itself failed.",
            ),
            lines(
                "Limits by reason",
                "reqps",
                &[(
                    "{{reason}} ({{mode}})",
                    r#"sum by (reason, mode) (rate(sse_connections_rejected_total{%,reason=~"ip_limit|user_limit|rate_limit|capacity",mode!="report_only"}[~]))"#,
                )],
                "soft: answered with an empty stream, so that a browser comes back by itself; hard: 429 or 503.",
            ),
            lines(
                "Streams per address at opening",
                "short",
                &[
                    (
                        "median",
                        "histogram_quantile(0.5, sum by (le) (rate(sse_client_streams_bucket{%}[~])))",
                    ),
                    (
                        "99 %",
                        "histogram_quantile(0.99, sum by (le) (rate(sse_client_streams_bucket{%}[~])))",
                    ),
                    ("most, now", "max(sse_client_streams_max{%})"),
                    ("limit", r#"min(sse_connections_limit{%,scope="ip"})"#),
                ],
                "How many streams of the same address were open when a stream opened. Near the limit stand either abuse or many people behind one address.",
            ),
            lines(
                "Remaining life of credentials",
                "s",
                &[
                    (
                        "10 %",
                        "histogram_quantile(0.1, sum by (le) (rate(sse_auth_token_ttl_seconds_bucket{%}[~])))",
                    ),
                    (
                        "median",
                        "histogram_quantile(0.5, sum by (le) (rate(sse_auth_token_ttl_seconds_bucket{%}[~])))",
                    ),
                ],
                "When a stream opens. Short lives end streams often; see Expired.",
            ),
            lines(
                "Ended for their credentials",
                "cps",
                &[(
                    "{{reason}}",
                    r#"sum by (reason) (rate(sse_connections_closed_total{%,reason=~"expired|revoked"}[~]))"#,
                )],
                "Streams per second that ended because the credentials ran out or were revoked.",
            ),
            lines(
                "Log records",
                "cps",
                &[
                    (
                        "{{event}} written",
                        "sum by (event) (rate(sse_log_records_total{%}[~]))",
                    ),
                    (
                        "{{event}} suppressed",
                        "sum by (event) (rate(sse_log_records_suppressed_total{%}[~]))",
                    ),
                    ("dropped", "sum(rate(sse_log_records_dropped_total{%}[~]))"),
                ],
                "Refusals and evictions are logged at a bounded rate; suppressed counts what was left out. Dropped: the log was read too slowly.",
            ),
            lines(
                "Requests by outcome",
                "reqps",
                &[
                    (
                        "reached the guards",
                        "sum(rate(sse_connection_attempts_total{%}[~]))",
                    ),
                    ("opened", "sum(rate(sse_connections_opened_total{%}[~]))"),
                    (
                        "refused",
                        r#"sum(rate(sse_connections_rejected_total{%,mode!="report_only"}[~]))"#,
                    ),
                ],
                "Preflights and HEAD requests reach the guards and are neither.",
            ),
            lines(
                "Actions of operators",
                "cps",
                &[(
                    "{{action}}",
                    "sum by (action) (rate(sse_operator_actions_total{%}[~]))",
                )],
                "Streams, and all streams of a user, that operators ended on the operations page. The log says from where.",
            ),
            lines(
                "Mounted wrongly",
                "short",
                &[("{{cause}}", "sum by (cause) (sse_misconfigured{%})")],
                "Instances on which a request showed a mistake in how the library is mounted; their log has the remedy.",
            ),
        ],
    }
}
