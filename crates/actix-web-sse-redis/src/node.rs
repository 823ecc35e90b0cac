//! The state of one node: its hub, its topics and its reading positions. It outlives connections
//! and is used by the backplane's thread only.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use actix_web_sse::{History, Sink};
use tokio::sync::{Notify, oneshot};

use crate::{
    clock::Clock,
    config::RedisConfig,
    control::ControlMessage,
    cursor::{Cursors, Link},
    entry::Entry,
    handshake::Handshake,
    keys::Keys,
    known_revocations::KnownRevocations,
    lease::TicketId,
    node_counts::NodeCounts,
    stats::Gauges,
};

/// A request for the events after a number.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) after: u64,
    pub(crate) reply: oneshot::Sender<Result<History, String>>,
}

/// An epoch, and the number after which it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) name: String,
    pub(crate) base: u64,
}

pub(crate) struct Node {
    pub(crate) config: RedisConfig,
    pub(crate) keys: Keys,
    /// Identifies this process among the nodes.
    pub(crate) id: String,
    pub(crate) gauges: Arc<Gauges>,
    sink: OnceCell<Sink>,
    pub(crate) cursors: RefCell<Cursors>,
    /// Topics to follow or to leave, in order.
    changes: RefCell<Vec<(Arc<str>, bool)>>,
    epoch: RefCell<Option<Epoch>>,
    questions: RefCell<VecDeque<Question>>,
    pub(crate) control_queue: RefCell<VecDeque<ControlMessage>>,
    /// Notified when a control message is queued.
    pub(crate) control_queued: Notify,
    /// Streams of resumable tickets, with the lifetime of the ticket after its last stream.
    pub(crate) tickets: RefCell<NodeCounts<TicketId, Duration>>,
    /// Streams of users, where all nodes count together.
    pub(crate) users: RefCell<NodeCounts<Arc<str>, ()>>,
    /// Notified when a count must be sent.
    pub(crate) counts_dirty: Notify,
    pub(crate) known: Arc<KnownRevocations>,
    /// The number of the last revocation that was learned from Redis.
    pub(crate) last_revoked: Cell<u64>,
    /// Notified when topics have been joined: questions may be ready.
    pub(crate) joined: Notify,
    /// The last ID that was read of the control stream.
    pub(crate) control: RefCell<Option<String>>,
    /// The last number that was written to, and read from, the stream that wakes the reader.
    pub(crate) woken: Cell<u64>,
    pub(crate) wake_read: Cell<u64>,
    /// When the reader last got an answer.
    last_answer: Cell<Option<Instant>>,
    clock: Cell<Option<Clock>>,
}

impl Node {
    pub(crate) fn new(
        config: RedisConfig,
        gauges: Arc<Gauges>,
        known: Arc<KnownRevocations>,
    ) -> Self {
        Self {
            keys: Keys::new(&config.namespace),
            id: format!("{:016x}", fastrand::u64(..)),
            config,
            gauges,
            sink: OnceCell::new(),
            cursors: RefCell::default(),
            changes: RefCell::default(),
            epoch: RefCell::default(),
            questions: RefCell::default(),
            control_queue: RefCell::default(),
            control_queued: Notify::new(),
            tickets: RefCell::default(),
            users: RefCell::default(),
            counts_dirty: Notify::new(),
            known,
            last_revoked: Cell::new(0),
            joined: Notify::new(),
            control: RefCell::default(),
            woken: Cell::new(0),
            wake_read: Cell::new(0),
            last_answer: Cell::new(None),
            clock: Cell::new(None),
        }
    }

    /// Attaches the hub.
    pub(crate) fn start(&self, sink: Sink) {
        if let Some(epoch) = &*self.epoch.borrow() {
            // An epoch of this crate has a valid form.
            let _ = sink.epoch(&epoch.name);
        }
        let _ = self.sink.set(sink);
        self.notice_changes();
    }

    pub(crate) fn sink(&self) -> Option<&Sink> {
        self.sink.get()
    }

    /// Takes changed topics from the hub; returns whether there were any.
    pub(crate) fn notice_changes(&self) -> bool {
        let new = self.sink().map(Sink::changes).unwrap_or_default();
        let any = !new.is_empty();
        self.changes.borrow_mut().extend(new);
        any
    }

    /// Whether topics wait to be joined, for which the newest number has to be known.
    pub(crate) fn has_joining(&self) -> bool {
        self.changes.borrow().iter().any(|(_, follow)| *follow)
    }

    /// Joins and leaves topics. Nothing above `newest` has been delivered yet, so a stream of
    /// several topics gets all events in order.
    pub(crate) fn join(&self, newest: u64) {
        let changes = self.changes.take();
        if changes.is_empty() {
            return;
        }
        // A topic that is left and joined again is read on from its old position: a stream of it may
        // have got events meanwhile and must get the next ones.
        let mut left = HashMap::new();
        for (topic, follow) in changes {
            let mut cursors = self.cursors.borrow_mut();
            if follow {
                let last = left.remove(&topic).unwrap_or(newest);
                cursors.join(Arc::clone(&topic), last);
                drop(cursors);
                if let Some(sink) = self.sink() {
                    sink.followed(&topic, last);
                }
            } else if let Some(last) = cursors.leave(&topic) {
                left.insert(topic, last);
            }
        }
        let topics = self.cursors.borrow().len() as u64;
        self.gauges.topics.store(topics, Relaxed);
        self.joined.notify_one();
    }

    /// Leaves topics, which needs no number; all of them if the hub is dropped.
    pub(crate) fn leave(&self) {
        if self.sink().is_some_and(|sink| !sink.is_open()) {
            self.cursors.take();
        }
        self.join(0);
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.epoch.borrow().clone()
    }

