//! Authentication and content negotiation.

use super::{Remedy, actix, apache, caddy, cdn, haproxy, nginx, varnish};

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
