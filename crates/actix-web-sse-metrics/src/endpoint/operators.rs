//! What operators want to know of addresses and origins, which no label may hold.

use std::{fmt, net::IpAddr, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::{AppService, HttpServiceFactory},
    http::{header, uri::Authority},
    web,
};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::{core::Core, log::timestamp, origins::PerRoute};

/// How many addresses are shown.
const TOP: usize = 20;
/// How short a token must not be.
const MIN_TOKEN_BYTES: usize = 16;

/// Who may ask the operators' endpoint: [`bearer`](Self::bearer) unless there is a reason not to.
#[derive(Clone)]
pub struct OperatorAccess(Access);

#[derive(Clone)]
enum Access {
    Loopback,
    Bearer(Arc<[u8]>),
}

/// A token that somebody could guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeakToken;

impl fmt::Display for WeakToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the operators' token must have at least {MIN_TOKEN_BYTES} bytes"
        )
    }
}

impl std::error::Error for WeakToken {}

impl OperatorAccess {
    /// Whoever presents this token as `Authorization: Bearer`; everybody else gets 403. The token is
    /// compared in constant time and stands in no log.
    ///
    /// # Errors
    /// When the token is shorter than 16 bytes.
    pub fn bearer(token: &str) -> Result<Self, WeakToken> {
        if token.len() < MIN_TOKEN_BYTES {
            return Err(WeakToken);
        }
        Ok(Self(Access::Bearer(token.as_bytes().into())))
    }

    /// Whoever connects from this machine itself, without a token: an explicit choice, for a machine
    /// without a proxy. The peer and the `Host` must both be of the loopback, or a page of any site
    /// could ask under a name of its own that resolves to this machine (DNS rebinding), and no
    /// header may say that somebody passed the request on.
    ///
    /// A proxy on the same machine that adds no such header and sets `Host` to the loopback, as
    /// nginx's plain `proxy_pass http://127.0.0.1:8080` does, looks like the machine itself and
    /// opens the endpoint to everybody. Use [`bearer`](Self::bearer) wherever there is one.
    #[must_use]
    pub const fn loopback_without_token() -> Self {
        Self(Access::Loopback)
    }

    fn admits(&self, request: &HttpRequest) -> bool {
        match &self.0 {
            Access::Loopback => {
                let local = request
                    .peer_addr()
                    .is_some_and(|peer| peer.ip().to_canonical().is_loopback());
                local && asks_for_the_loopback(request) && !was_passed_on(request)
            }
            Access::Bearer(token) => {
                let mut lines = request.headers().get_all(header::AUTHORIZATION);
                let presented = match (lines.next(), lines.next()) {
                    (Some(line), None) => line.as_bytes().split_at_checked(7),
                    _ => None,
                };
                presented.is_some_and(|(scheme, presented)| {
                    scheme.eq_ignore_ascii_case(b"Bearer ") && presented.ct_eq(token).into()
                })
            }
        }
    }
}

/// Whether the request is for a name or an address of the loopback.
fn asks_for_the_loopback(request: &HttpRequest) -> bool {
    let mut lines = request.headers().get_all(header::HOST);
    let authority = match (request.uri().authority(), lines.next(), lines.next()) {
        (Some(authority), None, _) => Some(authority.clone()),
        (None, Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
        (Some(authority), Some(host), None) if authority.as_str().as_bytes() == host.as_bytes() => {
            Some(authority.clone())
        }
        _ => None,
    };
    authority.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        let address = host.parse::<IpAddr>();
        !authority.as_str().contains('@')
            && (host.eq_ignore_ascii_case("localhost")
                || address.is_ok_and(|address| address.to_canonical().is_loopback()))
    })
}

/// Whether a header says that a proxy passed the request on.
fn was_passed_on(request: &HttpRequest) -> bool {
    const SAY_SO: [&str; 8] = [
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-host",
        "true-client-ip",
        "cf-connecting-ip",
    ];
    request.headers().keys().any(|name| {
        let name = name.as_str();
        name.starts_with("x-forwarded-") || SAY_SO.contains(&name)
    })
}

impl fmt::Debug for OperatorAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Access::Loopback => "Loopback",
            Access::Bearer(_) => "Bearer(..)",
        })
    }
}

/// The operators' JSON at a path of an application. Made by
/// [`Metrics::operators`](crate::Metrics::operators).
#[derive(Debug, Clone)]
pub struct OperatorsEndpoint {
    core: Arc<Core>,
    path: String,
    access: OperatorAccess,
}

impl OperatorsEndpoint {
    pub(crate) fn new(core: Arc<Core>, path: &str, access: OperatorAccess) -> Self {
        Self {
            core,
            path: path.to_owned(),
            access,
        }
    }
}

impl HttpServiceFactory for OperatorsEndpoint {
    fn register(self, config: &mut AppService) {
        let Self { core, path, access } = self;
        web::resource(path)
            .route(web::get().to(move |request: HttpRequest| {
                let response = if access.admits(&request) {
                    HttpResponse::Ok()
                        .insert_header((header::CACHE_CONTROL, "no-store"))
                        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                        .json(report(&core))
                } else {
                    refuse()
                };
                std::future::ready(response)
            }))
            .register(config);
    }
}

/// Whoever has no access is told nothing, not even what would give it.
fn refuse() -> HttpResponse {
    HttpResponse::Forbidden()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

fn report(core: &Core) -> Value {
    let (most, clients) = core.clients.levels();
    let counts = core.rejected.counts();
    let top: Vec<_> = core
        .clients
        .top(TOP)
        .into_iter()
        .map(|(client, streams)| json!({ "address": client.address(), "streams": streams }))
        .collect();
    let all_routes = |routes: &PerRoute| routes.values().sum::<u64>();
    let counted: Vec<_> = counts
        .labelled
        .iter()
        .map(|(origin, routes)| json!({ "origin": origin, "count": all_routes(routes) }))
        .collect();
    let latest: Vec<_> = core
        .rejected
        .latest()
        .into_iter()
        .map(|rejection| {
            json!({
                "timestamp": timestamp(rejection.at),
                "origin": rejection.origin,
                "reason": rejection.reason.as_str(),
                "mode": rejection.mode.as_str(),
            })
        })
        .collect();
    json!({
        "clients": clients,
        "mostStreams": most,
        "topAddresses": top,
        "rejectedOrigins": {
            "distinct": counts.distinct,
            "other": all_routes(&counts.other),
            "counted": counted,
            "latest": latest,
        },
    })
}
