//! Other rules for a policy that is in use.
//!
//! Between the decision to let a page's request in and the stream that it opens, rules may be
//! replaced. With streams of removed origins to be ended, none of them is missed:
//!
//! 1. A request goes by the rules that it found at its beginning.
//! 2. The new rules are in force before anything is ended; then the number of such replacements
//!    grows; then the command to end the streams goes to all known hubs, under their lock.
//! 3. A stream's origin is checked again under its hub's lock, if the number has grown since its
//!    request was let in.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use super::{Policy, policy::Inner, rules::Rules};
use crate::{
    config::{ConfigError, Faults, PolicyConfig},
    identity::Pages,
};

/// What becomes of open streams whose origin is on the list no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RemovedOrigins {
    /// They go on until they end by themselves.
    #[default]
    KeepStreams,
    /// They end at once, with the reason `origin_removed`. Their pages ask again, and are refused.
    EndStreams,
}

impl Policy {
    /// Replaces the section `[policy]`: origins, hosts, limits and all else that it says, for every
    /// clone of this policy and every request that comes from now on. A request that is on its way
    /// goes by the rules that it found.
    ///
    /// Nothing else changes: open streams and their permits stay and count against the new limits,
    /// used tickets stay used, revoked credentials revoked. A lower limit ends no stream. Observers
    /// are told ([`Observer::policy_changed`](crate::observe::Observer::policy_changed)).
    ///
    /// Several nodes are each given their own.
    ///
    /// ```
    /// use actix_web_sse::{Policy, config::PolicyConfig, protect::RemovedOrigins};
    ///
    /// let policy = Policy::builder().allow_origin("https://old.example.com").build()?;
    /// // Later, from a file or a database:
    /// let mut config = PolicyConfig::default();
    /// config.origins.allow = vec!["https://new.example.com".into()];
    /// policy.reconfigure(&config, RemovedOrigins::EndStreams)?;
    /// # Ok::<(), actix_web_sse::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// All faults at once; then nothing has changed. `limits.ipv6_prefix` cannot be changed in a
    /// policy that is in use: it is what clients are counted by.
    pub fn reconfigure(
        &self,
        config: &PolicyConfig,
        removed: RemovedOrigins,
    ) -> Result<(), ConfigError> {
        let inner = &self.0;
        let mut faults = Faults::default();
        let rules = Rules::new(config, &mut faults);
        // One at a time, so that observers hear of them in their order.
        let turn = inner.reconfiguring.lock();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        let before = inner.rules();
        if rules.limits.ipv6_prefix != before.limits.ipv6_prefix {
            faults.add(
                "policy.limits.ipv6_prefix",
                rules.limits.ipv6_prefix,
                format!(
                    "cannot be changed while clients are counted by {}: restart",
                    before.limits.ipv6_prefix
                ),
            );
        }
        let rules = Arc::new(faults.into_result(rules)?);
        inner.replace_rules(Arc::clone(&rules));
        inner.observer.policy_changed(&before.info, &rules.info);
        if removed == RemovedOrigins::EndStreams {
            inner.replacements.fetch_add(1, Ordering::SeqCst);
            let pages: Arc<dyn Pages> = Arc::clone(inner) as _;
            for hub in inner.known_hubs() {
                hub.end_streams_of_pages(&pages);
            }
        }
        Ok(())
    }
}

impl Pages for Inner {
    fn still_allows(&self, origin: &str) -> bool {
        self.rules().origins.find(origin.as_bytes()).is_some()
    }

    fn replacements(&self) -> u64 {
        self.replacements.load(Ordering::SeqCst)
    }

    fn enroll(&self, hub: &std::sync::Weak<dyn crate::identity::PolicyStreams>) {
        self.enroll_hub(hub);
    }
}
