//! The guards' one configuration.

use std::{
    fmt,
    sync::{Arc, Mutex, Weak},
    time::{Duration, SystemTime},
};

use actix_web::{HttpRequest, http::header::HeaderValue};

use super::{
    auth::Auth,
    cors::{CorsRules, PreflightRules},
    csp,
    host::Hosts,
    limit::{Limits, UserLimitStore, address::Proxies},
    methods::StreamMethods,
    outbound::Outbound,
    revocation_store::RevocationStore,
    revoked::Revoked,
    ticket::Tickets,
};
use crate::{
    config::{AcceptMode, Overload},
    identity::UserStreams,
    observe::{Observer, Reported},
    origin::OriginList,
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
}
