//! What goes wrong with Varnish.

use sse_probe::compare::Kind;

use super::{Fault, fault};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "buffering on",
        Kind::Buffered,
        &[("do_stream = true", "do_stream = false")],
    ),
    fault(
        "gzip on",
        Kind::Compressed,
        &[(
            "do_gzip = false",
            "do_gzip = true; unset beresp.http.Content-Encoding",
        )],
    ),
    fault(
        "header stripped",
        Kind::Stripped,
        &[(
            "set beresp.do_gzip = false;",
            "unset beresp.http.Access-Control-Allow-Origin;",
        )],
    ),
    fault(
        "wildcard added",
        Kind::Wildcard,
        &[(
            "set beresp.do_gzip = false;",
            "set beresp.http.Access-Control-Allow-Origin = \"*\";",
        )],
    ),
    fault(
        "response cached",
        Kind::Cached,
        &[
            ("return (pass);", "return (hash);"),
            (
                "set beresp.uncacheable = true;",
                "unset beresp.http.Cache-Control; unset beresp.http.Surrogate-Control;",
            ),
            (
                "set beresp.ttl = 0s;",
                "set beresp.ttl = 60s;\n        return (deliver);",
            ),
        ],
    ),
    fault(
        "idle timeout below the heartbeat",
        Kind::Cut,
        &[("between_bytes_timeout = 75s", "between_bytes_timeout = 1s")],
    ),
    fault(
        "Origin not forwarded",
        Kind::OriginNotForwarded,
        &[(
            "return (pass);",
            "unset req.http.Origin;\n        return (pass);",
        )],
    ),
    fault(
        "redirect",
        Kind::Redirected,
        &[
            ("return (pass);", "return (synth(301, \"Moved\"));"),
            (
                "sub vcl_deliver",
                "sub vcl_synth {\n    set resp.http.Location = \"https://elsewhere.example/\";\n}\n\nsub vcl_deliver",
            ),
        ],
    ),
];
