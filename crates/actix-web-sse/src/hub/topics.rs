//! The topics of a hub: made on first use, bounded in number, gone when nobody needs them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use slab::Slab;
use tokio::time::Instant;

use super::log::{BURST, Keep, Log};
use crate::{
    config::{HubConfig, PresenceMode, TopicConfig},
    identity::TopicPattern,
};

/// There are as many topics as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyTopics;

/// The bounds of a hub.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) max_topics: usize,
    /// A last event ID is answered with what was missed.
    pub(crate) resume: bool,
    pub(crate) settings: Arc<TopicSettings>,
}

/// How topics are kept and read, by name.
#[derive(Debug)]
pub(crate) struct TopicSettings {
    /// Those of the topics that a pattern matches; the first that does counts.
    classes: Vec<(TopicPattern, Arc<Class>)>,
    others: Arc<Class>,
}

/// The settings of some topics.
#[derive(Debug)]
pub(crate) struct Class {
    /// The pattern as it is configured; `None` for all that no pattern matches.
    pub(crate) name: Option<Box<str>>,
    pub(crate) keep: Keep,
    /// Whether the newest event of a topic stays and is where a new subscriber starts.
    pub(crate) last_value: bool,
    /// How long an event waits for others.
    pub(crate) linger: Duration,
    /// Whether it is known who follows a topic.
    pub(crate) presence: Option<PresenceMode>,
}

impl TopicSettings {
    pub(crate) fn new(config: &HubConfig) -> Self {
        let kept = |limit: usize| if config.resume { limit } else { 0 };
        let others = Class {
            name: None,
            keep: Keep {
                events: kept(config.replay_events),
                bytes: kept(config.replay_bytes),
                age: match config.resume {
                    true => config.replay_age,
                    false => Duration::ZERO,
                },
                burst_events: config.subscriber_events.saturating_mul(BURST),
                burst_bytes: config.subscriber_bytes.saturating_mul(BURST),
            },
            last_value: config.last_value,
            linger: Duration::ZERO,
            presence: None,
        };
        let class = |topics: &TopicConfig| Class {
            name: Some(topics.pattern.as_str().into()),
            keep: Keep {
                events: topics.replay_events.map_or(others.keep.events, kept),
                bytes: topics.replay_bytes.map_or(others.keep.bytes, kept),
                age: match topics.replay_age {
                    Some(age) if config.resume => age,
                    _ => others.keep.age,
                },
                ..others.keep
            },
            last_value: topics.last_value.unwrap_or(others.last_value),
            linger: topics.linger.unwrap_or(others.linger),
            presence: topics.presence,
        };
        let classes = config.topics.iter().map(|topics| {
            let pattern = TopicPattern::from(topics.pattern.as_str());
            (pattern, Arc::new(class(topics)))
        });
        Self {
            classes: classes.collect(),
            others: Arc::new(others),
        }
    }

    /// Whether it is known of any topic who follows it.
    pub(crate) fn has_presence(&self) -> bool {
        let mut classes = self.classes.iter();
        classes.any(|(_, class)| class.presence.is_some())
    }

    /// The settings of the topic of this name.
    pub(crate) fn class(&self, topic: &str) -> &Arc<Class> {
        let mut classes = self.classes.iter();
        let class = classes.find(|(pattern, _)| pattern.matches(topic));
        class.map_or(&self.others, |(_, class)| class)
    }
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    /// Counts the topics of the hub: unlike its index, no other topic ever has it.
    pub(super) serial: u64,
    pub(super) log: Log,
    pub(super) class: Arc<Class>,
    pub(super) followers: Vec<Follower>,
}

/// A worker with streams of a topic.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) worker: u64,
    streams: usize,
    /// Stands in the worker's mailbox.
    pub(super) in_mailbox: bool,
}

impl Topic {
    /// Forgets what the limits do not keep.
    pub(super) fn trim(&mut self, now: Instant) {
        let followed = !self.followers.is_empty();
        self.log.trim(&self.class.keep, followed, now);
    }

    /// How many streams follow it.
    pub(super) fn streams(&self) -> usize {
        self.followers.iter().map(|follower| follower.streams).sum()
    }

    /// Another stream of this worker's follows it.
    fn follow(&mut self, worker: u64) {
        match self.followers.iter_mut().find(|f| f.worker == worker) {
            Some(follower) => follower.streams += 1,
            None => self.followers.push(Follower {
                worker,
                streams: 1,
                in_mailbox: false,
            }),
        }
    }

