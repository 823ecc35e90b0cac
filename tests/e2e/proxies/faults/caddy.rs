//! What goes wrong with Caddy.

use sse_probe::compare::Kind;

use super::{Fault, fault};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "buffering on",
        Kind::Buffered,
        &[("flush_interval -1", "buffer_responses")],
    ),
    fault(
        "gzip on",
        Kind::Compressed,
        &[
            (
                "reverse_proxy /events",
                "encode {\n\t\tgzip\n\t\tminimum_length 1\n\t\tmatch {\n\t\t\theader Content-Type text/event-stream*\n\t\t}\n\t}\n\treverse_proxy /events",
            ),
            (
                "flush_interval -1",
                "flush_interval -1\n\t\theader_down -Cache-Control\n\t\theader_down -Content-Encoding",
            ),
        ],
    ),
    fault(
        "header stripped",
        Kind::Stripped,
        &[(
            "flush_interval -1",
            "flush_interval -1\n\t\theader_down -Access-Control-Allow-Origin",
        )],
    ),
    fault(
        "header doubled",
        Kind::Doubled,
        &[(
            "flush_interval -1",
            "flush_interval -1\n\t\theader_down +Access-Control-Allow-Origin https://app.example.com",
        )],
    ),
    fault(
        "wildcard added",
        Kind::Wildcard,
        &[(
            "flush_interval -1",
            "flush_interval -1\n\t\theader_down Access-Control-Allow-Origin *",
        )],
    ),
    fault(
        "idle timeout below the heartbeat",
        Kind::Cut,
        &[("keepalive 2m", "keepalive 2m\n\t\t\tread_timeout 1s")],
    ),
    fault(
        "Origin not forwarded",
        Kind::OriginNotForwarded,
        &[(
            "flush_interval -1",
            "flush_interval -1\n\t\theader_up -Origin",
        )],
    ),
    fault(
        "redirect",
        Kind::Redirected,
        &[(
            "reverse_proxy /events",
            "redir /events https://elsewhere.example/ permanent\n\treverse_proxy /events",
        )],
    ),
];
