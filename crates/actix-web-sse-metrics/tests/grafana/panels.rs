//! The panels of a dashboard.

use serde_json::Value;

pub fn list<'a>(value: &'a Value, pointer: &str) -> Vec<&'a Value> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect()
}

/// Every panel, those of rows included; a row itself is a heading and no panel.
pub fn panels(board: &Value) -> Vec<&Value> {
    let all = list(board, "/panels").into_iter();
    all.flat_map(|panel| match &panel["type"] {
        kind if kind == "row" => list(panel, "/panels"),
        _ => vec![panel],
    })
    .collect()
}
