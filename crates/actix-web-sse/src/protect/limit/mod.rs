//! How many streams, and how fast.

pub(crate) mod address;
mod attempts;
mod rate;
mod shared;
pub(crate) mod slots;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use ipnet::IpNet;
use tokio::time::Instant;

use crate::{
    config::{Faults, LimitsConfig, RatePerIp},
    observe::RefusalReason,
};
use address::{ClientKey, network};
use attempts::{Attempt, Attempts};
pub(crate) use rate::Place;
use rate::Rate;
pub use shared::{NoUserSlot, UserLimitFuture, UserLimitStore, UserSlot};
use slots::{Full, Slot, Slots};

/// How many addresses are tracked where the number of streams has no limit.
const MAX_TRACKED: usize = 1_000_000;

/// The part of `connects_per_second` that one address may take: one in so many.
const CONNECT_SHARE: u32 = 2;

/// The part of `connects_per_second` that one address may try for: one in so many, and no fewer
/// than what a page with many streams, or a household, needs.
const ATTEMPT_SHARE: (u32, u32) = (5, 50);

/// The slots of one stream: they are free again when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Permit {
    client: Option<Slot<ClientKey>>,
    total: Option<Counted>,
    user: Option<Slot<Arc<str>>>,
    /// The same on all nodes.
    everywhere: Option<UserSlot>,
    /// Counts only if the credentials do not hold.
    attempt: Option<Attempt>,
}

impl Permit {
    /// Takes a slot of the user's that is counted on all nodes.
    pub(crate) fn count_everywhere(&mut self, slot: UserSlot) {
        self.everywhere = Some(slot);
    }
}

/// One stream among all.
#[derive(Debug)]
struct Counted(Arc<AtomicU32>);

