//! What one node knows: its hub, its topics and how far it has read them. It outlives
//! connections; everything in it is touched by the backplane's own thread alone.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use actix_web_sse::{History, Sink};
use tokio::sync::{Notify, oneshot};

use crate::{
    clock::Clock,
    config::RedisConfig,
    following::{Following, Link},
    held::TicketId,
    hello::Hello,
    holdings::Holdings,
    keys::Keys,
    ledger::Ledger,
    record::Entry,
    stats::Gauges,
    words::Word,
};

/// Somebody wants to know what was missed.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) after: u64,
    pub(crate) reply: oneshot::Sender<Result<History, String>>,
}

/// A numbering, and the number after which it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) name: String,
    pub(crate) base: u64,
}

pub(crate) struct Node {
    pub(crate) config: RedisConfig,
    pub(crate) keys: Keys,
    /// Tells this process from the others.
    pub(crate) id: String,
    pub(crate) gauges: Arc<Gauges>,
    sink: OnceCell<Sink>,
    pub(crate) following: RefCell<Following>,
    /// Topics to follow or to leave, in order.
    changes: RefCell<Vec<(Arc<str>, bool)>>,
    epoch: RefCell<Option<Epoch>>,
    questions: RefCell<VecDeque<Question>>,
    pub(crate) words: RefCell<VecDeque<Word>>,
    /// A word waits.
    pub(crate) telling: Notify,
    /// Streams of resumable tickets, with how long these live on.
    pub(crate) tickets: RefCell<Holdings<TicketId, Duration>>,
    /// Streams of users, where those are counted on all nodes.
    pub(crate) users: RefCell<Holdings<Arc<str>, ()>>,
    /// Redis is to be told how many there are.
    pub(crate) owing: Notify,
    pub(crate) ledger: Arc<Ledger>,
    /// The number of the last revocation that was learned from Redis.
    pub(crate) last_revoked: Cell<u64>,
    /// Topics have been joined: questions may be ready.
    pub(crate) joined: Notify,
    /// The last ID that was read of the control stream.
    pub(crate) control: RefCell<Option<String>>,
    /// The last number that was written to, and read from, the stream that wakes the reader.
    pub(crate) woken: Cell<u64>,
    pub(crate) wake_read: Cell<u64>,
    /// When the reader last had an answer.
    heard: Cell<Option<Instant>>,
    clock: Cell<Option<Clock>>,
}

impl Node {
    pub(crate) fn new(config: RedisConfig, gauges: Arc<Gauges>, ledger: Arc<Ledger>) -> Self {
        Self {
            keys: Keys::new(&config.namespace),
            id: format!("{:016x}", fastrand::u64(..)),
            config,
            gauges,
            sink: OnceCell::new(),
            following: RefCell::default(),
            changes: RefCell::default(),
            epoch: RefCell::default(),
            questions: RefCell::default(),
            words: RefCell::default(),
            telling: Notify::new(),
            tickets: RefCell::default(),
            users: RefCell::default(),
            owing: Notify::new(),
            ledger,
            last_revoked: Cell::new(0),
            joined: Notify::new(),
            control: RefCell::default(),
            woken: Cell::new(0),
            wake_read: Cell::new(0),
            heard: Cell::new(None),
            clock: Cell::new(None),
        }
    }

    /// The hub is there.
    pub(crate) fn start(&self, sink: Sink) {
        if let Some(epoch) = &*self.epoch.borrow() {
            // A name of ours always fits.
            let _ = sink.epoch(&epoch.name);
        }
        let _ = self.sink.set(sink);
        self.notice_changes();
    }

    pub(crate) fn sink(&self) -> Option<&Sink> {
        self.sink.get()
    }

    /// Asks the hub what has changed; whether anything has.
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

    /// Joins and leaves topics. Nothing above this number has been delivered yet: so a stream of
    /// several topics gets everything in order.
    pub(crate) fn join(&self, newest: u64) {
        let changes = self.changes.take();
        if changes.is_empty() {
            return;
        }
        for (topic, follow) in changes {
            if follow {
                let mut following = self.following.borrow_mut();
                following.join(Arc::clone(&topic), newest);
                drop(following);
                if let Some(sink) = self.sink() {
                    sink.followed(&topic, newest);
                }
            } else {
                self.following.borrow_mut().leave(&topic);
            }
        }
        let topics = self.following.borrow().len() as u64;
        self.gauges.topics.store(topics, Relaxed);
        self.joined.notify_one();
    }

    /// Leaves topics, for which no number is needed; all of them if the hub is gone.
    pub(crate) fn leave(&self) {
        if self.sink().is_some_and(|sink| !sink.is_open()) {
            self.following.take();
        }
        self.join(0);
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.epoch.borrow().clone()
    }

