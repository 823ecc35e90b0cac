use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{error::Faults, presence::PresenceConfig, topic::TopicConfig};

/// The most bytes that [`HubConfig::max_topic_bytes`] may allow.
pub(crate) const MAX_TOPIC_BYTES: usize = 1024;

/// The most entries that [`HubConfig::topics`] may have.
const MAX_TOPIC_SETTINGS: usize = 100;

/// What becomes of a subscriber that stays too far behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SlowConsumer {
    /// Its stream ends; the client resumes by its last event ID. A gap is an `event: reset`.
    #[default]
    End,
    /// It skips what it could not take, and an `event: lagged` says how many events that were.
    Skip,
}

/// What the hub keeps, and how far a subscriber may fall behind. Section `[hub]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HubConfig {
    /// Whether `Last-Event-ID` is answered with what was missed, and a client without one gets an
    /// `event: anchor` with an ID to come back with. Default true.
    pub resume: bool,
    /// How many events of a topic are kept for replay. Default 1000.
    pub replay_events: usize,
    /// How old a replayed event may be. Default 5 min.
    #[serde(with = "humantime_serde")]
    pub replay_age: Duration,
    /// How many bytes of a topic are kept for replay. Default 1 MiB.
    pub replay_bytes: usize,
    /// How many events a subscriber may lag before it is a slow consumer. Default 256.
    pub subscriber_events: usize,
    /// How many bytes a subscriber may lag before it is a slow consumer. Default 256 KiB.
    pub subscriber_bytes: usize,
    /// What becomes of a slow consumer: one that stays further behind than that for longer than a
    /// second, or whose next event is no longer there. Default: its stream ends.
    pub slow_consumer: SlowConsumer,
    /// A new subscriber gets the latest event of each topic at once. Default false; `topics` may say
    /// otherwise for some.
    pub last_value: bool,
    /// How many events a snapshot may have
    /// ([`Subscription::snapshot`](crate::Subscription::snapshot)). Default 10 000.
    pub snapshot_events: usize,
    /// How many bytes the events of a snapshot may have as they stand on the wire. One of them may
    /// be larger than `max_event_bytes`. Default 1 MiB.
    pub snapshot_bytes: usize,
    /// How long the application may keep a client waiting for its snapshot, altogether. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub snapshot_time: Duration,
    /// How large an event may be: its data and its name, in bytes. Default 64 KiB.
    pub max_event_bytes: usize,
    /// How many topics there may be at a time. Default 100 000.
    pub max_topics: usize,
    /// How many topics one stream may follow. A subscription costs time under the hub's lock for
    /// each, and the client chooses them. Default 100.
    pub max_topics_per_stream: usize,
    /// How long the name of a topic may be, in bytes; at most 1024. Control characters are never
    /// allowed. Default 256.
    pub max_topic_bytes: usize,
    /// How it is kept who follows a topic, for the topics that ask for it.
    pub presence: PresenceConfig,
    /// Settings of some topics, at most 100 entries: each is compared with each new topic, and is a label of metrics.
    /// Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicConfig>,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            resume: true,
            replay_events: 1000,
            replay_age: Duration::from_secs(300),
            replay_bytes: 1024 * 1024,
            subscriber_events: 256,
            subscriber_bytes: 256 * 1024,
            slow_consumer: SlowConsumer::End,
            last_value: false,
            snapshot_events: 10_000,
            snapshot_bytes: 1024 * 1024,
            snapshot_time: Duration::from_secs(10),
            max_event_bytes: 64 * 1024,
            max_topics: 100_000,
            max_topics_per_stream: 100,
            max_topic_bytes: 256,
            presence: PresenceConfig::default(),
            topics: Vec::new(),
        }
    }
}

impl HubConfig {
    pub(crate) fn check(&self, faults: &mut Faults) {
        let at_least_one = [
            ("hub.subscriber_events", self.subscriber_events),
            ("hub.subscriber_bytes", self.subscriber_bytes),
            ("hub.snapshot_events", self.snapshot_events),
            ("hub.snapshot_bytes", self.snapshot_bytes),
            ("hub.max_event_bytes", self.max_event_bytes),
            ("hub.max_topics", self.max_topics),
            ("hub.max_topics_per_stream", self.max_topics_per_stream),
            ("hub.max_topic_bytes", self.max_topic_bytes),
        ];
        for (key, value) in at_least_one {
            if value == 0 {
                faults.add(key, value, "must be at least 1");
            }
        }
        if self.topics.len() > MAX_TOPIC_SETTINGS {
            faults.add(
                "hub.topics",
                self.topics.len(),
                format!("must have at most {MAX_TOPIC_SETTINGS} entries"),
            );
        }
        for topics in &self.topics {
            topics.check(faults);
        }
        self.presence.check(faults);
        if self.snapshot_time.is_zero() || self.snapshot_time > Duration::from_secs(3600) {
            faults.add(
                "hub.snapshot_time",
                self.snapshot_time,
                "must be above 0 and at most 1h",
            );
        }
        if self.max_topic_bytes > MAX_TOPIC_BYTES {
            faults.add(
                "hub.max_topic_bytes",
                self.max_topic_bytes,
                format!("must be at most {MAX_TOPIC_BYTES}: names stand in URLs and tickets"),
            );
        }
        if self.resume {
            for (key, value) in [
                ("hub.replay_events", self.replay_events),
                ("hub.replay_bytes", self.replay_bytes),
            ] {
                if value == 0 {
                    faults.add(key, value, "must be at least 1, or set resume = false");
                }
            }
            if self.replay_age.is_zero() {
                faults.add(
                    "hub.replay_age",
                    self.replay_age,
                    "must be above 0, or set resume = false",
                );
            }
        }
        if self.subscriber_bytes < self.max_event_bytes {
            faults.add(
                "hub.subscriber_bytes",
                self.subscriber_bytes,
                format!(
                    "must hold the largest event (max_event_bytes = {})",
                    self.max_event_bytes
                ),
            );
        }
    }
}
