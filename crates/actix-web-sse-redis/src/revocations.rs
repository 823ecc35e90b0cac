//! Revocations that are shared by all nodes.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web_sse::protect::{RevocationSink, RevocationStore, UserRevocation};
use tokio::sync::mpsc;

use crate::{known_revocations::KnownRevocations, request::Request, stats::Gauges};

/// Shares revocations between all nodes through Redis ([`RedisBackplane::revocations`]).
///
/// Each node keeps all revocations in force, so no request waits for Redis. A node that was cut off
/// reads the revocations it does not know before anything else; a node that starts reads them before
/// [`RedisBackplane::connect`] returns. Every node sends them again to a Redis that has lost them.
///
/// A revocation carries the time of the node that revokes, plus
/// [`revocation_skew`](actix_web_sse::config::AuthConfig::revocation_skew): the clocks of nodes and
/// issuers may differ by that much. A second revocation of a user is always applied, however far the
/// clock of its node is behind.
///
/// A node that is cut off relies on the revocations that it knows. With `revocation_grace` it does so
/// for that time, and then refuses credentials that could have been revoked (503).
///
/// [`RedisBackplane::revocations`]: crate::RedisBackplane::revocations
/// [`RedisBackplane::connect`]: crate::RedisBackplane::connect
#[derive(Clone)]
pub struct RedisRevocations {
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) known: Arc<KnownRevocations>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) started: Instant,
    pub(crate) grace: Option<Duration>,
}

impl fmt::Debug for RedisRevocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRevocations").finish_non_exhaustive()
    }
}

impl RevocationStore for RedisRevocations {
    fn start(&self, sink: RevocationSink) {
        self.known.join(sink);
    }

    fn revoke(&self, revocation: UserRevocation) {
        // The other policies of this node, now.
        self.known.learn(&revocation);
        // The thread ends only after every sender is dropped.
        let _ = self.requests.send(Request::RevokeUser(revocation));
    }

    fn is_current(&self) -> bool {
        self.grace
            .is_none_or(|grace| self.gauges.silent(self.started) <= grace)
    }
}
