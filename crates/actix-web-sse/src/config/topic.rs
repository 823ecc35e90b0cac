use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{error::Faults, presence::PresenceMode};

/// Who may do something with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TopicAccess {
    /// Whose credentials give the right to it.
    #[default]
    Rights,
    /// Whoever passes the guards, whatever the credentials say.
    Anyone,
    /// No client. The application itself still may.
    Nobody,
}

impl TopicAccess {
    /// Whether it is left to the credentials.
    const fn is_by_rights(&self) -> bool {
        matches!(self, Self::Rights)
    }
}

/// Settings of the topics that a pattern matches. An entry of `[[hub.topics]]`.
///
/// ```
/// # use actix_web_sse::{Hub, config::TopicConfig};
/// let hub = Hub::builder().with(|hub, _| {
///     hub.topics.push(TopicConfig::of("prices/*").last_value(true).replay_events(10));
/// });
/// # hub.build().unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TopicConfig {
    /// Which topics, in the grammar of rights: see [`TopicRights`](crate::TopicRights). The first entry
    /// that matches a topic is the one that counts.
    #[serde(rename = "match")]
    pub pattern: String,
    /// As [`HubConfig::last_value`](super::HubConfig::last_value), for these topics. Default: as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_value: Option<bool>,
    /// As [`HubConfig::replay_events`](super::HubConfig::replay_events); 0 keeps none. Default: as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_events: Option<usize>,
    /// As [`HubConfig::replay_age`](super::HubConfig::replay_age). Default: as there.
    #[serde(
        default,
        with = "humantime_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub replay_age: Option<Duration>,
    /// As [`HubConfig::replay_bytes`](super::HubConfig::replay_bytes). Default: as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_bytes: Option<usize>,
    /// How long an event waits for others, so that they reach each client in one write; at most
    /// 100 ms. A topic with hundreds of events in a second costs several times less, and each of them may be so much
    /// later. Default: none waits.
    #[serde(
        default,
        with = "humantime_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub linger: Option<Duration>,
    /// How many of these topics there may be at a time. An event for one more is refused
    /// ([`PublishError::TooManyTopicsOf`](crate::PublishError::TooManyTopicsOf)), and a stream as for want of capacity.
    /// Default: as many as [`HubConfig::max_topics`](super::HubConfig::max_topics) leaves room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_topics: Option<usize>,
    /// How many streams may follow one of these topics at a time, on this node; those that follow a pattern are not
    /// counted. One more is refused as for want of capacity. Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_streams: Option<usize>,
    /// Who may follow these topics. Default: by rights. What nobody may follow no pattern brings either. A ticket is for
    /// a topic that the credentials give a right to, whatever this says.
    #[serde(default, skip_serializing_if = "TopicAccess::is_by_rights")]
    pub read: TopicAccess,
    /// For whom [`Hub::publish_as`](crate::Hub::publish_as) publishes. Default: by rights.
    #[serde(default, skip_serializing_if = "TopicAccess::is_by_rights")]
    pub publish: TopicAccess,
    /// Whether all nodes of a hub with a [`Backplane`](crate::backplane::Backplane) share these topics. If false, an
    /// event reaches the streams of the node on which it is published, at once, and is never replayed: for what is of
    /// this node, or not worth a way through the engine. No pattern brings it. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// Whether it is known who follows these topics. It costs each of their streams about 150 bytes, and its opening and
    /// its end a lock more. Names that begin with `presence/` are never listed. Default: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence: Option<PresenceMode>,
}

/// The longest that [`TopicConfig::linger`] may be.
const MAX_LINGER: Duration = Duration::from_millis(100);

impl TopicConfig {
    /// The topics that this matches, with the settings of the hub.
    #[must_use]
    pub fn of(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            last_value: None,
            replay_events: None,
            replay_age: None,
            replay_bytes: None,
            linger: None,
            max_topics: None,
            max_streams: None,
            read: TopicAccess::Rights,
            publish: TopicAccess::Rights,
            shared: None,
            presence: None,
        }
    }

    /// Whether a new subscriber gets the latest event of these topics at once.
    #[must_use]
    pub fn last_value(mut self, last_value: bool) -> Self {
        self.last_value = Some(last_value);
        self
    }

    /// How many events of each of these topics are kept for replay.
    #[must_use]
    pub fn replay_events(mut self, events: usize) -> Self {
        self.replay_events = Some(events);
        self
    }

    /// How old a replayed event of these topics may be.
    #[must_use]
    pub fn replay_age(mut self, age: Duration) -> Self {
        self.replay_age = Some(age);
        self
    }

    /// How many bytes of each of these topics are kept for replay.
    #[must_use]
    pub fn replay_bytes(mut self, bytes: usize) -> Self {
        self.replay_bytes = Some(bytes);
        self
    }

    /// How long an event of these topics waits for others.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// How many of these topics there may be at a time.
    #[must_use]
    pub fn max_topics(mut self, topics: usize) -> Self {
        self.max_topics = Some(topics);
        self
    }

    /// How many streams may follow one of these topics.
    #[must_use]
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.max_streams = Some(streams);
        self
    }

    /// Who may follow these topics.
    #[must_use]
    pub fn read(mut self, readers: TopicAccess) -> Self {
        self.read = readers;
        self
    }

    /// For whom [`Hub::publish_as`](crate::Hub::publish_as) publishes to these topics.
    #[must_use]
    pub fn publish(mut self, publishers: TopicAccess) -> Self {
        self.publish = publishers;
        self
    }

    /// Whether all nodes share these topics.
    #[must_use]
    pub fn shared(mut self, shared: bool) -> Self {
        self.shared = Some(shared);
        self
    }

    /// Keeps who follows these topics ([`PresenceConfig`](super::PresenceConfig)).
    #[must_use]
    pub const fn presence(mut self, presence: PresenceMode) -> Self {
        self.presence = Some(presence);
        self
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        if let Some(linger) = self.linger.filter(|linger| *linger > MAX_LINGER) {
            faults.add(
                "hub.topics.linger",
                linger,
                format!(
                    "of {:?} must be at most 100ms: that much later may each event be",
                    self.pattern
                ),
            );
        }
        let at_least_one = [
            ("hub.topics.max_topics", self.max_topics),
            ("hub.topics.max_streams", self.max_streams),
        ];
        for (key, value) in at_least_one {
            if value == Some(0) {
                faults.add(
                    key,
                    0,
                    format!(
                        "of {:?} must be at least 1; to keep clients out, set read = \"nobody\"",
                        self.pattern
                    ),
                );
            }
        }
        if self.pattern.is_empty() {
            faults.add(
                "hub.topics.match",
                &self.pattern,
                "must match a topic: a name, or a pattern such as orders/*",
            );
        }
    }
}
