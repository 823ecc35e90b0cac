//! Buffers, caches, compression, redirects, timeouts, the format: what keeps bytes from arriving as they were sent.

use super::{Remedy, actix, apache, caddy, cdn, haproxy, nginx, varnish};

pub(crate) const BUFFERING: &[Remedy] = &[
    actix(
        "send `X-Accel-Buffering: no`, as the stream responder does, and flush each event as one chunk",
    ),
    nginx(
        "`proxy_buffering off;` and `proxy_http_version 1.1;` in the location; let `X-Accel-Buffering: no` of the application count (no `proxy_ignore_headers X-Accel-Buffering;`)",
    ),
    haproxy(
        "remove `http-response wait-for-body`; `option http-no-delay` sends small chunks at once",
    ),
    caddy(
        "`flush_interval -1` in `reverse_proxy`; no `buffer_responses` (from 2.7 on: `response_buffers`)",
    ),
    apache(
        "`ProxyPass … flushpackets=on`; no mod_ext_filter, mod_buffer or mod_substitute on this path",
    ),
    varnish("`set beresp.do_stream = true;` and `return (pass)` or `(pipe)` for the stream's URL"),
    cdn(
        "event streams need streaming responses: no image or HTML optimisation, no response buffering, no WAF body inspection on this path",
    ),
];

pub(crate) const FIRST_BYTE: &[Remedy] = &[
    actix(
        "send the head and a first comment or `retry` at once, before the first event, as the stream responder does",
    ),
    nginx("`proxy_buffering off;`"),
    caddy("`flush_interval -1`"),
    apache("`flushpackets=on`"),
    varnish("`set beresp.do_stream = true;`"),
];

pub(crate) const COMPRESSION: &[Remedy] = &[
    actix(
        "send `Content-Encoding: identity` on streams, since `middleware::Compress` ignores `no-transform` but honours that; or keep Compress off this route",
    ),
    nginx(
        "take `text/event-stream` out of `gzip_types` (and `brotli_types`), or `gzip off;` in the location",
    ),
    haproxy("`compression type` must not list text/event-stream"),
    caddy(
        "`encode` must not match the stream: `@compress { not path /events }` with `encode @compress gzip`",
    ),
    apache(
        "`SetEnvIf Request_URI \"^/events\" no-gzip` or take text/event-stream out of `AddOutputFilterByType DEFLATE`",
    ),
    varnish("`set beresp.do_gzip = false;` for the stream's URL"),
    cdn("send `Cache-Control: no-transform`; switch compression off for text/event-stream"),
];

pub(crate) const NO_TRANSFORM: &[Remedy] = &[
    actix("`Cache-Control: no-cache, no-store, no-transform`, as the stream responder sends"),
    nginx("no `proxy_hide_header Cache-Control;` and no `expires` in the location"),
    haproxy("no `http-response set-header cache-control` on this path"),
    caddy("no `header Cache-Control` on this path"),
    apache("no `ExpiresByType text/event-stream`, no `Header set Cache-Control` on this path"),
    varnish("do not touch `beresp.http.Cache-Control` for the stream's URL"),
    cdn("respect the origin's cache headers"),
];

pub(crate) const CACHED: &[Remedy] = &[
    actix(
        "`Cache-Control: no-store`; for CDNs also `Surrogate-Control: no-store` and `CDN-Cache-Control: no-store`",
    ),
    nginx("`proxy_cache off;` in the location; no `proxy_ignore_headers Cache-Control;`"),
    haproxy("no `http-request cache-use` for this path"),
    caddy("no cache module on this path"),
    apache(
        "`CacheDisable /events`; no `CacheIgnoreCacheControl` or `CacheStoreNoStore` on this path",
    ),
    varnish(
        "`return (pass)` in `vcl_recv` for the stream's URL, and `set beresp.uncacheable = true;`",
    ),
    cdn("a cache policy or page rule that bypasses the cache for this path"),
];

pub(crate) const ACCEL: &[Remedy] = &[actix(
    "`X-Accel-Buffering: no`, as the stream responder sends; nginx takes this header out itself, so behind nginx its absence is right",
)];

pub(crate) const LENGTH: &[Remedy] = &[
    actix("stream the body (`.streaming(…)` or the stream responder), never `.body(…)`"),
    nginx(
        "no cache and no buffering between: a length can only be known of a body that has been stored",
    ),
];

pub(crate) const SECURITY: &[Remedy] = &[
    actix(
        "the stream responder sends `X-Content-Type-Options: nosniff` and `Content-Security-Policy: default-src 'none'; connect-src 'self'`",
    ),
    nginx(
        "`add_header X-Content-Type-Options nosniff always;`; one `add_header` in a location hides those of the levels above",
    ),
    haproxy("`http-response set-header x-content-type-options nosniff`"),
    caddy("`header X-Content-Type-Options nosniff`"),
    apache("`Header always set X-Content-Type-Options nosniff`"),
    varnish("`set resp.http.X-Content-Type-Options = \"nosniff\";`"),
];

pub(crate) const HSTS: &[Remedy] = &[
    actix("switch HSTS on in the stream configuration only where TLS is certain"),
    nginx(
        "`add_header Strict-Transport-Security \"max-age=31536000\" always;` in the https server only",
    ),
    haproxy(
        "`http-response set-header strict-transport-security max-age=31536000` in the https frontend only",
    ),
    caddy("`header Strict-Transport-Security max-age=31536000` in the https site"),
    apache("`Header always set Strict-Transport-Security \"max-age=31536000\"` in the :443 host"),
];

