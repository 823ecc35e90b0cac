//! What all threads share, under one lock: topics with their logs, and a mailbox per worker (rules 1,
//! 4 and 7 of the [hub](super)).

use std::{sync::Arc, task::Waker, time::Duration};

use tokio::time::Instant;

use super::{
    id::{Epoch, Named},
    log::{Entry, Frame, Labels, Place, labels},
    mailbox::{Command, Mail, Mailbox, Mailboxes},
    merge::{Next, merge},
    open_streams::OpenStreams,
    position::Position,
    presence::is_exempt,
    settings::Class,
    topics::{Limits, NoRoom, Topic, Topics},
};
use crate::{
    config::PresenceMode,
    event::{Event, encode::Unnumbered},
    identity::TopicPattern,
    observe::{CloseReason, Resume},
    stream::Wakes,
};

#[derive(Debug)]
pub(crate) struct Core {
    epoch: Epoch,
    /// The position of the newest event.
    position: u64,
    topics: Topics,
    mailboxes: Mailboxes,
    pub(crate) open_streams: OpenStreams,
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
    /// Up to where the client has everything, if that is ahead of what has come here from an engine.
    pub(crate) ahead: Option<u64>,
    /// Names the newest event of these topics, for a client with a gap: with it, a
    /// second disconnect before the next event is no second gap. It is never another topic's.
    pub(crate) anchor: Option<String>,
    /// For a client without an ID: the one of its start, unless events come first.
    pub(crate) start: Option<String>,
    /// Those of the topics for which it is to be known who follows them.
    pub(crate) present: Vec<(Arc<str>, PresenceMode)>,
}

/// An event for the streams that follow its topic.
pub(crate) struct Outgoing<'a> {
    topic: &'a str,
    class: &'a Class,
    encoded: Unnumbered,
    labels: Option<Arc<Labels>>,
    transient: bool,
}

impl<'a> Outgoing<'a> {
    /// Encodes it: before the lock is taken, under which it only gets its number.
    pub(crate) fn new(topic: &'a str, class: &'a Class, event: Event) -> Self {
        let encoded = Unnumbered::new(&event);
        let Event {
            name,
            tag,
            transient,
            ..
        } = event;
        Self {
            topic,
            class,
            encoded,
            labels: labels(name, tag),
            transient,
        }
    }

    /// With its place; without an ID it is never replayed.
    fn entry(self, position: u64, id: Option<&str>) -> Entry {
        Entry {
            position,
            replayable: id.is_some(),
            bytes: match id {
                Some(id) => self.encoded.number(id),
                None => self.encoded.transient(),
            },
            class: self.class.number,
            labels: self.labels,
        }
    }
}

/// What became of a published event.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) id: Option<String>,
    pub(crate) bytes: usize,
    /// To be woken when the lock is released.
    pub(crate) wakes: Wakes,
}

/// What a worker found in its mailbox.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) commands: Vec<Command>,
    /// New frames, by topic, each topic's in order.
    pub(crate) frames: Vec<(usize, Frame)>,
    pub(crate) heads: Vec<Head>,
}

/// How far a topic is: the log may have dropped what was not collected in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) topic: usize,
    /// The ordinal of the frame to come.
    pub(crate) next: u64,
    /// The bytes of the topic so far.
    pub(crate) end: u64,
    /// How long its frames wait for others.
    pub(crate) linger: Duration,
}

