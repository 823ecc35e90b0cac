//! What goes wrong with HAProxy.

use sse_probe::compare::Kind;

use super::{Fault, fault};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "buffering on",
        Kind::Buffered,
        &[(
            "balance leastconn",
            "balance leastconn\n    http-response wait-for-body time 60s at-least 4096",
        )],
    ),
    fault(
        "gzip on",
        Kind::Compressed,
        // HAProxy goes by the headers that it received, whatever its rules remove; so two hops do it.
        &[(
            "server app1 127.0.0.1:8080",
            "compression algo gzip\n    compression type text/event-stream\n    \
             server strip unix@{folder}/strip.sock\n\nlisten strip\n    bind unix@{folder}/strip.sock\n    \
             http-response del-header cache-control\n    http-response del-header content-encoding\n    \
             server app1 127.0.0.1:8080",
        )],
    ),
    fault(
        "header stripped",
        Kind::Stripped,
        &[(
            "balance leastconn",
            "balance leastconn\n    http-response del-header access-control-allow-origin",
        )],
    ),
    fault(
        "header doubled",
        Kind::Doubled,
        &[(
            "balance leastconn",
            "balance leastconn\n    http-response add-header access-control-allow-origin https://app.example.com",
        )],
    ),
    fault(
        "wildcard added",
        Kind::Wildcard,
        &[(
            "balance leastconn",
            "balance leastconn\n    http-response add-header access-control-allow-origin *",
        )],
    ),
    fault(
        "response cached",
        Kind::Cached,
        &[(
            "backend sse_app\n    # Many",
            "cache sse\n    total-max-size 4\n    max-object-size 100000\n    max-age 60\n\nbackend sse_app\n    \
         http-request del-header cache-control\n    http-request cache-use sse\n    http-response set-header cache-control max-age=60\n    \
         http-response del-header vary\n    http-response cache-store sse\n    # Many",
        )],
    ),
    fault(
        "idle timeout below the heartbeat",
        Kind::Cut,
        &[("timeout server 75s", "timeout server 1s")],
    ),
    fault(
        "Origin not forwarded",
        Kind::OriginNotForwarded,
        &[(
            "balance leastconn",
            "balance leastconn\n    http-request del-header origin",
        )],
    ),
    fault(
        "redirect",
        Kind::Redirected,
        &[(
            "default_backend sse_app",
            "http-request redirect location https://elsewhere.example/ code 301\n    default_backend sse_app",
        )],
    ),
];