    /// One stream of this worker's fewer.
    fn unfollow(&mut self, worker: u64) {
        if let Some(at) = self.followers.iter().position(|f| f.worker == worker)
            && let Some(follower) = self.followers.get_mut(at)
        {
            follower.streams = follower.streams.saturating_sub(1);
            if follower.streams == 0 {
                self.followers.swap_remove(at);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Topics {
    pub(super) limits: Limits,
    slab: Slab<Topic>,
    by_name: HashMap<Arc<str>, usize>,
    /// The newest position that a removed topic took with it.
    removed: u64,
    /// Where the sweep goes on.
    swept: usize,
    made: u64,
    /// Topics have a past with a backplane's engine.
    shared: bool,
}

impl Topics {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slab: Slab::new(),
            by_name: HashMap::new(),
            removed: 0,
            swept: 0,
            made: 0,
            shared: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Topic> {
        self.slab.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Topic> {
        self.slab.get_mut(index)
    }

    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn named(&self, name: &str) -> Option<&Topic> {
        self.get(self.index(name)?)
    }

    /// The index of the topic of this name, or those of all topics.
    pub(super) fn indexes(&self, name: Option<&str>) -> Vec<usize> {
        match name {
            Some(name) => self.index(name).into_iter().collect(),
            None => self.by_name.values().copied().collect(),
        }
    }

    /// The index of the topic of this name, which is made if need be when everything up to this
    /// position has passed.
    pub(super) fn index_or_make(
        &mut self,
        name: &str,
        position: u64,
        now: Instant,
    ) -> Result<usize, TooManyTopics> {
        if let Some(index) = self.index(name) {
            return Ok(index);
        }
        // Whoever makes topics looks after old ones: there need not be a worker that does.
        let full = self.len() >= self.limits.max_topics;
        self.sweep(if full { 64 } else { 4 }, now);
        if self.len() >= self.limits.max_topics {
            return Err(TooManyTopics);
        }
        let name: Arc<str> = name.into();
        // Behind a backplane a log says nothing of what has passed.
        let created_at = if self.shared { position } else { self.removed };
        self.made += 1;
        let class = Arc::clone(self.limits.settings.class(&name));
        let index = self.slab.insert(Topic {
            name: Arc::clone(&name),
            serial: self.made,
            log: Log::new(created_at, class.last_value),
            class,
            followers: Vec::new(),
        });
        self.by_name.insert(name, index);
        Ok(index)
    }

    /// Whether all of these names are there or could be made. No name comes twice.
    pub(super) fn has_room(&mut self, names: &[Arc<str>], now: Instant) -> bool {
        let new = names
            .iter()
            .filter(|name| self.index(name).is_none())
            .count();
        let full = |topics: &Self| topics.len() + new > topics.limits.max_topics;
        if new > 0 && full(self) {
            self.sweep(64, now);
        }
        new == 0 || !full(self)
    }

    /// A worker has one stream more that follows each of these topics, or none of it is so. No
    /// name comes twice.
    pub(super) fn follow(
        &mut self,
        names: &[Arc<str>],
        worker: u64,
        position: u64,
        now: Instant,
    ) -> Result<Vec<usize>, TooManyTopics> {
        let mut indexes = Vec::with_capacity(names.len());
        for name in names {
            match self.index_or_make(name, position, now) {
                Ok(index) => {
                    if let Some(topic) = self.get_mut(index) {
                        topic.follow(worker);
                    }
                    indexes.push(index);
                }
                Err(error) => {
                    for index in indexes {
                        self.unfollow(index, worker);
                    }
                    return Err(error);
                }
            }
        }
        Ok(indexes)
    }

    pub(super) fn unfollow(&mut self, index: usize, worker: u64) {
        if let Some(topic) = self.get_mut(index) {
            topic.unfollow(worker);
            self.remove_if_spent(index);
        }
    }

    /// A worker is gone, and its streams with it.
    pub(super) fn abandon(&mut self, worker: u64) {
        for (_, topic) in &mut self.slab {
            topic.followers.retain(|follower| follower.worker != worker);
        }
    }

    /// Looks at a few topics for what has become too old, and removes those without use.
    pub(super) fn sweep(&mut self, topics: usize, now: Instant) {
        for _ in 0..topics.min(self.slab.capacity()) {
            self.swept = (self.swept + 1) % self.slab.capacity();
            if let Some(topic) = self.slab.get_mut(self.swept) {
                topic.trim(now);
                self.remove_if_spent(self.swept);
            }
        }
    }

    fn remove_if_spent(&mut self, index: usize) {
        let spent = self
            .get(index)
            .is_some_and(|topic| topic.followers.is_empty() && topic.log.is_spent());
        if spent {
            let topic = self.slab.remove(index);
            self.by_name.remove(&topic.name);
            self.removed = self.removed.max(topic.log.last_position().unwrap_or(0));
        }
    }

    /// Topics have a past with a backplane's engine.
    pub(super) const fn share(&mut self) {
        self.shared = true;
    }

    pub(super) const fn is_shared(&self) -> bool {
        self.shared
    }
}
