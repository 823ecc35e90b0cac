//! The guards' one configuration.

use std::{
    fmt,
    sync::{Arc, Mutex, Weak},
    time::{Duration, SystemTime},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
};

use super::{
    auth::Auth,
    builder::PolicyBuilder,
    cors::{CorsRules, PreflightRules},
    csp,
    head::{OriginFindings, Source, StreamMethods},
    host::Hosts,
    limit::{Limits, UserLimitStore, address::Proxies},
    middleware::ApiPolicy,
    outbound::Outbound,
    revocation::{RevocationStore, Revoked},
    ticket::{Binding, Tickets},
};
use crate::{
    config::{AcceptMode, MAX_TOPIC_BYTES, Overload},
    event::topic,
    identity::{Findings, Identity, UserStreams},
    observe::{
        AuthMethod, CorsVerdict, Observer, RefusalMode, RefusalReason, Refused, Reported, Route,
        Visitor,
    },
    origin::OriginList,
    respond::{mounting::Mounted, refusal::Refusal},
};

/// What may open a stream, and who may read it: middleware for stream routes.
///
/// Built once with [`Policy::builder`]; a clone is a reference to the same policy, and all clones
/// share one count of streams. See the [module](crate::protect) for where to mount it.
#[derive(Clone)]
pub struct Policy(pub(super) Arc<Inner>);

/// What tells the time of day.
pub(super) type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

/// Which topic a request is about.
pub(super) type TopicOf = Box<dyn Fn(&HttpRequest) -> Option<String> + Send + Sync>;

pub(super) struct Inner {
    pub(super) hosts: Hosts,
    pub(super) methods: StreamMethods,
    pub(super) allow: HeaderValue,
    pub(super) preflight: PreflightRules,
    pub(super) accept: AcceptMode,
    pub(super) overload: Overload,
    pub(super) enforce: bool,
    pub(super) origins: OriginList,
    pub(super) candidate: Option<OriginList>,
    pub(super) cors: CorsRules,
    pub(super) outbound: Outbound,
    pub(super) auth: Auth,
    pub(super) tickets: Option<Tickets>,
    pub(super) user_limit_store: Option<Box<dyn UserLimitStore>>,
    pub(super) revoked: Revoked,
    pub(super) revocation_store: Option<Box<dyn RevocationStore>>,
    pub(super) revocation_memory: Duration,
    pub(super) revocation_skew: Duration,
    /// Whose streams a revocation ends.
    pub(super) hubs: Mutex<Vec<Weak<dyn UserStreams>>>,
    pub(super) clock: Clock,
    pub(super) topic: Option<TopicOf>,
    pub(super) limits: Limits,
    pub(super) proxies: Proxies,
    pub(super) observer: Arc<dyn Observer>,
    /// Mistakes in how this policy is mounted.
    pub(super) reported: Reported,
}

impl Mounted for Inner {
    fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    fn reported(&self) -> &Reported {
        &self.reported
    }

    fn names_hosts(&self) -> bool {
        !self.hosts.is_empty()
    }
}

impl Policy {
    /// A policy to be filled in.
    #[must_use]
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// The part of the policy that goes around companions of the streams: endpoints that publish,
    /// hand out tickets, take reports. Host, origin, CORS and preflight as for the streams; no
    /// `Accept` check, no limits on streams, methods left to the route.
    #[must_use]
    pub fn api(&self) -> ApiPolicy {
        ApiPolicy::new(self)
    }
}

impl Policy {
    /// The `connect-src` directive (CSP 3 § 6.1.2) that a page needs in its own
    /// `Content-Security-Policy` to open streams from the configured hosts. Without it the browser
    /// ends the `EventSource` before it asks, and the server sees nothing.
    ///
    /// ```
    /// # use actix_web_sse::Policy;
    /// let policy = Policy::builder().host("api.example.com").build()?;
    /// assert_eq!(
    ///     policy.connect_src(),
    ///     "connect-src 'self' https://api.example.com"
    /// );
    /// # Ok::<(), actix_web_sse::ConfigError>(())
    /// ```
    #[must_use]
    pub fn connect_src(&self) -> String {
        csp::connect_src(&self.0.hosts)
    }
}

impl Policy {
    /// Answers a request for a ticket, in a handler behind [`Policy::api`]:
    /// `{"ticket": "…", "expires_in": 60}`. The ticket stands for the client's identity and opens
    /// streams of this topic, from the page that asked, as `?ticket=…`.
    ///
    /// Refused are: a client that did not authenticate, or with another ticket, or whose
    /// credentials have ended or were revoked since the request came (401), one that may not read
    /// the topic (403), and everybody where no tickets are configured (404).
    ///
    /// The builder's [`topic`](PolicyBuilder::topic) lets the guards tell a ticket for another
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

    /// Takes back what a user holds, all in one call: their tickets and tokens issued up to now hold
    /// no more, remembered tokens are checked again, requests that are on their way are refused, and
    /// the streams that this policy let in end, in whichever [`Hub`](crate::Hub) they are. What is published
    /// after this call reaches none of them.
    ///
    /// On this node that is done when the call returns. With a [`RevocationStore`] the other nodes
    /// do the same as soon as they know of it. Without one, a hub that has a
    /// [`Backplane`](crate::Backplane) and has had streams of this policy asks it to end the user's
    /// streams there, but they can open new ones. [`Hub::disconnect`](crate::Hub::disconnect) before or after it is not
    /// needed and does no harm.
    ///
    /// What an authenticator looks up itself, it answers for ([`Identity::issued_at`]): take it back
    /// there first.
    ///
    /// Clocks differ: what is issued within
    /// [`revocation_skew`](crate::config::AuthConfig::revocation_skew) after this call, by this
    /// node's clock, is refused as well. Returned is the moment from which on new credentials hold;
    /// an application that signs the user in again at once issues them as of then, see
    /// [`credentials_hold_from`](Self::credentials_hold_from).
    pub fn revoke(&self, user: &str) -> SystemTime {
        let revocation = self.0.take_back_at(user, (self.0.clock)());
        let revoked = Arc::clone(&revocation.user);
        if let Some(store) = &self.0.revocation_store {
            store.revoke(revocation);
        } else {
            let hubs: Vec<_> = self.0.hubs().iter().filter_map(Weak::upgrade).collect();
            for hub in hubs {
                hub.end_streams_elsewhere(&revoked);
            }
        }
        self.credentials_hold_from(user)
    }

    /// The moment as of which credentials are to be issued to a user so that no revocation covers
    /// them: now, or after a recent [`revoke`](Self::revoke) a little ahead of now. For whoever signs
    /// users in within the same application: this is the `iat` of the token. A token with whole
    /// seconds rounds up.
    #[must_use]
    pub fn credentials_hold_from(&self, user: &str) -> SystemTime {
        let now = (self.0.clock)();
        let from = self.0.revoked.hold_from(user);
        from.map_or(now, |from| from.max(now))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("hosts", &self.0.hosts)
            .field("origins", &self.0.origins)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// Tells policies apart.
    pub(super) fn number(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl Inner {
    /// Which topic the request is about, where the application has said how to tell.
    pub(super) fn topic_of(&self, request: &HttpRequest) -> Option<String> {
        self.topic.as_ref().and_then(|topic| topic(request))
    }

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
        let source = self.source(request);
        let origin = self.origin(request, source.scheme());
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
        let source = self.source(request);
        let origin = self.origin(request, source.scheme());
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
        refusal.response()
    }
}
