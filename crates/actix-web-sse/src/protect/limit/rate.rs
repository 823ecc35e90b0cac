//! How many streams open a second, altogether and of each address.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::address::ClientKey;

/// At most so many in any second: the times of the last ones are kept, so that no boundary
/// between two counted seconds lets twice as many through. Each address has a share of them.
#[derive(Debug)]
pub(super) struct Rate {
    limit: AtomicU32,
    /// One lock, and no sharded map as its neighbours have: the bound is on all streams of a second together, so
    /// the queue and the shares change under one lock anyway. A place takes 0.2 µs of it, measured with one thread
    /// and with two that do nothing else; at the highest rate there can be that is a fiftieth of a core.
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// The places taken in the last second, the oldest first.
    taken: VecDeque<(Instant, ClientKey)>,
    /// How many of them each address has.
    shares: HashMap<ClientKey, u32>,
}

/// A place in this second, for a stream that is about to open. It is given back when this is
/// dropped, unless the stream has opened.
#[derive(Debug)]
pub(crate) struct Place {
    rate: Arc<Rate>,
    at: Instant,
    key: ClientKey,
    given_back: bool,
}

impl Rate {
    /// What the places may cost: under 10 MiB.
    pub(super) const MAX: u32 = 100_000;
    const WINDOW: Duration = Duration::from_secs(1);

    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit: AtomicU32::new(limit),
            window: Mutex::default(),
        }
    }

    /// From now on so many may open a second; the places of this one stay taken.
    pub(super) fn resize(&self, limit: u32) {
        self.limit.store(limit, Relaxed);
    }

    /// A place for a stream of this address, which may have `share` of them a second.
    pub(super) fn take(
        self: &Arc<Self>,
        key: ClientKey,
        share: u32,
        now: Instant,
    ) -> Option<Place> {
        let mut window = self.lock();
        window.slide(now);
        let mine = window.shares.get(&key).copied().unwrap_or(0);
        if window.taken.len() >= self.limit.load(Relaxed) as usize || mine >= share {
            return None;
        }
        // In the order of the lock, whatever the clocks of two threads say.
        let at = window.taken.back().map_or(now, |(last, _)| now.max(*last));
        window.taken.push_back((at, key));
        window.shares.insert(key, mine + 1);
        Some(Place {
            rate: Arc::clone(self),
            at,
            key,
            given_back: true,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Below this many the tables are not worth shrinking.
    const SMALL: usize = 64;

    /// Forgets what is older than a second.
    fn slide(&mut self, now: Instant) {
        while let Some((at, key)) = self.taken.front().copied() {
            if now.saturating_duration_since(at) < Rate::WINDOW {
                break;
            }
            self.taken.pop_front();
            self.unshare(key);
        }
        if self.taken.capacity() > Self::SMALL && self.taken.len() < self.taken.capacity() / 8 {
            let wanted = self.taken.len() * 2;
            self.taken.shrink_to(wanted);
            self.shares.shrink_to(wanted);
        }
    }

    fn give_back(&mut self, at: Instant, key: ClientKey) {
        let first = self.taken.partition_point(|(other, _)| *other < at);
        let place = self
            .taken
            .iter()
            .skip(first)
            .take_while(|(other, _)| *other == at)
            .position(|(_, other)| *other == key);
        // It may have left the window already.
        if let Some(place) = place {
            self.taken.remove(first + place);
            self.unshare(key);
        }
    }

    fn unshare(&mut self, key: ClientKey) {
        if let Entry::Occupied(mut share) = self.shares.entry(key) {
            if *share.get() > 1 {
                *share.get_mut() -= 1;
            } else {
                share.remove();
            }
        }
    }
}

impl Place {
    /// The stream has opened.
    pub(crate) fn keep(mut self) {
        self.given_back = false;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.given_back {
            self.rate.lock().give_back(self.at, self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn key(n: u32) -> ClientKey {
        ClientKey::of(Some(IpAddr::from(n.to_be_bytes())), 64)
    }

    fn opens(rate: &Arc<Rate>, n: u32, share: u32, now: Instant) -> bool {
        rate.take(key(n), share, now).map(Place::keep).is_some()
    }

    #[test]
    fn l17_never_more_than_the_limit_in_any_second() {
        let rate = Arc::new(Rate::new(50));
        let start = Instant::now();
        let mut admitted = Vec::new();
        for millis in 0..5000 {
            let now = start + Duration::from_millis(millis);
            for n in 0..3 {
                if opens(&rate, n, 50, now) {
                    admitted.push(millis);
                }
            }
        }
        assert_eq!(admitted.len(), 250, "50 in each of five seconds");
        for window in admitted.windows(51) {
            assert!(window[50] - window[0] >= 1000);
        }
    }

    #[test]
    fn a_quiet_second_gives_all_places_back() {
        let rate = Arc::new(Rate::new(2));
        let start = Instant::now();
        let open = |now| opens(&rate, 1, 2, now);
        assert!(open(start) && open(start) && !open(start));
        let later = start + Duration::from_secs(1);
        assert!(open(later) && open(later) && !open(later));
    }

    #[test]
    fn h02_one_address_gets_its_share_and_leaves_the_rest() {
        let rate = Arc::new(Rate::new(50));
        let start = Instant::now();
        for millis in (0..5000).step_by(10) {
            let now = start + Duration::from_millis(millis);
            // At full speed, and never more than half.
            for _ in 0..100 {
                opens(&rate, 0, 25, now);
            }
            if millis % 50 == 0 {
                let n = 1 + u32::try_from(millis).unwrap();
                assert!(opens(&rate, n, 25, now), "{millis}");
            }
        }
    }

    #[test]
    fn a_place_of_a_stream_that_did_not_open_is_given_back() {
        let rate = Arc::new(Rate::new(1));
        let start = Instant::now();
        for _ in 0..1000 {
            drop(rate.take(key(1), 1, start).unwrap());
        }
        let late = rate.take(key(1), 1, start).unwrap();
        let later = start + Duration::from_secs(2);
        assert!(opens(&rate, 1, 1, later));
        // It left the window long ago: nobody else's place goes with it.
        drop(late);
        assert!(!opens(&rate, 1, 1, later));
    }

    #[test]
    fn a_storm_leaves_nothing_behind() {
        let rate = Arc::new(Rate::new(Rate::MAX));
        let start = Instant::now();
        for n in 0..Rate::MAX {
            assert!(opens(&rate, n, 1, start));
        }
        assert!(!opens(&rate, Rate::MAX, 1, start));
        assert!(opens(&rate, 0, 1, start + Duration::from_secs(1)));
        let window = rate.lock();
        assert_eq!((window.taken.len(), window.shares.len()), (1, 1));
        assert!(window.taken.capacity() <= Window::SMALL);
        assert!(window.shares.capacity() <= Window::SMALL);
    }

    proptest! {
        /// The shares are the places, whatever is taken, kept and given back.
        #[test]
        fn shares_and_places_agree(
            steps in prop::collection::vec((0..4_u32, 0..300_u64, any::<bool>(), 0..4_usize), 1..200),
        ) {
            let rate = Arc::new(Rate::new(5));
            let mut now = Instant::now();
            let mut pending = Vec::new();
            for (n, wait, keep, held) in steps {
                now += Duration::from_millis(wait);
                if let Some(place) = rate.take(key(n), 3, now) {
                    if keep { place.keep() } else { pending.push(place) }
                }
                if pending.len() > held {
                    pending.remove(0);
                }
                let window = rate.lock();
                prop_assert!(window.taken.len() <= 5);
                for n in 0..4 {
                    let places = window.taken.iter().filter(|(_, taken)| *taken == key(n)).count();
                    let share = window.shares.get(&key(n)).copied().unwrap_or(0);
                    prop_assert_eq!(places, share as usize);
                    prop_assert!(share <= 3);
                }
            }
        }
    }
}
