//! What takes time: who the client is, and what can be decided only then.

use std::{any::Any, rc::Rc, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
};
use tokio::time::Instant;

use super::{
    auth::{
        Token,
        credentials::{self, Contradiction, Places, Presented, Tokens},
    },
    exchange::{Exchange, Mount},
    limit::{NoUserSlot, Permit, Place},
    panic::caught,
    policy::Inner,
    ticket::TicketClaim,
};
use crate::{
    identity::{Admission, Identity, Standing},
    observe::{AuthMethod, CorsVerdict, RefusalReason},
    respond::refusal::RETRY,
};

/// What becomes of a request that had to wait for its credentials.
pub(super) enum Admitted {
    /// It goes on to the handler, which is to know this. The place in this second is kept if a
    /// stream opens.
    Goes(Admission, Option<Place>),
    /// It has its answer.
    Ends(HttpResponse),
}

impl Exchange {
    /// Finds out who it is, and whether that lets it in.
    pub(super) async fn admit(&self, request: &HttpRequest, mut permit: Permit) -> Admitted {
        let (identity, claim) = match self.identify(request).await {
            Ok(identified) => identified,
            Err(reason) => {
                let nobody = Identity::anonymous();
                return Admitted::Ends(self.refuse(request, reason.into(), &nobody));
            }
        };
        self.policy.0.limits.authenticated(&mut permit);
        match self
            .admit_identified(request, permit, &identity, claim)
            .await
        {
            Ok((permit, place)) => Admitted::Goes(self.admission(request, permit, identity), place),
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
            Mount::Api => None,
            Mount::Open => return Ok((Identity::anonymous(), None)),
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
        let (mut identity, seen, claim) = match (&presented, tickets) {
            (Presented::Ticket(text), Some(tickets)) => {
                let topic = policy.topic_of(request);
                let binding = policy.binding(&self.origin, self.source, request);
                let seen = policy.revoked.newest();
                let (identity, claim) = tickets
                    .check_at(text, topic.as_deref(), binding, (policy.clock)())
                    .ok_or(RefusalReason::InvalidTicket)?;
                policy.check_revoked(&identity)?;
                (identity, seen, Some(claim))
            }
            (Presented::Tokens(tokens), _) => {
                let (identity, seen) = self.first_that_holds(tokens, request).await?;
                (identity, seen, None)
            }
            (Presented::Unreadable, _) => return Err(RefusalReason::InvalidToken),
            (Presented::Ticket(_) | Presented::Nothing, _) => {
                let (identity, seen) = self.holder_of(None, request, self.deadline()).await?;
                (identity, seen, None)
            }
        };
        if identity.method != AuthMethod::None {
            identity.standing = Some(Standing::new(Arc::clone(policy) as _, seen));
        }
        Ok((identity, claim))
    }

    /// Who holds the first token that holds. Each after the first costs the address another request
    /// of its budget, and all of them have the time of one.
    async fn first_that_holds(
        &self,
        tokens: &Tokens<'_>,
        request: &HttpRequest,
    ) -> Result<(Identity, u64), RefusalReason> {
        let deadline = self.deadline();
        for (nth, token) in tokens.iter().enumerate() {
            if nth > 0 {
                let limits = &self.policy.0.limits;
                limits.admit_another_attempt(&self.rules.limits, self.source.address)?;
            }
            match self.holder_of(Some(token), request, deadline).await {
                Err(RefusalReason::InvalidToken) => {}
                decided => return decided,
            }
        }
        Err(RefusalReason::InvalidToken)
    }

    /// Whose token this is, or who it is without one, unless that was revoked.
    async fn holder_of(
        &self,
        token: Option<Token<'_>>,
        request: &HttpRequest,
        deadline: Instant,
    ) -> Result<(Identity, u64), RefusalReason> {
        let policy = &self.policy.0;
        let (identity, seen) = policy
            .auth
            .identify(
                token,
                self.source.address,
                request,
                &policy.revoked,
                deadline,
            )
            .await?;
        policy.check_revoked(&identity)?;
        Ok((identity, seen))
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.policy.0.auth.timeout()
    }

    /// A cookie goes wherever the browser is sent. It counts only where the page that sends it
    /// may read the answer as its user.
    fn cookies_count(&self) -> bool {
        match self.origin.cors {
            CorsVerdict::SameOrigin | CorsVerdict::NoOrigin => true,
            CorsVerdict::Allowed => self.rules.cors.credentials(),
            CorsVerdict::Denied => false,
        }
    }

    /// The checks that need a name. What all share is asked for last, so that only what would
    /// open spends it; the ticket after that: it is used up only if nothing else is in the way. A
    /// `HEAD` uses up nothing, and has nobody asked who would count it.
    ///
    /// Stores are waited for in here: what was found before is checked again after each. What waits
    /// in the handler is checked again when the stream opens, see
    /// [`Standing`].
    async fn admit_identified(
        &self,
        request: &HttpRequest,
        mut permit: Permit,
        identity: &Identity,
        claim: Option<TicketClaim>,
    ) -> Result<(Rc<dyn Any>, Option<Place>), RefusalReason> {
        let policy = &self.policy.0;
        // The authenticator was waited for.
        identity.check()?;
        if !matches!(self.mount, Mount::Streams) {
            return Ok((Rc::new(permit), None));
        }
        if let Some(topic) = policy.topic_of(request)
            && !identity.topics.allow(&topic)
        {
            return Err(RefusalReason::InsufficientScope);
        }
        policy
            .limits
            .admit_user(&self.rules.limits, &mut permit, identity.user.as_ref())?;
        if Self::is_head(request) {
            return Ok((Rc::new(permit), None));
        }
        policy
            .admit_user_everywhere(
                self.rules.limits.per_user(),
                &mut permit,
                identity.user.as_ref(),
            )
            .await?;
        // Before the ticket: a revoked one need not be used up.
        identity.check()?;
        let place = policy
            .limits
            .admit_now(&self.rules.limits, self.source.address)?;
        // A policy further out has claimed the ticket, and its permit holds the lease.
        let claim = claim.filter(|_| !claimed_further_out(request));
        let permit: Rc<dyn Any> = match (claim, &policy.tickets) {
            (Some(claim), Some(tickets)) => {
                let claim = tickets.renew(claim, identity, (policy.clock)())?;
                let claiming = caught(tickets.claim(claim));
                match tokio::time::timeout(policy.auth.timeout(), claiming).await {
                    Ok(Ok(lease)) => Rc::new((permit, lease?)),
                    Ok(Err(_)) | Err(_) => return Err(RefusalReason::AuthUnavailable),
                }
            }
            _ => Rc::new(permit),
        };
        identity.check()?;
        Ok((permit, place))
    }
}

impl Inner {
    /// Takes the user's slot on all nodes, where they are counted together.
    ///
    /// # Errors
    /// There is none, or nobody can tell.
    async fn admit_user_everywhere(
        &self,
        limit: Option<u32>,
        permit: &mut Permit,
        user: Option<&Arc<str>>,
    ) -> Result<(), RefusalReason> {
        let (Some(store), Some(limit), Some(user)) = (&self.user_limit_store, limit, user) else {
            return Ok(());
        };
        let asking = caught(async { store.acquire(user, limit).await });
        let answer = tokio::time::timeout(RETRY, asking).await;
        let Ok(Ok(answer)) = answer else {
            return Err(RefusalReason::Capacity);
        };
        permit.count_everywhere(answer.map_err(|none| match none {
            NoUserSlot::Full => RefusalReason::UserLimit,
            NoUserSlot::Unavailable => RefusalReason::Capacity,
        })?);
        Ok(())
    }
}

/// Whether another policy around this one has let the request in with its ticket.
fn claimed_further_out(request: &HttpRequest) -> bool {
    Admission::left_in(request)
        .is_some_and(|outer| outer.policy != 0 && outer.identity.method == AuthMethod::Ticket)
}
