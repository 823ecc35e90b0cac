//! How many connects a second.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// At most so many in any second: the times of the last ones are kept, so that no boundary
/// between two counted seconds lets twice as many through.
#[derive(Debug)]
pub(super) struct Rate {
    limit: u32,
    last: Mutex<VecDeque<Instant>>,
}

impl Rate {
    /// What the kept times may cost: under 2 MiB.
    pub(super) const MAX: u32 = 100_000;
    const WINDOW: Duration = Duration::from_secs(1);

    pub(super) const fn new(limit: u32) -> Self {
        Self {
            limit,
            last: Mutex::new(VecDeque::new()),
        }
    }

    /// Whether one more may come now.
    pub(super) fn admit(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= self.limit as usize {
            match last.front() {
                Some(oldest) if now.saturating_duration_since(*oldest) < Self::WINDOW => {
                    return false;
                }
                _ => last.pop_front(),
            };
        }
        last.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l17_never_more_than_the_limit_in_any_second() {
        let rate = Rate::new(50);
        let start = Instant::now();
        let mut admitted = Vec::new();
        for millis in 0..5000 {
            let now = start + Duration::from_millis(millis);
            for _ in 0..3 {
                if rate.admit(now) {
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
        let rate = Rate::new(2);
        let start = Instant::now();
        assert!(rate.admit(start) && rate.admit(start) && !rate.admit(start));
        let later = start + Duration::from_secs(1);
        assert!(rate.admit(later) && rate.admit(later) && !rate.admit(later));
    }
}
