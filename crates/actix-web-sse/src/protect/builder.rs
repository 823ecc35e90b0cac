//! From what the user says to a [`Policy`], or to all that is wrong with it.

use std::{
    fmt,
    sync::{Arc, Mutex, RwLock, atomic::AtomicU64},
    time::SystemTime,
};

use actix_web::HttpRequest;

use super::{
    Policy,
    auth::{Auth, Authenticator},
    limit::{Limits, UserLimitStore},
    pages::SharedPages,
    policy::{Clock, Inner, TopicOf},
    revocation_store::{RevocationSink, RevocationStore},
    revoked::Revoked,
    rules::Rules,
    ticket::{TicketStore, Tickets},
};
use crate::{
    config::{
        AcceptMode, AuthConfig, CandidateConfig, ConfigError, Faults, Hints, HstsConfig, Methods,
        Overload, PolicyConfig, RatePerIp, TicketConfig,
    },
    observe::{Observer, Reported},
};

/// Says what a [`Policy`] is to let through.
pub struct PolicyBuilder {
    config: PolicyConfig,
    auth: AuthConfig,
    authenticator: Option<Arc<dyn Authenticator>>,
    ticket_store: Option<Arc<dyn TicketStore>>,
    revocation_store: Option<Box<dyn RevocationStore>>,
    user_limit_store: Option<Box<dyn UserLimitStore>>,
    topic: Option<TopicOf>,
    clock: Clock,
    observer: Arc<dyn Observer>,
}

impl Default for PolicyBuilder {
    fn default() -> Self {
        Self {
            config: PolicyConfig::default(),
            auth: AuthConfig::default(),
            authenticator: None,
            ticket_store: None,
            revocation_store: None,
            user_limit_store: None,
            topic: None,
            clock: Box::new(SystemTime::now),
            observer: Arc::new(()),
        }
    }
}

impl fmt::Debug for PolicyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyBuilder")
            .field("config", &self.config)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// A policy to be filled in.
    #[must_use]
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }
}

impl PolicyBuilder {
    /// Takes over a whole section, as deserialized. What was said before is forgotten.
    #[must_use]
    pub fn config(mut self, config: PolicyConfig) -> Self {
        self.config = config;
        self
    }

