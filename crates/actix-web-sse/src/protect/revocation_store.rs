//! The seam for revocations that several nodes share.

use std::{fmt, sync::Weak};

use super::revoked::UserRevocation;

/// A policy, as far as revocations of other nodes reach it.
pub(super) trait TakesBack: Send + Sync {
    /// Takes back what another node has revoked.
    fn take_back(&self, revocation: &UserRevocation);
}

/// Tells all nodes what one of them has revoked ([`Policy::revoke`]), those that are cut off or
/// start later too. The default is none: a revocation stays in its process.
///
/// [`Policy::revoke`]: super::Policy::revoke
pub trait RevocationStore: Send + Sync + 'static {
    /// Called once, when the policy is built: the way back into it. What is in force already is to
    /// be passed to the sink before this returns.
    fn start(&self, sink: RevocationSink);

    /// To be passed on to every other node, and remembered. The policy knows it already. Must not
    /// block.
    fn revoke(&self, revocation: UserRevocation);

    /// Whether this node may go by what it knows. If not, nobody is let in whose credentials could
    /// have been revoked (503 `auth_unavailable`). Asked for each request: must not block.
    fn is_current(&self) -> bool {
        true
    }
}

/// The way from a [`RevocationStore`] into a policy of this node.
#[derive(Clone)]
pub struct RevocationSink {
    policy: Weak<dyn TakesBack>,
}

impl RevocationSink {
    pub(super) const fn new(policy: Weak<dyn TakesBack>) -> Self {
        Self { policy }
    }

    /// Whether the policy is still there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.policy.strong_count() > 0
    }

    /// Some node has revoked this: the policy refuses the user's credentials from now on, and the
    /// streams that were opened with them end.
    ///
    /// To say it again changes nothing, and neither does an `until` that is not after every one
    /// that the policy knows for this user: a store that gets a second revocation with an
    /// earlier one, because clocks differ, raises it by a millisecond above the one before.
    pub fn revoke(&self, revocation: &UserRevocation) {
        if let Some(policy) = self.policy.upgrade() {
            policy.take_back(revocation);
        }
    }
}

impl fmt::Debug for RevocationSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationSink").finish_non_exhaustive()
    }
}
