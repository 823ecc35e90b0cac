//! Which topics may be read.

use std::sync::Arc;

/// Which topics an identity may read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TopicRights {
    /// Every topic.
    #[default]
    All,
    /// These topics only.
    Only(Vec<Arc<str>>),
}

impl TopicRights {
    /// Whether the topic may be read.
    #[must_use]
    pub fn allow(&self, topic: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(topics) => topics.iter().any(|allowed| **allowed == *topic),
        }
    }

    /// What both allow.
    pub(super) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, rights) | (rights, Self::All) => rights.clone(),
            (Self::Only(topics), _) => {
                let both = topics.iter().filter(|topic| other.allow(topic));
                Self::Only(both.cloned().collect())
            }
        }
    }
}
