//! A topic's log: numbered frames, of which the newest stay for replay. Pure: no clock, no lock.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use crate::event::EventName;

/// How long a frame is kept for workers and subscribers that are about to read it, whatever the
/// limits say: a burst must not make a subscriber that reads look slow.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How far a burst may exceed a subscriber's limits within [`GRACE`].
pub(crate) const BURST: usize = 64;

/// What a filter may look at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(crate) name: Option<EventName>,
    pub(crate) tag: Option<Arc<str>>,
}

/// A published event: one allocation that every subscriber shares.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Counts the events of the hub; the ID names it. [`u64::MAX`] for what a node has for itself beside an engine's.
    pub(crate) position: u64,
    /// Counts the frames of the topic.
    pub(crate) ordinal: u64,
    /// Counts the bytes of the topic, up to the end of this frame.
    pub(crate) end: u64,
    pub(crate) published: Instant,
    pub(crate) replayable: bool,
    /// Whose settings its topic has: the number of the class.
    pub(crate) class: u16,
    pub(crate) bytes: Bytes,
    pub(crate) labels: Option<Arc<Labels>>,
}

/// An event on its way into a log, or into several.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) bytes: Bytes,
    pub(crate) replayable: bool,
    pub(crate) class: u16,
    pub(crate) labels: Option<Arc<Labels>>,
}

/// Consecutive frames of one topic.
#[derive(Debug)]
pub(crate) struct Window {
    frames: VecDeque<Frame>,
    /// The ordinal of the frame to come.
    next: u64,
    /// The bytes of the topic so far.
    end: u64,
}

impl Window {
    /// An empty window before the frame with this ordinal.
    pub(crate) fn starting_at(next: u64, end: u64) -> Self {
        Self {
            frames: VecDeque::new(),
            next,
            end,
        }
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        self.next = frame.ordinal + 1;
        self.end = frame.end;
        self.frames.push_back(frame);
    }

    /// The ordinal of the oldest frame kept, or of the next one.
    pub(crate) fn first(&self) -> u64 {
        self.next - self.frames.len() as u64
    }

    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The bytes from this ordinal to the end.
    pub(crate) fn bytes_from(&self, ordinal: u64) -> u64 {
        self.get(ordinal)
            .map_or(0, |frame| self.end - (frame.end - frame.bytes.len() as u64))
    }

    /// The oldest ordinal from which on there are no more than so many frames and bytes.
    pub(crate) fn newest_within(&self, events: u64, bytes: u64) -> u64 {
        let by_count = self.next.saturating_sub(events);
        let too_many = |frame: &Frame| self.end - (frame.end - frame.bytes.len() as u64) > bytes;
        let by_bytes = self.first() + self.frames.partition_point(too_many) as u64;
        by_count.max(by_bytes)
    }

    pub(crate) fn get(&self, ordinal: u64) -> Option<&Frame> {
        let index = ordinal.checked_sub(self.first())?;
        self.frames.get(usize::try_from(index).ok()?)
    }

    /// The frames from this ordinal on.
    pub(crate) fn iter_from(&self, ordinal: u64) -> impl Iterator<Item = &Frame> {
        let skip = ordinal.saturating_sub(self.first());
        self.frames
            .iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn front(&self) -> Option<&Frame> {
        self.frames.front()
    }

    pub(crate) fn pop_front(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    /// Forgets what is before this ordinal, and gives back the room that a burst took.
    pub(crate) fn forget_before(&mut self, ordinal: u64) {
        let keep = self.next.saturating_sub(ordinal);
        while self.frames.len() as u64 > keep {
            self.frames.pop_front();
        }
        if self.frames.capacity() > 64 && self.frames.len() < self.frames.capacity() / 4 {
            self.frames.shrink_to(self.frames.len() * 2);
        }
    }

    /// The ordinal of the first frame after this position.
    pub(crate) fn ordinal_after(&self, position: u64) -> u64 {
        self.first()
            + self
                .frames
                .partition_point(|frame| frame.position <= position) as u64
    }
}

/// What a topic keeps for those who come back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
    /// Above this many frames nothing is kept even for a moment.
    pub(crate) burst_events: usize,
    /// Above this many bytes nothing is kept even for a moment.
    pub(crate) burst_bytes: usize,
}

/// Where an ID stands in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Everything from this ordinal on is still here.
    Before(u64),
    /// The topic has forgotten some of what came after.
    Forgotten,
    /// Never an ID of this topic.
    Unknown,
}

