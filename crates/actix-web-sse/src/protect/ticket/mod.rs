//! Tickets: what stands in the URL of a stream when neither a cookie nor a header can.
//!
//! A native `EventSource` sets no headers, and cookies do not always travel across sites. So the
//! page fetches a ticket with its real credentials, and opens the stream with it. A ticket is
//! signed with HMAC-SHA256; it is *not* encrypted: whoever has it can read the user, the origin
//! and the topic it is for, as whoever has the URL could anyway.

mod format;
mod store;

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub(crate) use self::format::Ticket;
use self::store::Memory;
pub use self::store::{TicketClaim, TicketFuture, TicketStore, TicketStoreUnavailable};
use super::limit::address::ClientKey;
use crate::{
    config::{TicketConfig, TicketMode},
    identity::{Identity, TopicRights},
    observe::{AuthMethod, RefusalReason},
};

/// Parts the keys of tickets from whatever else is signed with the same secret.
const DOMAIN: &[u8] = b"actix-web-sse ticket 1\0";
const TAG: usize = 32;
/// Longer than any ticket that is issued; what is longer is not looked at.
pub(super) const MAX_ENCODED: usize = 2048;

/// How far the clocks of two nodes may be apart.
pub(super) const MAX_SKEW: Duration = Duration::from_secs(30);

/// What a ticket is bound to, of the request that fetches or presents it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding<'a> {
    /// The foreign origin; empty for the own one, which a browser names in some requests only.
    pub(crate) origin: &'a [u8],
    pub(crate) address: Option<IpAddr>,
}

/// Issues and checks tickets.
pub(crate) struct Tickets {
    key: Hmac<Sha256>,
    ttl: Duration,
    mode: TicketMode,
    bind_address: bool,
    ipv6_prefix: u8,
    store: Arc<dyn TicketStore>,
}

impl Tickets {
    pub(crate) fn new(
        config: &TicketConfig,
        ipv6_prefix: u8,
        store: Option<Arc<dyn TicketStore>>,
    ) -> Option<Self> {
        let mut key = Hmac::<Sha256>::new_from_slice(config.secret.expose()).ok()?;
        key.update(DOMAIN);
        Some(Self {
            key,
            ttl: config.ttl,
            mode: config.mode,
            bind_address: config.bind_address,
            ipv6_prefix,
            store: store.unwrap_or_else(|| Arc::new(Memory::default())),
        })
    }