    /// Sets the current epoch. A new one ends all streams, and each client gets a `reset`.
    pub(crate) fn set_epoch(&self, name: &str, base: u64) {
        let known = self.epoch.borrow().as_ref().map(|epoch| epoch.name == name);
        if known == Some(true) {
            return;
        }
        if known == Some(false) {
            self.gauges.resets.fetch_add(1, Relaxed);
            self.repeat_revocations(0);
        }
        self.gauges.set_epoch(name);
        self.epoch.replace(Some(Epoch {
            name: name.to_owned(),
            base,
        }));
        self.cursors.borrow_mut().forget_read();
        let Some(sink) = self.sink() else { return };
        let _ = sink.epoch(name);
        // Numbers rise across epochs, so reading goes on from the same positions.
        let positions = self.cursors.borrow().positions_owned();
        for (topic, last) in positions {
            sink.followed(&topic, last);
        }
    }

    /// Notes an event that Redis has acknowledged, so that this node detects if Redis loses it later,
    /// even before any node has read it.
    pub(crate) fn acknowledged(&self, epoch: &str, base: u64, topic: &Arc<str>, number: u64) {
        // An answer from before a newer epoch must not restore the old one.
        if self.epoch().is_none_or(|known| number > known.base) {
            self.set_epoch(epoch, base);
            self.cursors.borrow_mut().saw_entry(topic, number);
        }
    }

    /// Applies the clock, the epoch and the revocations of a handshake.
    pub(crate) fn note(&self, handshake: &Handshake) {
        self.clock.set(Some(Clock::better(
            self.clock.get(),
            handshake.asked,
            handshake.now,
        )));
        self.set_epoch(&handshake.epoch, handshake.base);
        self.catch_up(handshake);
    }

    /// Applies the handshake of a new connection.
    pub(crate) fn connected(&self, handshake: &Handshake) {
        self.note(handshake);
        self.control
            .borrow_mut()
            .get_or_insert_with(|| handshake.control.clone());
        self.cursors.borrow_mut().saw(handshake.newest);
        if self.was_away() {
            let topics = self.cursors.borrow().positions_owned();
            for (topic, _) in topics {
                self.report_gap(&topic, handshake.newest);
                self.cursors.borrow_mut().join(topic, handshake.newest);
            }
        }
        self.heard();
    }

    /// Whether the reader has been without an answer for so long that events published meanwhile may
    /// have expired.
    pub(crate) fn was_away(&self) -> bool {
        let away = self.last_answer.get().map(|heard| heard.elapsed());
        away.is_some_and(|away| away > self.config.keep_age / 2)
    }

    /// Notes that Redis has answered the reader.
    pub(crate) fn heard(&self) {
        self.last_answer.set(Some(Instant::now()));
        self.gauges.heard();
    }

    /// Delivers an entry to the hub. With [`Link::HistoryLost`] a new epoch must begin, because the
    /// number of the entry is not unique in the old one.
    pub(crate) fn deliver(&self, topic: &Arc<str>, entry: Entry) -> Link {
        let Some(record) = entry.record else {
            self.cursors.borrow_mut().skip(topic, entry.number);
            return Link::Duplicate;
        };
        let newer = |epoch: &Epoch| epoch.name != record.epoch && record.number > epoch.base;
        if self.epoch.borrow().as_ref().is_none_or(newer) {
            self.set_epoch(&record.epoch, record.number - 1);
        }
        let link = self.cursors.borrow_mut().advance(topic, &record);
        let Some(sink) = self.sink() else { return link };
        if link == Link::Gap {
            self.report_gap(topic, record.number - 1);
        }
        if link != Link::Duplicate {
            self.measure(sink, topic, record.number);
            sink.deliver(topic, record.number, record.event);
        }
        link
    }

    /// Reports that events of a topic up to this number are lost to this node.
    fn report_gap(&self, topic: &str, number: u64) {
        self.gauges.holes.fetch_add(1, Relaxed);
        if let Some(sink) = self.sink() {
            sink.lost(topic);
            sink.followed(topic, number);
        }
    }

    /// Records the age of an event.
    fn measure(&self, sink: &Sink, topic: &str, number: u64) {
        self.gauges.delivered.fetch_add(1, Relaxed);
        if let Some(clock) = self.clock.get() {
            let lag = clock.micros().saturating_sub(number);
            self.gauges.lag_micros.store(lag, Relaxed);
            sink.relayed(topic, Duration::from_micros(lag));
        }
    }

    /// Whether a handshake is due although events keep coming.
    pub(crate) fn handshake_is_old(&self) -> bool {
        self.clock.get().is_none_or(Clock::is_old)
    }

    pub(crate) fn ask(&self, question: Question) {
        self.questions.borrow_mut().push_back(question);
    }

    /// Takes the questions whose topics are all followed; abandoned ones are dropped.
    ///
    /// A question with a topic that is about to be left and joined again must wait: events between
    /// the answer and the joining would be in neither.
    pub(crate) fn ready_questions(&self) -> Vec<Question> {
        let cursors = self.cursors.borrow();
        let changes = self.changes.borrow();
        let changing: HashSet<&str> = changes.iter().map(|(topic, _)| &**topic).collect();
        let settled = |topic: &Arc<str>| cursors.has(topic) && !changing.contains(&**topic);
        let mut questions = self.questions.borrow_mut();
        let waiting = std::mem::take(&mut *questions);
        let (ready, waiting) = waiting
            .into_iter()
            .filter(|question| !question.reply.is_closed())
            .partition::<Vec<_>, _>(|question| question.topics.iter().all(settled));
        questions.extend(waiting);
        ready
    }
}
