//! One timer for all streams of a worker: buckets of 50 ms. Pure: time comes in as an argument.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// The width of a bucket: how late a timer may be.
const TICK: Duration = Duration::from_millis(50);

/// Keys in buckets, by when they are due. A key may stand in several buckets: whoever is called
/// finds out by itself what is due, so nothing is ever taken out early.
#[derive(Debug)]
pub(crate) struct Wheel {
    start: Instant,
    buckets: BTreeMap<u64, Vec<usize>>,
}

impl Wheel {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            buckets: BTreeMap::new(),
        }
    }

    /// Has the key called at this instant, or within a bucket's width after it.
    pub(crate) fn insert(&mut self, key: usize, due: Instant) {
        // In nanoseconds: cut to milliseconds, a key could be called a fraction before it is due,
        // find nothing to do, and never be called again.
        let since = due.saturating_duration_since(self.start).as_nanos();
        let tick = u64::try_from(since.div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX);
        self.buckets.entry(tick).or_default().push(key);
    }

    /// When the next key is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let (tick, _) = self.buckets.first_key_value()?;
        let since = Duration::from_millis(tick.saturating_mul(TICK.as_millis() as u64));
        self.start.checked_add(since)
    }

    /// The keys of one bucket that is due, the oldest first.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Vec<usize>> {
        if self.next()? > now {
            return None;
        }
        self.buckets.pop_first().map(|(_, keys)| keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_when_they_are_due_and_not_before() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.insert(2, start + Duration::from_millis(120));
        wheel.insert(1, start + Duration::from_millis(101));
        wheel.insert(3, start + Duration::from_millis(500));
        assert_eq!(wheel.next(), Some(start + Duration::from_millis(150)));
        assert_eq!(wheel.pop(start + Duration::from_millis(149)), None);
        assert_eq!(
            wheel.pop(start + Duration::from_millis(150)),
            Some(vec![2, 1])
        );
        assert_eq!(wheel.pop(start + Duration::from_millis(150)), None);
        assert_eq!(wheel.pop(start + Duration::from_secs(60)), Some(vec![3]));
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_fraction_of_a_millisecond_is_not_cut() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let due = start + Duration::from_nanos(100_000_001);
        wheel.insert(1, due);
        assert!(wheel.next() >= Some(due));
        assert_eq!(wheel.pop(start + Duration::from_millis(100)), None);
    }
}
