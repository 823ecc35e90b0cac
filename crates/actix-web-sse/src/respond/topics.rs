//! What a stream follows, as an application says it and as the hub takes it. Checked before the core's lock is
//! taken: names come from clients.

use std::{collections::HashSet, fmt, sync::Arc};

use crate::{
    event::{InvalidTopic, topic::check},
    identity::TopicPattern,
};

/// What a stream follows: `"prices"`, `["prices", "news"]`, a `Vec<String>`, or a [`TopicPattern`].
///
/// A text is always a name: it may come from a client, and is never taken for a pattern.
pub trait IntoTopics {
    /// The topics, or what matches them. What is named twice, or is matched by another, counts once.
    fn into_topics(self) -> Vec<TopicPattern>;
}

macro_rules! one_topic {
    ($($text:ty),+) => {$(
        impl IntoTopics for $text {
            fn into_topics(self) -> Vec<TopicPattern> {
                vec![TopicPattern::topic(self)]
            }
        }
    )+};
}
one_topic!(&str, String, Arc<str>);

impl IntoTopics for &String {
    fn into_topics(self) -> Vec<TopicPattern> {
        vec![TopicPattern::topic(self.as_str())]
    }
}

impl<T: Into<Arc<str>>, const N: usize> IntoTopics for [T; N] {
    fn into_topics(self) -> Vec<TopicPattern> {
        self.into_iter().map(TopicPattern::topic).collect()
    }
}

impl<T: Into<Arc<str>>> IntoTopics for Vec<T> {
    fn into_topics(self) -> Vec<TopicPattern> {
        self.into_iter().map(TopicPattern::topic).collect()
    }
}

impl IntoTopics for TopicPattern {
    fn into_topics(self) -> Vec<TopicPattern> {
        vec![self]
    }
}

impl<const N: usize> IntoTopics for [TopicPattern; N] {
    fn into_topics(self) -> Vec<TopicPattern> {
        self.into()
    }
}

impl IntoTopics for Vec<TopicPattern> {
    fn into_topics(self) -> Vec<TopicPattern> {
        self
    }
}

/// Why a stream cannot follow these topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfollowable {
    Invalid(InvalidTopic),
    TooMany { count: usize, max: usize },
}

impl fmt::Display for Unfollowable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::TooMany { count, max } => write!(
                f,
                "the stream asks for {count} topics; max_topics_per_stream is {max}: open more \
                 streams, or publish on fewer topics with tags"
            ),
        }
    }
}

/// The topics of one stream, each once, in the order in which they were named.
pub(super) fn followable(
    mut topics: Vec<TopicPattern>,
    max_topics: usize,
    max_bytes: usize,
) -> Result<Vec<TopicPattern>, Unfollowable> {
    for topic in &topics {
        let text = topic.name().map(|name| &**name).or_else(|| topic.prefix());
        check(text.unwrap_or_default(), max_bytes).map_err(Unfollowable::Invalid)?;
    }
    if topics.len() > 1 {
        let mut seen = HashSet::with_capacity(topics.len().min(max_topics));
        topics.retain(|topic| seen.insert(topic.clone()));
    }
    if topics.len() > max_topics {
        return Err(Unfollowable::TooMany {
            count: topics.len(),
            max: max_topics,
        });
    }
    // Each event once: a frame stands in the log of its topic and in those of all patterns.
    let patterns = topics.iter().filter(|topic| topic.name().is_none());
    let patterns = patterns.cloned().collect::<Vec<_>>();
    topics.retain(|topic| {
        let mut others = patterns.iter().filter(|pattern| *pattern != topic);
        !others.any(|pattern| pattern.covers(topic))
    });
    Ok(topics)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn h07_the_same_topic_twice_counts_once() {
        let many = vec![TopicPattern::topic("a"); 20_000];
        assert_eq!(followable(many, 1, 256).unwrap().len(), 1);
        let many = (0..20_000)
            .map(|n| TopicPattern::topic(n.to_string()))
            .collect();
        assert_eq!(
            followable(many, 100, 256),
            Err(Unfollowable::TooMany {
                count: 20_000,
                max: 100
            })
        );
    }

    #[test]
    fn what_another_matches_counts_once() {
        let kept = |topics: &[&str]| {
            let topics = topics
                .iter()
                .map(|topic| TopicPattern::from(*topic))
                .collect();
            let kept = followable(topics, 100, 256).unwrap();
            kept.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(kept(&["a/b", "a/*", "c", "a/b/*", "a/*"]), ["a/*", "c"]);
        assert_eq!(kept(&["c", "*", "a/*"]), ["*"]);
        assert_eq!(kept(&["a", "a/*", "b/"]), ["a", "a/*", "b/"]);
        let control = followable(vec![TopicPattern::from("a\n/*")], 1, 256);
        let control = control.unwrap_err();
        assert_eq!(
            control,
            Unfollowable::Invalid(InvalidTopic::ControlCharacter)
        );
    }

    proptest! {
        #[test]
        fn the_order_stays_and_nothing_is_lost(names in prop::collection::vec("[a-e]{1,2}", 0..40)) {
            let topics = names.into_topics();
            let kept = followable(topics.clone(), 100, 256).unwrap();
            let mut expected: Vec<TopicPattern> = Vec::new();
            for topic in topics {
                if !expected.contains(&topic) {
                    expected.push(topic);
                }
            }
            prop_assert_eq!(kept, expected);
        }
    }
}
