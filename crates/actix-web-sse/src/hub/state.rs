//! One worker's part of a hub: its streams, and its own copy of the frames they are about to
//! read. No lock inside; the only lock taken from here is the core's, once per batch.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    task::Waker,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use slab::Slab;
use tokio::time::Instant;

use super::{
    Shared,
    core::{Command, Cursor, Post},
    index::IndexMap,
    log::{BURST, Frame, GRACE, Window},
    subscription::{EventHead, Filter},
    wheel::Wheel,
};
use crate::{
    config::{SlowConsumer, StreamConfig},
    event::EventName,
    lane::schedule::{Due, Schedule},
    observe::CloseReason,
    watch::Watch,
};

/// How much one read hands over: what actix puts into one write at the most.
const CHUNK: usize = 32 * 1024;

/// How many streams are woken before they are polled. Few enough that what waking one touches is
/// still in the processor's cache when it is polled: with thousands of streams that is a tenth of
/// what a delivery costs in user space.
const TURN: usize = 64;

/// How often streams are looked at that have frames to read.
const SCAN: Duration = Duration::from_millis(250);

/// How long a stream that looks stalled has to prove that only the worker was.
const SECOND_LOOK: Duration = Duration::from_millis(200);

/// An open stream, as its body and its worker both see it.
pub(crate) struct Stream {
    pub(crate) watch: Watch,
    pub(crate) config: Arc<StreamConfig>,
    pub(crate) schedule: Schedule,
    pub(crate) heartbeat_due: bool,
    /// It has an end of its own: a drain lets it go on as long as the window allows.
    pub(crate) whole: bool,
    /// The reason for which the body shall end, once it is polled.
    pub(crate) ending: Option<CloseReason>,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) waker: Option<Waker>,
    /// Since when the body has something to write and has not been polled.
    pub(crate) woken: Option<Instant>,
    /// It was found stalled once: after a pause of the whole worker every stream looks so.
    suspect: bool,
    /// If the body is not polled by then, it is ended without.
    finish_by: Option<Instant>,
    next_check: Instant,
    key: Option<usize>,
    subscription: Option<Following>,
}

/// A stream's reading position.
struct Following {
    /// One per topic; as a rule one, and no room for more.
    cursors: Box<[Cursor]>,
    filter: Option<Filter>,
    catching_up: bool,
    /// What was missed is on its way from elsewhere; live events wait for it.
    waiting: bool,
    /// It has everything up to this position from elsewhere. An engine may deliver some of that
    /// here later than it answered: it is passed over.
    has: Option<u64>,
    behind_since: Option<Instant>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("key", &self.key)
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}

impl Stream {
    pub(crate) fn new(
        watch: Watch,
        config: Arc<StreamConfig>,
        user: Option<Arc<str>>,
        now: Instant,
    ) -> Self {
        Self {
            watch,
            schedule: Schedule::new(config.heartbeat, now),
            config,
            heartbeat_due: false,
            whole: false,
            ending: None,
            user,
            waker: None,
            woken: None,
            suspect: false,
            finish_by: None,
            next_check: now,
            key: None,
            subscription: None,
        }
    }

    /// Makes it read topics.
    pub(crate) fn follow(&mut self, cursors: Vec<Cursor>, filter: Option<Filter>) {
        self.subscription = Some(Following {
            catching_up: cursors.iter().any(|cursor| cursor.next < cursor.live_from),
            cursors: cursors.into_boxed_slice(),
            filter,
            waiting: false,
            has: None,
            behind_since: None,
        });
    }

    /// The body is being polled; says why it shall end, if it shall.
    pub(crate) fn polled(&mut self, waker: &Waker, now: Instant) -> Option<CloseReason> {
        self.woken = None;
        self.suspect = false;
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        // The driver looks every 50 ms; not one event goes out after a deadline.
        if self.ending.is_none()
            && let Due::End(reason) = self.schedule.due(now)
        {
            self.ending = Some(reason);
            self.finish_by.get_or_insert(now + self.config.stall);
        }
        self.ending
    }

