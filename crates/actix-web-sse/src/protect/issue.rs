//! Handing out tickets: in a handler behind [`Policy::api`].

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
};

use super::{
    Policy,
    head::{OriginFindings, Source},
    policy::Inner,
    ticket::Binding,
};
use crate::{
    config::MAX_TOPIC_BYTES,
    event::topic,
    identity::{Findings, Identity},
    observe::{AuthMethod, CorsVerdict, RefusalMode, RefusalReason, Refused, Route, Visitor},
    respond::refusal::Refusal,
};

impl Policy {
    /// Answers a request for a ticket, in a handler behind [`Policy::api`]:
    /// `{"ticket": "…", "expires_in": 60}`. The ticket stands for the client's identity and opens
    /// streams of this topic, from the page that asked, as `?ticket=…`.
    ///
    /// Refused are: a client that did not authenticate, or with another ticket, or whose
    /// credentials have ended or were revoked since the request came (401), one that may not read
    /// the topic (403), and everybody where no tickets are configured (404).
    ///
    /// The builder's [`topic`](super::PolicyBuilder::topic) lets the guards tell a ticket for another
    /// topic before it is used up.
    ///
    /// ```
    /// use actix_web::{HttpRequest, HttpResponse, web};
    /// use actix_web_sse::Policy;
    ///
    /// async fn ticket(request: HttpRequest, policy: web::Data<Policy>) -> HttpResponse {
    ///     policy.ticket(&request, "prices")
    /// }
    /// ```
    #[must_use]
    pub fn ticket(&self, request: &HttpRequest, topic: &str) -> HttpResponse {
        let identity = Identity::of(request);
        let answer = self.0.issue(request, topic, &identity);
        answer.unwrap_or_else(|reason| self.0.refuse_in_handler(request, reason, &identity))
    }
}

impl Inner {
    /// What a ticket for this request is bound to.
    pub(super) fn binding<'a>(
        &self,
        origin: &OriginFindings,
        source: Source,
        request: &'a HttpRequest,
    ) -> Binding<'a> {
        let header = request.headers().get(header::ORIGIN);
        Binding {
            origin: match origin.cors {
                CorsVerdict::SameOrigin | CorsVerdict::NoOrigin => b"",
                CorsVerdict::Allowed | CorsVerdict::Denied => {
                    header.map_or(b"", HeaderValue::as_bytes)
                }
            },
            address: source.address,
        }
    }

    fn issue(
        &self,
        request: &HttpRequest,
        topic: &str,
        identity: &Identity,
    ) -> Result<HttpResponse, RefusalReason> {
        let tickets = self.tickets.as_ref().ok_or(RefusalReason::NotFound)?;
        // No hub has such a topic.
        topic::check(topic, MAX_TOPIC_BYTES).map_err(|_| RefusalReason::InvalidRequest)?;
        if matches!(identity.method, AuthMethod::None | AuthMethod::Ticket) {
            return Err(RefusalReason::Unauthorized);
        }
        // The handler may have waited for something. From here on it does not.
        identity.check()?;
        if !identity.topics.allow(topic) {
            return Err(RefusalReason::InsufficientScope);
        }
        let rules = self.rules();
        let source = rules.source(request);
        let origin = rules.origin(request, source);
        let binding = self.binding(&origin, source, request);
        let now = (self.clock)();
        let user = identity.user.as_deref();
        let hold_from = user.and_then(|user| self.revoked.hold_from(user));
        let ticket = tickets
            .issue_at(identity, topic, binding, now, hold_from)
            .ok_or(RefusalReason::InvalidRequest)?;
        let body = serde_json::json!({
            "ticket": ticket,
            "expires_in": tickets.ttl().as_secs(),
        });
        Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(body.to_string()))
    }

    /// A refusal from within a handler, reported as those of the guards are.
    fn refuse_in_handler(
        &self,
        request: &HttpRequest,
        reason: RefusalReason,
        identity: &Identity,
    ) -> HttpResponse {
        let rules = self.rules();
        let source = rules.source(request);
        let origin = rules.origin(request, source);
        let route = Route::of(request);
        let findings = Findings {
            origin: &origin.class,
            cors: origin.cors,
            address: source.address,
            identity,
        };
        let visitor = findings.visitor(&Visitor::unknown(request, route.as_str()));
        let refusal = Refusal::from(reason);
        let status = refusal.status().as_u16();
        let refused = Refused::new(&visitor, reason, RefusalMode::Hard, status);
        self.observer.refused(&refused);
        refusal.response(rules.hints)
    }
}