/// The frames of a topic, of which those from `replay_from` on are for replay.
#[derive(Debug)]
pub(crate) struct Log {
    window: Window,
    replay_from: u64,
    /// The position of the last replayable frame that left the replay.
    forgotten: Option<u64>,
    /// The position of the newest frame ever.
    newest: Option<u64>,
    /// The log is complete after this position: what is older was never in it.
    created_at: u64,
    /// The newest event stays whatever its age, and a new subscriber starts with it.
    last_value: bool,
}

impl Log {
    pub(crate) fn new(created_at: u64, last_value: bool) -> Self {
        Self {
            window: Window::starting_at(0, 0),
            replay_from: 0,
            forgotten: None,
            newest: None,
            created_at,
            last_value,
        }
    }

    pub(crate) const fn window(&self) -> &Window {
        &self.window
    }

    pub(crate) fn push(&mut self, entry: Entry, now: Instant) {
        self.newest = Some(entry.position);
        self.window.push(Frame {
            position: entry.position,
            ordinal: self.window.next,
            end: self.window.end + entry.bytes.len() as u64,
            published: now,
            replayable: entry.replayable,
            class: entry.class,
            bytes: entry.bytes,
            labels: entry.labels,
        });
    }

    /// Forgets what the limits do not keep.
    pub(crate) fn trim(&mut self, keep: &Keep, followed: bool, now: Instant) {
        while self.replay_from < self.window.next {
            let count = self.window.next - self.replay_from;
            let Some(oldest) = self.window.get(self.replay_from) else {
                self.replay_from += 1;
                continue;
            };
            let is_last_value = self.last_value && count == 1;
            let over = count > keep.events as u64
                || self.window.bytes_from(self.replay_from) > keep.bytes as u64
                || now.duration_since(oldest.published) > keep.age;
            if is_last_value || !over {
                break;
            }
            if oldest.replayable {
                self.forgotten = Some(oldest.position);
            }
            self.replay_from += 1;
        }
        while let Some(oldest) = self.window.front() {
            let awaited = followed
                && now.duration_since(oldest.published) <= GRACE
                && self.window.len() <= keep.burst_events
                && self.window.bytes_from(oldest.ordinal) <= keep.burst_bytes as u64;
            if oldest.ordinal >= self.replay_from || awaited {
                break;
            }
            self.window.pop_front();
        }
    }

    /// Forgets everything, with a gap before what comes.
    pub(crate) fn forget(&mut self) {
        self.window = Window::starting_at(self.window.next + 1, self.window.end);
        self.replay_from = self.window.next;
        self.forgotten = None;
        self.newest = None;
    }

    /// Everything after this position has been or will be pushed.
    pub(crate) fn complete_after(&mut self, position: u64) {
        self.created_at = position;
    }

    /// Nothing is left that anybody could ask for.
    pub(crate) fn is_spent(&self) -> bool {
        self.window.len() == 0
    }

    /// The position of the newest frame ever, kept or not.
    pub(crate) const fn last_position(&self) -> Option<u64> {
        self.newest
    }

    /// Where a subscriber goes on who saw the event at this position.
    pub(crate) fn place(&self, position: u64) -> Place {
        let after = self.window.ordinal_after(position);
        let own = after > self.replay_from
            && self
                .window
                .get(after - 1)
                .is_some_and(|frame| frame.position == position && frame.replayable);
        if own {
            Place::Before(after)
        } else if self.forgotten == Some(position) {
            Place::Before(self.replay_from)
        } else if position > self.created_at && self.forgotten.is_some_and(|last| position < last) {
            Place::Forgotten
        } else {
            Place::Unknown
        }
    }

    /// Where a subscriber goes on who saw everything up to this position, in whatever topic.
    pub(crate) fn place_after(&self, position: u64) -> Place {
        if position < self.created_at || self.forgotten.is_some_and(|last| last > position) {
            Place::Forgotten
        } else {
            Place::Before(self.window.ordinal_after(position).max(self.replay_from))
        }
    }

    /// The newest event of this topic that an ID can name: whoever has it has missed nothing.
    pub(crate) fn anchor(&self) -> Option<u64> {
        let kept = self.window.iter_from(self.replay_from);
        kept.filter(|frame| frame.replayable)
            .last()
            .map(|frame| frame.position)
            .or(self.forgotten)
    }

    /// Where a new subscriber starts: at the next event, or at the last one.
    pub(crate) fn start(&self) -> u64 {
        // What is never replayed is nobody's last value.
        let replayable = |ordinal: &u64| {
            let frame = self.window.get(*ordinal);
            frame.is_some_and(|frame| frame.replayable)
        };
        let mut newest = (self.replay_from..self.window.next).rev();
        let newest = newest.find(replayable).filter(|_| self.last_value);
        newest.unwrap_or(self.window.next)
    }
}

