//! Who calls, for endpoints that are beside the guards and not behind them.

use std::net::IpAddr;

use actix_web::HttpRequest;

use super::policy::Policy;
use crate::observe::{CorsVerdict, OriginClass};

/// Who calls an endpoint, as a policy sees it: by the same rules as at the streams.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The client's address: the peer's, or what a trusted proxy says. `None` for Unix sockets.
    pub address: Option<IpAddr>,
    /// The origin's class.
    pub origin: OriginClass,
    /// The request names an allowed origin or the server's own, and one of the policy's hosts. A
    /// request without an origin is not allowed: no page has sent it.
    pub allowed: bool,
}

impl Policy {
    /// Who calls, for an endpoint of the application's own that is not behind the guards: one that
    /// answers without CORS headers, or that has limits of its own. Nothing is refused, counted or
    /// reported.
    ///
    /// ```
    /// use actix_web::{HttpRequest, HttpResponse, web};
    /// use actix_web_sse::Policy;
    ///
    /// async fn report(request: HttpRequest, policy: web::Data<Policy>) -> HttpResponse {
    ///     let caller = policy.caller(&request);
    ///     if caller.allowed {
    ///         println!("a page of {} reports", caller.origin.label());
    ///     }
    ///     HttpResponse::NoContent().finish()
    /// }
    /// ```
    #[must_use]
    pub fn caller(&self, request: &HttpRequest) -> Caller {
        let rules = self.0.rules();
        let source = rules.source(request);
        let origin = rules.origin(request, source);
        let readable = matches!(origin.cors, CorsVerdict::Allowed | CorsVerdict::SameOrigin);
        let is_ours = rules.check_host(request, source).is_ok();
        Caller {
            address: source.address,
            allowed: readable && origin.refusal.is_none() && is_ours,
            origin: origin.class,
        }
    }
}
