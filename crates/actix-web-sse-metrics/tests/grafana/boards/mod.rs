//! The six dashboards.

mod auth;
mod connections;
mod cors;
mod delivery;
mod nodes;
mod overview;
mod probe;

use crate::board::Board;

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
