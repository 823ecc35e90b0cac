//! The dashboards.

mod auth;
mod connections;
mod cors;
mod delivery;
mod nodes;
mod overview;
mod probe;
pub mod runbook;

use crate::board::{Board, Panel, Step, text, timeline};

/// The share of streams that are closed at once.
const CLOSED_AT_ONCE: &[Step] = &[
    (0.0, "green", "ok"),
    (0.2, "orange", "some"),
    (0.5, "red", "blocked"),
];

/// What must not happen at all.
const HAPPENS: &[Step] = &[(0.0, "green", "ok"), (0.5, "red", "yes")];

/// What must be so.
const HOLDS: &[Step] = &[(0.0, "red", "no"), (0.5, "green", "ok")];

/// A number that is bad from the first on.
const ANY: (f64, f64) = (0.5, 0.5);

/// A rate that is bad if it is not zero.
const ANY_RATE: (f64, f64) = (0.000_001, 0.000_001);

/// No threshold: a number that is neither good nor bad.
const PLAIN: (f64, f64) = (0.0, 0.0);

/// File name and dashboard.
pub fn all() -> Vec<(&'static str, Board)> {
    vec![
        ("overview", overview::board()),
        ("cors", cors::board()),
        ("auth", auth::board()),
        ("delivery", delivery::board()),
        ("connections", connections::board()),
        ("probe", probe::board()),
        ("runbook", runbook::board()),
    ]
}

/// Whether browsers close what was opened, by origin and route: in the first row of several boards.
fn closed_at_once() -> Panel {
    Panel {
        width: 9,
        ..timeline(
            "Is it broken? Closed at once",
            CLOSED_AT_ONCE,
            &[
                (
                    "{{origin}} {{route}}",
                    r#"sum by (origin, route) (rate(sse_connections_immediate_close_total{%,origin!~"none|same_origin|other",class!="interval"}[~])) / (sum by (origin, route) (rate(sse_connections_opened_total{%,origin!~"none|same_origin|other"}[~])) > 0)"#,
                ),
                // Of these a share is usual, as pages leave by themselves: it is red where the alert is, too.
                (
                    "perhaps: {{origin}} {{route}}",
                    r#"sum by (origin, route) (rate(sse_connections_immediate_close_total{%,origin!~"none|same_origin|other",class="interval"}[~])) / sum by (origin, route) (rate(sse_connections_opened_total{%,origin!~"none|same_origin|other"}[~])) > 0.5 or 0 * (sum by (origin, route) (rate(sse_connections_opened_total{%,origin!~"none|same_origin|other"}[~])) > 0)"#,
                ),
            ],
            "By origin and route: the share of streams that browsers closed before they can have used them. Red: blocked. The headers are lost or doubled between the application and the browser. Perhaps: when the streams ended is known as an interval only.",
        )
    }
}

/// From what is red to the hop and the remedy: below the first row of several boards.
fn hop_and_remedy() -> Panel {
    Panel {
        width: 24,
        ..text(
            "Which hop, and what to do",
            "| red | where it is broken | what to do |\n|---|---|---|\n\
             | *Closed at once* alone | between the application and the browser: a proxy or CDN strips, doubles or overwrites \
             `Access-Control-Allow-Origin` | `sse-probe diff APPLICATION PUBLIC --origin ORIGIN` names the hop; undo its last change |\n\
             | *refused*, one of your origins | the allow-list of the application | put the origin back, or undo the release |\n\
             | *without headers* | the application: a route without its policy, or a middleware that takes the headers away | wrap \
             the policy around the route again, or undo the release |",
            "How to read the row above.",
        )
    }
}

/// Whether the application itself shuts pages out: in the first row of several boards.
fn refused_or_without_headers() -> Panel {
    Panel {
        width: 9,
        ..timeline(
            "Is it broken? Refused or without headers",
            HAPPENS,
            &[
                (
                    "{{route}} without headers",
                    r#"sum by (route) (increase(sse_connections_opened_cors_total{%,verdict="denied"}[~]))"#,
                ),
                (
                    "{{origin}} {{route}} refused",
                    r#"sum by (origin, route) (increase(sse_rejected_origins_total{%,origin!="other"}[~]))"#,
                ),
            ],
            "Streams that the application opened without CORS headers: a route without its policy. Origins that are refused: if one is yours, it is missing from the allow-list.",
        )
    }
}
