//! Who follows which topic, without clock or lock: what opens, what ends, and what time makes of it.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use super::{Presence, PresentUser, Reader};
use crate::config::{PresenceConfig, PresenceMode};

/// The longest name of a user that is listed, in bytes.
const MAX_USER_BYTES: usize = 1024;

/// A user came or left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    Join,
    Leave,
}

/// What is to be made known to others, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) topic: Arc<str>,
    pub(super) mode: PresenceMode,
    pub(super) reader: Reader,
    /// The open streams of the reader in this topic; `None` when it is no longer there.
    pub(super) streams: Option<usize>,
    /// What became of it, with the users who are there then.
    pub(super) edge: Option<(Edge, usize)>,
}

/// The readers of all topics with presence.
#[derive(Debug)]
pub(super) struct Registry {
    config: PresenceConfig,
    /// Every count is a change: other nodes have it too.
    shared: bool,
    rooms: HashMap<Arc<str>, Room>,
    /// Listed users, each in each of its topics.
    listed: usize,
    /// Users without a stream: when they leave, and which topic.
    leaving: BTreeSet<(Instant, Arc<str>, Arc<str>)>,
    pub(super) changes: VecDeque<Change>,
}

/// The readers of a topic.
#[derive(Debug)]
struct Room {
    mode: PresenceMode,
    users: HashMap<Arc<str>, Listed>,
    /// Streams without a user.
    anonymous: usize,
    /// Streams of users beyond a bound.
    unlisted: usize,
}

/// The streams of a user in a topic.
#[derive(Debug, Default)]
struct Listed {
    streams: usize,
    /// When it leaves, if it has none.
    leaves_at: Option<Instant>,
}

impl Registry {
    pub(super) fn new(config: PresenceConfig, shared: bool) -> Self {
        Self {
            config,
            shared,
            rooms: HashMap::new(),
            listed: 0,
            leaving: BTreeSet::new(),
            changes: VecDeque::new(),
        }
    }

    /// A stream opens; what it counts as in this topic from now on.
    pub(super) fn enter(
        &mut self,
        topic: &Arc<str>,
        mode: PresenceMode,
        user: Option<&Arc<str>>,
    ) -> Reader {
        let room = self.rooms.entry(Arc::clone(topic));
        let room = room.or_insert_with(|| Room::new(mode));
        let is_full =
            room.users.len() >= self.config.users_per_topic || self.listed >= self.config.users;
        let mut edge = None;
        let (reader, streams) = match user {
            None => {
                room.anonymous += 1;
                (Reader::Anonymous, room.anonymous)
            }
            Some(user) => {
                let is_listed = room.users.contains_key(user);
                if !is_listed && (is_full || user.len() > MAX_USER_BYTES) {
                    room.unlisted += 1;
                    (Reader::Unlisted, room.unlisted)
                } else {
                    let listing = room.users.entry(Arc::clone(user)).or_default();
                    listing.streams += 1;
                    if let Some(at) = listing.leaves_at.take() {
                        let leave = (at, Arc::clone(topic), Arc::clone(user));
                        self.leaving.remove(&leave);
                    }
                    let streams = listing.streams;
                    if !is_listed {
                        self.listed += 1;
                        edge = Some((Edge::Join, room.users.len()));
                    }
                    (Reader::User(Arc::clone(user)), streams)
                }
            }
        };
        let change = Change {
            topic: Arc::clone(topic),
            mode: room.mode,
            reader: reader.clone(),
            streams: Some(streams),
            edge,
        };
        self.note(change);
        reader
    }

    /// A stream has ended that counted as this.
    pub(super) fn leave(&mut self, topic: &Arc<str>, reader: &Reader, now: Instant) {
        let Some(room) = self.rooms.get_mut(topic) else {
            return;
        };
        let streams = match reader {
            Reader::Anonymous => room.ended(|room| &mut room.anonymous),
            Reader::Unlisted => room.ended(|room| &mut room.unlisted),
            Reader::User(user) => {
                let Some(listing) = room.users.get_mut(user) else {
                    return;
                };
                listing.streams = listing.streams.saturating_sub(1);
                if listing.streams == 0 {
                    let at = now + self.config.grace;
                    listing.leaves_at = Some(at);
                    self.leaving
                        .insert((at, Arc::clone(topic), Arc::clone(user)));
                }
                Some(listing.streams)
            }
        };
        let change = Change {
            topic: Arc::clone(topic),
            mode: room.mode,
            reader: reader.clone(),
            streams,
            edge: None,
        };
        self.remove_if_empty(topic);
        self.note(change);
    }

    /// Users leave whose grace is over, so many at the most.
    pub(super) fn settle(&mut self, now: Instant, most: usize) {
        for _ in 0..most {
            if self.next_due().is_none_or(|due| due > now) {
                return;
            }
            let Some((_, topic, user)) = self.leaving.pop_first() else {
                return;
            };
            let Some(room) = self.rooms.get_mut(&topic) else {
                continue;
            };
            if room.users.remove(&user).is_none() {
                continue;
            }
            self.listed = self.listed.saturating_sub(1);
            let change = Change {
                topic: Arc::clone(&topic),
                mode: room.mode,
                reader: Reader::User(user),
                streams: None,
                edge: Some((Edge::Leave, room.users.len())),
            };
            self.remove_if_empty(&topic);
            self.note(change);
        }
    }

    /// When the next user leaves, unless it comes back.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.leaving.first().map(|(due, ..)| *due)
    }

    /// Who follows the topic.
    pub(super) fn list(&self, topic: &str) -> Presence {
        let Some(room) = self.rooms.get(topic) else {
            return Presence::default();
        };
        let users = room.users.iter();
        Presence {
            users: users
                .map(|(user, listing)| PresentUser::new(Arc::clone(user), listing.streams))
                .collect(),
            anonymous: room.anonymous,
            whole: room.unlisted == 0,
        }
    }

    /// Notes what others are to know.
    fn note(&mut self, change: Change) {
        let is_event = change.edge.is_some() && change.mode == PresenceMode::Events;
        if self.shared || is_event {
            self.changes.push_back(change);
        }
    }

    fn remove_if_empty(&mut self, topic: &str) {
        if self.rooms.get(topic).is_some_and(Room::is_empty) {
            self.rooms.remove(topic);
        }
    }

    /// Whether nothing is left of anybody.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.listed == 0 && self.leaving.is_empty()
    }
}

impl Room {
    fn new(mode: PresenceMode) -> Self {
        Self {
            mode,
            users: HashMap::new(),
            anonymous: 0,
            unlisted: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.anonymous == 0 && self.unlisted == 0
    }

    /// One fewer; how many are left, if any.
    fn ended(&mut self, count: impl Fn(&mut Self) -> &mut usize) -> Option<usize> {
        let count = count(self);
        *count = count.saturating_sub(1);
        Some(*count).filter(|count| *count > 0)
    }
}
