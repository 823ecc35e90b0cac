//! What to change, in the application and in the usual proxies, and how these show themselves in a reply.

use std::str::FromStr;

use serde::Serialize;

use crate::browser::Headers;

named! {
    /// Where a change can be made.
    #[non_exhaustive]
    pub enum Software {
        /// The application itself.
        Actix = "actix",
        /// The page that opens the stream.
        Page = "page",
        /// nginx, OpenResty and their relatives.
        Nginx = "nginx",
        /// HAProxy, which leaves no trace in replies by default.
        HaProxy = "HAProxy",
        /// Caddy.
        Caddy = "Caddy",
        /// Apache httpd.
        Apache = "Apache",
        /// Varnish.
        Varnish = "Varnish",
        /// Cloudflare, CloudFront, Fastly, Google Cloud CDN.
        Cdn = "CDN",
    }
}

/// A change that fixes something, in one piece of software.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Remedy {
    /// Where.
    pub software: Software,
    /// What.
    pub change: &'static str,
}

/// Words in `Server`, `Via` or `X-Powered-By`, and names of headers.
#[rustfmt::skip]
const SIGNS: [(Software, &[&str], &[&str]); 6] = [
    (Software::Nginx, &["nginx", "openresty", "tengine"], &[]),
    (Software::HaProxy, &["haproxy"], &[]),
    (Software::Caddy, &["caddy"], &[]),
    (Software::Apache, &["apache"], &[]),
    (Software::Varnish, &["varnish"], &["x-varnish"]),
    (Software::Cdn, &["cloudflare", "cloudfront", "fastly", "google frontend", "1.1 google"], &["cf-ray", "x-amz-cf-id", "x-served-by"]),
];

impl Software {
    /// What a reply shows of the hops that it passed.
    #[must_use]
    pub fn seen_in(headers: &Headers) -> Vec<Self> {
        let named = ["server", "via", "x-powered-by"].map(|n| headers.text(n).unwrap_or_default());
        let text = named.join(" ").to_ascii_lowercase();
        let shows = |(software, words, names): &(Self, &[&str], &[&str])| {
            let shown = words.iter().any(|word| text.contains(word));
            (shown || names.iter().any(|n| headers.has(n))).then_some(*software)
        };
        SIGNS.iter().filter_map(shows).collect()
    }
}

impl FromStr for Software {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.iter().copied();
        let found = all.find(|software| software.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|software| software.as_str()).collect();
            let names = names.join(", ");
            format!("nothing is known of `{text}`; known are {names}")
        })
    }
}

/// Lists of remedies, by name.
macro_rules! remedies {
    ($($name:ident { $($software:ident: $change:literal)+ })+) => {$(
        pub(super) const $name: &[Remedy] = &[$(Remedy { software: Software::$software, change: $change }),+];
    )+};
}

