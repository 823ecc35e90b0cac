//! Addresses and origins for operators, which must not become labels.

use std::{fmt, net::IpAddr, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::{AppService, HttpServiceFactory},
    http::{header, uri::Authority},
    web,
};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::{core::Core, log::timestamp, metrics::Metrics, origins::PerRoute};

/// The number of addresses that are shown.
const TOP: usize = 20;
/// The minimum length of a token, in bytes.
const MIN_TOKEN_BYTES: usize = 16;

/// Access to the operators' endpoint: use [`bearer`](Self::bearer) unless there is a reason not to.
#[derive(Clone)]
pub struct OperatorAccess(Access);

#[derive(Clone)]
enum Access {
    Loopback,
    Bearer(Arc<[u8]>),
}

/// The error for a token that is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Allows requests with this token as `Authorization: Bearer`; all others get 403. The token is
    /// compared in constant time and is never logged.
    ///
    /// # Errors
    /// When the token is shorter than 16 bytes.
    pub fn bearer(token: &str) -> Result<Self, WeakToken> {
        if token.len() < MIN_TOKEN_BYTES {
            return Err(WeakToken);
        }
        Ok(Self(Access::Bearer(token.as_bytes().into())))
    }

    /// Allows requests from this machine without a token, for a machine without a proxy. The peer and
    /// the `Host` must both be of the loopback: otherwise a page of any site could send requests under
    /// a name that resolves to this machine (DNS rebinding). Requests with a header that a proxy adds
    /// are refused.
    ///
    /// A proxy on the same machine that adds no such header and sets `Host` to the loopback, as
    /// nginx's plain `proxy_pass http://127.0.0.1:8080` does, looks like the machine itself and
    /// opens the endpoint to everybody. Use [`bearer`](Self::bearer) wherever there is one.
    #[must_use]
    pub const fn loopback_without_token() -> Self {
        Self(Access::Loopback)
    }

    /// Whether a token is asked for.
    #[cfg(feature = "operations")]
    pub(crate) const fn asks_for_a_token(&self) -> bool {
        matches!(self.0, Access::Bearer(_))
    }

    pub(crate) fn admits(&self, request: &HttpRequest) -> bool {
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

/// Whether the request has a header that proxies add.
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

impl Metrics {
    /// Details for operators that cannot be labels, as JSON at `path`: the addresses with the most
    /// streams and the latest refused origins. It contains addresses, so it answers only requests that
    /// `access` allows.
    #[must_use]
    pub fn operators(&self, path: &str, access: OperatorAccess) -> OperatorsEndpoint {
        OperatorsEndpoint::new(Arc::clone(&self.core), path, access)
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

/// A refusal without details.
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
