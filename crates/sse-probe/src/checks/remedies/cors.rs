//! CORS, authentication, content negotiation.

use super::{Remedy, actix, apache, caddy, cdn, haproxy, nginx, page, varnish};

pub(crate) const ALLOW_ORIGIN: &[Remedy] = &[
    actix(
        "add the origin to the policy: `Policy::builder().allow_origin(\"https://app.example.com\")`; with `.credentials(true)` if the page sends cookies",
    ),
    nginx(
        "let the application's header through: no `proxy_hide_header Access-Control-Allow-Origin;`, and `proxy_set_header Origin $http_origin;` if request headers are filtered",
    ),
    haproxy(
        "remove `http-response del-header access-control-allow-origin` and `http-request del-header origin`",
    ),
    caddy("remove `header -Access-Control-Allow-Origin` and `header_up -Origin`"),
    apache("remove `Header unset Access-Control-Allow-Origin` and `RequestHeader unset Origin`"),
    varnish("remove `unset beresp.http.Access-Control-Allow-Origin` and `unset bereq.http.Origin`"),
    cdn(
        "forward `Origin` to the origin server (CloudFront: an origin request policy that contains it)",
    ),
];

pub(crate) const SINGLE_ALLOW_ORIGIN: &[Remedy] = &[
    actix("let one middleware only write it: either the stream policy or actix-cors on this route"),
    nginx(
        "remove `add_header Access-Control-Allow-Origin …` here, or drop the application's with `proxy_hide_header Access-Control-Allow-Origin;`",
    ),
    haproxy(
        "use `http-response set-header`, not `add-header`, or leave the header to the application",
    ),
    caddy(
        "write `header Access-Control-Allow-Origin …` without a leading `+`, with `defer`, or leave it to the application",
    ),
    apache(
        "`Header always set` and `Header set` write two lines; leave the header to the application",
    ),
    varnish(
        "`set resp.http.Access-Control-Allow-Origin` replaces only the first line; leave the header to the application",
    ),
    cdn("switch the CORS response header policy off, or let it override the origin's headers"),
];

pub(crate) const ALLOW_CREDENTIALS: &[Remedy] = &[
    actix("`Policy::builder().credentials(true)`, with the exact origins listed"),
    nginx("no `proxy_hide_header Access-Control-Allow-Credentials;`"),
    haproxy("remove `http-response del-header access-control-allow-credentials`"),
    caddy("remove `header -Access-Control-Allow-Credentials`"),
    apache("remove `Header unset Access-Control-Allow-Credentials`"),
    varnish("remove `unset beresp.http.Access-Control-Allow-Credentials`"),
];

pub(crate) const NO_WILDCARD: &[Remedy] = &[
    actix(
        "list the origins: `Policy::builder().allow_origin(…)` refuses `*` together with credentials when it is built",
    ),
    nginx("remove `add_header Access-Control-Allow-Origin *;`"),
    haproxy("remove `http-response set-header access-control-allow-origin *`"),
    caddy("remove `header Access-Control-Allow-Origin *`"),
    apache("remove `Header set Access-Control-Allow-Origin \"*\"`"),
    varnish("remove `set resp.http.Access-Control-Allow-Origin = \"*\"`"),
    cdn("switch off the CORS policy that answers `*`"),
];

pub(crate) const DENY_ORIGIN: &[Remedy] = &[
    actix(
        "compare whole origins, byte by byte: `Policy::builder().allow_origin(…)`; patterns such as `https://*.tenant.example.net` match whole labels only",
    ),
    nginx(
        "do not reflect `$http_origin`; if the edge must decide, use a `map $http_origin $allowed` of exact strings",
    ),
    haproxy(
        "compare with `-m str` against a list, not with `-m sub`, `-m end` or an unanchored `-m reg`",
    ),
    caddy(
        "match `header Origin https://app.example.com` exactly, not with `header_regexp` without anchors",
    ),
    apache("anchor `SetEnvIf Origin \"^https://app\\.example\\.com$\"` and escape its dots"),
    varnish("compare with `==`, not with an unanchored `~`"),
];

pub(crate) const VARY: &[Remedy] = &[
    actix(
        "the stream policy sends `Vary: Origin` on every reply; by hand: `.append_header((header::VARY, \"Origin\"))`",
    ),
    nginx("no `proxy_hide_header Vary;`; `gzip_vary` adds a line and does no harm"),
    haproxy("remove `http-response del-header vary`"),
    caddy("remove `header -Vary`"),
    apache("remove `Header unset Vary`; use `Header merge Vary Origin`"),
    varnish("remove `unset beresp.http.Vary`"),
];

