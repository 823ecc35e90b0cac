//! Which tickets have been used: in this process, or wherever the application says.

use std::{
    fmt,
    future::{Future, ready},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::MAX_SKEW;
use crate::{
    config::TicketMode,
    protect::expiring::{Expires, ExpiringTable},
};

const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// A ticket that is about to open a stream. Its signature, age and bindings have been checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TicketClaim {
    /// Which ticket: 128 random bits.
    pub id: [u8; 16],
    /// Whom it stands for.
    pub user: Option<Arc<str>>,
    /// How often it may be used.
    pub mode: TicketMode,
    /// It was issued no longer than `ttl` ago. A single-use ticket that is not never gets here.
    pub fresh: bool,
    /// How long a ticket holds.
    pub ttl: Duration,
}

/// The store could not be asked. The stream is refused with 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketStoreUnavailable;

impl fmt::Display for TicketStoreUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store of tickets could not be asked")
    }
}

impl std::error::Error for TicketStoreUnavailable {}

/// What a [`TicketStore`] returns.
pub type TicketFuture<'a> =
    Pin<Box<dyn Future<Output = Result<bool, TicketStoreUnavailable>> + 'a>>;

/// Remembers which tickets have been used, so that none is used twice. The default keeps them
/// in this process; several nodes need one that they share.
pub trait TicketStore: Send + Sync + 'static {
    /// Says whether the ticket may open a stream, and notes that it did, in one step.
    ///
    /// [`TicketMode::SingleUse`]: yes if it was never claimed; to be remembered for `ttl` and a
    /// minute, for the clocks of nodes differ.
    ///
    /// [`TicketMode::Resumable`]: yes if a stream of it is open, or the last one ended less than
    /// `ttl` ago, or if it is `fresh` and was never claimed.
    ///
    /// It is given the time-out of authentication; a panic is a failure. When the time is over, or
    /// the client goes away, the future is dropped, and nobody releases what it may have claimed
    /// all the same: that is the store's to notice.
    fn claim<'a>(&'a self, claim: &'a TicketClaim) -> TicketFuture<'a>;

    /// A stream of a resumable ticket has ended. Must not block.
    fn release(&self, claim: &TicketClaim) {
        let _ = claim;
    }
}

/// The tickets used in this process. Only tickets that we signed get here, so a flood has a name.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Used>);

type Used = ExpiringTable<[u8; 16], Use>;

#[derive(Debug)]
struct Use {
    open: u32,
    until: Instant,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Used> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim_now(&self, claim: &TicketClaim) -> Result<bool, TicketStoreUnavailable> {
        let now = Instant::now();
        let mut used = self.lock();
        let has_room = used.make_room(now);
        match used.get_mut(&claim.id) {
            Some(_) if claim.mode == TicketMode::SingleUse => Ok(false),
            Some(known) if known.open > 0 || known.until > now => {
                known.open += 1;
                Ok(true)
            }
            Some(_) => Ok(false),
            None if !claim.fresh => Ok(false),
            None if !has_room => Err(TicketStoreUnavailable),
            None => {
                let open = u32::from(claim.mode == TicketMode::Resumable);
                // As long as any node's clock may hold it to be fresh.
                let until = match claim.mode {
                    TicketMode::SingleUse => later(now, claim.ttl.saturating_add(MAX_SKEW * 2)),
                    TicketMode::Resumable => later(now, claim.ttl),
                };
                used.insert(claim.id, Use { open, until });
                Ok(true)
            }
        }
    }
}

/// What no clock holds is as good as a year.
fn later(now: Instant, by: Duration) -> Instant {
    now.checked_add(by).unwrap_or(now + YEAR)
}

impl Expires for Use {
    fn is_stale(&self, now: Instant) -> bool {
        self.open == 0 && self.until <= now
    }
}

impl TicketStore for Memory {
    fn claim<'a>(&'a self, claim: &'a TicketClaim) -> TicketFuture<'a> {
        Box::pin(ready(self.claim_now(claim)))
    }

    fn release(&self, claim: &TicketClaim) {
        if let Some(known) = self.lock().get_mut(&claim.id) {
            known.open = known.open.saturating_sub(1);
            known.until = later(Instant::now(), claim.ttl);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protect::expiring::SMALL;

    fn claim(id: u32, mode: TicketMode, fresh: bool) -> TicketClaim {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&id.to_be_bytes());
        TicketClaim {
            id: bytes,
            user: None,
            mode,
            fresh,
            ttl: Duration::from_secs(60),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn t12_a_resumable_ticket_ends_a_while_after_its_stream() {
        let store = Memory::default();
        let fresh = claim(1, TicketMode::Resumable, true);
        let stale = claim(1, TicketMode::Resumable, false);
        assert_eq!(store.claim_now(&stale), Ok(false), "never seen");
        assert_eq!(store.claim_now(&fresh), Ok(true));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(store.claim_now(&stale), Ok(true), "its stream is open");
        store.release(&stale);
        store.release(&stale);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(
            store.claim_now(&stale),
            Ok(true),
            "its stream has just ended"
        );
        store.release(&stale);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(store.claim_now(&stale), Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn used_tickets_are_forgotten_when_they_would_not_hold_anyway() {
        let store = Memory::default();
        for round in 0..20 {
            for id in 0..1000 {
                let claim = claim(round * 1000 + id, TicketMode::SingleUse, true);
                assert_eq!(store.claim_now(&claim), Ok(true));
                assert_eq!(store.claim_now(&claim), Ok(false));
            }
            tokio::time::advance(Duration::from_secs(121)).await;
        }
        assert!(store.lock().len() <= 2 * SMALL);
    }
}
