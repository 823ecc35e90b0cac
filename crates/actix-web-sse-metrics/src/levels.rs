//! Levels that the configuration sets and the scrape reads.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web_sse::observe::PolicyInfo;

use crate::catalogue::{MAX_NETWORKS, MAX_POLICIES};

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LimitScope {
    /// Streams of one client address.
    Ip,
    /// Streams of one user.
    User,
    /// Streams of the process.
    Total,
}

impl LimitScope {
    /// The value of the `scope` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::User => "user",
            Self::Total => "total",
        }
    }
}

/// What a limit is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Limited {
    /// The hash of the policy; empty for a limit of the whole process.
    pub(crate) policy: String,
    pub(crate) scope: LimitScope,
    /// Of a limit per address: the network of the addresses.
    pub(crate) network: Arc<str>,
}

/// Stands for the addresses that have no limit of their own.
const EVERY_NETWORK: &str = "all";

/// One policy as `sse_cors_policy_info` shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PolicyLabels {
    pub(crate) hash: String,
    pub(crate) credentials: bool,
    pub(crate) wildcard: bool,
}

impl PolicyLabels {
    /// The labels of a policy: its allow-list in any order, and whether it allows credentials.
    fn of(policy: &PolicyInfo) -> Self {
        let mut origins: Vec<&str> = policy.origins.iter().map(|origin| &**origin).collect();
        origins.sort_unstable();
        let wildcard = origins.iter().any(|origin| origin.contains('*'));
        let mut hash = Fnv::default();
        for origin in origins {
            hash.write(origin.as_bytes());
            hash.write(b"\n");
        }
        hash.write(&[u8::from(policy.credentials)]);
        Self {
            hash: hash.to_string(),
            credentials: policy.credentials,
            wildcard,
        }
    }
}

/// FNV-1a. Unlike the standard hasher it gives the same value in every process, version and build, so
/// that instances can be compared. It is no protection against collisions and need not be.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl fmt::Display for Fnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

type Probe = Box<dyn Fn() -> bool + Send + Sync>;

/// A policy that is in force, once or several times: those that look alike are one.
#[derive(Default)]
struct Enforced {
    times: usize,
    limits: Vec<(LimitScope, Arc<str>, u64)>,
}

#[derive(Default)]
pub(crate) struct Levels {
    limits: Mutex<BTreeMap<Limited, u64>>,
    policies: Mutex<BTreeMap<PolicyLabels, Enforced>>,
    draining: AtomicBool,
    draining_probe: Mutex<Option<Probe>>,
}

impl Levels {
    /// A limit of the whole process.
    pub(crate) fn limit(&self, scope: LimitScope, streams: u64) {
        let limited = Limited {
            policy: String::new(),
            scope,
            network: EVERY_NETWORK.into(),
        };
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.insert(limited, streams);
    }

    /// All limits: of the process, and of each policy.
    pub(crate) fn limits(&self) -> BTreeMap<Limited, u64> {
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = limits.clone();
        drop(limits);
        let policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        for (labels, enforced) in &*policies {
            all.extend(enforced.limits.iter().map(|(scope, network, limit)| {
                let limited = Limited {
                    policy: labels.hash.clone(),
                    scope: *scope,
                    network: Arc::clone(network),
                };
                (limited, *limit)
            }));
        }
        all
    }

    /// A policy was built.
    pub(crate) fn policy(&self, policy: &PolicyInfo) {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        enforce(&mut policies, policy);
    }

    /// A policy has other rules; what it had before is shown no more, unless another has it.
    pub(crate) fn policy_changed(&self, before: &PolicyInfo, after: &PolicyInfo) {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = PolicyLabels::of(before);
        if let Some(enforced) = policies.get_mut(&labels) {
            enforced.times = enforced.times.saturating_sub(1);
            if enforced.times == 0 {
                policies.remove(&labels);
            }
        }
        enforce(&mut policies, after);
    }

