//! What all threads share, under one lock: topics with their logs, and a mailbox per worker.
//!
//! One lock for the whole hub, because an ID must place a subscriber of several topics exactly:
//! positions are handed out and delivered in one order. It is held for a few hundred nanoseconds
//! at a publication, and once per batch by each worker. The wake protocol is plain data under the
//! same lock: a publisher that finds a worker already signalled leaves it alone; a worker that
//! finds nothing leaves its waker. So a publication costs one wake per worker at most, whatever
//! the number of streams, and no wake can be lost.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    task::Waker,
};

use bytes::Bytes;
use slab::Slab;
use tokio::time::Instant;

use super::{
    id::Epoch,
    log::{Frame, Keep, Labels, Log, Place},
};
use crate::{
    encode::Unnumbered,
    observe::{CloseReason, Resume},
};

/// Which of its streams a worker is told to end.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Those of this user.
    User(Arc<str>),
    /// Those that follow this topic: its index, and when it was made, since an index is used
    /// again.
    Topic(usize, u64, CloseReason),
    /// All, spread until this instant.
    All(CloseReason, Instant),
}

/// The bounds of a hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) keep: Keep,
    pub(crate) max_topics: usize,
}

#[derive(Debug)]
pub(crate) struct Core {
    epoch: Epoch,
    limits: Limits,
    /// The position of the newest event.
    position: u64,
    topics: Slab<Topic>,
    by_name: HashMap<Arc<str>, usize>,
    /// The newest position that a removed topic took with it.
    removed: u64,
    /// Where the sweep goes on.
    swept: usize,
    workers: BTreeMap<u64, Mailbox>,
    next_worker: u64,
    next_topic: u64,
    draining: bool,
    /// Open streams, and those that are about to open.
    streams: usize,
    /// Who waits until there is none.
    awaiting_none: Vec<Waker>,
    /// Topics made (`true`) and removed since a backplane last asked; `None` without one.
    changes: Option<Vec<(Arc<str>, bool)>>,
}

#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    /// Counts the topics of the hub: unlike its index, no other topic ever has it.
    serial: u64,
    log: Log,
    followers: Vec<Follower>,
}

/// A worker with streams of a topic.
#[derive(Debug)]
struct Follower {
    worker: u64,
    streams: usize,
    /// Stands in the worker's mailbox.
    posted: bool,
}

#[derive(Debug, Default)]
struct Mailbox {
    topics: Vec<usize>,
    commands: Vec<Command>,
    signalled: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    fn signal(&mut self, wakes: &mut Vec<Waker>) {
        if !self.signalled {
            self.signalled = true;
            wakes.extend(self.waker.take());
        }
    }
}

/// A stream's place in one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) topic: usize,
    /// Which of the topics with this index it is.
    pub(crate) serial: u64,
    /// The ordinal of the frame to come.
    pub(crate) next: u64,
    /// Up to here, frames are replayed from the shared log; from here on the worker has them.
    pub(crate) live_from: u64,
    /// The stream's seat in its worker's view of the topic; the worker's to fill in.
    pub(crate) seat: usize,
}

/// Where a new stream starts.
#[derive(Debug)]
pub(crate) struct Attached {
    /// A cursor per topic, each with the topic's byte count so far.
    pub(crate) cursors: Vec<(Cursor, u64)>,
    pub(crate) resume: Resume,
    /// The number in the last event ID, if it is one of this epoch's that the logs here do not
    /// know: an engine may.
    pub(crate) elsewhere: Option<u64>,
    /// Names the newest event of these topics, for a client that is told of a gap: with it, a
    /// second disconnect before the next event is no second gap. It is never another topic's.
    pub(crate) anchor: Option<String>,
}

/// There are as many topics as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyTopics;

/// What became of a published event.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) id: Option<String>,
    pub(crate) bytes: usize,
    /// To be woken when the lock is released.
    pub(crate) wakes: Vec<Waker>,
}