    /// Holds live events back until [`State::caught_up`].
    pub(crate) fn wait(&mut self) {
        if let Some(following) = &mut self.subscription {
            following.waiting = true;
        }
    }

    /// Whether there is something of this topic that it has not read.
    fn lacks(&self, topic: usize, next: u64) -> bool {
        self.subscription.as_ref().is_some_and(|following| {
            let mut cursors = following.cursors.iter();
            cursors.any(|cursor| cursor.topic == topic && cursor.next < next)
        })
    }

    /// Has the body polled. The waker is to be called when nothing is borrowed.
    fn wake(&mut self, now: Instant, wakes: &mut Vec<Waker>) {
        self.woken.get_or_insert(now);
        wakes.extend(self.waker.take());
    }

    fn end(&mut self, reason: CloseReason, now: Instant, wakes: &mut Vec<Waker>) {
        self.ending.get_or_insert(reason);
        self.finish_by.get_or_insert(now + self.config.stall);
        self.wake(now, wakes);
    }

    /// When to look at it next, after now.
    fn next_check(&self, now: Instant) -> Instant {
        let stall = match self.woken {
            Some(_) if self.suspect => Some(now + SECOND_LOOK),
            Some(since) => Some(since + self.config.stall),
            None => None,
        };
        // Once it is ending, its deadlines are behind it.
        let schedule = self.ending.is_none().then(|| self.schedule.next(now));
        let finish = self.ending.and(self.finish_by);
        [stall, schedule, finish]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| now + self.config.stall)
            .max(now + Duration::from_millis(1))
    }
}

/// What a stream found to send.
#[derive(Debug)]
pub(crate) enum Read {
    /// Nothing yet.
    Pending,
    /// Events as bytes.
    Chunk(Chunk),
    /// What was missed is no longer to be had.
    Gap,
    /// So many events were missed; reading goes on after them.
    Lagged(u64),
    /// The stream cannot go on.
    End(CloseReason),
}

#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    pub(crate) events: u32,
    pub(crate) replay: bool,
    pub(crate) oldest: Instant,
}

/// The frames of a topic that streams of this worker follow.
#[derive(Debug)]
struct View {
    /// Which of the topics with its index it shows.
    serial: u64,
    window: Window,
    /// The keys of the streams.
    seats: Slab<usize>,
    /// The seat whose stream is to be woken next.
    round: Option<usize>,
    /// More has come since this round began.
    again: bool,
    /// The last chunk that was put together: streams that keep pace ask for the same one.
    batch: Option<(u64, u64, Rc<Chunk>)>,
}

#[derive(Debug)]
pub(crate) struct State {
    streams: Slab<Rc<RefCell<Stream>>>,
    views: IndexMap<View>,
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
    pub(crate) fn remove(&mut self, stream: &mut Stream, hub: &Shared, worker: u64, now: Instant) {
        let Some(key) = stream.key.take() else { return };
        self.streams.try_remove(key);
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
        drop(core);
        hub.tell_interest();
    }