/// What filters look at.
pub(crate) fn labels(name: Option<EventName>, tag: Option<Arc<str>>) -> Option<Arc<Labels>> {
    (name.is_some() || tag.is_some()).then(|| Arc::new(Labels { name, tag }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep {
        events: 3,
        bytes: 1000,
        age: Duration::from_secs(60),
        burst_events: 10,
        burst_bytes: 10_000,
    };

    fn entry(position: u64, bytes: impl Into<Bytes>) -> Entry {
        Entry {
            position,
            bytes: bytes.into(),
            replayable: true,
            class: 0,
            labels: None,
        }
    }

    fn log(positions: impl IntoIterator<Item = u64>, now: Instant) -> Log {
        let mut log = Log::new(0, false);
        for position in positions {
            log.push(entry(position, "0123456789"), now);
            log.trim(&KEEP, false, now);
        }
        log
    }

    #[test]
    fn an_id_within_the_replay_goes_on_after_it() {
        let log = log([10, 20, 30], Instant::now());
        assert_eq!(log.place(10), Place::Before(1));
        assert_eq!(log.place(30), Place::Before(3));
    }

    #[test]
    fn r01_the_last_forgotten_id_misses_nothing() {
        let log = log([10, 20, 30, 40], Instant::now());
        assert_eq!(log.place(10), Place::Before(1));
    }

    #[test]
    fn r02_an_id_older_than_the_replay_is_a_gap() {
        let log = log([10, 20, 30, 40, 50], Instant::now());
        assert_eq!(log.place(10), Place::Forgotten);
    }

    #[test]
    fn r08_an_id_of_another_topic_is_unknown() {
        let log = log([10, 20, 30], Instant::now());
        assert_eq!(log.place(15), Place::Unknown);
        assert_eq!(log.place(31), Place::Unknown);
    }

    #[test]
    fn old_frames_leave_the_replay() {
        let then = Instant::now();
        let mut log = log([10, 20], then);
        log.trim(&KEEP, false, then + Duration::from_secs(61));
        assert!(log.is_spent());
        assert_eq!(log.place(20), Place::Before(2));
        assert_eq!(log.place(10), Place::Forgotten);
    }

    #[test]
    fn the_last_value_stays() {
        let then = Instant::now();
        for (last_value, start) in [(true, 1), (false, 2)] {
            let mut log = Log::new(0, last_value);
            for position in [10, 20] {
                log.push(entry(position, "x"), then);
            }
            log.trim(&KEEP, false, then + Duration::from_secs(3600));
            assert_eq!(log.start(), start);
            assert_eq!(log.is_spent(), !last_value);
        }
    }

    #[test]
    fn bytes_are_bounded() {
        let now = Instant::now();
        let mut log = Log::new(0, false);
        for position in 1..=3 {
            log.push(entry(position, vec![0; 400]), now);
            log.trim(&KEEP, false, now);
        }
        assert_eq!(log.window().first(), 1);
    }

    #[test]
    fn the_newest_frames_within_a_bound_are_found_by_count_and_by_bytes() {
        let mut log = Log::new(0, false);
        for position in 1..=10 {
            log.push(entry(position, vec![0; 100]), Instant::now());
        }
        let window = log.window();
        for (events, bytes, from) in [
            (3, 10_000, 7),
            (100, 250, 8),
            (1, 250, 9),
            (100, 99, 10),
            (100, 10_000, 0),
            (0, 10_000, 10),
        ] {
            assert_eq!(
                window.newest_within(events, bytes),
                from,
                "{events} {bytes}"
            );
            assert!(window.bytes_from(from) <= bytes);
        }
    }

    #[test]
    fn a_burst_waits_for_the_workers_that_follow() {
        let now = Instant::now();
        let mut log = Log::new(0, false);
        for position in 1..=20 {
            log.push(entry(position, "x"), now);
            log.trim(&KEEP, true, now);
        }
        assert_eq!(
            log.window().len(),
            10,
            "burst_events, not the three of the replay"
        );
        assert_eq!(log.place(15), Place::Forgotten, "yet the replay is exact");
        log.trim(&KEEP, true, now + GRACE + Duration::from_millis(1));
        assert_eq!(log.window().len(), 3);
    }

    #[test]
    fn a_topic_that_was_made_anew_does_not_know_its_past() {
        let mut log = Log::new(100, false);
        log.push(entry(101, "x"), Instant::now());
        assert_eq!(log.place(90), Place::Unknown);
        assert_eq!(log.place_after(90), Place::Forgotten);
        assert_eq!(log.place_after(100), Place::Before(0));
    }
}