/// What a worker found in its mailbox.
#[derive(Debug, Default)]
pub(crate) struct Post {
    pub(crate) commands: Vec<Command>,
    /// New frames, by topic, each topic's in order.
    pub(crate) frames: Vec<(usize, Frame)>,
    /// How far these topics are, in ordinals and bytes: the log may have dropped what was not
    /// collected in time.
    pub(crate) heads: Vec<(usize, u64, u64)>,
}

impl Core {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            epoch: Epoch::new(),
            limits,
            position: 0,
            topics: Slab::new(),
            by_name: HashMap::new(),
            removed: 0,
            swept: 0,
            workers: BTreeMap::new(),
            next_worker: 0,
            next_topic: 0,
            draining: false,
            streams: 0,
            awaiting_none: Vec::new(),
            changes: None,
        }
    }

    pub(crate) fn publish(
        &mut self,
        topic: &str,
        encoded: Unnumbered,
        labels: Option<Arc<Labels>>,
        transient: bool,
        now: Instant,
    ) -> Result<Accepted, TooManyTopics> {
        let index = self.topic(topic, now)?;
        self.position += 1;
        let id = (!transient).then(|| self.epoch.id(self.position));
        let bytes = match &id {
            Some(id) => encoded.number(id),
            None => encoded.transient(),
        };
        let len = bytes.len();
        let wakes = self.append(index, bytes, labels, transient, now);
        Ok(Accepted {
            id,
            bytes: len,
            wakes,
        })
    }

    /// Takes an event that an engine has numbered, for a topic that is followed.
    pub(crate) fn deliver(
        &mut self,
        topic: &str,
        number: u64,
        encoded: Unnumbered,
        labels: Option<Arc<Labels>>,
        transient: bool,
        now: Instant,
    ) -> Vec<Waker> {
        let Some(index) = self.topic_index(topic) else {
            return Vec::new();
        };
        let newest = self
            .topics
            .get(index)
            .and_then(|topic| topic.log.last_position());
        if newest.is_some_and(|newest| newest >= number) {
            return Vec::new();
        }
        self.position = number;
        let bytes = if transient {
            encoded.transient()
        } else {
            encoded.number(&self.epoch.id(number))
        };
        self.append(index, bytes, labels, transient, now)
    }

    /// Appends a frame at the current position, and says who is to be woken.
    fn append(
        &mut self,
        index: usize,
        bytes: Bytes,
        labels: Option<Arc<Labels>>,
        transient: bool,
        now: Instant,
    ) -> Vec<Waker> {
        let Some(topic) = self.topics.get_mut(index) else {
            return Vec::new();
        };
        topic
            .log
            .push(self.position, bytes, !transient, labels, now);
        topic
            .log
            .trim(&self.limits.keep, !topic.followers.is_empty(), now);

        let mut wakes = Vec::new();
        for follower in topic
            .followers
            .iter_mut()
            .filter(|follower| !follower.posted)
        {
            if let Some(mailbox) = self.workers.get_mut(&follower.worker) {
                follower.posted = true;
                mailbox.topics.push(index);
                mailbox.signal(&mut wakes);
            }
        }
        wakes
    }

    /// Registers first, then says where to start: whatever is published from here on reaches the
    /// worker, and whatever was published before is in the log.
    pub(crate) fn attach(
        &mut self,
        worker: u64,
        topics: &[Arc<str>],
        last_event_id: Option<&str>,
        now: Instant,
    ) -> Result<Attached, TooManyTopics> {
        let mut indexes = Vec::with_capacity(topics.len());
        for name in topics {
            match self.topic(name, now) {
                Ok(index) if indexes.contains(&index) => {}
                Ok(index) => {
                    self.follow(index, worker);
                    indexes.push(index);
                }
                Err(error) => {
                    for index in indexes {
                        self.detach(worker, index);
                    }
                    return Err(error);
                }
            }
        }
        for index in &indexes {
            if let Some(topic) = self.topics.get_mut(*index) {
                topic.log.trim(&self.limits.keep, true, now);
            }
        }
        let asked = last_event_id.and_then(|id| self.epoch.position(id));
        let (resume, position) = match (last_event_id, asked) {
            (None, _) => (Resume::Fresh, None),
            (Some(_), None) => (Resume::Unknown, None),
            (Some(_), Some(position)) => self.resume(&indexes, position),
        };
        let elsewhere = asked.filter(|_| resume != Resume::Hit);
        let last_value = self.limits.keep.last_value;
        let told = matches!(resume, Resume::Gap | Resume::Unknown) && !last_value;
        let anchor = indexes
            .iter()
            .filter(|_| told)
            .filter_map(|index| self.topics.get(*index)?.log.anchor())
            .max()
            .map(|position| self.epoch.id(position));
        let cursors = indexes
            .into_iter()
            .filter_map(|index| {
                let Topic { serial, log, .. } = self.topics.get(index)?;
                let next = match position.map(|position| log.place_after(position)) {
                    Some(Place::Before(ordinal)) => ordinal,
                    _ => log.start(last_value),
                };
                let cursor = Cursor {
                    topic: index,
                    serial: *serial,
                    next,
                    live_from: log.window().next(),
                    seat: 0,
                };
                Some((cursor, log.window().end()))
            })
            .collect();
        Ok(Attached {
            cursors,
            resume,
            elsewhere,
            anchor,
        })
    }

    /// The ID must be one of these topics' own, and none of them may have forgotten what came
    /// after it.
    fn resume(&self, indexes: &[usize], position: u64) -> (Resume, Option<u64>) {
        let logs = || {
            indexes
                .iter()
                .filter_map(|index| Some(&self.topics.get(*index)?.log))
        };
        let places = logs().map(|log| log.place(position)).collect::<Vec<_>>();
        let known = places.iter().any(|place| matches!(place, Place::Before(_)));
        if known && logs().all(|log| log.place_after(position) != Place::Forgotten) {
            (Resume::Hit, Some(position))
        } else if known || places.contains(&Place::Forgotten) {
            (Resume::Gap, None)
        } else {
            (Resume::Unknown, None)
        }
    }

    /// A worker's stream no longer follows a topic.
    pub(crate) fn detach(&mut self, worker: u64, index: usize) {
        let Some(topic) = self.topics.get_mut(index) else {
            return;
        };
        if let Some(at) = topic.followers.iter().position(|f| f.worker == worker)
            && let Some(follower) = topic.followers.get_mut(at)
        {
            follower.streams = follower.streams.saturating_sub(1);
            if follower.streams == 0 {
                topic.followers.swap_remove(at);
            }
        }
        self.remove_if_spent(index);
    }

    /// The next frames of a stream that catches up, in the order of their positions, up to about
    /// this many bytes. `None`: the log has dropped some of them meanwhile.
    pub(crate) fn replay(&self, cursors: &mut [Cursor], max_bytes: usize) -> Option<Vec<Frame>> {
        let mut frames = Vec::new();
        let mut bytes = 0;
        while bytes < max_bytes {
            let mut oldest: Option<(&Frame, &mut Cursor)> = None;
            for cursor in cursors.iter_mut().filter(|c| c.next < c.live_from) {
                let frame = self
                    .topics
                    .get(cursor.topic)?
                    .log
                    .window()
                    .get(cursor.next)?;
                if oldest
                    .as_ref()
                    .is_none_or(|(known, _)| frame.position < known.position)
                {
                    oldest = Some((frame, cursor));
                }
            }
            let Some((frame, cursor)) = oldest else { break };
            cursor.next += 1;
            if frame.replayable {
                bytes += frame.bytes.len();
                frames.push(frame.clone());
            }
        }
        Some(frames)
    }

    pub(crate) fn add_worker(&mut self) -> u64 {
        let id = self.next_worker;
        self.next_worker += 1;
        self.workers.insert(id, Mailbox::default());
        id
    }

    /// The worker's runtime is gone, and its streams with it.
    pub(crate) fn remove_worker(&mut self, worker: u64) {
        self.workers.remove(&worker);
        for (_, topic) in &mut self.topics {
            topic.followers.retain(|follower| follower.worker != worker);
        }
    }

    /// Empties a worker's mailbox, or leaves its waker there. `since` says up to which ordinal
    /// the worker has a topic's frames.
    pub(crate) fn collect(
        &mut self,
        worker: u64,
        waker: &Waker,
        mut since: impl FnMut(usize) -> Option<u64>,
    ) -> Option<Post> {
        let mailbox = self.workers.get_mut(&worker)?;
        if !mailbox.signalled {
            match &mut mailbox.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            return None;
        }
        mailbox.signalled = false;
        let mut post = Post {
            commands: std::mem::take(&mut mailbox.commands),
            ..Post::default()
        };
        for index in mailbox.topics.drain(..) {
            let Some(topic) = self.topics.get_mut(index) else {
                continue;
            };
            let posted = topic
                .followers
                .iter_mut()
                .find(|follower| follower.worker == worker)
                .is_some_and(|follower| std::mem::take(&mut follower.posted));
            // Else a follower that has left posted it, or the topic stands in the mailbox twice.
            if posted && let Some(from) = since(index) {
                let window = topic.log.window();
                let frames = window.iter_from(from).cloned();
                post.frames.extend(frames.map(|frame| (index, frame)));
                post.heads.push((index, window.next(), window.end()));
            }
        }
        Some(post)
    }

    /// Has all streams that follow a topic ended.
    pub(crate) fn end_topic(&mut self, topic: &str, reason: CloseReason) -> Vec<Waker> {
        let topic = self
            .topic_index(topic)
            .and_then(|index| Some((index, self.topics.get(index)?.serial)));
        topic.map_or_else(Vec::new, |(index, serial)| {
            self.command(&Command::Topic(index, serial, reason))
        })
    }

    /// From here on nobody is let in; says whether this is the first call.
    pub(crate) fn drain(&mut self) -> bool {
        !std::mem::replace(&mut self.draining, true)
    }

    pub(crate) const fn is_draining(&self) -> bool {
        self.draining
    }

    pub(crate) const fn streams(&self) -> usize {
        self.streams
    }

    /// Counts a stream in, unless the hub drains.
    pub(crate) fn admit(&mut self) -> bool {
        self.streams += usize::from(!self.draining);
        !self.draining
    }

    /// Counts a stream out; to be woken is who waits for the last one.
    pub(crate) fn leave(&mut self) -> Vec<Waker> {
        self.streams = self.streams.saturating_sub(1);
        match self.streams {
            0 => std::mem::take(&mut self.awaiting_none),
            _ => Vec::new(),
        }
    }

    /// Whether no stream is left; else the waker is called when it is so.
    pub(crate) fn is_empty(&mut self, waker: &Waker) -> bool {
        let known = |one: &Waker| one.will_wake(waker);
        if self.streams > 0 && !self.awaiting_none.iter().any(known) {
            self.awaiting_none.push(waker.clone());
        }
        self.streams == 0
    }

    /// Puts a command into every worker's mailbox.
    pub(crate) fn command(&mut self, command: &Command) -> Vec<Waker> {
        let mut wakes = Vec::new();
        for mailbox in self.workers.values_mut() {
            mailbox.commands.push(command.clone());
            mailbox.signal(&mut wakes);
        }
        wakes
    }

    fn topic_index(&self, topic: &str) -> Option<usize> {
        self.by_name.get(topic).copied()
    }

    /// How many streams follow a topic.
    pub(crate) fn subscribers(&self, topic: &str) -> usize {
        self.topic_index(topic)
            .and_then(|index| self.topics.get(index))
            .map_or(0, |topic| topic.followers.iter().map(|f| f.streams).sum())
    }

    pub(crate) fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Keeps account of the topics made and removed, for a backplane.
    pub(crate) fn keep_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// What has become of the topics since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<(Arc<str>, bool)> {
        self.changes
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Takes another's numbering. `None`: the name is no epoch. If it is a new one, all topics
    /// forget what they have, and their streams end.
    pub(crate) fn set_epoch(&mut self, name: &str) -> Option<Vec<Waker>> {
        let epoch = Epoch::named(name)?;
        let mut wakes = Vec::new();
        if epoch != self.epoch {
            self.epoch = epoch;
            self.position = 0;
            self.removed = 0;
            let names = self.by_name.keys().cloned().collect::<Vec<_>>();
            for name in names {
                wakes.extend(self.forget(&name));
            }
        }
        Some(wakes)
    }

    /// A topic's log is complete after this position.
    pub(crate) fn followed(&mut self, name: &str, position: u64) {
        if let Some(topic) = self
            .topic_index(name)
            .and_then(|index| self.topics.get_mut(index))
        {
            topic.log.complete_after(position);
        }
    }

    /// The numbering, for events that were kept elsewhere.
    pub(crate) const fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The ID of a position, for an event that was kept elsewhere.
    pub(crate) fn id(&self, position: u64) -> String {
        self.epoch.id(position)
    }

    /// Forgets what a topic has, and ends its streams: what comes next does not follow on.
    pub(crate) fn forget(&mut self, name: &str) -> Vec<Waker> {
        let Some(index) = self.topic_index(name) else {
            return Vec::new();
        };
        if let Some(topic) = self.topics.get_mut(index) {
            topic.log.forget();
            topic.log.complete_after(u64::MAX);
        }
        self.end_topic(name, CloseReason::SlowConsumer)
    }

    /// Looks at a few topics for what has become too old, and removes those without use.
    pub(crate) fn sweep(&mut self, topics: usize, now: Instant) {
        for _ in 0..topics.min(self.topics.capacity()) {
            self.swept = (self.swept + 1) % self.topics.capacity();
            if let Some(topic) = self.topics.get_mut(self.swept) {
                topic
                    .log
                    .trim(&self.limits.keep, !topic.followers.is_empty(), now);
                self.remove_if_spent(self.swept);
            }
        }
    }

    /// The topic of this name, made if need be.
    fn topic(&mut self, name: &str, now: Instant) -> Result<usize, TooManyTopics> {
        if let Some(index) = self.by_name.get(name) {
            return Ok(*index);
        }
        // Whoever makes topics looks after old ones: there need not be a worker that does.
        let full = self.topics.len() >= self.limits.max_topics;
        self.sweep(if full { 64 } else { 4 }, now);
        if self.topics.len() >= self.limits.max_topics {
            return Err(TooManyTopics);
        }
        let name: Arc<str> = name.into();
        // Behind a backplane a log says nothing of the past until the engine has said from where
        // on it is followed.
        let created_at = if self.changes.is_some() {
            u64::MAX
        } else {
            self.removed
        };
        self.next_topic += 1;
        let index = self.topics.insert(Topic {
            name: Arc::clone(&name),
            serial: self.next_topic,
            log: Log::new(created_at),
            followers: Vec::new(),
        });
        if let Some(changes) = &mut self.changes {
            changes.push((Arc::clone(&name), true));
        }
        self.by_name.insert(name, index);
        Ok(index)
    }

    fn follow(&mut self, index: usize, worker: u64) {
        let Some(topic) = self.topics.get_mut(index) else {
            return;
        };
        match topic.followers.iter_mut().find(|f| f.worker == worker) {
            Some(follower) => follower.streams += 1,
            None => topic.followers.push(Follower {
                worker,
                streams: 1,
                posted: false,
            }),
        }
    }

    fn remove_if_spent(&mut self, index: usize) {
        let spent = self
            .topics
            .get(index)
            .is_some_and(|topic| topic.followers.is_empty() && topic.log.is_spent());
        if spent {
            let topic = self.topics.remove(index);
            self.by_name.remove(&topic.name);
            if let Some(changes) = &mut self.changes {
                changes.push((Arc::clone(&topic.name), false));
            }
            self.removed = self.removed.max(topic.log.last_position().unwrap_or(0));
        }
    }
}