    /// Allows an origin or a pattern of origins; see
    /// [`OriginsConfig::allow`](crate::config::OriginsConfig::allow).
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.config.origins.allow.push(origin.into());
        self
    }

    /// Allows several origins or patterns.
    #[must_use]
    pub fn allow_origins<S: Into<String>>(mut self, origins: impl IntoIterator<Item = S>) -> Self {
        let origins = origins.into_iter().map(Into::into);
        self.config.origins.allow.extend(origins);
        self
    }

    /// Whether cookies and HTTP authentication may come along. Default false.
    #[must_use]
    pub fn credentials(mut self, credentials: bool) -> Self {
        self.config.origins.credentials = credentials;
        self
    }

    /// Adds a name under which the streams are served; see [`PolicyConfig::hosts`].
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.config.hosts.push(host.into());
        self
    }

    /// The methods that open a stream. Default `GET`. See [`PolicyConfig::methods`].
    #[must_use]
    pub fn methods(mut self, methods: Methods) -> Self {
        self.config.methods = methods;
        self
    }

    /// What the client must say to be given a stream. Default explicit.
    #[must_use]
    pub fn accept(mut self, mode: AcceptMode) -> Self {
        self.config.accept = mode;
        self
    }

    /// How a want of capacity is answered. Default by who is asking.
    #[must_use]
    pub fn overload(mut self, overload: Overload) -> Self {
        self.config.overload = overload;
        self
    }

    /// Whether a refusal says what to do. Default it does.
    #[must_use]
    pub fn hints(mut self, hints: Hints) -> Self {
        self.config.hints = hints;
        self
    }

    /// Streams at a time from one address. Default 100.
    #[must_use]
    pub fn streams_per_ip(mut self, limit: u32) -> Self {
        self.config.limits.per_ip = Some(limit);
        self
    }

    /// Streams at a time of one user. Default 20.
    #[must_use]
    pub fn streams_per_user(mut self, limit: u32) -> Self {
        self.config.limits.per_user = Some(limit);
        self
    }

    /// Streams at a time altogether. Default 10 000.
    #[must_use]
    pub fn streams(mut self, limit: u32) -> Self {
        self.config.limits.total = Some(limit);
        self
    }

    /// Streams opened per second. Default 500.
    #[must_use]
    pub fn connects_per_second(mut self, limit: u32) -> Self {
        self.config.limits.connects_per_second = Some(limit);
        self
    }

    /// Streams opened per second from one address. Default half of
    /// [`connects_per_second`](Self::connects_per_second).
    #[must_use]
    pub fn connects_per_ip(mut self, limit: impl Into<RatePerIp>) -> Self {
        self.config.limits.connects_per_ip = limit.into();
        self
    }

    /// Requests per second from one address that get as far as authentication; see
    /// [`LimitsConfig::attempts_per_ip`](crate::config::LimitsConfig::attempts_per_ip). Default a
    /// fifth of [`connects_per_second`](Self::connects_per_second), at least 50.
    #[must_use]
    pub fn attempts_per_ip(mut self, limit: impl Into<RatePerIp>) -> Self {
        self.config.limits.attempts_per_ip = limit.into();
        self
    }

    /// Trusts a proxy, or a network of them, to say who the client is.
    #[must_use]
    pub fn trusted_proxy(mut self, network: impl Into<String>) -> Self {
        self.config.limits.trusted_proxies.push(network.into());
        self
    }

    /// Takes over the section `[auth]`, as deserialized. What was said before is forgotten.
    #[must_use]
    pub fn auth(mut self, auth: AuthConfig) -> Self {
        self.auth = auth;
        self
    }

    /// Who checks tokens. Instead of the ready one for [`AuthConfig::jwt_hs256_secret`] and
    /// [`AuthConfig::jwks`].
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// Whether a client without credentials is refused. Default false.
    #[must_use]
    pub fn require_auth(mut self, required: bool) -> Self {
        self.auth.required = required;
        self
    }

    /// The cookie that holds a token. Default none.
    #[must_use]
    pub fn auth_cookie(mut self, name: impl Into<String>) -> Self {
        self.auth.cookie = Some(name.into());
        self
    }

    /// Takes tickets, and issues them: [`Policy::ticket`]. Default not.
    #[must_use]
    pub fn tickets(mut self, config: TicketConfig) -> Self {
        self.auth.ticket = Some(config);
        self
    }

    /// Where used tickets are remembered. Default in this process, which does for one node.
    #[must_use]
    pub fn ticket_store(mut self, store: impl TicketStore) -> Self {
        self.ticket_store = Some(Arc::new(store));
        self
    }

    /// Who tells the other nodes what was revoked. Default nobody, which does for one node.
    #[must_use]
    pub fn revocation_store(mut self, store: impl RevocationStore) -> Self {
        self.revocation_store = Some(Box::new(store));
        self
    }

    /// Who counts a user's streams on all nodes together, for
    /// [`streams_per_user`](Self::streams_per_user). Default nobody: each node counts its own.
    #[must_use]
    pub fn user_limit_store(mut self, store: impl UserLimitStore) -> Self {
        self.user_limit_store = Some(Box::new(store));
        self
    }

    /// How to tell which topic a request is about. Then the guards refuse a client that may not
    /// read it, and a ticket for another, before a ticket is used up. Without it the handler's
    /// subscription refuses, when the ticket is spent.
    #[must_use]
    pub fn topic(
        mut self,
        topic: impl Fn(&HttpRequest) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.topic = Some(Box::new(topic));
        self
    }

    /// The time of day by which revocations and tickets are dated. Default the system's; another is
    /// for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Tries a list of origins without enforcing it; see [`PolicyConfig::candidate`].
    #[must_use]
    pub fn candidate_origins<S: Into<String>>(
        mut self,
        origins: impl IntoIterator<Item = S>,
    ) -> Self {
        let allow = origins.into_iter().map(Into::into).collect();
        self.config.candidate = Some(CandidateConfig { allow });
        self
    }

    /// Sets a header on every stream, over the library's own.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.headers.insert(name.into(), value.into());
        self
    }

    /// Sends `Strict-Transport-Security` on https.
    #[must_use]
    pub fn hsts(mut self, hsts: HstsConfig) -> Self {
        self.config.hsts = Some(hsts);
        self
    }

    /// Who gets a report of each request. Default nobody.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Builds the policy.
    ///
    /// # Errors
    /// Everything that is dangerous, meaningless or contradictory, all at once; nothing is built.
    pub fn build(self) -> Result<Policy, ConfigError> {
        let mut faults = Faults::default();
        let config = &self.config;
        let rules = Rules::new(config, &mut faults);
        self.auth.check(self.authenticator.is_some(), &mut faults);
        let auth = Auth::new(&self.auth, self.authenticator, &self.observer, &mut faults);
        let tickets =
            self.auth.ticket.as_ref().and_then(|ticket| {
                Tickets::new(ticket, config.limits.ipv6_prefix, self.ticket_store)
            });
        let info = rules.info.clone();
        let observer = Arc::clone(&self.observer);
        let inner = Inner {
            limits: Limits::new(&rules.limits),
            rules: RwLock::new(Arc::new(rules)),
            reconfiguring: Mutex::default(),
            replacements: AtomicU64::default(),
            pages: SharedPages::default(),
            auth,
            tickets,
            user_limit_store: self.user_limit_store,
            revoked: Revoked::default(),
            revocation_store: self.revocation_store,
            revocation_memory: self.auth.revocation_memory,
            revocation_skew: self.auth.revocation_skew,
            hubs: Mutex::default(),
            clock: self.clock,
            topic: self.topic,
            observer: self.observer,
            reported: Reported::default(),
        };
        let policy = faults.into_result(Policy(Arc::new(inner)))?;
        if let Some(store) = &policy.0.revocation_store {
            store.start(RevocationSink::new(Arc::downgrade(&policy.0) as _));
        }
        observer.policy(&info);
        Ok(policy)
    }
}
