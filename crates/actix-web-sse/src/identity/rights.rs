//! Which topics may be read.

use std::{fmt, sync::Arc};

/// Which topics an identity may read.
///
/// The claim `topics` of a JSON Web Token is a list of rights in this grammar (RFC 5234), and so is
/// what [`matching`](Self::matching) takes:
///
/// ```text
/// right  = "*"             ; every topic
///        / prefix "/*"     ; every topic that begins with the prefix and a slash, and goes on
///        / topic           ; this topic, byte by byte
/// prefix = *(any byte but "*")
/// ```
///
/// `orders/*` allows `orders/7` and `orders/7/items`; not `orders`, `orders/` or `orders2/7`. A star
/// anywhere else stands for itself: `a*`, `*/b` and `orders:*` are names of topics.
///
/// A right that is made from a name which a user may choose could become a pattern:
/// `room/` with a room called `*` is every room. Refuse such names, or leave the claim out and use an
/// authenticator that says [`Identity::reading`](crate::Identity::reading), which takes names only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TopicRights {
    /// Every topic.
    #[default]
    All,
    /// These topics only, byte by byte.
    Only(Vec<Arc<str>>),
    /// What one of these matches.
    Matching(Vec<TopicPattern>),
}

/// One right of the grammar at [`TopicRights`]: every topic, those below a prefix, or one.
///
/// A stream may follow what one matches: see [`Hub::subscribe`](crate::Hub::subscribe).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TopicPattern(Shape);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Shape {
    Any,
    /// With its slash.
    Below(Arc<str>),
    Topic(Arc<str>),
}

impl fmt::Display for TopicPattern {
    /// As it is read, but for a topic whose name looks like a pattern.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Shape::Any => f.write_str("*"),
            Shape::Below(prefix) => write!(f, "{prefix}*"),
            Shape::Topic(name) => f.write_str(name),
        }
    }
}

impl From<&str> for TopicPattern {
    /// Reads a right. There are none that are wrong: what is no pattern is a topic's name.
    fn from(right: &str) -> Self {
        let prefix = right.strip_suffix('*');
        let prefix = prefix.filter(|prefix| !prefix.contains('*'));
        Self(match prefix {
            Some("") => Shape::Any,
            Some(prefix) if prefix.ends_with('/') => Shape::Below(prefix.into()),
            _ => Shape::Topic(right.into()),
        })
    }
}

impl TopicPattern {
    /// The topic of this name and no other, whatever stars the name has.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self(Shape::Topic(name.into()))
    }

    /// The name, if it matches one topic only.
    pub(crate) const fn name(&self) -> Option<&Arc<str>> {
        match &self.0 {
            Shape::Topic(name) => Some(name),
            Shape::Any | Shape::Below(_) => None,
        }
    }

    /// What the names of its topics begin with, if it may match several.
    pub(crate) fn prefix(&self) -> Option<&str> {
        match &self.0 {
            Shape::Any => Some(""),
            Shape::Below(prefix) => Some(prefix),
            Shape::Topic(_) => None,
        }
    }

    /// Whether it allows this topic.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        match &self.0 {
            Shape::Any => true,
            Shape::Below(prefix) => topic.len() > prefix.len() && topic.starts_with(&**prefix),
            Shape::Topic(name) => **name == *topic,
        }
    }

    /// Whether all that it matches begins with this.
    pub(crate) fn is_below(&self, prefix: &str) -> bool {
        let begin = self.name().map(|name| &**name).or_else(|| self.prefix());
        begin.is_some_and(|begin| begin.starts_with(prefix))
    }

    /// Whether it allows whatever the other one does. Of two patterns one covers the other, or no
    /// topic matches both.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Shape::Any, _) => true,
            (Shape::Below(prefix), Shape::Below(other)) => other.starts_with(&**prefix),
            (_, Shape::Topic(topic)) => self.matches(topic),
            _ => false,
        }
    }
}

