//! By whom an identity can be checked again, after somebody was waited for.
//!
//! Between the decision to let a request in and the stream that it opens, others are waited for: the
//! authenticator, the shared limit, the store of tickets, the handler. What is decided is decided
//! again afterwards, in this order, so that no revocation falls in between:
//!
//! 1. The number of the newest revocation is read before anybody is asked who it is.
//! 2. The hub that the stream is to belong to is made known to the policy.
//! 3. Under the hub's lock, and with no wait until the stream belongs to its worker, the identity is
//!    checked: it has not ended, and no revocation with a higher number concerns it.
//! 4. A revocation is noted first; then the command to end the user's streams goes to all known
//!    hubs, under their lock. A worker reads it only after the stream belongs to it.
//!
//! So either the check finds the revocation, or the command finds the stream.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use super::{Identity, Pages};
use crate::observe::RefusalReason;

/// A policy, as far as it checks identities again.
pub(crate) trait Recheck: Send + Sync {
    /// Checks an identity that was looked up when `seen` was the newest revocation.
    ///
    /// # Errors
    /// It has ended, or was revoked since.
    fn check_again(&self, identity: &Identity, seen: u64) -> Result<(), RefusalReason>;

    /// From now on a revocation ends the user's streams of this hub.
    fn enroll(&self, hub: &Weak<dyn PolicyStreams>);
}

/// A hub, as far as it ends streams that policies let in.
pub(crate) trait PolicyStreams: Send + Sync {
    /// Ends those of a user on this node.
    fn end_streams(&self, user: &Arc<str>);

    /// Ends those of a user on the other nodes, as soon as these know of it.
    fn end_streams_elsewhere(&self, user: &Arc<str>);

    /// Ends those that this policy let in for pages which it does not let in any more.
    fn end_streams_of_pages(&self, policy: &Arc<dyn Pages>);
}

/// Who let an identity in, and what had been revoked by then.
#[derive(Clone)]
pub(crate) struct Standing {
    policy: Arc<dyn Recheck>,
    /// The number of the newest revocation when the identity was looked up.
    seen: u64,
    /// Who it was for a policy around this one, which may take that back as well.
    outer: Option<Arc<Identity>>,
}

impl Standing {
    pub(crate) const fn new(policy: Arc<dyn Recheck>, seen: u64) -> Self {
        Self {
            policy,
            seen,
            outer: None,
        }
    }

    /// The same, where a policy around this one knew who it was, too.
    pub(crate) fn within(self, outer: &Identity) -> Self {
        Self {
            outer: Some(Arc::new(outer.clone())),
            ..self
        }
    }

    /// Checks the identity again.
    ///
    /// # Errors
    /// The refusal of credentials that have ended or were revoked meanwhile.
    pub(crate) fn check(&self, identity: &Identity) -> Result<(), RefusalReason> {
        self.policy.check_again(identity, self.seen)?;
        self.outer.as_ref().map_or(Ok(()), |outer| outer.check())
    }

    /// From now on a revocation ends the user's streams of this hub.
    pub(crate) fn enroll(&self, hub: &Weak<dyn PolicyStreams>) {
        self.policy.enroll(hub);
        let outer = self.outer.as_ref();
        if let Some(standing) = outer.and_then(|outer| outer.standing.as_ref()) {
            standing.enroll(hub);
        }
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
