//! How many streams, and how fast.

pub(crate) mod address;
mod rate;
mod shared;
mod slots;

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use tokio::time::Instant;

use crate::{
    config::{Faults, LimitsConfig},
    observe::RefusalReason,
};
use address::{ClientKey, Proxies, network};
use rate::Rate;
pub use shared::{NoUserSlot, UserLimitFuture, UserLimitStore, UserSlot};
use slots::{Full, Slot, Slots};

/// How many addresses are tracked where the number of streams has no limit.
const MAX_TRACKED: usize = 1_000_000;

/// How long a client that has to wait is told to, before the spread. A reply to a native
/// `EventSource` asks for a little more, see [`Overload`](super::Overload).
pub(crate) const RETRY: Duration = Duration::from_secs(5);

/// What is held for one stream: its slots are free again when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Permit {
    client: Option<Slot<ClientKey>>,
    total: Option<Slot<()>>,
    user: Option<Slot<Arc<str>>>,
    /// The same on all nodes.
    everywhere: Option<UserSlot>,
}

/// The limits of one policy, shared by all workers.
#[derive(Debug)]
pub(crate) struct Limits {
    clients: Arc<Slots<ClientKey>>,
    users: Arc<Slots<Arc<str>>>,
    streams: Arc<Slots<()>>,
    rate: Option<Rate>,
    per_ip: Option<u32>,
    per_user: Option<u32>,
    total: Option<u32>,
    /// The narrowest network first.
    overrides: Vec<(IpNet, Option<u32>)>,
    ipv6_prefix: u8,
}

impl Limits {
    /// Reads the section, and the proxies with it.
    pub(crate) fn new(config: &LimitsConfig, faults: &mut Faults) -> (Self, Proxies) {
        for (key, limit) in [
            ("policy.limits.per_ip", config.per_ip),
            ("policy.limits.per_user", config.per_user),
            ("policy.limits.total", config.total),
            (
                "policy.limits.connects_per_second",
                config.connects_per_second,
            ),
        ] {
            if limit == Some(0) {
                faults.add(key, 0, "lets nobody in: at least 1, or \"unlimited\"");
            }
        }
        if config.connects_per_second > Some(Rate::MAX) {
            faults.add(
                "policy.limits.connects_per_second",
                config.connects_per_second,
                format!("must be at most {}, or \"unlimited\"", Rate::MAX),
            );
        }
        if !(1..=128).contains(&config.ipv6_prefix) {
            faults.add(
                "policy.limits.ipv6_prefix",
                config.ipv6_prefix,
                "must be from 1 to 128: 64 is what a household is given",
            );
        }
        let mut overrides = Vec::with_capacity(config.overrides.len());
        for entry in &config.overrides {
            match network(&entry.network) {
                Ok(network) => overrides.push((network, entry.per_ip)),
                Err(message) => {
                    faults.add("policy.limits.overrides.network", &entry.network, message);
                }
            }
            if entry.per_ip == Some(0) {
                faults.add(
                    "policy.limits.overrides.per_ip",
                    0,
                    "lets nobody in: at least 1, or \"unlimited\"",
                );
            }
        }
        overrides.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        let tracked = config.total.map_or(MAX_TRACKED, |total| total as usize);
        let limits = Self {
            clients: Slots::new(tracked),
            users: Slots::new(tracked),
            streams: Slots::new(1),
            rate: config
                .connects_per_second
                .map(|limit| Rate::new(limit.clamp(1, Rate::MAX))),
            per_ip: config.per_ip,
            per_user: config.per_user,
            total: config.total,
            overrides,
            ipv6_prefix: config.ipv6_prefix,
        };
        (limits, Proxies::new(config, faults))
    }

    /// Takes the slots that need no name: the address's, the process's, and a place in this
    /// second.
    ///
    /// # Errors
    /// Which limit was reached.
    pub(crate) fn admit(&self, address: Option<IpAddr>) -> Result<Permit, RefusalReason> {
        let mut permit = Permit::default();
        if let Some(limit) = self.limit_of(address) {
            let key = ClientKey::of(address, self.ipv6_prefix);
            permit.client = Some(self.clients.take(key, limit).map_err(|full| match full {
                Full::Key => RefusalReason::IpLimit,
                Full::Table => RefusalReason::Capacity,
            })?);
        }
        if let Some(limit) = self.total {
            let slot = self.streams.take((), limit);
            permit.total = Some(slot.map_err(|_| RefusalReason::Capacity)?);
        }
        if let Some(rate) = &self.rate
            && !rate.admit(Instant::now())
        {
            return Err(RefusalReason::RateLimit);
        }
        Ok(permit)
    }

    /// Takes the user's slot.
    ///
    /// # Errors
    /// The user's limit was reached.
    pub(crate) fn admit_user(
        &self,
        permit: &mut Permit,
        user: Option<&Arc<str>>,
    ) -> Result<(), RefusalReason> {
        if let (Some(limit), Some(user)) = (self.per_user, user) {
            let slot = self.users.take(Arc::clone(user), limit);
            permit.user = Some(slot.map_err(|_| RefusalReason::UserLimit)?);
        }
        Ok(())
    }