impl TopicRights {
    /// Rights in the grammar above.
    #[must_use]
    pub fn matching<'a>(rights: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(rights.into_iter().map(TopicPattern::from).collect())
    }

    /// Whether the topic may be read.
    #[must_use]
    pub fn allow(&self, topic: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(topics) => topics.iter().any(|allowed| **allowed == *topic),
            Self::Matching(patterns) => patterns.iter().any(|pattern| pattern.matches(topic)),
        }
    }

    /// Whether whatever this matches may be read.
    #[must_use]
    pub fn allow_all(&self, topics: &TopicPattern) -> bool {
        match (self, topics.name()) {
            (Self::All, _) => true,
            (_, Some(name)) => self.allow(name),
            (Self::Only(_), None) => false,
            (Self::Matching(patterns), None) => {
                patterns.iter().any(|pattern| pattern.covers(topics))
            }
        }
    }

    /// What both allow.
    pub(super) fn and(&self, other: &Self) -> Self {
        let (ours, theirs) = match (self, other) {
            (Self::All, rights) | (rights, Self::All) => return rights.clone(),
            _ => (self.patterns(), other.patterns()),
        };
        let covered = |rights: &[TopicPattern], pattern: &TopicPattern| {
            rights.iter().any(|right| right.covers(pattern))
        };
        let mut both: Vec<_> = ours
            .iter()
            .filter(|pattern| covered(&theirs, pattern))
            .cloned()
            .collect();
        for pattern in theirs {
            if covered(&ours, &pattern) && !both.contains(&pattern) {
                both.push(pattern);
            }
        }
        Self::of(both)
    }

    fn of(patterns: Vec<TopicPattern>) -> Self {
        if patterns.contains(&TopicPattern(Shape::Any)) {
            return Self::All;
        }
        let names = patterns.iter().map(|pattern| pattern.name().cloned());
        match names.collect() {
            Some(names) => Self::Only(names),
            None => Self::Matching(patterns),
        }
    }

    fn patterns(&self) -> Vec<TopicPattern> {
        match self {
            Self::All => vec![TopicPattern(Shape::Any)],
            Self::Only(names) => names.iter().cloned().map(TopicPattern::topic).collect(),
            Self::Matching(patterns) => patterns.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rights(rights: &[&str]) -> TopicRights {
        TopicRights::matching(rights.iter().copied())
    }

    #[test]
    fn w11_a_star_is_every_topic() {
        for all in [&["*"][..], &["a", "*"], &["*", "b/*"]] {
            assert_eq!(rights(all), TopicRights::All, "{all:?}");
        }
        assert!(!rights(&[]).allow("a"), "no right at all");
    }

    #[test]
    fn w11_a_slash_and_a_star_are_every_topic_below() {
        let orders = rights(&["orders/*", "news"]);
        for topic in ["orders/7", "orders/7/items", "orders/*", "orders//", "news"] {
            assert!(orders.allow(topic), "{topic}");
        }
        for topic in [
            "orders",
            "orders/",
            "orders2/7",
            "Orders/7",
            "x/orders/7",
            "news/7",
            "",
            "*",
        ] {
            assert!(!orders.allow(topic), "{topic:?}");
        }
        assert!(rights(&["/*"]).allow("/a") && !rights(&["/*"]).allow("a"));
    }

    #[test]
    fn w11_what_is_no_pattern_is_a_name_as_before() {
        for name in [
            "a", "a*", "*a", "a:*", "a.*", "*/b", "a/*/b", "a/**", "**", "*/*", "a/", "/", " *",
        ] {
            let one = rights(&[name]);
            assert_eq!(one, TopicRights::Only(vec![name.into()]), "{name}");
            assert!(one.allow(name));
            for other in ["ab", "xa", "a:b", "a.b", "x/b", "a/x/b", "a/x"] {
                assert!(!one.allow(other), "{name} {other}");
            }
        }
        // Names that were given as names are names.
        let named = crate::Identity::user("u").reading(["*", "orders/*"]).topics;
        assert!(named.allow("*") && !named.allow("a") && !named.allow("orders/7"));
    }

    #[test]
    fn w11_a_ticket_for_a_topic_called_star_opens_that_topic() {
        let ticket = TopicRights::Only(vec!["*".into()]);
        assert_eq!(TopicRights::All.and(&ticket), ticket);
        assert_eq!(rights(&["a/*"]).and(&ticket), TopicRights::Only(Vec::new()));
    }

    fn right() -> impl Strategy<Value = String> {
        prop_oneof!["[ab/*]{0,5}", "[ab/]{0,3}/\\*", Just("*".to_owned())]
    }

    proptest! {
        #[test]
        fn w11_both_allow_what_each_allows(
            ours in prop::collection::vec(right(), 0..4),
            theirs in prop::collection::vec(right(), 0..4),
            topic in "[ab/*]{0,6}",
        ) {
            let ours = TopicRights::matching(ours.iter().map(String::as_str));
            let theirs = TopicRights::matching(theirs.iter().map(String::as_str));
            let both = ours.and(&theirs);
            prop_assert_eq!(both.allow(&topic), ours.allow(&topic) && theirs.allow(&topic));
        }
    }
}
