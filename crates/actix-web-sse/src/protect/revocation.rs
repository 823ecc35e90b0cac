//! Taking back what a user holds, on this node and through a
//! [`RevocationStore`](super::RevocationStore) on all.

use std::{
    sync::{Arc, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use super::{Policy, UserRevocation, policy::Inner, revocation_store::TakesBack};
use crate::{
    identity::{Identity, PolicyStreams, Recheck},
    observe::{AuthMethod, RefusalReason},
};

impl Policy {
    /// Takes back what a user holds, all in one call: their tickets and tokens issued up to now hold
    /// no more, remembered tokens are checked again, requests that are on their way are refused, and
    /// the streams that this policy let in end, in whichever [`Hub`](crate::Hub) they are. What is published
    /// after this call reaches none of them.
    ///
    /// On this node that is done when the call returns. With a [`RevocationStore`](super::RevocationStore) the other nodes
    /// do the same as soon as they know of it. Without one, a hub that has a
    /// [`Backplane`](crate::Backplane) and has had streams of this policy asks it to end the user's
    /// streams there, but they can open new ones. [`Hub::disconnect`](crate::Hub::disconnect) before or after it is not
    /// needed and does no harm.
    ///
    /// What an authenticator looks up itself, it answers for ([`Identity::issued_at`]): take it back
    /// there first.
    ///
    /// Clocks differ: what is issued within
    /// [`revocation_skew`](crate::config::AuthConfig::revocation_skew) after this call, by this
    /// node's clock, is refused as well. Returned is the moment from which on new credentials hold;
    /// an application that signs the user in again at once issues them as of then, see
    /// [`credentials_hold_from`](Self::credentials_hold_from).
    pub fn revoke(&self, user: &str) -> SystemTime {
        let revocation = self.0.take_back_at(user, (self.0.clock)());
        let revoked = Arc::clone(&revocation.user);
        if let Some(store) = &self.0.revocation_store {
            store.revoke(revocation);
        } else {
            for hub in self.0.known_hubs() {
                hub.end_streams_elsewhere(&revoked);
            }
        }
        self.credentials_hold_from(user)
    }

    /// The moment as of which credentials are to be issued to a user so that no revocation covers
    /// them: now, or after a recent [`revoke`](Self::revoke) a little ahead of now. For whoever signs
    /// users in within the same application: this is the `iat` of the token. A token with whole
    /// seconds rounds up.
    #[must_use]
    pub fn credentials_hold_from(&self, user: &str) -> SystemTime {
        let now = (self.0.clock)();
        let from = self.0.revoked.hold_from(user);
        from.map_or(now, |from| from.max(now))
    }
}

impl Inner {
    /// Takes back what a user holds by this clock, on this node; returns what the others are to be
    /// told.
    pub(super) fn take_back_at(&self, user: &str, now: SystemTime) -> UserRevocation {
        let until = now.checked_add(self.revocation_skew).unwrap_or(now);
        let revocation = UserRevocation::new(user, whole_millis(until), self.revocation_memory);
        let revocation = self.revoked.add_another(revocation);
        self.end_streams(&revocation.user);
        revocation
    }

    /// Ends what was opened with a user's credentials. Called when the revocation is noted, so that
    /// a stream which opens meanwhile finds it.
    fn end_streams(&self, user: &Arc<str>) {
        self.auth.forget(user);
        for hub in self.known_hubs() {
            hub.end_streams(user);
        }
    }

    /// The hubs that have, or will have, streams which this policy let in.
    pub(super) fn known_hubs(&self) -> Vec<Arc<dyn PolicyStreams>> {
        self.hubs().iter().filter_map(Weak::upgrade).collect()
    }

    /// This hub has streams which this policy let in.
    pub(super) fn enroll_hub(&self, hub: &Weak<dyn PolicyStreams>) {
        let mut hubs = self.hubs();
        let known =
            |known: &Weak<dyn PolicyStreams>| std::ptr::addr_eq(known.as_ptr(), hub.as_ptr());
        if !hubs.iter().any(known) {
            hubs.retain(|known| known.strong_count() > 0);
            hubs.push(Weak::clone(hub));
        }
    }

    fn hubs(&self) -> MutexGuard<'_, Vec<Weak<dyn PolicyStreams>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what has been revoked. Who does not say when the credentials were issued, as an
    /// authenticator that looks them up, answers for them alone.
    pub(super) fn check_revoked(&self, identity: &Identity) -> Result<(), RefusalReason> {
        let (Some(user), Some(issued)) = (&identity.user, identity.issued) else {
            return Ok(());
        };
        if self.revoked.covers(user, issued) {
            return Err(refusal(identity));
        }
        let store = self.revocation_store.as_ref();
        if store.is_some_and(|store| !store.is_current()) {
            return Err(RefusalReason::AuthUnavailable);
        }
        Ok(())
    }
}

impl Recheck for Inner {
    /// Who does not say when the credentials were issued is refused too: they were looked up before
    /// the revocation, or during it.
    fn check_again(&self, identity: &Identity, seen: u64) -> Result<(), RefusalReason> {
        let revoked = identity.user.as_ref();
        let revoked = revoked.is_some_and(|user| self.revoked.since(seen, user, identity.issued));
        if revoked || identity.is_expired() {
            return Err(refusal(identity));
        }
        Ok(())
    }

    fn enroll(&self, hub: &Weak<dyn PolicyStreams>) {
        self.enroll_hub(hub);
    }
}

const fn refusal(identity: &Identity) -> RefusalReason {
    match identity.method {
        AuthMethod::Ticket => RefusalReason::InvalidTicket,
        _ => RefusalReason::InvalidToken,
    }
}

/// Tickets and stores have whole milliseconds.
fn whole_millis(time: SystemTime) -> SystemTime {
    let millis = Duration::from_millis(super::ticket::millis(time));
    SystemTime::UNIX_EPOCH.checked_add(millis).unwrap_or(time)
}

impl TakesBack for Inner {
    fn take_back(&self, revocation: &UserRevocation) {
        if self.revoked.add(revocation) {
            self.end_streams(&revocation.user);
        }
    }
}