pub(crate) const PREFLIGHT: &[Remedy] = &[
    actix(
        "`Policy::builder().request_headers([\"authorization\", \"last-event-id\"])`; it answers OPTIONS with 204 before authentication",
    ),
    nginx(
        "pass OPTIONS on to the application, or answer it at the edge with all of the Access-Control-Allow headers and `return 204;`",
    ),
    haproxy("no `http-request deny if METH_OPTIONS`"),
    caddy("no `respond @options 405`; `basic_auth` and `forward_auth` must not cover OPTIONS"),
    apache("no `Limit` or `Require` that covers OPTIONS; authentication must except it"),
    varnish("`vcl_recv` must `return (pass)` for OPTIONS, not answer 405"),
    cdn("allow the method OPTIONS and forward `Access-Control-Request-*`"),
];

pub(crate) const PREFLIGHT_LISTS: &[Remedy] = &[
    actix(
        "name the headers that the application reads in `request_headers`; do not echo `Access-Control-Request-Headers`",
    ),
    nginx(
        "write the names into `add_header Access-Control-Allow-Headers`; not `$http_access_control_request_headers`",
    ),
];

pub(crate) const ERROR_CORS: &[Remedy] = &[
    actix(
        "put the policy outside of everything that may refuse: it adds CORS headers to 401, 403, 406, 429 and 503 as well",
    ),
    nginx(
        "`add_header … always;`, since without `always` only successful replies get it; better leave it to the application",
    ),
    haproxy("`http-after-response` covers HAProxy's own error replies as well"),
    caddy("repeat the header in `handle_errors`"),
    apache("`Header always set` covers error replies"),
    varnish("repeat the header in `vcl_synth` and `vcl_backend_error`"),
];

pub(crate) const FORWARD_ORIGIN: &[Remedy] = &[
    actix("nothing here: the application cannot know what it is not told"),
    nginx(
        "`proxy_set_header Origin $http_origin;`, or remove `proxy_set_header Origin \"\";` and `proxy_pass_request_headers off;`",
    ),
    haproxy("remove `http-request del-header origin`"),
    caddy("remove `header_up -Origin`"),
    apache("remove `RequestHeader unset Origin`"),
    varnish("remove `unset req.http.Origin` and `unset bereq.http.Origin`"),
    cdn(
        "forward `Origin`: CloudFront's managed policy `CORS-CustomOrigin`, Fastly and Cloudflare do by default",
    ),
];

pub(crate) const AUTH: &[Remedy] = &[
    actix(
        "set an authenticator on the policy, so that no byte of the stream is sent before it has answered",
    ),
    nginx(
        "do not set `Authorization` or `Cookie` at the edge for everybody (`proxy_set_header Authorization …`); no cached answer",
    ),
    haproxy("no `http-request set-header authorization` for everybody"),
    caddy("no `header_up Authorization` for everybody"),
    apache("no `RequestHeader set Authorization` for everybody"),
    varnish("never cache an authenticated stream: `return (pass)`"),
    cdn("never cache an authenticated stream"),
];

pub(crate) const CHALLENGE: &[Remedy] = &[
    actix("401 with `WWW-Authenticate: Bearer`, as the policy sends"),
    nginx("`auth_basic` in front of a stream makes browsers show a password dialog; use a token"),
    apache(
        "`AuthType Basic` in front of a stream makes browsers show a password dialog; use a token",
    ),
];

pub(crate) const ACCEPT: &[Remedy] = &[actix(
    "`accept = \"explicit\"` in the policy answers 406 to whoever does not ask for text/event-stream",
)];

pub(crate) const UNREACHABLE_VARIANT: &[Remedy] = &[
    actix("see the application's log for this request"),
    nginx("see `error.log`"),
];

pub(crate) const EXPECTED: &[Remedy] = &[actix(
    "this was asked for by `--expect`; change the server or the expectation",
)];

pub(crate) const MIXED_CONTENT: &[Remedy] = &[
    actix("serve the stream over https; a page on https may not open one on http"),
    page("give the page the https URL of the stream"),
];

pub(crate) const PAGE_POLICY: &[Remedy] = &[page(
    "add the stream's origin to `connect-src` of the page's Content-Security-Policy",
)];

pub(crate) const LOCAL_NETWORK: &[Remedy] = &[page(
    "serve the stream from a public address, or expect the browser to ask the user for permission",
)];

pub(crate) const CROSS_SITE_COOKIES: &[Remedy] = &[
    actix(
        "set the cookie with `SameSite=None; Secure; Partitioned`, or sign in by a bearer token or a ticket",
    ),
    page("serve page and stream from sub-domains of one site"),
];