impl Counted {
    fn new(count: &Arc<AtomicU32>, limit: u32) -> Option<Self> {
        let more = |count| (count < limit).then_some(count + 1);
        count.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Self(Arc::clone(count)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What one address may do; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PerIp {
    streams: Option<u32>,
    connects: Option<u32>,
    attempts: Option<u32>,
}

/// What may be held and done, as it is configured.
#[derive(Debug)]
pub(crate) struct LimitRules {
    per_ip: PerIp,
    per_user: Option<u32>,
    total: Option<u32>,
    connects: Option<u32>,
    /// How many addresses and users are tracked.
    tracked: usize,
    /// The narrowest network first.
    overrides: Vec<(IpNet, PerIp)>,
    pub(crate) ipv6_prefix: u8,
}

/// What is held and was done, whatever the rules: shared by all workers.
#[derive(Debug)]
pub(crate) struct Limits {
    clients: Arc<Slots<ClientKey>>,
    users: Arc<Slots<Arc<str>>>,
    streams: Arc<AtomicU32>,
    attempts: Attempts,
    rate: Arc<Rate>,
}

impl LimitRules {
    /// Reads the section, the proxies apart.
    pub(crate) fn new(config: &LimitsConfig, faults: &mut Faults) -> Self {
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
        check_rates(config, faults);
        let per_ip = PerIp {
            streams: config.per_ip,
            connects: connects_of(config.connects_per_ip, config),
            attempts: attempts_of(config.attempts_per_ip, config),
        };
        let mut overrides = Vec::with_capacity(config.overrides.len());
        for entry in &config.overrides {
            let here = PerIp {
                streams: entry.per_ip,
                connects: connects_of(
                    entry.connects_per_ip.unwrap_or(config.connects_per_ip),
                    config,
                ),
                attempts: attempts_of(
                    entry.attempts_per_ip.unwrap_or(config.attempts_per_ip),
                    config,
                ),
            };
            match network(&entry.network) {
                Ok(network) => overrides.push((network, here)),
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
        Self {
            per_ip,
            per_user: config.per_user,
            total: config.total,
            connects: config.connects_per_second,
            tracked,
            overrides,
            ipv6_prefix: config.ipv6_prefix,
        }
    }

    /// Streams at a time of one user.
    pub(crate) const fn per_user(&self) -> Option<u32> {
        self.per_user
    }

    fn limits_of(&self, address: Option<IpAddr>) -> PerIp {
        let special = address.and_then(|address| {
            self.overrides
                .iter()
                .find(|(network, _)| network.contains(&address))
        });
        special.map_or(self.per_ip, |(_, limits)| *limits)
    }

    fn key_of(&self, address: Option<IpAddr>) -> ClientKey {
        ClientKey::of(address, self.ipv6_prefix)
    }
}

impl Limits {
    /// Nothing is held yet.
    pub(crate) fn new(rules: &LimitRules) -> Self {
        let limits = Self {
            clients: Slots::new(rules.tracked),
            users: Slots::new(rules.tracked),
            streams: Arc::default(),
            attempts: Attempts::new(Instant::now()),
            rate: Arc::new(Rate::new(Rate::MAX)),
        };
        limits.resize(rules);
        limits
    }

    /// What all requests share has other bounds from now on.
    pub(crate) fn resize(&self, rules: &LimitRules) {
        self.clients.resize(rules.tracked);
        self.users.resize(rules.tracked);
        self.rate
            .resize(rules.connects.unwrap_or(Rate::MAX).clamp(1, Rate::MAX));
    }

    /// Takes what needs no name: a request of the address's budget, the address's slot, the
    /// process's.
    ///
    /// # Errors
    /// Which limit was reached.
    pub(crate) fn admit(
        &self,
        rules: &LimitRules,
        address: Option<IpAddr>,
    ) -> Result<Permit, RefusalReason> {
        let mut permit = Permit::default();
        let limits = rules.limits_of(address);
        let key = rules.key_of(address);
        self.spend(key, limits.attempts)?;
        if let Some(limit) = limits.streams {
            permit.client = Some(self.clients.take(key, limit).map_err(|full| match full {
                Full::Key => RefusalReason::IpLimit,
                Full::Table => RefusalReason::Capacity,
            })?);
        }
        if let Some(limit) = rules.total {
            let slot = Counted::new(&self.streams, limit);
            permit.total = Some(slot.ok_or(RefusalReason::Capacity)?);
        }
        Ok(permit)
    }

    /// The same for a request that opens no stream: it holds nothing, and counts only if its
    /// credentials do not hold (see [`authenticated`](Self::authenticated)).
    ///
    /// # Errors
    /// The address has asked too often with credentials that did not hold.
    pub(crate) fn admit_companion(
        &self,
        rules: &LimitRules,
        address: Option<IpAddr>,
    ) -> Result<Permit, RefusalReason> {
        let limits = rules.limits_of(address);
        let key = rules.key_of(address);
        Ok(Permit {
            attempt: self.spend(key, limits.attempts)?,
            ..Permit::default()
        })
    }

    /// Takes another request of the address's budget, for one that brings several credentials.
    ///
    /// # Errors
    /// There is none left.
    pub(crate) fn admit_another_attempt(
        &self,
        rules: &LimitRules,
        address: Option<IpAddr>,
    ) -> Result<(), RefusalReason> {
        let key = rules.key_of(address);
        self.spend(key, rules.limits_of(address).attempts).map(drop)
    }

    /// Whoever holds this permit has been let in by the authenticator.
    pub(crate) fn authenticated(&self, permit: &mut Permit) {
        if let Some(attempt) = permit.attempt.take() {
            self.attempts.give_back(attempt);
        }
    }

    fn spend(&self, key: ClientKey, limit: Option<u32>) -> Result<Option<Attempt>, RefusalReason> {
        let Some(limit) = limit else { return Ok(None) };
        let attempt = self.attempts.spend(key, limit, Instant::now());
        attempt.map(Some).ok_or(RefusalReason::RateLimit)
    }

    /// Takes the user's slot.
    ///
    /// # Errors
    /// The user's limit was reached.
    pub(crate) fn admit_user(
        &self,
        rules: &LimitRules,
        permit: &mut Permit,
        user: Option<&Arc<str>>,
    ) -> Result<(), RefusalReason> {
        if let (Some(limit), Some(user)) = (rules.per_user, user) {
            let slot = self.users.take(Arc::clone(user), limit);
            permit.user = Some(slot.map_err(|_| RefusalReason::UserLimit)?);
        }
        Ok(())
    }

    /// Takes a place in this second, for a stream that nothing else keeps from opening. `None`
    /// where there is no limit.
    ///
    /// # Errors
    /// As many have opened as may, altogether or from this address.
    pub(crate) fn admit_now(
        &self,
        rules: &LimitRules,
        address: Option<IpAddr>,
    ) -> Result<Option<Place>, RefusalReason> {
        if rules.connects.is_none() {
            return Ok(None);
        }
        let share = rules.limits_of(address).connects.unwrap_or(u32::MAX);
        let place = self.rate.take(rules.key_of(address), share, Instant::now());
        place.map(Some).ok_or(RefusalReason::RateLimit)
    }
}

/// Rates of an address that cannot be meant.
fn check_rates(config: &LimitsConfig, faults: &mut Faults) {
    let own = [
        ("policy.limits.connects_per_ip", config.connects_per_ip),
        ("policy.limits.attempts_per_ip", config.attempts_per_ip),
    ];
    let overrides = config.overrides.iter().flat_map(|entry| {
        [
            (
                "policy.limits.overrides.connects_per_ip",
                entry.connects_per_ip.unwrap_or_default(),
            ),
            (
                "policy.limits.overrides.attempts_per_ip",
                entry.attempts_per_ip.unwrap_or_default(),
            ),
        ]
    });
    for (key, rate) in own.into_iter().chain(overrides) {
        match rate {
            RatePerIp::PerSecond(0) => {
                faults.add(key, 0, "lets nobody in: at least 1, or \"unlimited\"");
            }
            RatePerIp::PerSecond(rate) if rate > Attempts::MAX_RATE => faults.add(
                key,
                rate,
                format!("must be at most {}, or \"unlimited\"", Attempts::MAX_RATE),
            ),
            _ => {}
        }
    }
    if let (RatePerIp::PerSecond(rate), Some(all)) =
        (config.connects_per_ip, config.connects_per_second)
        && (all.max(2)..=Attempts::MAX_RATE).contains(&rate)
    {
        faults.add(
            "policy.limits.connects_per_ip",
            rate,
            format!(
                "lets one address take all of connects_per_second = {all}: less than that, or \
                 \"unlimited\" if that is meant"
            ),
        );
    }
}

fn connects_of(rate: RatePerIp, config: &LimitsConfig) -> Option<u32> {
    match rate {
        RatePerIp::Share => config
            .connects_per_second
            .map(|all| (all / CONNECT_SHARE).max(1)),
        RatePerIp::PerSecond(rate) => Some(rate),
        RatePerIp::Unlimited => None,
    }
}

fn attempts_of(rate: RatePerIp, config: &LimitsConfig) -> Option<u32> {
    let (part, least) = ATTEMPT_SHARE;
    match rate {
        RatePerIp::Share => config
            .connects_per_second
            .map(|all| (all / part).max(least)),
        RatePerIp::PerSecond(rate) => Some(rate),
        RatePerIp::Unlimited => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LimitOverride;

    /// Limits with the rules that they go by.
    struct Ruled(Limits, LimitRules);

    impl std::ops::Deref for Ruled {
        type Target = Limits;

        fn deref(&self) -> &Limits {
            &self.0
        }
    }

    impl Ruled {
        fn limits_of(&self, address: Option<IpAddr>) -> PerIp {
            self.1.limits_of(address)
        }

        fn admit(&self, address: Option<IpAddr>) -> Result<Permit, RefusalReason> {
            self.0.admit(&self.1, address)
        }

        fn admit_companion(&self, address: Option<IpAddr>) -> Result<Permit, RefusalReason> {
            self.0.admit_companion(&self.1, address)
        }

        fn admit_user(
            &self,
            permit: &mut Permit,
            user: Option<&Arc<str>>,
        ) -> Result<(), RefusalReason> {
            self.0.admit_user(&self.1, permit, user)
        }

        fn admit_now(&self, address: Option<IpAddr>) -> Result<Option<Place>, RefusalReason> {
            self.0.admit_now(&self.1, address)
        }
    }

    fn rules(config: &LimitsConfig) -> LimitRules {
        let mut faults = Faults::default();
        let rules = LimitRules::new(config, &mut faults);
        faults.into_result(rules).unwrap()
    }

    fn limits(config: &LimitsConfig) -> Ruled {
        let rules = rules(config);
        Ruled(Limits::new(&rules), rules)
    }

    #[tokio::test(start_paused = true)]
    async fn w14_what_is_held_counts_against_new_limits() {
        let of = |per_ip, total, rate| LimitsConfig {
            per_ip: Some(per_ip),
            total: Some(total),
            connects_per_second: Some(rate),
            connects_per_ip: RatePerIp::Unlimited,
            ..LimitsConfig::default()
        };
        let mut limits = limits(&of(2, 3, 4));
        let (one, other) = (address("203.0.113.1"), address("203.0.113.2"));
        let held = [limits.admit(one).unwrap(), limits.admit(one).unwrap()];
        let places = [
            limits.admit_now(one).unwrap(),
            limits.admit_now(one).unwrap(),
        ];
        // Fewer: what is held stays, and nothing is let in before it is below the new limit.
        limits.1 = rules(&of(1, 2, 2));
        limits.0.resize(&limits.1);
        assert_eq!(limits.admit(one).unwrap_err(), RefusalReason::IpLimit);
        assert_eq!(limits.admit(other).unwrap_err(), RefusalReason::Capacity);
        assert_eq!(
            limits.admit_now(other).unwrap_err(),
            RefusalReason::RateLimit
        );
        // More.
        limits.1 = rules(&of(3, 10, 3));
        limits.0.resize(&limits.1);
        let third = limits.admit(one).unwrap();
        assert_eq!(limits.admit(one).unwrap_err(), RefusalReason::IpLimit);
        assert!(limits.admit(other).is_ok() && limits.admit_now(other).unwrap().is_some());
        drop((held, places, third));
        assert_eq!((limits.clients.len(), limits.streams.load(Relaxed)), (0, 0));
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
        assert_eq!((limits.clients.len(), limits.streams.load(Relaxed)), (0, 0));
    }

    #[test]
    fn l18_the_narrowest_network_decides() {
        let entry = LimitOverride::new;
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
            assert_eq!(limits.limits_of(address(text)).streams, limit, "{text}");
        }
    }

    #[test]
    fn l18_rates_of_a_network_are_its_own_where_it_says_so() {
        let mut office = LimitOverride::new("203.0.113.9", Some(1000));
        office.attempts_per_ip = Some(400.into());
        let config = LimitsConfig {
            connects_per_second: Some(500),
            overrides: vec![office, LimitOverride::new("203.0.113.0/24", Some(7))],
            ..LimitsConfig::default()
        };
        let limits = limits(&config);
        let rates = |text| {
            let here = limits.limits_of(address(text));
            (here.connects, here.attempts)
        };
        assert_eq!(rates("198.51.100.7"), (Some(250), Some(100)));
        assert_eq!(rates("203.0.113.1"), (Some(250), Some(100)));
        assert_eq!(rates("203.0.113.9"), (Some(250), Some(400)));
    }

    #[tokio::test(start_paused = true)]
    async fn h02_what_is_refused_costs_its_own_address_only() {
        let config = LimitsConfig {
            per_ip: Some(4),
            connects_per_second: Some(50),
            ..LimitsConfig::default()
        };
        let limits = limits(&config);
        let flooding = address("203.0.113.9");
        let admitted = (0..10_000).filter(|_| limits.admit(flooding).is_ok());
        assert_eq!(admitted.count(), 50);
        assert_eq!(
            limits.admit(flooding).unwrap_err(),
            RefusalReason::RateLimit
        );
        // Nothing of what all share has been spent.
        let open = |n: u8| {
            let address = Some(IpAddr::from([198, 51, 100, n]));
            let _permit = limits.admit(address)?;
            limits
                .admit_now(address)
                .map(|place| place.map(Place::keep))
        };
        for n in 0..50 {
            assert!(open(n).is_ok(), "{n}");
        }
        assert_eq!(open(50).unwrap_err(), RefusalReason::RateLimit);
    }

    #[tokio::test(start_paused = true)]
    async fn h02_companions_cost_only_if_their_credentials_do_not_hold() {
        let limits = limits(&LimitsConfig::default());
        let address = address("203.0.113.9");
        for _ in 0..1000 {
            let mut permit = limits.admit_companion(address).unwrap();
            limits.authenticated(&mut permit);
        }
        let refused = (0..1000).filter(|_| limits.admit_companion(address).is_err());
        assert_eq!(refused.count(), 900);
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
