//! What goes wrong with Apache.

use sse_probe::compare::Kind;

use super::{Fault, fault};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "buffering on",
        Kind::Buffered,
        &[
            // mod_proxy flushes whenever the application pauses, so only a filter of its own mind holds back.
            (
                "ProxyRequests Off",
                "ExtFilterDefine slow mode=output cmd=\"/bin/sed -e s/a/a/\"\n    ProxyRequests Off",
            ),
            ("SetEnv no-gzip 1", "SetOutputFilter slow"),
        ],
    ),
    fault(
        "gzip on",
        Kind::Compressed,
        &[(
            "SetEnv no-gzip 1",
            "SetOutputFilter DEFLATE\n        Header unset Cache-Control",
        )],
    ),
    fault(
        "header stripped",
        Kind::Stripped,
        &[(
            "SetEnv no-gzip 1",
            "Header unset Access-Control-Allow-Origin",
        )],
    ),
    fault(
        "header doubled",
        Kind::Doubled,
        &[(
            "SetEnv no-gzip 1",
            "Header add Access-Control-Allow-Origin https://app.example.com",
        )],
    ),
    fault(
        "wildcard added",
        Kind::Wildcard,
        &[(
            "SetEnv no-gzip 1",
            "Header set Access-Control-Allow-Origin \"*\"",
        )],
    ),
    fault(
        "response cached",
        Kind::Cached,
        &[(
            "<Location /events>",
            "CacheRoot {folder}\n    CacheEnable disk /\n    CacheIgnoreCacheControl On\n    CacheStoreNoStore On\n    \
         CacheStorePrivate On\n    CacheIgnoreNoLastMod On\n    CacheDefaultExpire 60\n    CacheQuickHandler off\n    \
         <Location /events>\n        Header unset Cache-Control",
        )],
    ),
    fault(
        "idle timeout below the heartbeat",
        Kind::Cut,
        &[("timeout=75", "timeout=1")],
    ),
    fault(
        "Origin not forwarded",
        Kind::OriginNotForwarded,
        &[("SetEnv no-gzip 1", "RequestHeader unset Origin")],
    ),
    fault(
        "redirect",
        Kind::Redirected,
        &[(
            "ProxyPass http",
            "Redirect 301 https://elsewhere.example/\n        # ProxyPass http",
        )],
    ),
];
