//! Heartbeats, timeouts, reconnecting, the format.

use super::{Remedy, actix, apache, caddy, cdn, haproxy, nginx, varnish};

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
        "the application must end streams itself, cleanly: on shutdown `EventServer` and `.for_event_streams(&hub)` drain them first",
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
