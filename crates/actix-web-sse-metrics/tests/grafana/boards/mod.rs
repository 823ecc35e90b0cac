//! The six dashboards.

mod auth;
mod connections;
mod cors;
mod delivery;
mod nodes;
mod overview;
mod probe;

use crate::board::{Board, Panel, Step, timeline};

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
    ]
}

/// Whether browsers close what was opened, by origin and route: in the first row of several boards.
fn closed_at_once() -> Panel {
    Panel {
        width: 9,
        ..timeline(
            "Is it broken? Closed at once",
            CLOSED_AT_ONCE,
            &[(
                "{{origin}} {{route}}",
                r#"sum by (origin, route) (rate(sse_connections_immediate_close_total{%,origin!~"none|same_origin|other",class!="interval"}[~])) / (sum by (origin, route) (rate(sse_connections_opened_total{%,origin!~"none|same_origin|other"}[~])) > 0)"#,
            )],
            "By origin and route: the share of streams that browsers closed before they can have used them. Red: blocked. The headers are lost or doubled between the application and the browser.",
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
