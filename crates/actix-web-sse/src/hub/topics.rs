//! The topics of a hub: made on first use, bounded in number, gone when nobody needs them.

use std::{collections::HashMap, sync::Arc};

use slab::Slab;
use tokio::time::Instant;

use super::log::{Keep, Log};

/// There are as many topics as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyTopics;

/// The bounds of a hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) keep: Keep,
    pub(crate) max_topics: usize,
    /// A last event ID is answered with what was missed.
    pub(crate) resume: bool,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    /// Counts the topics of the hub: unlike its index, no other topic ever has it.
    pub(super) serial: u64,
    pub(super) log: Log,
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
    pub(super) fn trim(&mut self, keep: &Keep, now: Instant) {
        self.log.trim(keep, !self.followers.is_empty(), now);
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
    /// Topics made (`true`) and removed since a backplane last asked; `None` without one.
    changes: Option<Vec<(Arc<str>, bool)>>,
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
            changes: None,
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

    pub(super) fn named_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.get_mut(self.index(name)?)
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.by_name.keys().cloned().collect()
    }

    /// The index of the topic of this name, which is made if need be.
    pub(super) fn index_or_make(
        &mut self,
        name: &str,
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
        // Behind a backplane a log says nothing of the past until the engine has said from where
        // on it is followed.
        let created_at = match &mut self.changes {
            Some(changes) => {
                changes.push((Arc::clone(&name), true));
                u64::MAX
            }
            None => self.removed,
        };
        self.made += 1;
        let index = self.slab.insert(Topic {
            name: Arc::clone(&name),
            serial: self.made,
            log: Log::new(created_at),
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
        now: Instant,
    ) -> Result<Vec<usize>, TooManyTopics> {
        let mut indexes = Vec::with_capacity(names.len());
        for name in names {
            match self.index_or_make(name, now) {
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
                topic.trim(&self.limits.keep, now);
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
            if let Some(changes) = &mut self.changes {
                changes.push((topic.name, false));
            }
        }
    }

    /// Positions begin anew.
    pub(super) const fn renumber(&mut self) {
        self.removed = 0;
    }

    /// Keeps account of the topics made and removed, for a backplane.
    pub(super) fn keep_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// An engine numbers the events and has their history.
    pub(super) const fn are_followed_elsewhere(&self) -> bool {
        self.changes.is_some()
    }

    /// What has become of the topics since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<(Arc<str>, bool)> {
        self.changes
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }
}