remedies! {
    ALLOW_ORIGIN {
        Actix: "add the origin to the policy: `Policy::builder().allow_origin(\"https://app.example.com\")`; with `.credentials(true)` if the page sends cookies"
        Nginx: "let the application's header through: no `proxy_hide_header Access-Control-Allow-Origin;`, and `proxy_set_header Origin $http_origin;` if request headers are filtered"
        HaProxy: "remove `http-response del-header access-control-allow-origin` and `http-request del-header origin`"
        Caddy: "remove `header -Access-Control-Allow-Origin` and `header_up -Origin`"
        Apache: "remove `Header unset Access-Control-Allow-Origin` and `RequestHeader unset Origin`"
        Varnish: "remove `unset beresp.http.Access-Control-Allow-Origin` and `unset bereq.http.Origin`"
        Cdn: "forward `Origin` to the origin server (CloudFront: an origin request policy that contains it)"
    }

    SINGLE_ALLOW_ORIGIN {
        Actix: "let one middleware only write it: either the stream policy or actix-cors on this route"
        Nginx: "remove `add_header Access-Control-Allow-Origin …` here, or drop the application's with `proxy_hide_header Access-Control-Allow-Origin;`"
        HaProxy: "use `http-response set-header`, not `add-header`, or leave the header to the application"
        Caddy: "write `header Access-Control-Allow-Origin …` without a leading `+`, with `defer`, or leave it to the application"
        Apache: "`Header always set` and `Header set` write two lines; leave the header to the application"
        Varnish: "`set resp.http.Access-Control-Allow-Origin` replaces only the first line; leave the header to the application"
        Cdn: "switch the CORS response header policy off, or let it override the origin's headers"
    }

    ALLOW_CREDENTIALS {
        Actix: "`Policy::builder().credentials(true)`, with the exact origins listed"
        Nginx: "no `proxy_hide_header Access-Control-Allow-Credentials;`"
        HaProxy: "remove `http-response del-header access-control-allow-credentials`"
        Caddy: "remove `header -Access-Control-Allow-Credentials`"
        Apache: "remove `Header unset Access-Control-Allow-Credentials`"
        Varnish: "remove `unset beresp.http.Access-Control-Allow-Credentials`"
    }

    NO_WILDCARD {
        Actix: "list the origins: `Policy::builder().allow_origin(…)` refuses `*` together with credentials when it is built"
        Nginx: "remove `add_header Access-Control-Allow-Origin *;`"
        HaProxy: "remove `http-response set-header access-control-allow-origin *`"
        Caddy: "remove `header Access-Control-Allow-Origin *`"
        Apache: "remove `Header set Access-Control-Allow-Origin \"*\"`"
        Varnish: "remove `set resp.http.Access-Control-Allow-Origin = \"*\"`"
        Cdn: "switch off the CORS policy that answers `*`"
    }

    DENY_ORIGIN {
        Actix: "compare whole origins, byte by byte: `Policy::builder().allow_origin(…)`; patterns such as `https://*.tenant.example.net` match whole labels only"
        Nginx: "do not reflect `$http_origin`; if the edge must decide, use a `map $http_origin $allowed` of exact strings"
        HaProxy: "compare with `-m str` against a list, not with `-m sub`, `-m end` or an unanchored `-m reg`"
        Caddy: "match `header Origin https://app.example.com` exactly, not with `header_regexp` without anchors"
        Apache: "anchor `SetEnvIf Origin \"^https://app\\.example\\.com$\"` and escape its dots"
        Varnish: "compare with `==`, not with an unanchored `~`"
    }

    VARY {
        Actix: "the stream policy sends `Vary: Origin` on every reply; by hand: `.append_header((header::VARY, \"Origin\"))`"
        Nginx: "no `proxy_hide_header Vary;`; `gzip_vary` adds a line and does no harm"
        HaProxy: "remove `http-response del-header vary`"
        Caddy: "remove `header -Vary`"
        Apache: "remove `Header unset Vary`; use `Header merge Vary Origin`"
        Varnish: "remove `unset beresp.http.Vary`"
    }

    PREFLIGHT {
        Actix: "`Policy::builder().request_headers([\"authorization\", \"last-event-id\"])`; it answers OPTIONS with 204 before authentication"
        Nginx: "pass OPTIONS on to the application, or answer it at the edge with all of the Access-Control-Allow headers and `return 204;`"
        HaProxy: "no `http-request deny if METH_OPTIONS`"
        Caddy: "no `respond @options 405`; `basic_auth` and `forward_auth` must not cover OPTIONS"
        Apache: "no `Limit` or `Require` that covers OPTIONS; authentication must except it"
        Varnish: "`vcl_recv` must `return (pass)` for OPTIONS, not answer 405"
        Cdn: "allow the method OPTIONS and forward `Access-Control-Request-*`"
    }

    PREFLIGHT_LISTS {
        Actix: "name the headers that the application reads in `request_headers`; do not echo `Access-Control-Request-Headers`"
        Nginx: "write the names into `add_header Access-Control-Allow-Headers`; not `$http_access_control_request_headers`"
    }

    ERROR_CORS {
        Actix: "put the policy outside of everything that may refuse: it adds CORS headers to 401, 403, 406, 429 and 503 as well"
        Nginx: "`add_header … always;`, since without `always` only successful replies get it; better leave it to the application"
        HaProxy: "`http-after-response` covers HAProxy's own error replies as well"
        Caddy: "repeat the header in `handle_errors`"
        Apache: "`Header always set` covers error replies"
        Varnish: "repeat the header in `vcl_synth` and `vcl_backend_error`"
    }

    FORWARD_ORIGIN {
        Actix: "nothing here: the application cannot know what it is not told"
        Nginx: "`proxy_set_header Origin $http_origin;`, or remove `proxy_set_header Origin \"\";` and `proxy_pass_request_headers off;`"
        HaProxy: "remove `http-request del-header origin`"
        Caddy: "remove `header_up -Origin`"
        Apache: "remove `RequestHeader unset Origin`"
        Varnish: "remove `unset req.http.Origin` and `unset bereq.http.Origin`"
        Cdn: "forward `Origin`: CloudFront's managed policy `CORS-CustomOrigin`, Fastly and Cloudflare do by default"
    }

    AUTH {
        Actix: "set an authenticator on the policy, so that no byte of the stream is sent before it has answered"
        Nginx: "do not set `Authorization` or `Cookie` at the edge for everybody (`proxy_set_header Authorization …`); no cached answer"
        HaProxy: "no `http-request set-header authorization` for everybody"
        Caddy: "no `header_up Authorization` for everybody"
        Apache: "no `RequestHeader set Authorization` for everybody"
        Varnish: "never cache an authenticated stream: `return (pass)`"
        Cdn: "never cache an authenticated stream"
    }

    CHALLENGE {
        Actix: "401 with `WWW-Authenticate: Bearer`, as the policy sends"
        Nginx: "`auth_basic` in front of a stream makes browsers show a password dialog; use a token"
        Apache: "`AuthType Basic` in front of a stream makes browsers show a password dialog; use a token"
    }

    ACCEPT {
        Actix: "`accept = \"explicit\"` in the policy answers 406 to whoever does not ask for text/event-stream"
    }

    UNREACHABLE_VARIANT {
        Actix: "see the application's log for this request"
        Nginx: "see `error.log`"
    }

    EXPECTED {
        Actix: "this was asked for by `--expect`; change the server or the expectation"
    }

    BAD_PORT {
        Actix: "listen on a port that browsers do not block, such as 8080 or 8443"
    }

    MIXED_CONTENT {
        Actix: "serve the stream over https; a page on https may not open one on http"
        Page: "give the page the https URL of the stream"
    }

    PAGE_POLICY {
        Page: "add the stream's origin to `connect-src` of the page's Content-Security-Policy"
    }

    LOCAL_NETWORK {
        Page: "serve the stream from a public address, or expect the browser to ask the user for permission"
    }

    CROSS_SITE_COOKIES {
        Actix: "set the cookie with `SameSite=None; Secure; Partitioned`, or sign in by a bearer token or a ticket"
        Page: "serve page and stream from sub-domains of one site"
    }

    BUFFERING {
        Actix: "send `X-Accel-Buffering: no`, as the stream responder does, and flush each event as one chunk"
        Nginx: "`proxy_buffering off;` and `proxy_http_version 1.1;` in the location; let `X-Accel-Buffering: no` of the application count (no `proxy_ignore_headers X-Accel-Buffering;`)"
        HaProxy: "remove `http-response wait-for-body`; `option http-no-delay` sends small chunks at once"
        Caddy: "`flush_interval -1` in `reverse_proxy`; no `buffer_responses` (from 2.7 on: `response_buffers`)"
        Apache: "`ProxyPass … flushpackets=on`; no mod_ext_filter, mod_buffer or mod_substitute on this path"
        Varnish: "`set beresp.do_stream = true;` and `return (pass)` or `(pipe)` for the stream's URL"
        Cdn: "event streams need streaming responses: no image or HTML optimisation, no response buffering, no WAF body inspection on this path"
    }

    FIRST_BYTE {
        Actix: "send the head and a first comment or `retry` at once, before the first event, as the stream responder does"
        Nginx: "`proxy_buffering off;`"
        Caddy: "`flush_interval -1`"
        Apache: "`flushpackets=on`"
        Varnish: "`set beresp.do_stream = true;`"
    }

    COMPRESSION {
        Actix: "send `Content-Encoding: identity` on streams, since `middleware::Compress` ignores `no-transform` but honours that; or keep Compress off this route"
        Nginx: "take `text/event-stream` out of `gzip_types` (and `brotli_types`), or `gzip off;` in the location"
        HaProxy: "`compression type` must not list text/event-stream"
        Caddy: "`encode` must not match the stream: `@compress { not path /events }` with `encode @compress gzip`"
        Apache: "`SetEnvIf Request_URI \"^/events\" no-gzip` or take text/event-stream out of `AddOutputFilterByType DEFLATE`"
        Varnish: "`set beresp.do_gzip = false;` for the stream's URL"
        Cdn: "send `Cache-Control: no-transform`; switch compression off for text/event-stream"
    }

    NO_TRANSFORM {
        Actix: "`Cache-Control: no-cache, no-store, no-transform`, as the stream responder sends"
        Nginx: "no `proxy_hide_header Cache-Control;` and no `expires` in the location"
        HaProxy: "no `http-response set-header cache-control` on this path"
        Caddy: "no `header Cache-Control` on this path"
        Apache: "no `ExpiresByType text/event-stream`, no `Header set Cache-Control` on this path"
        Varnish: "do not touch `beresp.http.Cache-Control` for the stream's URL"
        Cdn: "respect the origin's cache headers"
    }

    CACHED {
        Actix: "`Cache-Control: no-store`; for CDNs also `Surrogate-Control: no-store` and `CDN-Cache-Control: no-store`"
        Nginx: "`proxy_cache off;` in the location; no `proxy_ignore_headers Cache-Control;`"
        HaProxy: "no `http-request cache-use` for this path"
        Caddy: "no cache module on this path"
        Apache: "`CacheDisable /events`; no `CacheIgnoreCacheControl` or `CacheStoreNoStore` on this path"
        Varnish: "`return (pass)` in `vcl_recv` for the stream's URL, and `set beresp.uncacheable = true;`"
        Cdn: "a cache policy or page rule that bypasses the cache for this path"
    }

    ACCEL {
        Actix: "`X-Accel-Buffering: no`, as the stream responder sends; nginx takes this header out itself, so behind nginx its absence is right"
    }

    LENGTH {
        Actix: "stream the body (`.streaming(…)` or the stream responder), never `.body(…)`"
        Nginx: "no cache and no buffering between: a length can only be known of a body that has been stored"
    }

    SECURITY {
        Actix: "the stream responder sends `X-Content-Type-Options: nosniff` and `Content-Security-Policy: default-src 'none'; connect-src 'self'`"
        Nginx: "`add_header X-Content-Type-Options nosniff always;`; one `add_header` in a location hides those of the levels above"
        HaProxy: "`http-response set-header x-content-type-options nosniff`"
        Caddy: "`header X-Content-Type-Options nosniff`"
        Apache: "`Header always set X-Content-Type-Options nosniff`"
        Varnish: "`set resp.http.X-Content-Type-Options = \"nosniff\";`"
    }

    HSTS {
        Actix: "switch HSTS on in the stream configuration only where TLS is certain"
        Nginx: "`add_header Strict-Transport-Security \"max-age=31536000\" always;` in the https server only"
        HaProxy: "`http-response set-header strict-transport-security max-age=31536000` in the https frontend only"
        Caddy: "`header Strict-Transport-Security max-age=31536000` in the https site"
        Apache: "`Header always set Strict-Transport-Security \"max-age=31536000\"` in the :443 host"
    }

    STATUS {
        Actix: "the status comes from the application's guards or its handler: its log names the reason"
        Nginx: "502, 503 and 504 come from nginx if the application's log has no such line: see `error.log` and `proxy_pass`"
        HaProxy: "503 without a line in the application's log: no server is up in the backend"
        Caddy: "502: the upstream of `reverse_proxy` is not reachable"
        Apache: "503: the worker of `ProxyPass` is in error state; see `retry=`"
        Varnish: "503 `Backend fetch failed`: see `varnishlog -g request`"
    }

    REDIRECT {
        Actix: "register the route at the very path that clients use; no `NormalizePath` and no redirecting middleware in front of it"
        Nginx: "no `return 301`, no `rewrite … redirect`, and no `location /events/` whose slash makes nginx redirect `/events`"
        HaProxy: "except the stream from `http-request redirect`"
        Caddy: "use the https URL: Caddy redirects http by itself; no `redir` on this path"
        Apache: "no `Redirect`, no `RewriteRule … [R]`; `DirectorySlash Off`"
        Varnish: "no `return (synth(301, …))` for this path"
        Cdn: "no 'always use HTTPS' or language redirects on this path; give clients the final URL"
    }

    HTTP2 {
        Actix: "bind with `bind_rustls_0_23`, which negotiates HTTP/2"
        Nginx: "`listen 443 ssl http2;` (from 1.25.1: `http2 on;`)"
        HaProxy: "`bind :443 ssl crt … alpn h2,http/1.1`"
        Caddy: "on by default for https"
        Apache: "`Protocols h2 http/1.1` with mod_http2"
        Varnish: "`-p feature=+http2` behind a TLS terminator that announces h2"
    }

    HOP_BY_HOP {
        Actix: "do not set `Connection`, `Keep-Alive` or `Transfer-Encoding` by hand"
        Nginx: "do not `add_header Connection …`"
    }

    HEARTBEAT {
        Actix: "a comment at least every 15 s: `heartbeat` of the stream configuration"
        Nginx: "`proxy_read_timeout` (60 s by default) must be longer than the heartbeat"
        HaProxy: "`timeout server` and `timeout client` must be longer than the heartbeat"
        Caddy: "no `read_timeout` below the heartbeat in `transport http`"
        Apache: "`ProxyTimeout` (or `timeout=` of `ProxyPass`) must be longer than the heartbeat"
        Varnish: "`between_bytes_timeout` (60 s by default) must be longer than the heartbeat; with pipe `pipe_timeout`"
        Cdn: "Cloudflare ends a stream after 100 s without a byte, load balancers after 60 s"
    }

    CUT {
        Actix: "the application must end its streams itself, cleanly: on shutdown `EventServer` and `.for_event_streams(&hub)` drain them first"
        Nginx: "raise `proxy_read_timeout` and `send_timeout` above the heartbeat; a reload ends old workers after `worker_shutdown_timeout`"
        HaProxy: "raise `timeout server`, `timeout client` and `timeout tunnel`; `hard-stop-after` ends streams on reload"
        Caddy: "no `read_timeout` or `write_timeout` in `transport http` or `servers { timeouts }`; `grace_period` ends streams on reload"
        Apache: "raise `ProxyTimeout` and `Timeout`; `RequestReadTimeout` does not matter to replies"
        Varnish: "raise `between_bytes_timeout`, `send_timeout` (600 s in all by default) and `idle_send_timeout`"
        Cdn: "look for a limit of response time: Google's backend service `timeoutSec` is 30 s by default and ends streams too"
    }

    RETRY {
        Actix: "the stream responder sends a jittered `retry` in its first block"
    }

    FORMAT {
        Actix: "build events with `Event`, which checks every field; do not write the format by hand"
    }

    RESUME {
        Actix: "publish through the hub, which gives ids, keeps the last events and replays after `Last-Event-ID`"
        Nginx: "`Last-Event-ID` is forwarded by default; check `proxy_pass_request_headers`"
        HaProxy: "no `http-request del-header last-event-id`"
        Caddy: "no `header_up -Last-Event-ID`"
        Apache: "no `RequestHeader unset Last-Event-ID`"
        Varnish: "no `unset bereq.http.Last-Event-ID`"
        Cdn: "forward `Last-Event-ID`, or no client resumes"
    }

    CONTENT_TYPE {
        Actix: "`Content-Type: text/event-stream; charset=utf-8`, as the stream responder sends"
        Nginx: "no `default_type` or `add_header Content-Type` on this path; an HTML error page here means that the request never reached the application"
        HaProxy: "no `http-response set-header content-type` on this path"
        Caddy: "no `header Content-Type` on this path"
        Apache: "no `ForceType` or `AddDefaultCharset` other than utf-8 on this path"
        Varnish: "no `set beresp.http.Content-Type` on this path"
    }

    CERTIFICATE {
        Actix: "renew, and reload the certificate: a running server keeps the one that it started with"
        Nginx: "renew, then `nginx -s reload`; check that the renewal's deploy hook does it"
        HaProxy: "renew, write the combined PEM, then reload"
        Caddy: "Caddy renews by itself: see its log for the ACME error"
        Apache: "renew, then `apachectl graceful`"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_show_themselves() {
        let seen =
            |lines: &[(&str, &str)]| Software::seen_in(&Headers::from_lines(lines.iter().copied()));
        assert_eq!(seen(&[("Server", "nginx/1.22.1")]), [Software::Nginx]);
        assert_eq!(
            seen(&[("Via", "1.1 varnish (Varnish/7.1)"), ("Server", "Caddy")]),
            [Software::Caddy, Software::Varnish]
        );
        assert_eq!(seen(&[("CF-Ray", "1")]), [Software::Cdn]);
        assert!(seen(&[]).is_empty());
        assert_eq!("haproxy".parse(), Ok(Software::HaProxy));
    }
}
