//! What is put into each configuration on purpose, and what `sse-probe diff` must call it.

use sse_probe::diff::Kind;

use super::front::{Patch, Software};

/// What the application behind the fault must be like for it to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Application {
    /// A heartbeat each second.
    Usual,
    /// A heartbeat every three seconds, for idle timeouts of one.
    Slow,
    /// Streams that end by themselves, so that a cache has something whole to store.
    ShortLived,
}

/// One fault.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) patch: Patch<'static>,
    pub(super) kind: Kind,
    pub(super) application: Application,
}

impl Fault {
    /// What follows from the fault and may be named beside it.
    pub(super) fn follows(&self) -> &'static [Kind] {
        match self.kind {
            // A compressor holds back until it has enough.
            Kind::Compressed => &[Kind::Buffered],
            // What is stored comes as a whole, and answers an OPTIONS as well where the cache takes it for a GET.
            Kind::Cached => &[Kind::Buffered, Kind::Preflight],
            // The preflight loses its origin too, or its headers.
            Kind::OriginNotForwarded | Kind::Stripped | Kind::Doubled | Kind::Wildcard => {
                &[Kind::Preflight]
            }
            _ => &[],
        }
    }
}

const fn fault(name: &'static str, kind: Kind, patch: Patch<'static>) -> Fault {
    let application = match kind {
        Kind::Cut => Application::Slow,
        Kind::Cached => Application::ShortLived,
        _ => Application::Usual,
    };
    Fault {
        name,
        patch,
        kind,
        application,
    }
}

/// The faults of that software.
pub(super) fn of(software: Software) -> &'static [Fault] {
    match software {
        Software::Nginx | Software::NginxEdge => NGINX,
        Software::HaProxy => HAPROXY,
        Software::Caddy => CADDY,
        Software::Apache => APACHE,
        Software::Varnish => VARNISH,
    }
}

const NGINX: &[Fault] = &[
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

const HAPROXY: &[Fault] = &[
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

const CADDY: &[Fault] = &[
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

const APACHE: &[Fault] = &[
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

const VARNISH: &[Fault] = &[
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
