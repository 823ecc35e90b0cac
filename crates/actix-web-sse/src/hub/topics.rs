//! The topics of a hub: made on first use, bounded in number, gone when nobody needs them.

use std::{collections::HashMap, sync::Arc};

use slab::Slab;
use tokio::time::Instant;

use super::{
    log::Log,
    patterns::Patterns,
    presence::PREFIX as PRESENCE,
    settings::{Class, TopicSettings},
};
use crate::identity::TopicPattern;

/// How many topics are looked at, at most, to find out what came before a pattern was followed.
const LOOKED_AT: usize = 1000;

/// There is no room.
#[derive(Debug)]
pub(crate) enum NoRoom {
    /// There are as many topics as the hub may have.
    Hub,
    /// There are as many topics with these settings as there may be.
    Class(Arc<Class>),
    /// As many streams follow one of the topics as may.
    Streams,
}

/// The bounds of a hub.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) max_topics: usize,
    /// A last event ID is answered with what was missed.
    pub(crate) resume: bool,
    pub(crate) settings: Arc<TopicSettings>,
}

/// A topic, or all topics that a pattern matches: the log of these has a copy of each of their frames, so that who
/// follows a pattern is a cursor in one log like any other.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    /// It is that of a pattern.
    matching: Option<Matching>,
    /// Counts the topics of the hub: unlike its index, no other topic ever has it.
    pub(super) serial: u64,
    pub(super) log: Log,
    pub(super) class: Arc<Class>,
    pub(super) followers: Vec<Follower>,
}

/// What the log of a pattern has beside that of a topic.
#[derive(Debug)]
struct Matching {
    /// What the names of its topics begin with.
    prefix: Arc<str>,
    /// When the last stream left it. It stays for those who come back, whether or not something is published
    /// meanwhile: made anew, it would know little of what came before.
    left: Option<Instant>,
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

    /// Whether it is the log of a pattern.
    pub(super) const fn is_of_pattern(&self) -> bool {
        self.matching.is_some()
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

    /// Whether another stream may follow it. Those of patterns are not limited.
    fn takes_another(&self) -> bool {
        self.matching.is_some() || self.streams() < self.class.max_streams
    }

    /// Whether nobody could ask for anything of it.
    fn is_spent(&self, now: Instant) -> bool {
        let over = match &self.matching {
            None => self.log.is_spent(),
            Some(Matching { left, .. }) => {
                left.is_none_or(|left| now.saturating_duration_since(left) > self.class.keep.age)
            }
        };
        self.followers.is_empty() && over
    }

    /// One stream of this worker's fewer.
    fn unfollow(&mut self, worker: u64, now: Instant) {
        let follower = self.followers.iter_mut().find(|f| f.worker == worker);
        if let Some(follower) = follower {
            follower.streams = follower.streams.saturating_sub(1);
            if follower.streams == 0 {
                self.abandon(worker, now);
            }
        }
    }

    /// No stream of this worker's follows it.
    fn abandon(&mut self, worker: u64, now: Instant) {
        let before = self.followers.len();
        self.followers.retain(|follower| follower.worker != worker);
        if let Some(matching) = &mut self.matching
            && self.followers.is_empty()
            && before > 0
        {
            matching.left = Some(now);
        }
    }
}

#[derive(Debug)]
pub(super) struct Topics {
    pub(super) limits: Limits,
    slab: Slab<Topic>,
    by_name: HashMap<Arc<str>, usize>,
    patterns: Patterns,
    /// How many topics there are with the settings of each number.
    of_class: Vec<usize>,
    /// The newest position that a removed topic took with it.
    removed: u64,
    /// The newest position of a join or leave whose topic was not there.
    announced_to_nobody: u64,
    /// Where the sweep goes on.
    swept: usize,
    made: u64,
    /// Topics have a past with a backplane's engine.
    shared: bool,
}

impl Topics {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            of_class: vec![0; limits.settings.len() + 1],
            limits,
            slab: Slab::new(),
            by_name: HashMap::new(),
            patterns: Patterns::default(),
            removed: 0,
            announced_to_nobody: 0,
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

    /// The indexes of all that an event of this topic goes to.
    pub(super) fn indexes(&self, name: &str, class: &Class) -> impl Iterator<Item = usize> {
        self.index(name)
            .into_iter()
            .chain(self.matching(name, class))
    }

    /// The indexes of all that has a past with an engine.
    pub(super) fn shared_indexes(&self) -> Vec<usize> {
        let topics = self.by_name.values().copied();
        topics
            .filter(|index| self.get(*index).is_some_and(|topic| topic.class.shared))
            .chain(self.patterns.all())
            .collect()
    }

    /// Whether somebody follows a pattern, or did a while ago.
    pub(super) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// The logs of the patterns that match a topic with these settings.
    pub(super) fn matching(&self, name: &str, class: &Class) -> impl Iterator<Item = usize> {
        let patterns = class.in_patterns().then_some(&self.patterns);
        patterns
            .into_iter()
            .flat_map(move |patterns| patterns.matching(name))
    }

