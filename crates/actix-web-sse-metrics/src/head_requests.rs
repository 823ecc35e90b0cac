//! The clients to which this process has recently answered what a page reports as unreadable.
//!
//! When a page loses its stream, the script of [`reports`](crate::reports) sends a `HEAD` to find out
//! why, and reports the result. If the page could not read the reply, this table says whether the
//! reply was ours. Of the page's `GET` requests only those count whose reply it could not read: a
//! stream that worked until a proxy answered in our place has left others.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::clients::Client;

/// How long a request counts as recent: the report follows within a round trip or two.
const RECENT: Duration = Duration::from_secs(10);
/// The table's size; a power of two. A client whose slot was taken by another one is forgotten.
const SLOTS: usize = 1 << 14;
/// The upper bits of an entry distinguish clients of one slot, the others are the time.
const TIME_BITS: u32 = 40;

/// A table of fixed size. A keyed hash selects the slot of a client.
#[derive(Debug)]
pub(crate) struct RecentHeadRequests {
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for RecentHeadRequests {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl RecentHeadRequests {
    /// Records a request of the client.
    pub(crate) fn note(&self, client: Client, now: Duration) {
        let (slot, tag) = self.place(client);
        if let Some(slot) = slot {
            slot.store(tag | time(now), Ordering::Relaxed);
        }
    }

    /// Whether the client has made a recent request.
    pub(crate) fn saw(&self, client: Client, now: Duration) -> bool {
        let (slot, tag) = self.place(client);
        slot.is_some_and(|slot| {
            let entry = slot.load(Ordering::Relaxed);
            let age = time(now).saturating_sub(entry & TIME_MASK);
            entry != 0 && entry & !TIME_MASK == tag && u128::from(age) <= RECENT.as_millis()
        })
    }

    fn place(&self, client: Client) -> (Option<&AtomicU64>, u64) {
        let hash = self.hasher.hash_one(client);
        let slot = self.slots.get(hash as usize % SLOTS);
        (slot, hash & !TIME_MASK)
    }
}

const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// Milliseconds, from 1: an empty slot is 0.
fn time(now: Duration) -> u64 {
    (u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1) + 1) & TIME_MASK
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn only_clients_with_a_recent_request_are_known() {
        let recent = RecentHeadRequests::default();
        let client = |n: u32| Client::of(Some(Ipv4Addr::from(n).into()), 64);
        let at = Duration::from_secs;
        assert!(!recent.saw(client(1), at(0)));
        recent.note(client(1), at(0));
        assert!(recent.saw(client(1), at(10)));
        assert!(!recent.saw(client(1), at(11)));
        (0..SLOTS as u32).for_each(|n| recent.note(client(n), at(20)));
        let others = (1 << 20)..(1 << 20) + 10_000;
        let known = others.filter(|n| recent.saw(client(*n), at(20)));
        assert!(known.count() < 5, "clients are taken for other ones");
    }
}
