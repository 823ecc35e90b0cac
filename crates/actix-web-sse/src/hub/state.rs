//! One worker's part of a hub: its streams, and its own copy of the frames they are about to
//! read. No lock inside; the only lock taken from here is the core's, once per batch.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    rc::Rc,
    sync::Arc,
    task::Waker,
    time::Duration,
};

use slab::Slab;
use tokio::time::Instant;

use super::{
    Shared,
    core::Batch,
    effects::Effects,
    index::IndexMap,
    log::{BURST, GRACE, Window},
    mailbox::Command,
    stream::{Lifecycle, Stream},
    view::View,
    wheel::Wheel,
};
use crate::{config::SlowConsumer, observe::CloseReason, stream::Due};

/// How many streams are woken before they are polled. Few enough that what waking one touches is
/// still in the processor's cache when it is polled: with thousands of streams that is a tenth of
/// what a delivery costs in user space.
const TURN: usize = 64;

/// How often streams are looked at that have frames to read.
const SCAN: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct State {
    streams: Slab<Rc<RefCell<Stream>>>,
    /// The keys of the streams that have a user, so that a revocation finds them without looking
    /// at all others.
    by_user: BTreeSet<(Arc<str>, usize)>,
    pub(super) views: IndexMap<View>,
    /// The topics of which streams are still to be woken.
    rounds: VecDeque<usize>,
    pub(crate) wheel: Wheel,
    scan_at: Option<Instant>,
    pub(crate) empty_since: Option<Instant>,
}