    pub(crate) const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// A ticket for one topic, for whoever has proved who it is; `None` if there is no randomness
    /// to be had, or a name is too long for a URL. Where a recent revocation covers what is issued
    /// now, it is issued as of when credentials hold again: the identity has outlived it.
    pub(crate) fn issue_at(
        &self,
        identity: &Identity,
        topic: &str,
        binding: Binding<'_>,
        now: SystemTime,
        hold_from: Option<SystemTime>,
    ) -> Option<String> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).ok()?;
        let until = identity.ttl().and_then(|ttl| now.checked_add(ttl));
        let ticket = Ticket {
            id,
            issued: millis(hold_from.map_or(now, |from| from.max(now))),
            until: until.map_or(u64::MAX, millis),
            address: self.bound_address(binding),
            user: identity.user.as_deref(),
            origin: binding.origin,
            topic,
        };
        let text = self.seal(ticket.to_bytes()?);
        (text.len() <= MAX_ENCODED).then_some(text)
    }

    /// Signs these bytes, in the form of a URL.
    pub(crate) fn seal(&self, mut bytes: Vec<u8>) -> String {
        let tag = self.sign(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whom a ticket stands for, and what is to be claimed before it opens a stream. Nothing is
    /// used up by asking. `None` for whatever is wrong with it.
    pub(crate) fn check_at(
        &self,
        text: &[u8],
        topic: Option<&str>,
        binding: Binding<'_>,
        now: SystemTime,
    ) -> Option<(Identity, TicketClaim)> {
        if text.len() > MAX_ENCODED {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        // Compares in constant time, and before anything in the payload is believed.
        self.sign(payload).verify_slice(tag).ok()?;
        let ticket = Ticket::parse(payload)?;

        let now_millis = millis(now);
        // A clock that was set back would make used tickets fresh again, long forgotten.
        if ticket.issued > now_millis.saturating_add(MAX_SKEW.as_millis() as u64) {
            return None;
        }
        let age = Duration::from_millis(now_millis.saturating_sub(ticket.issued));
        let fresh = age < self.ttl;
        let bound = ticket.origin == binding.origin
            && topic.is_none_or(|topic| topic == ticket.topic)
            && (!self.bind_address || ticket.address == self.bound_address(binding));
        let alive = (fresh || self.mode == TicketMode::Resumable) && now_millis < ticket.until;
        let user = ticket.user.map(Arc::<str>::from);
        if !bound || !alive {
            return None;
        }
        let mut identity = Identity::anonymous();
        identity.user.clone_from(&user);
        identity.method = AuthMethod::Ticket;
        identity.issued = UNIX_EPOCH.checked_add(Duration::from_millis(ticket.issued));
        identity.topics = TopicRights::Only(vec![ticket.topic.into()]);
        if ticket.until != u64::MAX {
            identity = identity.expiring_in(Duration::from_millis(ticket.until - now_millis));
        }
        let claim = TicketClaim {
            id: ticket.id,
            user,
            mode: self.mode,
            fresh,
            ttl: self.ttl,
        };
        Some((identity, claim))
    }

    /// A claim as it is now: others may have been waited for since the ticket was checked.
    ///
    /// # Errors
    /// It is a ticket for one stream, and has ended meanwhile.
    pub(crate) fn renew(
        &self,
        mut claim: TicketClaim,
        identity: &Identity,
        now: SystemTime,
    ) -> Result<TicketClaim, RefusalReason> {
        // Of one from a node whose clock is ahead, no time has passed.
        let age = |issued| now.duration_since(issued).unwrap_or_default();
        claim.fresh &= identity.issued.is_none_or(|issued| age(issued) < self.ttl);
        if claim.fresh || claim.mode == TicketMode::Resumable {
            Ok(claim)
        } else {
            Err(RefusalReason::InvalidTicket)
        }
    }

    /// Uses the ticket up, or notes that its stream is open.
    ///
    /// # Errors
    /// It has been used, or nobody can tell.
    pub(crate) async fn claim(&self, claim: TicketClaim) -> Result<Lease, RefusalReason> {
        match self.store.claim(&claim).await {
            Ok(true) => Ok(Lease {
                store: Arc::clone(&self.store),
                claim,
            }),
            Ok(false) => Err(RefusalReason::InvalidTicket),
            Err(TicketStoreUnavailable) => Err(RefusalReason::AuthUnavailable),
        }
    }

    fn sign(&self, payload: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        mac.update(payload);
        mac
    }

    fn bound_address(&self, binding: Binding<'_>) -> Option<IpAddr> {
        if !self.bind_address {
            return None;
        }
        match ClientKey::of(binding.address, self.ipv6_prefix) {
            ClientKey::Address(address) => Some(address),
            ClientKey::Unknown => None,
        }
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets")
            .field("ttl", &self.ttl)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Kept by a stream that a ticket opened; reports its end to the store.
pub(crate) struct Lease {
    store: Arc<dyn TicketStore>,
    claim: TicketClaim,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.claim.mode == TicketMode::Resumable {
            self.store.release(&self.claim);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// Since 1970; a clock before that says 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const APP: Binding<'_> = Binding {
        origin: b"https://app.example.com",
        address: Some(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7))),
    };

    fn tickets(change: impl FnOnce(&mut TicketConfig)) -> Tickets {
        let mut config = TicketConfig::new("reference-ticket-secret-of-32-bytes!!");
        change(&mut config);
        Tickets::new(&config, 64, None).unwrap()
    }

    fn issue(tickets: &Tickets) -> String {
        issue_to(tickets, &Identity::user("u")).unwrap()
    }

    fn issue_to(tickets: &Tickets, identity: &Identity) -> Option<String> {
        tickets.issue_at(identity, "t", APP, SystemTime::now(), None)
    }

    impl Tickets {
        fn check(
            &self,
            text: &[u8],
            topic: Option<&str>,
            binding: Binding<'_>,
        ) -> Result<(Identity, TicketClaim), RefusalReason> {
            self.check_at(text, topic, binding, SystemTime::now())
                .ok_or(RefusalReason::InvalidTicket)
        }
    }

    fn later(seconds: u64) -> SystemTime {
        SystemTime::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn t09_a_ticket_holds_for_what_it_was_issued_for() {
        let tickets = tickets(|_| {});
        let text = issue(&tickets);
        let (identity, claim) = tickets.check(text.as_bytes(), Some("t"), APP).unwrap();
        assert_eq!(identity.user.as_deref(), Some("u"));
        assert_eq!(identity.method, AuthMethod::Ticket);
        assert!(identity.topics.allow("t") && !identity.topics.allow("x"));
        assert!(claim.fresh);

        let other = Binding {
            origin: b"https://other.example.com",
            ..APP
        };
        let own = Binding { origin: b"", ..APP };
        for (topic, binding) in [(Some("x"), APP), (Some("t"), other), (Some("t"), own)] {
            assert_eq!(
                tickets.check(text.as_bytes(), topic, binding).unwrap_err(),
                RefusalReason::InvalidTicket
            );
        }
        assert!(
            tickets.check(text.as_bytes(), None, APP).is_ok(),
            "no topic known yet"
        );
    }

    #[test]
    fn t09_a_ticket_expires() {
        let tickets = tickets(|_| {});
        let text = issue(&tickets);
        let check = |now| tickets.check_at(text.as_bytes(), Some("t"), APP, now);
        assert!(check(later(58)).is_some());
        assert!(check(later(61)).is_none());
        // A clock that is behind the issuer's is no reason to refuse.
        assert!(check(SystemTime::now() - Duration::from_secs(20)).is_some());
        // One that was set back by an hour is.
        assert!(check(SystemTime::now() - Duration::from_secs(3600)).is_none());
    }

    #[test]
    fn t09_a_ticket_can_be_bound_to_an_address() {
        let tickets = tickets(|config| config.bind_address = true);
        let text = issue(&tickets);
        assert!(tickets.check(text.as_bytes(), Some("t"), APP).is_ok());
        let elsewhere = Binding {
            address: Some([203, 0, 113, 9].into()),
            ..APP
        };
        assert!(
            tickets
                .check(text.as_bytes(), Some("t"), elsewhere)
                .is_err()
        );
    }

    #[test]
    fn a_ticket_ends_with_the_credentials_it_was_given_for() {
        let tickets = tickets(|config| config.mode = TicketMode::Resumable);
        let identity = Identity::user("u").expiring_in(Duration::from_secs(30));
        let text = issue_to(&tickets, &identity).unwrap();
        let (identity, _) = tickets.check(text.as_bytes(), Some("t"), APP).unwrap();
        assert!((28..=30).contains(&identity.ttl().unwrap().as_secs()));
        let now = later(31);
        assert!(
            tickets
                .check_at(text.as_bytes(), Some("t"), APP, now)
                .is_none()
        );
    }

    #[tokio::test]
    async fn t09_a_single_use_ticket_is_used_once() {
        let tickets = tickets(|_| {});
        let text = issue(&tickets);
        let claim = || tickets.check(text.as_bytes(), Some("t"), APP).unwrap().1;
        drop(tickets.claim(claim()).await.unwrap());
        assert_eq!(
            tickets.claim(claim()).await.unwrap_err(),
            RefusalReason::InvalidTicket
        );
    }

    #[tokio::test]
    async fn t12_a_resumable_ticket_outlives_its_first_minute_only_with_its_stream() {
        let tickets = tickets(|config| config.mode = TicketMode::Resumable);
        let text = issue(&tickets);
        let check = |now| {
            tickets
                .check_at(text.as_bytes(), Some("t"), APP, now)
                .unwrap()
                .1
        };
        // Late, and never seen before: as expired as any other.
        assert!(tickets.claim(check(later(61))).await.is_err());
        // In time, and again while and shortly after its stream is open, however late.
        let first = tickets.claim(check(SystemTime::now())).await.unwrap();
        let second = tickets.claim(check(later(600))).await.unwrap();
        drop(first);
        drop(second);
        drop(tickets.claim(check(later(600))).await.unwrap());
    }

    #[test]
    fn h06_a_ticket_that_ends_while_its_request_waits_opens_nothing() {
        for mode in [TicketMode::SingleUse, TicketMode::Resumable] {
            let tickets = tickets(|config| config.mode = mode);
            let text = issue(&tickets);
            let (identity, claim) = tickets.check(text.as_bytes(), Some("t"), APP).unwrap();
            let still = tickets.renew(claim.clone(), &identity, later(59)).unwrap();
            assert!(still.fresh);
            let stale = tickets.renew(claim, &identity, later(61));
            match mode {
                TicketMode::SingleUse => assert!(stale.is_err()),
                TicketMode::Resumable => assert!(!stale.unwrap().fresh),
            }
        }
    }

    #[test]
    fn t20_every_ticket_is_another() {
        let tickets = tickets(|_| {});
        let all: std::collections::HashSet<_> = (0..100).map(|_| issue(&tickets)).collect();
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn a_ticket_that_would_not_fit_into_a_url_is_not_issued() {
        let tickets = tickets(|_| {});
        let identity = Identity::user("u".repeat(3000));
        assert!(issue_to(&tickets, &identity).is_none());
    }

    proptest! {
        #[test]
        fn no_byte_of_a_ticket_can_be_changed(position in 0..200_usize, change in 1..255_u8) {
            let tickets = tickets(|_| {});
            let mut bytes = URL_SAFE_NO_PAD.decode(issue(&tickets)).unwrap();
            let position = position % bytes.len();
            bytes[position] ^= change;
            let text = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert!(tickets.check(text.as_bytes(), Some("t"), APP).is_err());
        }

        #[test]
        fn any_bytes_are_survived(text in prop::collection::vec(any::<u8>(), 0..120)) {
            let answer = tickets(|_| {}).check(&text, None, APP);
            prop_assert!(answer.is_err());
        }
    }
}