pub(crate) const STATUS: &[Remedy] = &[
    actix(
        "the status comes from the application's guards or its handler: its log names the reason",
    ),
    nginx(
        "502, 503 and 504 come from nginx if the application's log has no such line: see `error.log` and `proxy_pass`",
    ),
    haproxy("503 without a line in the application's log: no server is up in the backend"),
    caddy("502: the upstream of `reverse_proxy` is not reachable"),
    apache("503: the worker of `ProxyPass` is in error state; see `retry=`"),
    varnish("503 `Backend fetch failed`: see `varnishlog -g request`"),
];

pub(crate) const REDIRECT: &[Remedy] = &[
    actix(
        "register the route at the very path that clients use; no `NormalizePath` and no redirecting middleware in front of it",
    ),
    nginx(
        "no `return 301`, no `rewrite … redirect`, and no `location /events/` whose slash makes nginx redirect `/events`",
    ),
    haproxy("except the stream from `http-request redirect`"),
    caddy("use the https URL: Caddy redirects http by itself; no `redir` on this path"),
    apache("no `Redirect`, no `RewriteRule … [R]`; `DirectorySlash Off`"),
    varnish("no `return (synth(301, …))` for this path"),
    cdn("no 'always use HTTPS' or language redirects on this path; give clients the final URL"),
];

pub(crate) const HTTP2: &[Remedy] = &[
    actix("bind with `bind_rustls_0_23`, which negotiates HTTP/2"),
    nginx("`listen 443 ssl http2;` (from 1.25.1: `http2 on;`)"),
    haproxy("`bind :443 ssl crt … alpn h2,http/1.1`"),
    caddy("on by default for https"),
    apache("`Protocols h2 http/1.1` with mod_http2"),
    varnish("`-p feature=+http2` behind a TLS terminator that announces h2"),
];

pub(crate) const HOP_BY_HOP: &[Remedy] = &[
    actix("do not set `Connection`, `Keep-Alive` or `Transfer-Encoding` by hand"),
    nginx("do not `add_header Connection …`"),
];

pub(crate) const HEARTBEAT: &[Remedy] = &[
    actix("a comment at least every 15 s: `heartbeat` of the stream configuration"),
    nginx("`proxy_read_timeout` (60 s by default) must be longer than the heartbeat"),
    haproxy("`timeout server` and `timeout client` must be longer than the heartbeat"),
    caddy("no `read_timeout` below the heartbeat in `transport http`"),
    apache("`ProxyTimeout` (or `timeout=` of `ProxyPass`) must be longer than the heartbeat"),
    varnish(
        "`between_bytes_timeout` (60 s by default) must be longer than the heartbeat; with pipe `pipe_timeout`",
    ),
    cdn("Cloudflare ends a stream after 100 s without a byte, load balancers after 60 s"),
];

pub(crate) const CUT: &[Remedy] = &[
    actix(
        "the application must end its streams itself, cleanly: on shutdown `EventServer` and `.for_event_streams(&hub)` drain them first",
    ),
    nginx(
        "raise `proxy_read_timeout` and `send_timeout` above the heartbeat; a reload ends old workers after `worker_shutdown_timeout`",
    ),
    haproxy(
        "raise `timeout server`, `timeout client` and `timeout tunnel`; `hard-stop-after` ends streams on reload",
    ),
    caddy(
        "no `read_timeout` or `write_timeout` in `transport http` or `servers { timeouts }`; `grace_period` ends streams on reload",
    ),
    apache("raise `ProxyTimeout` and `Timeout`; `RequestReadTimeout` does not matter to replies"),
    varnish(
        "raise `between_bytes_timeout`, `send_timeout` (600 s in all by default) and `idle_send_timeout`",
    ),
    cdn(
        "look for a limit of response time: Google's backend service `timeoutSec` is 30 s by default and ends streams too",
    ),
];

pub(crate) const RETRY: &[Remedy] = &[actix(
    "the stream responder sends a jittered `retry` in its first block",
)];

pub(crate) const FORMAT: &[Remedy] = &[actix(
    "build events with `Event`, which checks every field; do not write the format by hand",
)];

pub(crate) const RESUME: &[Remedy] = &[
    actix(
        "publish through the hub, which gives ids, keeps the last events and replays after `Last-Event-ID`",
    ),
    nginx("`Last-Event-ID` is forwarded by default; check `proxy_pass_request_headers`"),
    haproxy("no `http-request del-header last-event-id`"),
    caddy("no `header_up -Last-Event-ID`"),
    apache("no `RequestHeader unset Last-Event-ID`"),
    varnish("no `unset bereq.http.Last-Event-ID`"),
    cdn("forward `Last-Event-ID`, or no client resumes"),
];

pub(crate) const CONTENT_TYPE: &[Remedy] = &[
    actix("`Content-Type: text/event-stream; charset=utf-8`, as the stream responder sends"),
    nginx(
        "no `default_type` or `add_header Content-Type` on this path; an HTML error page here means that the request never reached the application",
    ),
    haproxy("no `http-response set-header content-type` on this path"),
    caddy("no `header Content-Type` on this path"),
    apache("no `ForceType` or `AddDefaultCharset` other than utf-8 on this path"),
    varnish("no `set beresp.http.Content-Type` on this path"),
];

pub(crate) const CERTIFICATE: &[Remedy] = &[
    actix("renew, and reload the certificate: a running server keeps the one that it started with"),
    nginx("renew, then `nginx -s reload`; check that the renewal's deploy hook does it"),
    haproxy("renew, write the combined PEM, then reload"),
    caddy("Caddy renews by itself: see its log for the ACME error"),
    apache("renew, then `apachectl graceful`"),
];
