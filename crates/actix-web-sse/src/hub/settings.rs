//! Settings of topics, by pattern.

use std::{sync::Arc, time::Duration};

use super::{
    log::{BURST, Keep},
    presence::PREFIX as PRESENCE,
};
use crate::{
    config::{Faults, HubConfig, PresenceMode, TopicAccess, TopicConfig},
    event::topic,
    identity::{TopicPattern, TopicRights},
};

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
    /// Counts the entries of the configuration from 1; 0 for all that no pattern matches.
    pub(crate) number: u16,
    /// The pattern as it is configured; `None` for all that no pattern matches.
    pub(crate) name: Option<Box<str>>,
    pub(crate) keep: Keep,
    /// Whether the newest event of a topic stays and is where a new subscriber starts.
    pub(crate) last_value: bool,
    /// How long an event waits for others.
    pub(crate) linger: Duration,
    /// How many topics there may be with these settings.
    pub(crate) max_topics: usize,
    /// How many streams may follow one of them.
    pub(crate) max_streams: usize,
    pub(crate) read: TopicAccess,
    pub(crate) publish: TopicAccess,
    /// All nodes have the same events.
    pub(crate) shared: bool,
    /// Whether it is known who follows a topic.
    pub(crate) presence: Option<PresenceMode>,
}

impl Class {
    /// Whether patterns bring the events of these topics: not what no client may read, and not what each node has for
    /// itself, which has no place among the numbers of an engine.
    pub(super) fn in_patterns(&self) -> bool {
        self.shared && self.read != TopicAccess::Nobody
    }
}

/// Notes entries of `[[hub.topics]]` that could have no effect.
pub(super) fn check(config: &HubConfig, faults: &mut Faults) {
    let mut before: Vec<(TopicPattern, &str)> = Vec::new();
    for topics in &config.topics {
        let (text, pattern) = (&*topics.pattern, TopicPattern::from(&*topics.pattern));
        let name = pattern.name().map(|name| &**name);
        if let Some((_, wider)) = before.iter().find(|(wider, _)| wider.covers(&pattern)) {
            faults.add(
                "hub.topics.match",
                text,
                format!("never counts, since the entry {wider:?} before it matches all that it does: put it before that"),
            );
        } else if name.is_some_and(|name| name.contains('*')) {
            faults.add(
                "hub.topics.match",
                text,
                "is a topic of this name: a * stands for others only alone, or at the end after a /, as in orders/*, \
                 which matches orders/1/2 as well",
            );
        }
        let longest = name.or_else(|| pattern.prefix()).unwrap_or_default();
        if let Err(invalid) = topic::check(longest, config.max_topic_bytes) {
            faults.add(
                "hub.topics.match",
                text,
                format!("matches no topic: {invalid}"),
            );
        }
        if topics.presence.is_some() && pattern.is_below(PRESENCE) {
            faults.add(
                "hub.topics.presence",
                text,
                "has no effect: it is never known who follows joins and leaves",
            );
        }
        before.push((pattern, text));
    }
}

impl TopicSettings {
    pub(crate) fn new(config: &HubConfig) -> Self {
        let kept = |limit: usize| if config.resume { limit } else { 0 };
        let others = Class {
            number: 0,
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
            max_topics: usize::MAX,
            max_streams: usize::MAX,
            read: TopicAccess::Rights,
            publish: TopicAccess::Rights,
            shared: true,
            presence: None,
        };
        let class = |number: u16, topics: &TopicConfig| Class {
            number,
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
            max_topics: topics.max_topics.unwrap_or(others.max_topics),
            max_streams: topics.max_streams.unwrap_or(others.max_streams),
            read: topics.read,
            publish: topics.publish,
            shared: topics.shared.unwrap_or(others.shared),
            presence: topics.presence,
        };
        let classes = (1..).zip(&config.topics).map(|(number, topics)| {
            let pattern = TopicPattern::from(topics.pattern.as_str());
            (pattern, Arc::new(class(number, topics)))
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

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.classes.len()
    }

    /// The pattern of the entry with this number.
    pub(crate) fn pattern(&self, number: u16) -> Option<&str> {
        let index = usize::from(number.checked_sub(1)?);
        self.classes.get(index)?.1.name.as_deref()
    }

    /// The settings of the topic of this name.
    pub(crate) fn class(&self, topic: &str) -> &Arc<Class> {
        let mut classes = self.classes.iter();
        let class = classes.find(|(pattern, _)| pattern.matches(topic));
        class.map_or(&self.others, |(_, class)| class)
    }

    /// The settings of what a stream follows: for a pattern those of the first entry that matches all its topics.
    pub(super) fn class_of(&self, followed: &TopicPattern) -> &Arc<Class> {
        let mut classes = self.classes.iter();
        let class = classes.find(|(pattern, _)| pattern.covers(followed));
        class.map_or(&self.others, |(_, class)| class)
    }

    /// Whether whoever has these rights may follow this. Of a pattern each topic must be readable, but for those that
    /// nobody may read: these it never brings.
    pub(crate) fn may_follow(&self, rights: &TopicRights, followed: &TopicPattern) -> bool {
        for (pattern, class) in &self.classes {
            let whole = pattern.covers(followed);
            if !whole && !followed.covers(pattern) {
                continue;
            }
            // Who is in a room is told by an entry for that, and not by one for everything.
            let told = !followed.is_below(PRESENCE) || pattern.is_below(PRESENCE);
            match class.read {
                TopicAccess::Anyone if whole && told => return true,
                TopicAccess::Nobody if whole => return false,
                TopicAccess::Anyone | TopicAccess::Nobody => {}
                TopicAccess::Rights => break,
            }
        }
        rights.allow_all(followed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of entries with these patterns.
    fn faults(topics: &[TopicConfig]) -> String {
        let config = HubConfig {
            topics: topics.to_vec(),
            ..HubConfig::default()
        };
        let mut faults = Faults::default();
        check(&config, &mut faults);
        faults
            .into_result(())
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn entries_that_could_have_no_effect_are_refused_by_name() {
        let of = |patterns: &[&str]| {
            let topics: Vec<_> = patterns
                .iter()
                .map(|pattern| TopicConfig::of(*pattern))
                .collect();
            faults(&topics)
        };
        for good in [
            &["room/1", "room/*", "*"][..],
            &["a/*", "b/*", "a"],
            &["presence/room/*", "room/*"],
            &["e-mail/é日本/*"],
        ] {
            assert_eq!(of(good), "", "{good:?}");
        }
        for (bad, named) in [
            (
                &["*", "room/*"][..],
                "\"room/*\": never counts, since the entry \"*\"",
            ),
            (&["room/*", "room/1"], "\"room/1\": never counts"),
            (&["a", "a"], "\"a\": never counts"),
            (&["orders/**"], "\"orders/**\": is a topic of this name"),
            (&["a*"], "\"a*\": is a topic of this name"),
            (&["**"], "\"**\": is a topic of this name"),
            (&["a\nb"], "matches no topic"),
        ] {
            let said = of(bad);
            assert!(said.contains(named), "{bad:?}: {said}");
        }
        assert!(of(&[&"x".repeat(300)]).contains("matches no topic"));
        let presence = TopicConfig::of("presence/room/*").presence(PresenceMode::List);
        assert!(faults(&[presence]).contains("has no effect"));
    }
}
