//! The six dashboards.

mod auth;
mod connections;
mod cors;
mod delivery;
mod nodes;
mod overview;
mod probe;

use crate::board::{Board, Step};

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