    /// Ends a stream whether or not its body is polled.
    fn finish(
        &mut self,
        stream: &mut Stream,
        reason: CloseReason,
        hub: &Shared,
        worker: u64,
        now: Instant,
        wakes: &mut Vec<Waker>,
    ) {
        let reason = *stream.ending.get_or_insert(reason);
        self.remove(stream, hub, worker, now);
        stream.watch.close(reason);
        stream.wake(now, wakes);
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
        post: Post,
        hub: &Shared,
        worker: u64,
        now: Instant,
        wakes: &mut Vec<Waker>,
    ) {
        // Commands first: nothing that was published after a revocation reaches its streams.
        for command in post.commands {
            self.obey(&command, hub, worker, now, wakes);
        }
        let mut changed = Vec::new();
        for (topic, frame) in post.frames {
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
        for (topic, next, end) in post.heads {
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
    pub(crate) fn wake_readers(&mut self, now: Instant, wakes: &mut Vec<Waker>) {
        while wakes.len() < TURN {
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
                        stream.wake(now, wakes);
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

    fn obey(
        &mut self,
        command: &Command,
        hub: &Shared,
        worker: u64,
        now: Instant,
        wakes: &mut Vec<Waker>,
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
            _ => self
                .streams
                .iter()
                .map(|(_, stream)| Rc::clone(stream))
                .collect(),
        };
        for stream in streams {
            let mut stream = stream.borrow_mut();
            match command {
                Command::User(user) if stream.user.as_ref() != Some(user) => {}
                Command::User(_) => {
                    self.finish(&mut stream, CloseReason::Revoked, hub, worker, now, wakes);
                }
                Command::Topic(.., reason) => {
                    self.finish(&mut stream, *reason, hub, worker, now, wakes);
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
    pub(crate) fn tick(&mut self, hub: &Shared, worker: u64, now: Instant, wakes: &mut Vec<Waker>) {
        while let Some(keys) = self.wheel.pop(now) {
            for key in keys {
                let Some(stream) = self.streams.get(key).map(Rc::clone) else {
                    continue;
                };
                let mut stream = stream.borrow_mut();
                if stream.next_check > now {
                    continue;
                }
                self.check(&mut stream, hub, worker, now, wakes);
                if stream.key.is_some() {
                    stream.next_check = stream.next_check(now);
                    self.wheel.insert(key, stream.next_check);
                }
            }
        }
        if self.scan_at.is_some_and(|at| at <= now) {
            self.scan(hub, worker, now, wakes);
        }
    }

    fn check(
        &mut self,
        stream: &mut Stream,
        hub: &Shared,
        worker: u64,
        now: Instant,
        wakes: &mut Vec<Waker>,
    ) {
        let overdue = stream.finish_by.is_some_and(|by| by <= now);
        if let Some(reason) = stream.ending.filter(|_| overdue) {
            return self.finish(stream, reason, hub, worker, now, wakes);
        }
        let stalled = stream
            .woken
            .is_some_and(|since| now.duration_since(since) >= stream.config.stall);
        if stalled && !stream.suspect {
            stream.suspect = true;
            return;
        }
        if stalled {
            return self.finish(stream, CloseReason::Stalled, hub, worker, now, wakes);
        }
        if stream.ending.is_some() {
            return;
        }
        match stream.schedule.due(now) {
            Due::End(reason) => stream.end(reason, now, wakes),
            Due::Heartbeat => {
                stream.heartbeat_due = true;
                stream.wake(now, wakes);
            }
            Due::Nothing => {}
        }
    }

    /// Looks how far each stream is behind: ends those that stay too far behind, forgets what
    /// everybody has read.
    fn scan(&mut self, hub: &Shared, worker: u64, now: Instant, wakes: &mut Vec<Waker>) {
        // After a pause of the whole worker every stream is behind, and none is slow.
        let late = self
            .scan_at
            .map(|at| now.duration_since(at))
            .filter(|late| *late > SCAN)
            .unwrap_or_default();
        let mut slow = Vec::new();
        let mut needed: IndexMap<u64> = IndexMap::default();
        for (_, stream) in &self.streams {
            let mut behind = stream.borrow_mut();
            let Some(following) = &mut behind.subscription else {
                continue;
            };
            let (mut events, mut bytes) = (0, 0);
            for cursor in &following.cursors {
                let Some(view) = self.views.get(&cursor.topic) else {
                    continue;
                };
                let from = cursor.next.max(cursor.live_from);
                events += view.window.next().saturating_sub(from);
                bytes += view.window.bytes_from(from);
                needed
                    .entry(cursor.topic)
                    .and_modify(|least| *least = from.min(*least))
                    .or_insert(from);
            }
            if following.waiting
                || events <= hub.config.subscriber_events as u64
                    && bytes <= hub.config.subscriber_bytes as u64
            {
                following.behind_since = None;
                continue;
            }
            let since = following.behind_since.map_or(now, |since| since + late);
            following.behind_since = Some(since);
            if now.duration_since(since) >= GRACE {
                drop(behind);
                slow.push(Rc::clone(stream));
            }
        }
        for stream in slow {
            let mut stream = stream.borrow_mut();
            if hub.config.slow_consumer == SlowConsumer::End {
                self.finish(
                    &mut stream,
                    CloseReason::SlowConsumer,
                    hub,
                    worker,
                    now,
                    wakes,
                );
            } else if let Some(following) = &mut stream.subscription {
                // What it skips, it is told when it reads again.
                following.behind_since = None;
                for cursor in &following.cursors {
                    let keep = hub.config.subscriber_events as u64;
                    if let Some(least) = needed.get_mut(&cursor.topic)
                        && let Some(view) = self.views.get(&cursor.topic)
                    {
                        *least = (*least).max(view.window.next().saturating_sub(keep));
                    }
                }
            }
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
            unread |= view.window.len() > 0;
        }
        self.scan_at = unread.then(|| now + SCAN);
    }

    /// A stream that waited goes on: with what comes after this position, up to which it has
    /// everything; without one, as a stream that never asked.
    pub(crate) fn caught_up(&mut self, stream: &mut Stream, position: Option<u64>) {
        let Some(following) = &mut stream.subscription else {
            return;
        };
        following.waiting = false;
        following.has = position;
        if position.is_some() {
            following.catching_up = false;
            for cursor in &mut following.cursors {
                cursor.next = cursor.next.max(cursor.live_from);
            }
        }
        self.pass_over(stream);
    }

    /// Moves a stream on over what it has from elsewhere.
    fn pass_over(&self, stream: &mut Stream) {
        let Some(following) = &mut stream.subscription else {
            return;
        };
        let Some(position) = following.has else {
            return;
        };
        for cursor in &mut following.cursors {
            if let Some(view) = self.views.get(&cursor.topic) {
                cursor.next = cursor.next.max(view.window.ordinal_after(position));
            }
        }
    }

    /// Packs events from elsewhere, as the filter wants them.
    pub(crate) fn pack(stream: &Stream, frames: &[Frame]) -> Read {
        let filter = stream
            .subscription
            .as_ref()
            .and_then(|following| following.filter.as_ref());
        match pack(frames.iter(), filter) {
            Some(Some(chunk)) => Read::Chunk(Chunk {
                replay: true,
                ..chunk
            }),
            Some(None) => Read::Pending,
            None => Read::End(CloseReason::Error),
        }
    }

    /// The next frames of a stream.
    pub(crate) fn read(&mut self, stream: &mut Stream, hub: &Shared) -> Read {
        self.pass_over(stream);
        let Some(following) = &mut stream.subscription else {
            return Read::Pending;
        };
        if following.waiting {
            return Read::Pending;
        }
        while following.catching_up {
            let Some(frames) = hub.core().replay(&mut following.cursors, CHUNK / 2) else {
                return Read::End(CloseReason::SlowConsumer);
            };
            if frames.is_empty() {
                following.catching_up = false;
                break;
            }
            match pack(frames.iter(), following.filter.as_ref()) {
                Some(Some(chunk)) => {
                    return Read::Chunk(Chunk {
                        replay: true,
                        ..chunk
                    });
                }
                Some(None) => {}
                None => return Read::End(CloseReason::Error),
            }
        }
        let (cursors, filter) = (&mut following.cursors, following.filter.as_ref());
        if let ([cursor], None) = (&mut **cursors, filter) {
            // The way of nearly all streams: one topic, all of it.
            let Some(view) = self.views.get_mut(&cursor.topic) else {
                return Read::Pending;
            };
            let missed = view.skip(cursor);
            return if missed > 0 {
                overrun(missed, hub.config.slow_consumer)
            } else {
                view.read(cursor)
            };
        }
        let missed = cursors.iter_mut().fold(0, |missed, cursor| {
            let view = self.views.get(&cursor.topic);
            missed + view.map_or(0, |view| view.skip(cursor))
        });
        if missed > 0 {
            return overrun(missed, hub.config.slow_consumer);
        }
        loop {
            let frames = merge(cursors, &self.views);
            if frames.is_empty() {
                return Read::Pending;
            }
            match pack(frames.iter(), filter) {
                Some(Some(chunk)) => return Read::Chunk(chunk),
                Some(None) => {}
                None => return Read::End(CloseReason::Error),
            }
        }
    }
}

const fn overrun(missed: u64, slow_consumer: SlowConsumer) -> Read {
    match slow_consumer {
        SlowConsumer::End => Read::End(CloseReason::SlowConsumer),
        SlowConsumer::Skip => Read::Lagged(missed),
    }
}

impl View {
    /// Moves a cursor on over what is no longer here; so many events that is.
    fn skip(&self, cursor: &mut Cursor) -> u64 {
        let missed = self.window.first().saturating_sub(cursor.next);
        cursor.next += missed;
        missed
    }

    /// The frames from the cursor on. Streams that keep pace share what is put together here.
    fn read(&mut self, cursor: &mut Cursor) -> Read {
        if cursor.next >= self.window.next() {
            return Read::Pending;
        }
        let known = self
            .batch
            .as_ref()
            .filter(|(from, ..)| *from == cursor.next);
        let (to, chunk) = if let Some((_, to, chunk)) = known {
            (*to, Rc::clone(chunk))
        } else {
            let mut bytes = 0;
            let frames = self.window.iter_from(cursor.next).take_while(|frame| {
                let fits = bytes < CHUNK / 2;
                bytes += frame.bytes.len();
                fits
            });
            let frames = frames.collect::<Vec<_>>();
            let to = cursor.next + frames.len() as u64;
            let Some(Some(chunk)) = pack(frames.into_iter(), None) else {
                return Read::Pending;
            };
            let chunk = Rc::new(chunk);
            self.batch = Some((cursor.next, to, Rc::clone(&chunk)));
            (to, chunk)
        };
        cursor.next = to;
        Read::Chunk(Chunk {
            bytes: chunk.bytes.clone(),
            ..*chunk
        })
    }
}

/// The next frames of several topics, in the order of their positions, about a chunk's worth.
fn merge(cursors: &mut [Cursor], views: &IndexMap<View>) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut bytes = 0;
    while bytes < CHUNK / 2 {
        let mut oldest: Option<(&Frame, &mut Cursor)> = None;
        for cursor in cursors.iter_mut() {
            let frame = views
                .get(&cursor.topic)
                .and_then(|view| view.window.get(cursor.next));
            if let Some(frame) = frame
                && oldest
                    .as_ref()
                    .is_none_or(|(known, _)| frame.position < known.position)
            {
                oldest = Some((frame, cursor));
            }
        }
        let Some((frame, cursor)) = oldest else { break };
        cursor.next += 1;
        bytes += frame.bytes.len();
        frames.push(frame.clone());
    }
    frames
}

/// One piece out of several frames. `Some(None)`: the filter wants none of them. `None`: the
/// filter panicked.
fn pack<'a>(
    frames: impl Iterator<Item = &'a Frame>,
    filter: Option<&Filter>,
) -> Option<Option<Chunk>> {
    let mut wanted = Vec::new();
    for frame in frames {
        if let Some(filter) = filter {
            let labels = frame.labels.as_deref();
            let head = EventHead {
                name: labels
                    .and_then(|labels| labels.name.as_ref())
                    .map(EventName::as_str),
                tag: labels.and_then(|labels| labels.tag.as_deref()),
            };
            if !catch_unwind(AssertUnwindSafe(|| filter(&head))).ok()? {
                continue;
            }
        }
        wanted.push(frame);
    }
    let Some((first, rest)) = wanted.split_first() else {
        return Some(None);
    };
    let bytes = if rest.is_empty() {
        first.bytes.clone()
    } else {
        let mut all = BytesMut::with_capacity(wanted.iter().map(|frame| frame.bytes.len()).sum());
        for frame in &wanted {
            all.extend_from_slice(&frame.bytes);
        }
        all.freeze()
    };
    Some(Some(Chunk {
        bytes,
        events: u32::try_from(wanted.len()).unwrap_or(u32::MAX),
        replay: false,
        oldest: first.published,
    }))
}
