//! Revocations, known to all nodes.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web_sse::protect::{RevocationSink, RevocationStore, UserRevocation};
use tokio::sync::mpsc;

use crate::{ledger::Ledger, request::Request, stats::Gauges};

/// Tells every node through Redis what one of them has revoked
/// ([`RedisBackplane::revocations`]).
///
/// Each node keeps all that is in force, so that a request is not held up by Redis. A node that was
/// cut off asks what it missed before anything else; one that starts, before
/// [`RedisBackplane::connect`] returns. A Redis that has lost them is told again by every node.
///
/// A revocation is dated by the clock of the node that revokes, and reaches ahead of it by
/// [`revocation_skew`](actix_web_sse::config::AuthConfig::revocation_skew): so far the clocks of
/// nodes and issuers may be apart. A second revocation of a user is never taken for the first,
/// however far the clock of its node is behind.
///
/// A node that is cut off goes by what it knows: for `revocation_grace`, if that is set, and then
/// refuses credentials that could have been revoked (503).
///
/// [`RedisBackplane::revocations`]: crate::RedisBackplane::revocations
/// [`RedisBackplane::connect`]: crate::RedisBackplane::connect
#[derive(Clone)]
pub struct RedisRevocations {
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) ledger: Arc<Ledger>,
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
        self.ledger.join(sink);
    }

    fn revoke(&self, revocation: UserRevocation) {
        // The other policies of this node, now.
        self.ledger.learn(&revocation);
        // The thread ends only when nobody is left to ask.
        let _ = self.requests.send(Request::TakeBack(revocation));
    }

    fn is_current(&self) -> bool {
        self.grace
            .is_none_or(|grace| self.gauges.silent(self.started) <= grace)
    }
}