    fn index_of(&self, followed: &TopicPattern) -> Option<usize> {
        match followed.prefix() {
            Some(prefix) => self.patterns.get(prefix),
            None => self.index(followed.name()?),
        }
    }

    /// Whether there may be so many topics more, so many of them with these settings.
    fn has_room_for(&self, topics: usize, of_class: usize, class: &Class) -> bool {
        let count = self.of_class.get(usize::from(class.number));
        let count = count.copied().unwrap_or_default();
        self.len() + topics <= self.limits.max_topics && count + of_class <= class.max_topics
    }

    /// The index of this topic or pattern, which is made if need be when everything up to this position has passed.
    pub(super) fn index_or_make(
        &mut self,
        followed: &TopicPattern,
        position: u64,
        now: Instant,
    ) -> Result<usize, NoRoom> {
        if let Some(index) = self.index_of(followed) {
            return Ok(index);
        }
        let class = Arc::clone(self.limits.settings.class_of(followed));
        let matching = followed.prefix().map(|prefix| Matching {
            prefix: prefix.into(),
            left: None,
        });
        let counted = usize::from(matching.is_none());
        // Whoever makes topics looks after old ones: there need not be a worker that does.
        let full = !self.has_room_for(1, counted, &class);
        self.sweep(if full { 64 } else { 4 }, now);
        if self.len() >= self.limits.max_topics {
            self.drop_left_patterns();
        }
        if self.len() >= self.limits.max_topics {
            return Err(NoRoom::Hub);
        }
        if !self.has_room_for(1, counted, &class) {
            return Err(NoRoom::Class(class));
        }
        let created_at = match (&matching, self.shared) {
            // What is of this node alone is never missing anywhere.
            (_, true) if !class.shared => 0,
            // Behind a backplane a log says nothing of what has passed.
            (_, true) => position,
            (None, false) if followed.is_below(PRESENCE) => {
                self.removed.max(self.announced_to_nobody)
            }
            (None, false) => self.removed,
            (Some(_), false) => self.newest_of(followed).unwrap_or(position),
        };
        self.made += 1;
        let name: Arc<str> = match followed.name() {
            Some(name) => Arc::clone(name),
            None => followed.to_string().into(),
        };
        let prefix = matching
            .as_ref()
            .map(|matching| Arc::clone(&matching.prefix));
        if let Some(count) = self.of_class.get_mut(usize::from(class.number)) {
            *count += counted;
        }
        let index = self.slab.insert(Topic {
            name: Arc::clone(&name),
            serial: self.made,
            log: Log::new(created_at, class.last_value && matching.is_none()),
            matching,
            class,
            followers: Vec::new(),
        });
        match prefix {
            Some(prefix) => self.patterns.insert(prefix, index),
            None => {
                self.by_name.insert(name, index);
            }
        }
        Ok(index)
    }

    /// The position after which nothing came in the topics that this matches; `None`: there are too many to look at.
    fn newest_of(&self, pattern: &TopicPattern) -> Option<u64> {
        if self.by_name.len() > LOOKED_AT {
            return None;
        }
        let topics = self.by_name.iter();
        let matching = topics.filter(|(name, _)| pattern.matches(name));
        let newest = matching.filter_map(|(_, index)| self.get(*index)?.log.last_position());
        Some(newest.fold(self.removed.max(self.announced_to_nobody), u64::max))
    }

    /// A join or leave got this position, and has no log of its own.
    pub(super) fn announced_to_nobody(&mut self, position: u64) {
        self.announced_to_nobody = self.announced_to_nobody.max(position);
    }

    /// Makes room where patterns are kept for who may come back.
    fn drop_left_patterns(&mut self) {
        let left = self.patterns.all().filter(|index| {
            let topic = self.get(*index);
            topic.is_some_and(|topic| topic.followers.is_empty())
        });
        for index in left.collect::<Vec<_>>() {
            self.remove(index);
        }
    }

    /// Whether a stream could follow all of these. None comes twice.
    pub(super) fn has_room(&mut self, followed: &[TopicPattern], now: Instant) -> bool {
        let fits = |topics: &Self| {
            let (mut new, mut of_class) = (0, HashMap::new());
            followed
                .iter()
                .all(|followed| match topics.index_of(followed) {
                    Some(index) => topics.get(index).is_some_and(Topic::takes_another),
                    None => {
                        let class = topics.limits.settings.class_of(followed);
                        let of_class: &mut usize = of_class.entry(class.number).or_default();
                        new += 1;
                        *of_class += usize::from(followed.name().is_some());
                        topics.has_room_for(new, *of_class, class)
                    }
                })
        };
        fits(self) || {
            self.sweep(64, now);
            fits(self)
        }
    }