    pub(crate) fn policies(&self) -> Vec<PolicyLabels> {
        let policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        policies.keys().cloned().collect()
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn draining_when(&self, probe: Probe) {
        *self
            .draining_probe
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(probe);
    }

    pub(crate) fn draining(&self) -> bool {
        let probe = self
            .draining_probe
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.draining.load(Ordering::Relaxed) || probe.as_ref().is_some_and(|probe| probe())
    }
}

/// Notes that a policy is in force. There are at most so many that look different.
fn enforce(policies: &mut BTreeMap<PolicyLabels, Enforced>, policy: &PolicyInfo) {
    let labels = PolicyLabels::of(policy);
    if policies.len() >= MAX_POLICIES && !policies.contains_key(&labels) {
        return;
    }
    let every: Arc<str> = EVERY_NETWORK.into();
    let networks = policy.networks.iter().take(MAX_NETWORKS);
    let limits = [
        (LimitScope::Ip, Arc::clone(&every), policy.per_ip),
        (LimitScope::User, Arc::clone(&every), policy.per_user),
        (LimitScope::Total, every, policy.total),
    ]
    .into_iter()
    .chain(networks.map(|(network, limit)| (LimitScope::Ip, Arc::clone(network), *limit)));
    let enforced = policies.entry(labels).or_default();
    enforced.times += 1;
    enforced.limits = limits
        .filter_map(|(scope, network, limit)| Some((scope, network, limit?)))
        .collect();
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Levels")
            .field("limits", &self.limits())
            .field("policies", &self.policies())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(origins: &[&str], credentials: bool) -> PolicyLabels {
        let origins = origins.iter().map(|origin| (*origin).into()).collect();
        PolicyLabels::of(&PolicyInfo::new(origins, credentials))
    }

    #[test]
    fn each_policy_has_its_limits_and_each_network_too() {
        let levels = Levels::default();
        let mut tight = PolicyInfo::new(vec!["https://a.example".into()], true);
        tight.per_ip = Some(4);
        tight.total = Some(100);
        tight.networks = vec![
            ("10.0.0.0/8".into(), Some(50)),
            ("10.1.0.0/16".into(), None),
        ];
        let mut wide = PolicyInfo::new(vec!["https://b.example".into()], true);
        wide.per_ip = Some(200);
        levels.policy(&tight);
        levels.policy(&wide);
        let limits = levels.limits();
        let of = |scope, network: &str| -> Vec<u64> {
            let mut found: Vec<_> = limits
                .iter()
                .filter(|(limited, _)| limited.scope == scope && &*limited.network == network)
                .map(|(_, limit)| *limit)
                .collect();
            found.sort_unstable();
            found
        };
        assert_eq!(of(LimitScope::Ip, "all"), [4, 200], "not the last one's");
        assert_eq!(of(LimitScope::Ip, "10.0.0.0/8"), [50]);
        assert_eq!(of(LimitScope::Total, "all"), [100]);
        assert_eq!(limits.len(), 4);
    }

    #[test]
    fn w14_a_policy_with_other_rules_is_another_and_the_old_one_is_gone() {
        let levels = Levels::default();
        let info = |origin: &str, per_ip| {
            let mut info = PolicyInfo::new(vec![origin.into()], true);
            info.per_ip = per_ip;
            info
        };
        let (old, new) = (
            info("https://a.example", Some(4)),
            info("https://b.example", Some(7)),
        );
        levels.policy(&old);
        levels.policy_changed(&old, &new);
        assert_eq!(levels.policies(), [PolicyLabels::of(&new)]);
        assert_eq!(levels.limits().into_values().collect::<Vec<_>>(), [7]);
        // Other limits alone leave no old ones behind.
        let unlimited = info("https://b.example", None);
        levels.policy_changed(&new, &unlimited);
        assert_eq!(levels.policies(), [PolicyLabels::of(&new)]);
        assert!(levels.limits().is_empty());
        // What a second policy has stays.
        levels.policy(&unlimited);
        levels.policy_changed(&unlimited, &old);
        assert_eq!(levels.policies().len(), 2);
        levels.policy_changed(&unlimited, &old);
        assert_eq!(levels.policies(), [PolicyLabels::of(&old)]);
        // However often it changes.
        for n in 0..10 * MAX_POLICIES {
            let (from, to) = (
                format!("https://{n}.example"),
                format!("https://{}.example", n + 1),
            );
            levels.policy_changed(&info(&from, Some(1)), &info(&to, Some(1)));
        }
        assert!(levels.policies().len() <= MAX_POLICIES);
    }

    #[test]
    fn the_hash_differs_between_policies_and_ignores_the_order() {
        let ours = policy(&["https://a.example", "https://b.example"], true);
        assert_eq!(
            ours,
            policy(&["https://b.example", "https://a.example"], true)
        );
        assert_ne!(ours, policy(&["https://a.example"], true));
        assert_ne!(
            ours.hash,
            policy(&["https://a.example", "https://b.example"], false).hash
        );
        assert_eq!(ours.hash, "8462a61d9c51133d", "the same in every build");
        assert!(policy(&["https://*.example"], true).wildcard);
    }
}