    /// Takes note of the numbering in force. A new one ends all streams, and each client is told.
    pub(crate) fn set_epoch(&self, name: &str, base: u64) {
        let known = self.epoch.borrow().as_ref().map(|epoch| epoch.name == name);
        if known == Some(true) {
            return;
        }
        if known == Some(false) {
            self.gauges.resets.fetch_add(1, Relaxed);
            self.tell_again(0);
        }
        self.gauges.set_epoch(name);
        self.epoch.replace(Some(Epoch {
            name: name.to_owned(),
            base,
        }));
        self.following.borrow_mut().forget_read();
        let Some(sink) = self.sink() else { return };
        let _ = sink.epoch(name);
        // Numbers go on rising from one numbering to the next, and so does reading.
        let places = self.following.borrow().places_owned();
        for (topic, last) in places {
            sink.followed(&topic, last);
        }
    }

    /// Takes note of Redis's clock and numbering.
    pub(crate) fn note(&self, hello: &Hello) {
        self.clock.set(Some(Clock::better(
            self.clock.get(),
            hello.asked,
            hello.now,
        )));
        self.set_epoch(&hello.epoch, hello.base);
        self.catch_up(hello);
    }

    /// A connection has been made.
    pub(crate) fn greet(&self, hello: &Hello) {
        self.note(hello);
        self.control
            .borrow_mut()
            .get_or_insert_with(|| hello.control.clone());
        self.following.borrow_mut().saw(hello.newest);
        if self.was_away() {
            let topics = self.following.borrow().places_owned();
            for (topic, _) in topics {
                self.lose(&topic, hello.newest);
                self.following.borrow_mut().join(topic, hello.newest);
            }
        }
        self.hear();
    }

    /// Whether the reader has had no answer for so long that what was published meanwhile may
    /// have expired.
    pub(crate) fn was_away(&self) -> bool {
        let away = self.heard.get().map(|heard| heard.elapsed());
        away.is_some_and(|away| away > self.config.keep_age / 2)
    }

    /// Redis has answered the reader.
    pub(crate) fn hear(&self) {
        self.heard.set(Some(Instant::now()));
        self.gauges.heard();
    }

    /// Hands an entry to the hub. Returns true if Redis has lost history: a new numbering is
    /// needed before the entry that was handed over means anything to other nodes.
    pub(crate) fn deliver(&self, topic: &str, entry: Entry) -> Link {
        let Some(record) = entry.record else {
            self.following.borrow_mut().skip(topic, entry.number);
            return Link::Known;
        };
        let newer = |epoch: &Epoch| epoch.name != record.epoch && record.number > epoch.base;
        if self.epoch.borrow().as_ref().is_none_or(newer) {
            self.set_epoch(&record.epoch, record.number - 1);
        }
        let link = self.following.borrow_mut().advance(topic, &record);
        let Some(sink) = self.sink() else { return link };
        if link == Link::Hole {
            self.lose(topic, record.number - 1);
        }
        if link != Link::Known {
            self.measure(sink, topic, record.number);
            sink.deliver(topic, record.number, record.event);
        }
        link
    }

    /// Something of a topic is lost to this node, up to this number.
    fn lose(&self, topic: &str, number: u64) {
        self.gauges.holes.fetch_add(1, Relaxed);
        if let Some(sink) = self.sink() {
            sink.lost(topic);
            sink.followed(topic, number);
        }
    }

    /// Takes note of how old an event is.
    fn measure(&self, sink: &Sink, topic: &str, number: u64) {
        self.gauges.delivered.fetch_add(1, Relaxed);
        if let Some(clock) = self.clock.get() {
            let lag = clock.micros().saturating_sub(number);
            self.gauges.lag_micros.store(lag, Relaxed);
            sink.relayed(topic, Duration::from_micros(lag));
        }
    }

    /// Whether it is time to look at Redis's clock and numbering again, although events come and
    /// the reader has no other reason to ask.
    pub(crate) fn greeted_long_ago(&self) -> bool {
        self.clock.get().is_none_or(Clock::is_old)
    }

    pub(crate) fn ask(&self, question: Question) {
        self.questions.borrow_mut().push_back(question);
    }

    /// Questions whose topics are all followed; those that nobody waits for any more are dropped.
    pub(crate) fn ready_questions(&self) -> Vec<Question> {
        let following = self.following.borrow();
        let mut questions = self.questions.borrow_mut();
        let waiting = std::mem::take(&mut *questions);
        let (ready, waiting) = waiting
            .into_iter()
            .filter(|question| !question.reply.is_closed())
            .partition::<Vec<_>, _>(|question| {
                question.topics.iter().all(|topic| following.has(topic))
            });
        questions.extend(waiting);
        ready
    }
}