    /// A worker has one stream more that follows each of these, or none of it is so. None comes twice.
    pub(super) fn follow(
        &mut self,
        followed: &[TopicPattern],
        worker: u64,
        position: u64,
        now: Instant,
    ) -> Result<Vec<usize>, NoRoom> {
        let mut indexes = Vec::with_capacity(followed.len());
        let made_before = self.made;
        for followed in followed {
            let index = self
                .index_or_make(followed, position, now)
                .and_then(|index| {
                    match self.get_mut(index).filter(|topic| topic.takes_another()) {
                        Some(topic) => topic.follow(worker),
                        None => return Err(NoRoom::Streams),
                    }
                    Ok(index)
                });
            match index {
                Ok(index) => indexes.push(index),
                Err(error) => {
                    for index in indexes {
                        self.unfollow(index, worker, now);
                        // Nobody has followed it.
                        let made = |topic: &Topic| topic.serial > made_before;
                        if self.get(index).is_some_and(made) {
                            self.remove(index);
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(indexes)
    }

    pub(super) fn unfollow(&mut self, index: usize, worker: u64, now: Instant) {
        if let Some(topic) = self.get_mut(index) {
            topic.unfollow(worker, now);
            self.remove_if_spent(index, now);
        }
    }

    /// A worker is gone, and its streams with it.
    pub(super) fn abandon(&mut self, worker: u64, now: Instant) {
        for (_, topic) in &mut self.slab {
            topic.abandon(worker, now);
        }
    }

    /// Looks at a few topics for what has become too old, and removes those without use.
    pub(super) fn sweep(&mut self, topics: usize, now: Instant) {
        for _ in 0..topics.min(self.slab.capacity()) {
            self.swept = (self.swept + 1) % self.slab.capacity();
            if let Some(topic) = self.slab.get_mut(self.swept) {
                topic.trim(now);
                self.remove_if_spent(self.swept, now);
            }
        }
    }

    fn remove_if_spent(&mut self, index: usize, now: Instant) {
        if self.get(index).is_some_and(|topic| topic.is_spent(now)) {
            self.remove(index);
        }
    }

    fn remove(&mut self, index: usize) {
        let Some(topic) = self.slab.try_remove(index) else {
            return;
        };
        match topic.matching {
            Some(matching) => self.patterns.remove(&matching.prefix),
            None => {
                if let Some(count) = self.of_class.get_mut(usize::from(topic.class.number)) {
                    *count = count.saturating_sub(1);
                }
                self.by_name.remove(&topic.name);
                self.removed = self.removed.max(topic.log.last_position().unwrap_or(0));
            }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{config::HubConfig, hub::log::Entry};

    const WORKER: u64 = 1;

    fn topics(change: impl FnOnce(&mut HubConfig)) -> Topics {
        let mut config = HubConfig::default();
        change(&mut config);
        Topics::new(Limits {
            max_topics: config.max_topics,
            resume: true,
            settings: Arc::new(TopicSettings::new(&config)),
        })
    }

    fn patterns(texts: &[&str]) -> Vec<TopicPattern> {
        texts.iter().map(|text| TopicPattern::from(*text)).collect()
    }

    #[test]
    fn a_pattern_is_kept_for_a_while_and_no_longer_whatever_is_published() {
        let now = Instant::now();
        let age = HubConfig::default().replay_age;
        let mut topics = topics(|_| ());
        let followed = topics.follow(&patterns(&["a/*"]), WORKER, 0, now).unwrap();
        topics.unfollow(followed[0], WORKER, now);
        for seconds in 0..=age.as_secs() + 1 {
            let now = now + Duration::from_secs(seconds);
            if let Some(topic) = topics.get_mut(followed[0]) {
                let entry = Entry {
                    position: seconds + 1,
                    bytes: "x".into(),
                    replayable: true,
                    class: 0,
                    labels: None,
                };
                topic.log.push(entry, now);
            }
            // A worker that never followed it ends.
            topics.abandon(WORKER + 1, now);
            topics.sweep(64, now);
            assert_eq!(
                topics.len(),
                usize::from(seconds <= age.as_secs()),
                "{seconds}"
            );
        }
        assert!(!topics.has_patterns());
    }

    #[test]
    fn patterns_that_were_left_make_room_for_what_is_used() {
        let now = Instant::now();
        let mut topics = topics(|hub| {
            hub.max_topics = 3;
            hub.topics = vec![crate::config::TopicConfig::of("one").max_streams(1)];
        });
        let follow =
            |topics: &mut Topics, texts: &[&str]| topics.follow(&patterns(texts), WORKER, 0, now);
        follow(&mut topics, &["one"]).unwrap();
        // What this could not follow is not kept.
        assert!(follow(&mut topics, &["a/*", "b/*", "one"]).is_err());
        assert_eq!((topics.len(), topics.has_patterns()), (1, false));
        for index in follow(&mut topics, &["a/*", "b/*"]).unwrap() {
            topics.unfollow(index, WORKER, now);
        }
        assert_eq!(topics.len(), 3);
        follow(&mut topics, &["two"]).unwrap();
        assert_eq!((topics.len(), topics.has_patterns()), (2, false));
    }
}
