//! What operators want to know of addresses and origins, which no label may hold.

use std::{fmt, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::{AppService, HttpServiceFactory},
    http::header,
    web,
};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::{core::Core, log::timestamp};

/// How many addresses are shown.
const TOP: usize = 20;
/// How short a token may not be.
const MIN_TOKEN_BYTES: usize = 16;

/// Who may ask the operators' endpoint.
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
    /// Whoever presents this token as `Authorization: Bearer`.
    ///
    /// # Errors
    /// When the token is shorter than 16 bytes.
    pub fn bearer(token: &str) -> Result<Self, WeakToken> {
        if token.len() < MIN_TOKEN_BYTES {
            return Err(WeakToken);
        }
        Ok(Self(Access::Bearer(token.as_bytes().into())))
    }

    /// Whoever connects from this machine itself. A request that a proxy passed on (it has a
    /// `Forwarded`, `X-Forwarded-For` or `Via` header) does not count, for behind a proxy on the
    /// same machine everybody comes from here; a proxy that adds none of them would open it to
    /// all, so use a token there.
    #[must_use]
    pub const fn loopback() -> Self {
        Self(Access::Loopback)
    }

    fn admits(&self, request: &HttpRequest) -> bool {
        let headers = request.headers();
        match &self.0 {
            Access::Loopback => {
                let local = request
                    .peer_addr()
                    .is_some_and(|peer| peer.ip().is_loopback());
                let passed_on = ["forwarded", "x-forwarded-for", "via"]
                    .iter()
                    .any(|name| headers.contains_key(*name));
                local && !passed_on
            }
            Access::Bearer(token) => {
                let presented = headers
                    .get(header::AUTHORIZATION)
                    .map(|value| value.as_bytes());
                presented
                    .and_then(|value| value.strip_prefix(b"Bearer "))
                    .is_some_and(|presented| presented.ct_eq(token).into())
            }
        }
    }

    fn refuse(&self) -> HttpResponse {
        match self.0 {
            Access::Loopback => HttpResponse::Forbidden(),
            Access::Bearer(_) => {
                let mut response = HttpResponse::Unauthorized();
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
                response
            }
        }
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
    }
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
                    access.refuse()
                };
                std::future::ready(response)
            }))
            .register(config);
    }
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
    let counted: Vec<_> = counts
        .labelled
        .iter()
        .map(|(origin, count)| json!({ "origin": origin, "count": count }))
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
            "other": counts.other,
            "counted": counted,
            "latest": latest,
        },
    })
}
