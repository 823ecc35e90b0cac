//! One worker's part of a hub: its streams, and its views of their topics (rules 2 and 6 of the
//! [hub](super)).

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use slab::Slab;
use tokio::time::Instant;

use super::{
    core::Batch,
    log::{BURST, Window},
    presence::Attendance,
    stream::{Lifecycle, Stream},
    turn::Turn,
    view::{IndexMap, View},
    wheel::Wheel,
};
use crate::{observe::CloseReason, stream::Wakes};

/// How many streams are woken before they are polled. Few enough that what waking one touches is
/// still in the processor's cache when it is polled: with thousands of streams that is a tenth of
/// what a delivery costs in user space. And many, since each turn waits for whatever else the thread has to
/// do: beside a client that floods it, a publication to a thousand streams took 40 ms in turns of 64.
const STREAMS_PER_TURN: usize = 256;

/// How often streams are looked at that have frames to read.
pub(super) const SCAN: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct State {
    pub(super) streams: Slab<Rc<RefCell<Stream>>>,
    /// The keys of the streams that have a user, so that a revocation finds them without looking
    /// at all others.
    pub(super) by_user: BTreeSet<(Arc<str>, usize)>,
    /// Those of the streams that have one, by key.
    pub(super) attending: HashMap<usize, Attendance>,
    pub(super) views: IndexMap<View>,
    /// The topics of which streams are still to be woken.
    rounds: VecDeque<usize>,
    /// The topics whose frames wait for others, and until when.
    lingering: BTreeSet<(Instant, usize)>,
    pub(crate) wheel: Wheel,
    pub(super) scan_at: Option<Instant>,
    pub(crate) empty_since: Option<Instant>,
}

impl State {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            streams: Slab::new(),
            by_user: BTreeSet::new(),
            attending: HashMap::new(),
            views: IndexMap::default(),
            rounds: VecDeque::new(),
            lingering: BTreeSet::new(),
            wheel: Wheel::new(now),
            scan_at: None,
            empty_since: Some(now),
        }
    }

    /// When the driver has to look again.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let lingering = self.lingering.first().map(|(until, _)| *until);
        [self.wheel.next(), self.scan_at, lingering]
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
                    lingers_until: None,
                    batch: None,
                });
                cursor.seat = view.seats.insert(key);
            }
        }
        let next = stream.look_again(now);
        self.wheel.insert(key, next);
    }

    /// Takes a stream out, if it is still there.
    pub(super) fn remove(&mut self, stream: &mut Stream, turn: &mut Turn<'_>) {
        let Some(key) = stream.key.take() else { return };
        self.streams.try_remove(key);
        if let Some(user) = &stream.user {
            self.by_user.remove(&(Arc::clone(user), key));
        }
        if !self.attending.is_empty() {
            self.attending.remove(&key);
        }
        if self.streams.is_empty() {
            self.empty_since = Some(turn.now);
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
        let mut core = turn.hub.core();
        for cursor in &following.cursors {
            core.detach(turn.worker, cursor.topic, turn.now);
        }
    }

    /// The keys of a user's streams.
    pub(super) fn keys_of(&self, user: &Arc<str>) -> impl Iterator<Item = usize> {
        let all = (Arc::clone(user), 0)..=(Arc::clone(user), usize::MAX);
        self.by_user.range(all).map(|(_, key)| *key)
    }

    /// Ends a stream whether or not its body is polled.
    pub(super) fn finish(&mut self, stream: &mut Stream, reason: CloseReason, turn: &mut Turn<'_>) {
        let reason = *stream.ending.get_or_insert(reason);
        self.remove(stream, turn);
        turn.effects.end(stream.depart(reason));
        let before = std::mem::replace(&mut stream.lifecycle, Lifecycle::Over);
        if let Some(carrier) = &stream.carrier {
            let spent = before == Lifecycle::GivenUp;
            carrier.over(
                spent,
                stream.config.stall,
                turn.now,
                &mut turn.effects.wakes,
            );
        }
        stream.wake(turn.now, &mut turn.effects.wakes);
    }

    /// Has every body end: nobody drives this worker any more.
    pub(crate) fn abandon(&self, wakes: &mut Wakes) {
        for (_, stream) in &self.streams {
            if let Ok(mut stream) = stream.try_borrow_mut() {
                stream.ending.get_or_insert(CloseReason::Error);
                wakes.add(stream.waker.take());
            }
        }
    }

    /// The ordinal up to which this worker has a topic's frames.
    pub(crate) fn since(&self, topic: usize) -> Option<u64> {
        self.views.get(&topic).map(|view| view.window.next())
    }

    /// Takes in new frames and commands.
    pub(super) fn accept(&mut self, batch: Batch, turn: &mut Turn<'_>) {
        // Commands first: nothing that was published after a revocation reaches its streams.
        for command in batch.commands {
            self.apply(&command, turn);
            turn.effects.carried_out(command);
        }
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
            if view.window.len() > turn.hub.config.subscriber_events.saturating_mul(BURST) {
                view.window.pop_front();
            }
        }
        for head in batch.heads {
            let Some(view) = self.views.get_mut(&head.topic) else {
                continue;
            };
            if view.window.next() < head.next {
                // Not even the newest frame was kept long enough.
                view.window = Window::starting_at(head.next, head.end);
            }
            let most = (turn.hub.config.subscriber_bytes as u64).saturating_mul(BURST as u64);
            while view.window.bytes_from(view.window.first()) > most {
                view.window.pop_front();
            }
            view.batch = None;
            if head.linger.is_zero() {
                view.begin_round(head.topic, &mut self.rounds);
            } else if view.lingers_until.is_none() {
                let until = turn.now + head.linger;
                view.lingers_until = Some(until);
                self.lingering.insert((until, head.topic));
            }
            self.scan_at.get_or_insert(turn.now + SCAN);
        }
    }

    /// Ends the waiting of topics whose frames have waited for others long enough.
    pub(super) fn linger(&mut self, turn: &Turn<'_>) {
        let is_over = |(until, _): &(Instant, usize)| *until <= turn.now;
        while self.lingering.first().is_some_and(is_over)
            && let Some((until, topic)) = self.lingering.pop_first()
        {
            // An index is used again.
            if let Some(view) = self.views.get_mut(&topic)
                && view
                    .lingers_until
                    .take_if(|known| *known == until)
                    .is_some()
            {
                view.begin_round(topic, &mut self.rounds);
            }
        }
    }

    /// Has the next streams polled that have something to read, a turn's worth; if that is less,
    /// there are no more.
    pub(super) fn wake_readers(&mut self, turn: &mut Turn<'_>) {
        while turn.effects.wakes.len() < STREAMS_PER_TURN {
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
                        stream.wake(turn.now, &mut turn.effects.wakes);
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
}
