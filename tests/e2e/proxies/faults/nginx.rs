//! What goes wrong with nginx.

use sse_probe::compare::Kind;

use super::{Fault, fault};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "buffering on",
        Kind::Buffered,
        // A chunked reply passes nginx at once even so; one of HTTP/1.0, its default towards servers, waits for 4 KiB.
        &[
            (
                "proxy_buffering off;",
                "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;",
            ),
            ("proxy_http_version 1.1;", "proxy_http_version 1.0;"),
        ],
    ),
    fault(
        "gzip on",
        Kind::Compressed,
        &[(
            "gzip off;",
            // The application opts out by `Content-Encoding: identity`, so that has to go as well.
            "gzip on; gzip_types text/event-stream; gzip_min_length 0; proxy_hide_header Content-Encoding;",
        )],
    ),
    fault(
        "header stripped",
        Kind::Stripped,
        &[(
            "gzip off;",
            "gzip off; proxy_hide_header Access-Control-Allow-Origin;",
        )],
    ),
    fault(
        "header doubled",
        Kind::Doubled,
        &[(
            "gzip off;",
            "gzip off; add_header Access-Control-Allow-Origin https://app.example.com always;",
        )],
    ),
    fault(
        "wildcard added",
        Kind::Wildcard,
        &[(
            "gzip off;",
            "gzip off; add_header Access-Control-Allow-Origin * always;",
        )],
    ),
    fault(
        "response cached",
        Kind::Cached,
        &[
            (
                "upstream sse_app",
                "proxy_cache_path {folder}/cache keys_zone=sse:1m;\nupstream sse_app",
            ),
            (
                "proxy_cache off;",
                "proxy_cache sse; proxy_cache_valid 200 1m; proxy_ignore_headers Cache-Control Vary X-Accel-Buffering;",
            ),
            ("proxy_buffering off;", "proxy_buffering on;"),
        ],
    ),
    fault(
        "idle timeout below the heartbeat",
        Kind::Cut,
        &[("proxy_read_timeout 75s;", "proxy_read_timeout 1s;")],
    ),
    fault(
        "Origin not forwarded",
        Kind::OriginNotForwarded,
        &[(
            "proxy_set_header Host $host;",
            "proxy_set_header Host $host; proxy_set_header Origin \"\";",
        )],
    ),
    fault(
        "redirect",
        Kind::Redirected,
        &[(
            "proxy_pass http://sse_app;",
            "return 301 https://elsewhere.example/;",
        )],
    ),
];
