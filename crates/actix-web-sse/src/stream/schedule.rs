//! When a stream is due for something: a heartbeat, its end. Pure: time comes in as an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::{jitter::between, moment::Moment};
use crate::observe::CloseReason;

/// The first silence after which a heartbeat goes out. From there on the gap doubles up to the
/// configured interval: only a second write makes a client visible that went away right after
/// opening, and that must not take two whole intervals.
const FIRST_GAP: Duration = Duration::from_secs(1);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Heartbeat,
    End(CloseReason),
}

#[derive(Debug)]
pub(crate) struct Schedule {
    interval: Millis,
    /// The silence that calls for the next heartbeat.
    gap: Millis,
    opened: Moment,
    last_write: Moment,
    end: Option<(Moment, CloseReason)>,
}

/// A silence. There are two in each stream, and a day has fewer than 2^27.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Millis(u32);

impl From<Duration> for Millis {
    fn from(silence: Duration) -> Self {
        Self(u32::try_from(silence.as_millis()).unwrap_or(u32::MAX))
    }
}

impl From<Millis> for Duration {
    fn from(silence: Millis) -> Self {
        Self::from_millis(silence.0.into())
    }
}

impl Schedule {
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval: interval.into(),
            gap: spread(interval.min(FIRST_GAP)),
            opened: now.into(),
            last_write: now.into(),
            end: None,
        }
    }

    /// Ends the stream at this instant, unless it ends before.
    pub(crate) fn end_by(&mut self, at: Instant, reason: CloseReason) {
        let at = Moment::from(at);
        if self.end.is_none_or(|(known, _)| at < known) {
            self.end = Some((at, reason));
        }
    }

    /// Something was written that is no heartbeat. On a stream that has been busy for a whole
    /// interval, early heartbeats have nothing left to find out.
    pub(crate) fn wrote(&mut self, now: Instant) {
        self.last_write = now.into();
        let interval = Duration::from(self.interval);
        if self.gap < interval.mul_f64(0.9).into() && self.last_write.since(self.opened) >= interval
        {
            self.gap = spread(interval);
        }
    }

    /// A heartbeat was written.
    pub(crate) fn beat(&mut self, now: Instant) {
        self.last_write = now.into();
        let gap = Duration::from(self.gap) * 2;
        self.gap = spread(gap.min(self.interval.into()));
    }

    pub(crate) fn due(&self, now: Instant) -> Due {
        match self.end {
            Some((at, reason)) if at <= now.into() => Due::End(reason),
            _ if self.beat_at() <= now => Due::Heartbeat,
            _ => Due::Nothing,
        }
    }

    /// When to look again, after now.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let beat = match self.beat_at() {
            at if at > now => at,
            // Due and not yet written: the peer takes nothing.
            _ => now + self.gap.into(),
        };
        match self.end {
            Some((at, _)) => beat.min(now.max(at.into())),
            None => beat,
        }
    }

    fn beat_at(&self) -> Instant {
        Instant::from(self.last_write) + self.gap.into()
    }
}

/// From 90 to 100 % of a silence, so that streams that were opened together do not send their
/// heartbeats together.
fn spread(gap: Duration) -> Millis {
    between(gap, 0.9, 1.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn early_heartbeats_double_their_gap_up_to_the_interval() {
        let mut now = Instant::now();
        let mut schedule = Schedule::new(seconds(15), now);
        for gap in [1, 2, 4, 8, 15, 15] {
            let next = schedule.next(now);
            let waited = next.duration_since(now);
            assert!(
                waited <= seconds(gap) && waited >= seconds(gap).mul_f64(0.65),
                "{waited:?} of {gap}"
            );
            assert_eq!(schedule.due(next - Duration::from_millis(1)), Due::Nothing);
            assert_eq!(schedule.due(next), Due::Heartbeat);
            now = next;
            schedule.beat(now);
        }
    }

    #[test]
    fn a_stream_that_is_not_idle_needs_no_heartbeat() {
        let now = Instant::now();
        let mut schedule = Schedule::new(seconds(1), now);
        schedule.wrote(now + seconds(5));
        assert_eq!(schedule.due(now + seconds(5)), Due::Nothing);
    }

    #[test]
    fn a_stream_that_was_busy_for_an_interval_is_past_its_early_heartbeats() {
        let now = Instant::now();
        let mut schedule = Schedule::new(seconds(15), now);
        schedule.wrote(now + seconds(5));
        assert!(schedule.next(now + seconds(5)) <= now + seconds(6));
        schedule.wrote(now + seconds(15));
        assert!(schedule.next(now + seconds(15)) >= now + seconds(28));
    }

    #[test]
    fn d21_after_a_pause_one_heartbeat_is_due_and_no_burst() {
        let now = Instant::now();
        let mut schedule = Schedule::new(seconds(1), now);
        let later = now + seconds(60);
        assert_eq!(schedule.due(later), Due::Heartbeat);
        schedule.beat(later);
        assert_eq!(schedule.due(later), Due::Nothing);
        assert!(schedule.next(later) > later);
    }

    #[test]
    fn the_earliest_end_counts() {
        let now = Instant::now();
        let mut schedule = Schedule::new(seconds(15), now);
        schedule.end_by(now + seconds(9), CloseReason::Lifetime);
        schedule.end_by(now + seconds(5), CloseReason::Expired);
        schedule.end_by(now + seconds(7), CloseReason::Drain);
        assert_eq!(
            schedule.due(now + seconds(5)),
            Due::End(CloseReason::Expired)
        );
    }
}
