//! The page of the last probes.

use std::{collections::VecDeque, fmt::Write as _, sync::Arc};

use http::{HeaderValue, StatusCode, header};

use super::{
    probes::Probed,
    respond::{Reply, text},
};

const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:2em}table{border-collapse:collapse}\
    th,td{text-align:left;padding:.25em 1em .25em 0;border-bottom:1px solid #ddd;vertical-align:top}\
    .failed{color:#b00020;font-weight:600}.good{color:#1b6e20}";

/// The last probes, the newest first, and why each failed.
pub(super) fn last_probes(history: &VecDeque<Arc<Probed>>) -> String {
    let mut rows = String::new();
    for probed in history {
        let (class, result, why) = match probed.failure() {
            None => ("good", "good", String::new()),
            Some((reason, why)) => ("failed", reason, why),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "<tr><td><a href=\"/logs?id={}\">{}</a></td><td>{}</td><td>{}</td><td class=\"{class}\">{result}</td>\
             <td>{:.1} s</td><td>{}</td></tr>",
            probed.id,
            humantime::format_rfc3339_seconds(probed.at),
            escape(&probed.url),
            escape(&probed.module),
            probed.took.as_secs_f64(),
            escape(&why),
        );
    }
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>sse-probe</title><style>{STYLE}</style>\
         <h1>sse-probe {}</h1><p><a href=\"/metrics\">/metrics</a> · /probe?target=URL&amp;module=NAME&amp;debug=true</p>\
         <table><tr><th>Probe</th><th>Target</th><th>Module</th><th>Result</th><th>Time</th><th>Why</th></tr>\n{rows}</table></html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// A reply with a page that can load nothing.
pub(super) fn html(body: String) -> Reply {
    let mut reply = text(StatusCode::OK, body);
    let headers = reply.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    reply
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