impl Core {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            epoch: Epoch::new(),
            position: 0,
            topics: Topics::new(limits),
            mailboxes: Mailboxes::default(),
            open_streams: OpenStreams::default(),
        }
    }

    pub(crate) fn publish(
        &mut self,
        event: Outgoing<'_>,
        now: Instant,
    ) -> Result<Accepted, NoRoom> {
        let topic = event.topic;
        let index = match self.topics.index(topic) {
            Some(index) => index,
            None => {
                let topic = TopicPattern::topic(topic);
                self.topics.index_or_make(&topic, self.position, now)?
            }
        };
        Ok(self.accept(Some(index), event, now))
    }

    /// Takes a join or leave. It makes no topic of it: whoever is not there and comes back later has missed it.
    pub(crate) fn announce(&mut self, event: Outgoing<'_>, now: Instant) -> Accepted {
        let index = self.topics.index(event.topic);
        if index.is_none() {
            self.topics.announced_to_nobody(self.position + 1);
        }
        self.accept(index, event, now)
    }

    /// Gives an event its place, in the log of this topic and of the patterns that match it.
    fn accept(&mut self, index: Option<usize>, event: Outgoing<'_>, now: Instant) -> Accepted {
        let (topic, class) = (event.topic, event.class);
        // An engine counts what all nodes share, and nothing else: what is of this node comes after all of that.
        let own = self.topics.is_shared();
        self.position += u64::from(!own);
        let position = if own { u64::MAX } else { self.position };
        let id = (!event.transient && !own).then(|| self.epoch.id(position));
        let entry = event.entry(position, id.as_deref());
        let len = entry.bytes.len();
        let mut wakes = Wakes::new();
        if self.topics.has_patterns() {
            for index in self.topics.matching(topic, class).collect::<Vec<_>>() {
                wakes.append(self.append(index, entry.clone(), now));
            }
        }
        if let Some(index) = index {
            wakes.append(self.append(index, entry, now));
        }
        Accepted {
            id,
            bytes: len,
            wakes,
        }
    }

    /// Whether a topic is followed; if not, its event with this number has passed.
    pub(crate) fn wants(&mut self, topic: &str, class: &Class, number: u64) -> bool {
        let followed = self.topics.indexes(topic, class).next().is_some();
        if !followed {
            self.position = self.position.max(number);
        }
        followed
    }

    /// Takes an event that an engine has numbered, for a topic that is followed.
    pub(crate) fn deliver(&mut self, event: Outgoing<'_>, number: u64, now: Instant) -> Wakes {
        let (topic, class) = (event.topic, event.class);
        self.position = self.position.max(number);
        let id = (!event.transient).then(|| self.epoch.id(number));
        let entry = event.entry(number, id.as_deref());
        let mut wakes = Wakes::new();
        for index in self.topics.indexes(topic, class).collect::<Vec<_>>() {
            let newest = self
                .topics
                .get(index)
                .and_then(|topic| topic.log.last_position());
            if newest.is_none_or(|newest| newest < number) {
                wakes.append(self.append(index, entry.clone(), now));
            }
        }
        wakes
    }

    /// Appends a frame, and says who is to be woken.
    fn append(&mut self, index: usize, entry: Entry, now: Instant) -> Wakes {
        let Some(topic) = self.topics.get_mut(index) else {
            return Wakes::new();
        };
        topic.log.push(entry, now);
        topic.trim(now);

        let mut wakes = Wakes::new();
        for follower in topic.followers.iter_mut().filter(|f| !f.in_mailbox) {
            follower.in_mailbox = self.mailboxes.notify(follower.worker, index, &mut wakes);
        }
        wakes
    }

    /// Registers first, then says where to start: whatever is published from here on reaches the
    /// worker, and whatever was published before is in the log.
    pub(crate) fn attach(
        &mut self,
        worker: u64,
        topics: &[TopicPattern],
        last_event_id: Option<&str>,
        now: Instant,
    ) -> Result<Attached, NoRoom> {
        let indexes = self.topics.follow(topics, worker, self.position, now)?;
        for index in &indexes {
            if let Some(topic) = self.topics.get_mut(*index) {
                topic.trim(now);
            }
        }
        let asked = last_event_id.and_then(|id| self.epoch.read(id, topics));
        let (resume, position) = match (last_event_id, asked) {
            (None, _) => (Resume::Fresh, None),
            (Some(_), None) => (Resume::Unknown, None),
            (Some(_), Some(named)) => self.resume(&indexes, named),
        };
        let elsewhere = asked.filter(|_| resume != Resume::Hit).map(Named::position);
        let cursors: Vec<(Cursor, u64)> = indexes
            .iter()
            .filter_map(|index| {
                let Topic { serial, log, .. } = self.topics.get(*index)?;
                let next = match position.map(|position| log.place_after(position)) {
                    Some(Place::Before(ordinal)) => ordinal,
                    _ => log.start(),
                };
                let cursor = Cursor {
                    topic: *index,
                    serial: *serial,
                    next,
                    live_from: log.window().next(),
                    seat: 0,
                };
                Some((cursor, log.window().end()))
            })
            .collect();
        // Events that come at once, last values, have IDs of their own.
        let has_events = cursors
            .iter()
            .any(|(cursor, _)| cursor.next < cursor.live_from);
        let is_gap = matches!(resume, Resume::Gap | Resume::Unknown);
        let anchor = indexes
            .iter()
            .filter(|_| is_gap && !has_events)
            .filter_map(|index| self.topics.get(*index)?.log.anchor())
            .max()
            .map(|position| self.epoch.id(position));
        // Every topic is complete up to the newest position of all, with an engine too.
        let is_fresh = self.topics.limits.resume && last_event_id.is_none();
        let start = (is_fresh && !has_events).then(|| self.epoch.start(self.position, topics));
        Ok(Attached {
            cursors,
            resume,
            elsewhere,
            ahead: position.filter(|position| self.is_ahead(*position)),
            anchor,
            start,
            present: self.with_presence(&indexes),
        })
    }

    /// The ID must be one of these topics' own, or of a start at them, and none of them may have
    /// forgotten what came after it.
    fn resume(&self, indexes: &[usize], named: Named) -> (Resume, Option<u64>) {
        let position = named.position();
        let logs = || {
            indexes
                .iter()
                .filter_map(|index| Some(&self.topics.get(*index)?.log))
        };
        let places = logs().map(|log| log.place(position)).collect::<Vec<_>>();
        let is_start = matches!(named, Named::Start(_));
        let known = is_start || places.iter().any(|place| matches!(place, Place::Before(_)));
        if known && logs().all(|log| log.place_after(position) != Place::Forgotten) {
            (Resume::Hit, Some(position))
        } else if known || places.contains(&Place::Forgotten) {
            (Resume::Gap, None)
        } else {
            (Resume::Unknown, None)
        }
    }

    /// A worker's stream no longer follows a topic.
    pub(crate) fn detach(&mut self, worker: u64, index: usize, now: Instant) {
        self.topics.unfollow(index, worker, now);
    }

    /// The next frames of a stream that catches up, in the order of their positions, up to about
    /// this many bytes. `None`: the log has dropped some of them meanwhile.
    pub(crate) fn replay(&self, cursors: &mut [Cursor], max_bytes: usize) -> Option<Vec<Frame>> {
        let next = |cursor: &Cursor| {
            if cursor.next >= cursor.live_from {
                return Next::Nothing;
            }
            let topic = self.topics.get(cursor.topic);
            topic
                .and_then(|topic| topic.log.window().get(cursor.next))
                .map_or(Next::Lost, Next::Frame)
        };
        merge(cursors, max_bytes, next, |frame| frame.replayable)
    }

    /// The position of the newest event.
    pub(crate) fn here(&self) -> Position {
        Position {
            epoch: self.epoch.clone(),
            number: self.position,
        }
    }

    /// The number of a position of this numbering. Only an engine can be ahead of this hub.
    pub(crate) fn number(&self, position: &Position) -> Option<u64> {
        let number = match self.topics.is_shared() {
            true => position.number,
            false => position.number.min(self.position),
        };
        (position.epoch == self.epoch).then_some(number)
    }

    /// Whether this number has not come yet.
    pub(crate) const fn is_ahead(&self, number: u64) -> bool {
        number > self.position
    }

    /// The ordinal in each topic at which a stream goes on that has everything up to this number.
    /// `None`: some of what comes after it is no longer kept.
    pub(crate) fn after(&self, cursors: &[Cursor], number: u64) -> Option<Vec<u64>> {
        let next = |cursor: &Cursor| match self.topics.get(cursor.topic)?.log.place_after(number) {
            Place::Before(ordinal) => Some(ordinal),
            Place::Forgotten | Place::Unknown => None,
        };
        cursors.iter().map(next).collect()
    }

    pub(crate) fn add_worker(&mut self) -> u64 {
        self.mailboxes.open()
    }

    /// The worker's runtime is gone, and its streams with it. What was in its mailbox is to be
    /// dropped when the lock is released.
    #[must_use]
    pub(crate) fn remove_worker(&mut self, worker: u64, now: Instant) -> Option<Mailbox> {
        self.topics.abandon(worker, now);
        self.mailboxes.close(worker)
    }

    /// Empties a worker's mailbox, or leaves its waker there. `since` says up to which ordinal
    /// the worker has a topic's frames.
    pub(crate) fn collect(
        &mut self,
        worker: u64,
        waker: &Waker,
        mut since: impl FnMut(usize) -> Option<u64>,
    ) -> Option<Batch> {
        let Mail { topics, commands } = self.mailboxes.empty(worker, waker)?;
        let mut batch = Batch {
            commands,
            ..Batch::default()
        };
        for index in topics {
            let Some(topic) = self.topics.get_mut(index) else {
                continue;
            };
            let in_mailbox = topic
                .followers
                .iter_mut()
                .find(|follower| follower.worker == worker)
                .is_some_and(|follower| std::mem::take(&mut follower.in_mailbox));
            // Else a follower that has left put it there, or the topic stands in the mailbox twice.
            if in_mailbox && let Some(from) = since(index) {
                let window = topic.log.window();
                let frames = window.iter_from(from).cloned();
                batch.frames.extend(frames.map(|frame| (index, frame)));
                batch.heads.push(Head {
                    topic: index,
                    next: window.next(),
                    end: window.end(),
                    linger: topic.class.linger,
                });
            }
        }
        Some(batch)
    }

    /// Has all streams that follow a topic ended, by its name or by a pattern.
    pub(crate) fn end_topic(&mut self, topic: &str, class: &Class, reason: CloseReason) -> Wakes {
        let mut wakes = Wakes::new();
        for index in self.topics.indexes(topic, class).collect::<Vec<_>>() {
            if let Some(serial) = self.topics.get(index).map(|topic| topic.serial) {
                wakes.append(self.command(&Command::Topic(index, serial, reason)));
            }
        }
        wakes
    }

    /// Puts a command into every worker's mailbox.
    pub(crate) fn command(&mut self, command: &Command) -> Wakes {
        self.mailboxes.command(command)
    }

    /// Whether a worker has commands that it has not looked at.
    pub(crate) fn has_commands(&self, worker: u64) -> bool {
        self.mailboxes.has_commands(worker)
    }

    /// Whether a stream could follow these topics; none is made.
    pub(crate) fn has_room(&mut self, topics: &[TopicPattern], now: Instant) -> bool {
        self.topics.has_room(topics, now)
    }

    /// How many streams follow a topic, by its name or by a pattern.
    pub(crate) fn subscribers(&self, topic: &str, class: &Class) -> usize {
        let followed = self.topics.indexes(topic, class);
        followed
            .filter_map(|index| self.topics.get(index))
            .map(Topic::streams)
            .sum()
    }

    /// Those of the topics for which it is to be known who follows them.
    fn with_presence(&self, indexes: &[usize]) -> Vec<(Arc<str>, PresenceMode)> {
        let with_presence = |index: &usize| {
            let topic = self.topics.get(*index)?;
            let mode = topic.class.presence?;
            // Who follows a pattern is present in none of its topics.
            (!topic.is_of_pattern() && !is_exempt(&topic.name))
                .then(|| (Arc::clone(&topic.name), mode))
        };
        indexes.iter().filter_map(with_presence).collect()
    }

    /// The name of the topic with this index.
    pub(crate) fn topic_name(&self, index: usize) -> Option<Arc<str>> {
        Some(Arc::clone(&self.topics.get(index)?.name))
    }

    pub(crate) fn topics(&self) -> usize {
        self.topics.len()
    }

    /// An engine numbers the events: topics have a past elsewhere.
    pub(crate) const fn share(&mut self) {
        self.topics.share();
    }

    /// Takes another's numbering, of which everything after this position will be delivered. `None`:
    /// the name is no epoch. If it is a new one, all topics forget what they have, and their
    /// streams end.
    pub(crate) fn set_epoch(&mut self, name: &str, position: u64) -> Option<Wakes> {
        let epoch = Epoch::named(name)?;
        if epoch == self.epoch {
            return Some(Wakes::new());
        }
        self.epoch = epoch;
        self.position = position;
        Some(self.lost(None, position))
    }

    /// The numbering, for events that were kept elsewhere.
    pub(crate) const fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The ID of a position, for an event that was kept elsewhere.
    pub(crate) fn id(&self, position: u64) -> String {
        self.epoch.id(position)
    }

    /// Forgets what a topic, or every topic, has up to this position, and ends its streams: what comes
    /// next does not follow on.
    pub(crate) fn lost(&mut self, topic: Option<(&str, &Class)>, position: u64) -> Wakes {
        self.position = self.position.max(position);
        let mut wakes = Wakes::new();
        let indexes = match topic {
            Some((name, class)) => self.topics.indexes(name, class).collect(),
            None => self.topics.shared_indexes(),
        };
        for index in indexes {
            if let Some(topic) = self.topics.get_mut(index) {
                topic.log.forget();
                // What came after that is forgotten as well, of whichever topic of a pattern it is.
                topic.log.complete_after(self.position);
                let command = Command::Lost(index, topic.serial, position);
                wakes.append(self.command(&command));
            }
        }
        wakes
    }

    /// Looks at some topics for what has become too old, and removes those without use: at all of a hundred thousand within
    /// half a minute, if it is called once a second.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let some = (self.topics.len() / 32).clamp(256, 4096);
        self.topics.sweep(some, now);
    }
}
