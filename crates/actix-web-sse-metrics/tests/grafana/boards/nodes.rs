//! The row about hubs that several nodes share.

use super::PLAIN;
use crate::board::{Panel, lines, row, stat};

pub fn panels() -> Vec<Panel> {
    vec![
        row("Several nodes: the backplane"),
        stat(
            "Nodes connected",
            "short",
            PLAIN,
            "sum(sse_backplane_connected{%})",
            "Nodes whose backplane has its engine (Redis).",
        ),
        stat(
            "Nodes cut off",
            "short",
            (0.5, 1.0),
            "sum(1 - sse_backplane_connected{%})",
            "Nodes without their engine: their streams stay open and get nothing new, and they cannot publish.",
        ),
        stat(
            "Backplane lag, 99 %",
            "s",
            (0.5, 1.0),
            "histogram_quantile(0.99, sum by (le) (rate(sse_backplane_lag_seconds_bucket{%}[~])))",
            "From the publication of an event on whichever node to its arrival on another.",
        ),
        stat(
            "Backlog",
            "short",
            (100.0, 1000.0),
            "sum(sse_backplane_backlog{%})",
            "Publications that wait for the engine.",
        ),
        stat(
            "Not acknowledged",
            "ops",
            (0.01, 1.0),
            "sum(rate(sse_backplane_unpublished_total{%}[~]))",
            "Events per second that the engine did not acknowledge; each was an error of its publisher's.",
        ),
        stat(
            "Revocations lost",
            "short",
            (0.5, 1.0),
            "sum(increase(sse_backplane_revocations_lost_total{%}[~]))",
            "Revocations that did not reach the other nodes: too many in one outage. Revoke again.",
        ),
        lines(
            "Backplane lag",
            "s",
            &[
                (
                    "median",
                    "histogram_quantile(0.5, sum by (le) (rate(sse_backplane_lag_seconds_bucket{%}[~])))",
                ),
                (
                    "90 %",
                    "histogram_quantile(0.9, sum by (le) (rate(sse_backplane_lag_seconds_bucket{%}[~])))",
                ),
                (
                    "99 %",
                    "histogram_quantile(0.99, sum by (le) (rate(sse_backplane_lag_seconds_bucket{%}[~])))",
                ),
            ],
            "From the publication of an event on whichever node to its arrival on another, by the engine's clock.",
        ),
        lines(
            "Backplane lag by node, 99 %",
            "s",
            &[(
                "{{instance}}",
                "histogram_quantile(0.99, sum by (le, instance) (rate(sse_backplane_lag_seconds_bucket{%}[~])))",
            )],
            "A node that lags alone is short of CPU or far away; all at once, the engine is slow.",
        ),
        lines(
            "Silence of the engine",
            "s",
            &[(
                "{{instance}}",
                "max by (instance) (sse_backplane_silent_seconds{%})",
            )],
            "For how long a node has heard nothing. It asks every second, so it stays near one on a quiet node.",
        ),
        lines(
            "Connections that failed",
            "cps",
            &[(
                "{{instance}}",
                "sum by (instance) (rate(sse_backplane_failures_total{%}[~]))",
            )],
            "Connections to the engine that ended, and attempts that failed, per second.",
        ),
        lines(
            "Published through the engine",
            "ops",
            &[
                (
                    "acknowledged {{instance}}",
                    "sum by (instance) (rate(sse_backplane_published_total{%}[~]))",
                ),
                (
                    "not acknowledged {{instance}}",
                    "sum by (instance) (rate(sse_backplane_unpublished_total{%}[~]))",
                ),
            ],
            "Events per second that the engine acknowledged to their publishers, and that it did not.",
        ),
        lines(
            "Came from the engine",
            "ops",
            &[(
                "{{instance}}",
                "sum by (instance) (rate(sse_backplane_delivered_total{%}[~]))",
            )],
            "Events per second that a node got. Each node gets each event of the topics it follows, once.",
        ),
        lines(
            "Backlog by node",
            "short",
            &[(
                "{{instance}}",
                "sum by (instance) (sse_backplane_backlog{%})",
            )],
            "Publications that wait for the engine; above max_pending they are refused.",
        ),
        lines(
            "Topics followed",
            "short",
            &[(
                "{{instance}}",
                "sum by (instance) (sse_backplane_topics{%})",
            )],
            "Topics that a node reads. Each read names all of them: at ten thousand that is slow.",
        ),
        lines(
            "Streams let in uncounted",
            "cps",
            &[(
                "{{instance}}",
                "sum by (instance) (rate(sse_backplane_uncounted_streams_total{%}[~]))",
            )],
            "Streams per second let in by a node's own count: Redis could not be asked how many their user has on all nodes.",
        ),
        lines(
            "History lost",
            "short",
            &[
                (
                    "holes {{instance}}",
                    "sum by (instance) (increase(sse_backplane_holes_total{%}[~]))",
                ),
                (
                    "resets {{instance}}",
                    "sum by (instance) (increase(sse_backplane_resets_total{%}[~]))",
                ),
            ],
            "holes: a topic's streams ended, for the engine had trimmed what they lacked. resets: it had lost everything.",
        ),
    ]
}
