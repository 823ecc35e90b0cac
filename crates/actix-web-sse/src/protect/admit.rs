//! What takes time: who the client is, and what can be decided only then.

use std::any::Any;

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, body,
    http::{
        Method, StatusCode,
        header::{self, HeaderValue},
    },
};

use super::{
    auth::credentials::{self, Contradiction, Places, Presented},
    exchange::{Exchange, Mount},
    limit::Permit,
    panic::caught,
    ticket::TicketClaim,
};
use crate::{
    headers,
    observe::{AuthMethod, CorsVerdict, RefusalReason},
    subscriber::{Admission, Identity},
};

/// What becomes of a request that had to wait for its credentials.
pub(super) enum Admitted {
    /// It goes on to the handler, which is to know this.
    Goes(Admission),
    /// It has its answer.
    Ends(HttpResponse),
}

impl Exchange {
    /// Finds out who it is, and whether that lets it in.
    pub(super) async fn admit(&self, request: &HttpRequest, permit: Permit) -> Admitted {
        let (identity, claim) = match self.identify(request).await {
            Ok(identified) => identified,
            Err(reason) => {
                let nobody = Identity::anonymous();
                return Admitted::Ends(self.refuse(request, reason.into(), &nobody));
            }
        };
        match self
            .admit_identified(request, permit, &identity, claim)
            .await
        {
            Ok(Some(permit)) => Admitted::Goes(self.admission(permit, identity)),
            Ok(None) => Admitted::Ends(stream_head()),
            Err(reason) => Admitted::Ends(self.refuse(request, reason.into(), &identity)),
        }
    }

    /// Who it is; with a ticket that is yet to be claimed, if it came with one.
    async fn identify(
        &self,
        request: &HttpRequest,
    ) -> Result<(Identity, Option<TicketClaim>), RefusalReason> {
        let policy = &self.policy.0;
        let tickets = match self.mount {
            Mount::Streams => policy.tickets.as_ref(),
            Mount::Api(_) => None,
            Mount::Open(_) => return Ok((Identity::anonymous(), None)),
        };
        let lines = |name| request.headers().get_all(name).map(HeaderValue::as_bytes);
        let places = Places {
            bearer: policy.auth.checks_tokens(),
            cookie: policy.auth.cookie().filter(|_| self.cookies_count()),
            ticket: tickets.is_some(),
        };
        let presented = if places.are_none() {
            Presented::Nothing
        } else {
            credentials::present(
                places,
                lines(header::AUTHORIZATION),
                lines(header::COOKIE),
                request.query_string(),
            )
            .map_err(|Contradiction| RefusalReason::InvalidRequest)?
        };
        if let (Presented::Ticket(text), Some(tickets)) = (&presented, tickets) {
            let topic = policy.topic_of(request);
            let binding = policy.binding(&self.origin, self.source, request);
            let (identity, claim) = tickets.check(text, topic.as_deref(), binding)?;
            policy.check_revoked(&identity)?;
            return Ok((identity, Some(claim)));
        }
        let identity = policy
            .auth
            .identify(&presented, self.source.address, request);
        let identity = identity.await?;
        policy.check_revoked(&identity)?;
        Ok((identity, None))
    }

    /// A cookie goes wherever the browser is sent. It counts only where the page that sends it
    /// may read the answer as its user.
    fn cookies_count(&self) -> bool {
        match self.origin.cors {
            CorsVerdict::SameOrigin | CorsVerdict::NoOrigin => true,
            CorsVerdict::Allowed => self.policy.0.cors.credentials(),
            CorsVerdict::Denied => false,
        }
    }

    /// The checks that need a name, the ticket last: it is used up only if nothing else is in the
    /// way. `None` for a `HEAD`, which has its answer.
    async fn admit_identified(
        &self,
        request: &HttpRequest,
        mut permit: Permit,
        identity: &Identity,
        claim: Option<TicketClaim>,
    ) -> Result<Option<Box<dyn Any>>, RefusalReason> {
        let policy = &self.policy.0;
        if !matches!(self.mount, Mount::Streams) {
            return Ok(Some(Box::new(permit)));
        }
        if let Some(topic) = policy.topic_of(request)
            && !identity.topics.allow(&topic)
        {
            return Err(RefusalReason::InsufficientScope);
        }
        policy
            .limits
            .admit_user(&mut permit, identity.user.as_ref())?;
        if request.method() == Method::HEAD && self.route.is_some() {
            return Ok(None);
        }
        policy
            .admit_user_everywhere(&mut permit, identity.user.as_ref())
            .await?;
        // A policy further out has claimed the ticket, and its permit holds the lease.
        let claim = claim.filter(|_| !claimed_further_out(request));
        match (claim, &policy.tickets) {
            (Some(claim), Some(tickets)) => {
                let claiming = caught(tickets.claim(claim));
                match tokio::time::timeout(policy.auth.timeout(), claiming).await {
                    Ok(Ok(lease)) => Ok(Some(Box::new((permit, lease?)))),
                    Ok(Err(_)) | Err(_) => Err(RefusalReason::AuthUnavailable),
                }
            }
            _ => Ok(Some(Box::new(permit))),
        }
    }
}

/// Whether another policy around this one has let the request in with its ticket.
fn claimed_further_out(request: &HttpRequest) -> bool {
    let extensions = request.extensions();
    extensions
        .get::<Admission>()
        .is_some_and(|outer| outer.policy != 0 && outer.identity.method == AuthMethod::Ticket)
}

/// The answer to a `HEAD` on a stream: the headers of the `GET`, and nothing is subscribed.
fn stream_head() -> HttpResponse {
    let mut response =
        HttpResponse::with_body(StatusCode::OK, body::None::new()).map_into_boxed_body();
    headers::set_stream_headers(response.headers_mut());
    response
}
