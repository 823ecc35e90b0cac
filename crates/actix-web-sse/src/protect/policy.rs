//! The guards' one configuration.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak, atomic::AtomicU64},
    time::{Duration, SystemTime},
};

use actix_web::HttpRequest;

use super::{
    auth::Auth,
    csp,
    limit::{Limits, UserLimitStore},
    pages::SharedPages,
    revocation_store::RevocationStore,
    revoked::Revoked,
    rules::Rules,
    ticket::Tickets,
};
use crate::{
    identity::PolicyStreams,
    observe::{Observer, Reported},
    respond::mounting::Mounted,
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
    /// In force for whatever comes from now on.
    pub(super) rules: RwLock<Arc<Rules>>,
    /// Held by whoever replaces the rules.
    pub(super) reconfiguring: Mutex<()>,
    /// How often they were replaced so that streams of removed origins had to end.
    pub(super) replacements: AtomicU64,
    /// Of the foreign origins whose streams are open.
    pub(super) pages: SharedPages,
    pub(super) auth: Auth,
    pub(super) tickets: Option<Tickets>,
    pub(super) user_limit_store: Option<Box<dyn UserLimitStore>>,
    pub(super) revoked: Revoked,
    pub(super) revocation_store: Option<Box<dyn RevocationStore>>,
    pub(super) revocation_memory: Duration,
    pub(super) revocation_skew: Duration,
    /// Whose streams a revocation ends.
    pub(super) hubs: Mutex<Vec<Weak<dyn PolicyStreams>>>,
    pub(super) clock: Clock,
    pub(super) topic: Option<TopicOf>,
    pub(super) limits: Limits,
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
        !self.rules().hosts.is_empty()
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
        csp::connect_src(&self.0.rules().hosts)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.0.rules();
        f.debug_struct("Policy")
            .field("hosts", &rules.hosts)
            .field("origins", &rules.origins)
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
    /// The rules for a request that comes now.
    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other rules in force.
    pub(super) fn replace_rules(&self, rules: Arc<Rules>) {
        let mut current = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        self.limits.resize(&rules.limits);
        *current = rules;
    }

    /// Which topic the request is about, where the application has said how to tell.
    pub(super) fn topic_of(&self, request: &HttpRequest) -> Option<String> {
        self.topic.as_ref().and_then(|topic| topic(request))
    }
}