impl State {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            streams: Slab::new(),
            by_user: BTreeSet::new(),
            views: IndexMap::default(),
            rounds: VecDeque::new(),
            wheel: Wheel::new(now),
            scan_at: None,
            empty_since: Some(now),
        }
    }

    /// When the driver has to look again.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        [self.wheel.next(), self.scan_at]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn insert(&mut self, stream: &Rc<RefCell<Stream>>, ends: &[u64], now: Instant) {
        let key = self.streams.insert(Rc::clone(stream));
        self.empty_since = None;
        let mut stream = stream.borrow_mut();
        stream.key = Some(key);
        if let Some(user) = &stream.user {
            self.by_user.insert((Arc::clone(user), key));
        }
        if let Some(following) = &mut stream.subscription {
            for (cursor, end) in following.cursors.iter_mut().zip(ends) {
                let view = self.views.entry(cursor.topic).or_insert_with(|| View {
                    serial: cursor.serial,
                    window: Window::starting_at(cursor.live_from, *end),
                    seats: Slab::new(),
                    round: None,
                    again: false,
                    batch: None,
                });
                cursor.seat = view.seats.insert(key);
            }
        }
        stream.next_check = stream.next_check(now);
        self.wheel.insert(key, stream.next_check);
    }

    /// Takes a stream out, if it is still there.
    pub(crate) fn remove(
        &mut self,
        stream: &mut Stream,
        hub: &Shared,
        worker: u64,
        now: Instant,
        effects: &mut Effects,
    ) {
        let Some(key) = stream.key.take() else { return };
        self.streams.try_remove(key);
        if let Some(user) = &stream.user {
            self.by_user.remove(&(Arc::clone(user), key));
        }
        if self.streams.is_empty() {
            self.empty_since = Some(now);
        }
        let Some(following) = stream.subscription.take() else {
            return;
        };
        for cursor in &following.cursors {
            if let Some(view) = self.views.get_mut(&cursor.topic) {
                view.seats.try_remove(cursor.seat);
                if view.seats.is_empty() {
                    self.views.remove(&cursor.topic);
                }
            }
        }
        let mut core = hub.core();
        for cursor in &following.cursors {
            core.detach(worker, cursor.topic);
        }
        effects.interest();
    }

    /// Ends a stream whether or not its body is polled.
    fn finish(
        &mut self,
        stream: &mut Stream,
        reason: CloseReason,
        hub: &Shared,
        worker: u64,
        now: Instant,
        effects: &mut Effects,
    ) {
        let reason = *stream.ending.get_or_insert(reason);
        self.remove(stream, hub, worker, now, effects);
        effects.end(stream.depart(reason));
        let before = std::mem::replace(&mut stream.lifecycle, Lifecycle::Over);
        if let Some(carrier) = &stream.carrier {
            let spent = before == Lifecycle::GivenUp;
            carrier.over(spent, stream.config.stall, now, &mut effects.wakes);
        }
        stream.wake(now, &mut effects.wakes);
    }

    /// Has every body end: nobody drives this worker any more.
    pub(crate) fn abandon(&self, wakes: &mut Vec<Waker>) {
        for (_, stream) in &self.streams {
            if let Ok(mut stream) = stream.try_borrow_mut() {
                stream.ending.get_or_insert(CloseReason::Error);
                wakes.extend(stream.waker.take());
            }
        }
    }

    /// The ordinal up to which this worker has a topic's frames.
    pub(crate) fn since(&self, topic: usize) -> Option<u64> {
        self.views.get(&topic).map(|view| view.window.next())
    }

    /// Takes in new frames and commands.
    pub(crate) fn accept(
        &mut self,
        batch: Batch,
        hub: &Shared,
        worker: u64,
        now: Instant,
        effects: &mut Effects,
    ) {
        // Commands first: nothing that was published after a revocation reaches its streams.
        for command in batch.commands {
            self.apply(&command, hub, worker, now, effects);
        }
        let mut changed = Vec::new();
        for (topic, frame) in batch.frames {
            let Some(view) = self.views.get_mut(&topic) else {
                continue;
            };
            let gap = frame.ordinal != view.window.next();
            if gap {
                // The log could not wait for this worker: streams find out by their cursors.
                view.window =
                    Window::starting_at(frame.ordinal, frame.end - frame.bytes.len() as u64);
            }
            view.window.push(frame);
            if view.window.len() > hub.config.subscriber_events.saturating_mul(BURST) {
                view.window.pop_front();
            }
            if changed.last() != Some(&topic) {
                changed.push(topic);
            }
        }
        for (topic, next, end) in batch.heads {
            if let Some(view) = self.views.get_mut(&topic)
                && view.window.next() < next
            {
                // Not even the newest frame was kept long enough.
                view.window = Window::starting_at(next, end);
                if !changed.contains(&topic) {
                    changed.push(topic);
                }
            }
        }
        for topic in changed {
            let Some(view) = self.views.get_mut(&topic) else {
                continue;
            };
            let most = (hub.config.subscriber_bytes as u64).saturating_mul(BURST as u64);
            while view.window.bytes_from(view.window.first()) > most {
                view.window.pop_front();
            }
            view.batch = None;
            if view.round.is_none() {
                view.round = Some(0);
                self.rounds.push_back(topic);
            } else {
                view.again = true;
            }
            self.scan_at.get_or_insert(now + SCAN);
        }
    }

    /// Has the next streams polled that have something to read, a turn's worth; if that is less,
    /// there are no more.
    pub(crate) fn wake_readers(&mut self, now: Instant, effects: &mut Effects) {
        while effects.wakes.len() < TURN {
            let Some(topic) = self.rounds.front() else {
                return;
            };
            let Some((view, at)) = self
                .views
                .get_mut(topic)
                .and_then(|view| view.round.map(|at| (view, at)))
            else {
                self.rounds.pop_front();
                continue;
            };
            if at < view.seats.capacity() {
                view.round = Some(at + 1);
                let stream = view.seats.get(at).and_then(|key| self.streams.get(*key));
                if let Some(stream) = stream {
                    let mut stream = stream.borrow_mut();
                    // Who was polled meanwhile has read it already.
                    if stream.lacks(*topic, view.window.next()) {
                        stream.wake(now, &mut effects.wakes);
                    }
                }
            } else if std::mem::take(&mut view.again) {
                view.round = Some(0);
                // The other topics first.
                self.rounds.rotate_left(1);
            } else {
                view.round = None;
                self.rounds.pop_front();
            }
        }
    }

    fn apply(
        &mut self,
        command: &Command,
        hub: &Shared,
        worker: u64,
        now: Instant,
        effects: &mut Effects,
    ) {
        let streams = match command {
            Command::Topic(topic, serial, _) => self
                .views
                .get(topic)
                .filter(|view| view.serial == *serial)
                .into_iter()
                .flat_map(|view| &view.seats)
                .filter_map(|(_, key)| self.streams.get(*key).map(Rc::clone))
                .collect::<Vec<_>>(),
            Command::User(user) => self
                .by_user
                .range((Arc::clone(user), 0)..=(Arc::clone(user), usize::MAX))
                .filter_map(|(_, key)| self.streams.get(*key).map(Rc::clone))
                .collect(),
            Command::All(..) => self
                .streams
                .iter()
                .map(|(_, stream)| Rc::clone(stream))
                .collect(),
        };
        for stream in streams {
            let mut stream = stream.borrow_mut();
            match command {
                Command::User(_) => {
                    self.finish(&mut stream, CloseReason::Revoked, hub, worker, now, effects);
                }
                Command::Topic(.., reason) => {
                    self.finish(&mut stream, *reason, hub, worker, now, effects);
                }
                Command::All(reason, until) => {
                    let window = until.saturating_duration_since(now);
                    let share = if stream.whole {
                        0.9
                    } else {
                        0.75 * fastrand::f64()
                    };
                    stream.schedule.end_by(now + window.mul_f64(share), *reason);
                    stream.finish_by = Some(stream.finish_by.map_or(*until, |by| by.min(*until)));
                    stream.next_check = stream.next_check(now);
                    if let Some(key) = stream.key {
                        self.wheel.insert(key, stream.next_check);
                    }
                }
            }
        }
    }

    /// Does what the time calls for.
    pub(crate) fn tick(&mut self, hub: &Shared, worker: u64, now: Instant, effects: &mut Effects) {
        while let Some(keys) = self.wheel.pop(now) {
            for key in keys {
                let Some(stream) = self.streams.get(key).map(Rc::clone) else {
                    continue;
                };
                let mut stream = stream.borrow_mut();
                if stream.next_check > now {
                    continue;
                }
                self.check(&mut stream, hub, worker, now, effects);
                if stream.key.is_some() {
                    stream.next_check = stream.next_check(now);
                    self.wheel.insert(key, stream.next_check);
                }
            }
        }
        if self.scan_at.is_some_and(|at| at <= now) {
            self.scan(hub, worker, now, effects);
        }
    }

    fn check(
        &mut self,
        stream: &mut Stream,
        hub: &Shared,
        worker: u64,
        now: Instant,
        effects: &mut Effects,
    ) {
        let overdue = stream.finish_by.is_some_and(|by| by <= now);
        if let Some(reason) = stream.ending.filter(|_| overdue) {
            stream.lifecycle = Lifecycle::GivenUp;
            return self.finish(stream, reason, hub, worker, now, effects);
        }
        let stalled = stream
            .woken
            .is_some_and(|since| now.duration_since(since) >= stream.config.stall);
        if stalled && !stream.suspect {
            stream.suspect = true;
            return;
        }
        if stalled {
            stream.lifecycle = Lifecycle::GivenUp;
            return self.finish(stream, CloseReason::Stalled, hub, worker, now, effects);
        }
        if stream.ending.is_some() {
            return;
        }
        match stream.schedule.due(now) {
            Due::End(reason) => stream.end(reason, now, &mut effects.wakes),
            Due::Heartbeat => {
                stream.heartbeat_due = true;
                stream.wake(now, &mut effects.wakes);
            }
            Due::Nothing => {}
        }
    }

    /// Looks how far each stream is behind: ends those that stay too far behind, forgets what
    /// everybody has read.
    fn scan(&mut self, hub: &Shared, worker: u64, now: Instant, effects: &mut Effects) {
        // After a pause of the whole worker every stream is behind, and none is slow.
        let late = self
            .scan_at
            .map(|at| now.duration_since(at))
            .filter(|late| *late > SCAN)
            .unwrap_or_default();
        let most_events = hub.config.subscriber_events as u64;
        let most_bytes = hub.config.subscriber_bytes as u64;
        let mut ended = Vec::new();
        let mut needed: IndexMap<u64> = IndexMap::default();
        for (_, stream) in &self.streams {
            let mut behind = stream.borrow_mut();
            let Some(following) = &mut behind.subscription else {
                continue;
            };
            let (mut events, mut bytes, mut lost) = (0, 0, false);
            for cursor in &following.cursors {
                if let Some(view) = self.views.get(&cursor.topic) {
                    let from = cursor.next.max(cursor.live_from);
                    events += view.window.next().saturating_sub(from);
                    bytes += view.window.bytes_from(from);
                    // Until it reads again, however little is left for it.
                    lost |= from < view.window.first();
                }
            }
            let within = !lost && events <= most_events && bytes <= most_bytes;
            let keeps_pace = following.waiting || within;
            let since = following.behind_since.map_or(now, |since| since + late);
            following.behind_since = (!keeps_pace).then_some(since);
            let slow = !keeps_pace && now.duration_since(since) >= GRACE;
            if slow && hub.config.slow_consumer == SlowConsumer::End {
                ended.push(Rc::clone(stream));
                continue;
            }
            let topics = following.cursors.len().max(1) as u64;
            for cursor in &following.cursors {
                let Some(view) = self.views.get(&cursor.topic) else {
                    continue;
                };
                let mut from = cursor.next.max(cursor.live_from);
                if slow {
                    // It skips what is before that, and is told so when it reads again. Of several
                    // topics each has its part, for the limits are the stream's.
                    let share = (most_events / topics, most_bytes / topics);
                    from = from.max(view.window.newest_within(share.0, share.1));
                }
                needed
                    .entry(cursor.topic)
                    .and_modify(|least| *least = from.min(*least))
                    .or_insert(from);
            }
        }
        for stream in ended {
            let mut stream = stream.borrow_mut();
            stream.lifecycle = Lifecycle::GivenUp;
            self.finish(
                &mut stream,
                CloseReason::SlowConsumer,
                hub,
                worker,
                now,
                effects,
            );
        }
        let mut unread = false;
        for (topic, view) in &mut self.views {
            let least = needed
                .get(topic)
                .copied()
                .unwrap_or_else(|| view.window.next());
            view.window.forget_before(least);
            if view.seats.capacity() > 64 && view.seats.len() < view.seats.capacity() / 4 {
                view.seats.shrink_to_fit();
            }
            if view.window.len() == 0 {
                // Everybody has it: an idle topic holds no bytes.
                view.batch = None;
            }
            unread |= view.window.len() > 0;
        }
        self.scan_at = unread.then(|| now + SCAN);
    }
}
