//! What a topic may be called, and how many of them a stream may follow. Checked before the
//! core's lock is taken: names come from clients.

use std::{collections::HashSet, error::Error, fmt, sync::Arc};

/// Why a name cannot be a topic's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidTopic {
    /// Longer than [`HubConfig::max_topic_bytes`](crate::config::HubConfig::max_topic_bytes).
    TooLong {
        /// Bytes of the name.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// It has a control character: those of Unicode's category Cc, among them line ends.
    ControlCharacter,
}

impl fmt::Display for InvalidTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, max } => write!(
                f,
                "the topic has {len} bytes; max_topic_bytes is {max}: use a shorter name"
            ),
            Self::ControlCharacter => f.write_str(
                "the topic has a control character: use letters, digits and punctuation",
            ),
        }
    }
}

impl Error for InvalidTopic {}

/// Why a stream cannot follow these topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfollowable {
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

/// Whether a topic may have this name.
///
/// # Errors
/// It is too long, or has a control character. The length is checked first: nobody reads 60 KB.
pub(crate) fn check(name: &str, max: usize) -> Result<(), InvalidTopic> {
    if name.len() > max {
        return Err(InvalidTopic::TooLong {
            len: name.len(),
            max,
        });
    }
    if name.chars().any(char::is_control) {
        return Err(InvalidTopic::ControlCharacter);
    }
    Ok(())
}

/// The topics of one stream, each once, in the order in which they were named.
pub(crate) fn followable(
    mut topics: Vec<Arc<str>>,
    max_topics: usize,
    max_bytes: usize,
) -> Result<Vec<Arc<str>>, Unfollowable> {
    for topic in &topics {
        check(topic, max_bytes).map_err(Unfollowable::Invalid)?;
    }
    if topics.len() > 1 {
        let mut seen = HashSet::with_capacity(topics.len().min(max_topics));
        topics.retain(|topic| seen.insert(Arc::clone(topic)));
    }
    if topics.len() > max_topics {
        return Err(Unfollowable::TooMany {
            count: topics.len(),
            max: max_topics,
        });
    }
    Ok(topics)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn h07_a_name_is_bounded_and_has_no_control_characters() {
        for name in ["prices", "a/b:c.d-é日本", &"x".repeat(256)] {
            assert_eq!(check(name, 256), Ok(()), "{name}");
        }
        let long = "é".repeat(129);
        let too_long = InvalidTopic::TooLong { len: 258, max: 256 };
        assert_eq!(check(&long, 256), Err(too_long));
        for control in ["a\0", "a\nb", "\r", "\u{7f}", "\u{85}", "\t"] {
            assert_eq!(
                check(control, 256),
                Err(InvalidTopic::ControlCharacter),
                "{control:?}"
            );
        }
    }

    #[test]
    fn h07_the_same_topic_twice_counts_once() {
        let many = vec![Arc::<str>::from("a"); 20_000];
        assert_eq!(followable(many, 1, 256).unwrap().len(), 1);
        let many = (0..20_000).map(|n| n.to_string().into()).collect();
        assert_eq!(
            followable(many, 100, 256),
            Err(Unfollowable::TooMany {
                count: 20_000,
                max: 100
            })
        );
    }

    proptest! {
        #[test]
        fn the_order_stays_and_nothing_is_lost(names in prop::collection::vec("[a-e]{1,2}", 0..40)) {
            let topics: Vec<Arc<str>> = names.iter().map(|name| name.as_str().into()).collect();
            let kept = followable(topics.clone(), 100, 256).unwrap();
            let mut expected: Vec<Arc<str>> = Vec::new();
            for topic in topics {
                if !expected.contains(&topic) {
                    expected.push(topic);
                }
            }
            prop_assert_eq!(kept, expected);
        }
    }
}
