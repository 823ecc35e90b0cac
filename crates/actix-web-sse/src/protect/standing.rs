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
//! 4. A revocation is noted first; then all known hubs are told, under their lock, to end the
//!    user's streams. A worker takes such an order only after the stream belongs to it.
//!
//! So either the check finds the revocation, or the order finds the stream.

use std::{fmt, sync::Arc};

use super::policy::Inner;
use crate::{hub::Hub, observe::RefusalReason, subscriber::Identity};

/// Who let an identity in, and what had been revoked by then.
#[derive(Clone)]
pub(crate) struct Standing {
    policy: Arc<Inner>,
    /// The number of the newest revocation when the identity was looked up.
    seen: u64,
    /// Who it was for a policy around this one, which may take that back as well.
    outer: Option<Arc<Identity>>,
}

impl Standing {
    pub(super) fn new(policy: &Arc<Inner>, seen: u64) -> Self {
        Self {
            policy: Arc::clone(policy),
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
    pub(crate) fn enroll(&self, hub: &Hub) {
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