    fn limit_of(&self, address: Option<IpAddr>) -> Option<u32> {
        let special = address.and_then(|address| {
            self.overrides
                .iter()
                .find(|(network, _)| network.contains(&address))
        });
        special.map_or(self.per_ip, |(_, limit)| *limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LimitOverride;

    fn limits(config: &LimitsConfig) -> Limits {
        let mut faults = Faults::default();
        let (limits, _) = Limits::new(config, &mut faults);
        faults.into_result(limits).unwrap()
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn l11_a_prefix_is_one_client() {
        let config = LimitsConfig {
            per_ip: Some(4),
            ..LimitsConfig::default()
        };
        let limits = limits(&config);
        let held: Vec<_> = (1..=4)
            .map(|n| {
                limits
                    .admit(address(&format!("2001:db8:1:2::{n}")))
                    .unwrap()
            })
            .collect();
        assert_eq!(
            limits.admit(address("2001:db8:1:2::5")).unwrap_err(),
            RefusalReason::IpLimit
        );
        assert!(limits.admit(address("2001:db8:1:3::1")).is_ok());
        drop(held);
        assert!(limits.admit(address("2001:db8:1:2::5")).is_ok());
    }

    #[test]
    fn l14_no_address_is_one_bucket_and_never_unlimited() {
        let config = LimitsConfig {
            per_ip: Some(1),
            ..LimitsConfig::default()
        };
        let limits = limits(&config);
        let _held = limits.admit(None).unwrap();
        assert_eq!(limits.admit(None).unwrap_err(), RefusalReason::IpLimit);
    }

    #[test]
    fn l15_a_million_addresses_leave_nothing_behind() {
        let config = LimitsConfig {
            connects_per_second: None,
            total: Some(1000),
            ..LimitsConfig::default()
        };
        let limits = limits(&config);
        for n in 0..1_000_000_u32 {
            drop(limits.admit(Some(IpAddr::from(n.to_be_bytes()))).unwrap());
        }
        assert_eq!(limits.clients.len(), 0);
        assert!(limits.clients.capacity() < 100);
        let held: Vec<_> = (0..1000_u32)
            .map(|n| limits.admit(Some(IpAddr::from(n.to_be_bytes()))).unwrap())
            .collect();
        assert_eq!(
            limits.admit(address("203.0.113.9")).unwrap_err(),
            RefusalReason::Capacity
        );
        drop(held);
        assert_eq!(limits.clients.len(), 0);
        assert!(limits.clients.capacity() < 100);
    }

    #[test]
    fn l16_what_was_taken_before_the_refusal_is_given_back() {
        let config = LimitsConfig {
            total: Some(1),
            ..LimitsConfig::default()
        };
        let limits = limits(&config);
        let held = limits.admit(address("203.0.113.9")).unwrap();
        // One address fills the table, so that the other is refused by the count of streams.
        assert_eq!(
            limits.admit(address("203.0.113.9")).unwrap_err(),
            RefusalReason::Capacity
        );
        drop(held);
        assert_eq!((limits.clients.len(), limits.streams.len()), (0, 0));
    }

    #[test]
    fn l18_the_narrowest_network_decides() {
        let entry = |network: &str, per_ip| LimitOverride {
            network: network.into(),
            per_ip,
        };
        let config = LimitsConfig {
            per_ip: Some(1),
            overrides: vec![
                entry("203.0.0.0/16", Some(2)),
                entry("203.0.113.0/24", Some(3)),
                entry("203.0.113.9", None),
            ],
            ..LimitsConfig::default()
        };
        let limits = limits(&config);
        for (text, limit) in [
            ("198.51.100.7", Some(1)),
            ("203.0.1.1", Some(2)),
            ("203.0.113.1", Some(3)),
            ("203.0.113.9", None),
        ] {
            assert_eq!(limits.limit_of(address(text)), limit, "{text}");
        }
    }

    #[test]
    fn a_user_is_counted_whatever_the_address() {
        let config = LimitsConfig {
            per_user: Some(1),
            ..LimitsConfig::default()
        };
        let limits = limits(&config);
        let user: Arc<str> = "u".into();
        let mut first = limits.admit(address("203.0.113.1")).unwrap();
        let mut second = limits.admit(address("203.0.113.2")).unwrap();
        assert!(limits.admit_user(&mut first, Some(&user)).is_ok());
        assert_eq!(
            limits.admit_user(&mut second, Some(&user)),
            Err(RefusalReason::UserLimit)
        );
        assert!(limits.admit_user(&mut second, None).is_ok());
        drop(first);
        assert!(limits.admit_user(&mut second, Some(&user)).is_ok());
    }
}
