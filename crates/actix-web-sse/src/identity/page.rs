//! The foreign page that a stream is for, and the policy that let it in.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use super::PolicyStreams;
use crate::observe::RefusalReason;

/// A policy, as far as it says whose pages it lets in.
pub(crate) trait Pages: Send + Sync {
    /// Whether pages of this origin are let in now.
    fn still_allows(&self, origin: &str) -> bool;

    /// How often its rules were replaced so that streams of removed origins had to end.
    fn replacements(&self) -> u64;

    /// From now on a replacement ends this hub's streams too.
    fn enroll(&self, hub: &Weak<dyn PolicyStreams>);
}

/// A page of an origin on a policy's list.
pub(crate) struct AllowedPage {
    policy: Arc<dyn Pages>,
    origin: Box<str>,
    /// How often rules had been replaced before it was let in.
    seen: u64,
    /// The same for a policy around this one.
    outer: Option<Arc<Self>>,
}

impl AllowedPage {
    pub(crate) fn new(policy: Arc<dyn Pages>, origin: &str, seen: u64) -> Self {
        Self {
            policy,
            origin: origin.into(),
            seen,
            outer: None,
        }
    }

    /// How often rules had been replaced before it was let in.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// The page as both policies let it in, one mounted within the other.
    pub(super) fn within(inner: Option<Arc<Self>>, outer: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        match (inner, outer) {
            (Some(inner), Some(outer)) => Some(Arc::new(Self {
                policy: Arc::clone(&inner.policy),
                origin: inner.origin.clone(),
                seen: inner.seen,
                outer: Some(Arc::clone(outer)),
            })),
            (inner, outer) => inner.or_else(|| outer.cloned()),
        }
    }

    /// Checks again that it is let in, if rules were replaced since.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn check(&self) -> Result<(), RefusalReason> {
        let unchanged = self.policy.replacements() == self.seen;
        if !unchanged && !self.policy.still_allows(&self.origin) {
            return Err(RefusalReason::OriginDenied);
        }
        self.outer.as_ref().map_or(Ok(()), |outer| outer.check())
    }

    /// From now on a replacement ends the page's streams of this hub.
    pub(crate) fn enroll(&self, hub: &Weak<dyn PolicyStreams>) {
        self.policy.enroll(hub);
        if let Some(outer) = &self.outer {
            outer.enroll(hub);
        }
    }

    /// Whether this policy let it in and does not any more.
    pub(crate) fn is_removed_from(&self, policy: &PagesOf) -> bool {
        let of = &policy.0;
        let by_it = std::ptr::addr_eq(Arc::as_ptr(&self.policy), Arc::as_ptr(of));
        by_it && !of.still_allows(&self.origin)
            || self
                .outer
                .as_ref()
                .is_some_and(|outer| outer.is_removed_from(policy))
    }
}

impl fmt::Debug for AllowedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllowedPage")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// The policy whose removed pages are meant.
#[derive(Clone)]
pub(crate) struct PagesOf(pub(crate) Arc<dyn Pages>);

impl PagesOf {
    /// Whether both are of one policy.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl fmt::Debug for PagesOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagesOf").finish_non_exhaustive()
    }
}
