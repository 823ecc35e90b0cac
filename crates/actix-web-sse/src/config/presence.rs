use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Faults;

/// The longest that [`PresenceConfig::grace`] may be.
const MAX_GRACE: Duration = Duration::from_secs(600);

/// Whether it is known who follows a topic ([`TopicConfig::presence`](super::TopicConfig::presence)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PresenceMode {
    /// It can be asked for ([`Hub::presence`](crate::Hub::presence)).
    List,
    /// And who comes and goes is published: the events of `room/7` are in the topic `presence/room/7`,
    /// with the type `join` or `leave` and data such as `{"user":"alice","users":3,"topic":"room/7"}`.
    ///
    /// A client needs the right to that topic, and has it by no right to `room/7`; `*` is one to every topic.
    /// [`TopicAccess::Anyone`](super::TopicAccess::Anyone) counts for it in an entry for such names only. Only the hub
    /// publishes to it. If the hub knows its topics ([`HubBuilder::topics`](crate::HubBuilder::topics)), it knows this one with `room/7`. A name
    /// that is longer than [`max_topic_bytes`](super::HubConfig::max_topic_bytes) gets no events.
    Events,
}

/// How it is kept who follows a topic. Section `[hub.presence]`; for the topics with
/// [`TopicConfig::presence`](super::TopicConfig::presence).
///
/// A user counts as one in each of these topics. A user beyond a bound is not listed: its streams are open as any other, it
/// neither joins nor leaves, and [`Presence::whole`](crate::Presence::whole) is false as long as one is open. The first
/// time it is reported as [`PresenceFull`](crate::observe::Misconfiguration::PresenceFull). Names of more than 1024
/// bytes are not listed either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PresenceConfig {
    /// For how long a user without a stream is still there, so that a reload of the page is no leave; at
    /// most 10 min. With a client that waits longer before it comes back
    /// ([`StreamConfig::retry`](super::StreamConfig::retry)) a cut is a leave and a join. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// How many users of a topic are listed. Default 1000.
    pub users_per_topic: usize,
    /// How many users are listed in all topics together, each in each of its topics. One takes about 150 bytes, and its
    /// name. Default 100 000.
    pub users: usize,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(5),
            users_per_topic: 1000,
            users: 100_000,
        }
    }
}

impl PresenceConfig {
    pub(super) fn check(&self, faults: &mut Faults) {
        if self.grace > MAX_GRACE {
            faults.add(
                "hub.presence.grace",
                self.grace,
                "must be at most 10m: for so long are users listed who have gone",
            );
        }
        for (key, value) in [
            ("hub.presence.users_per_topic", self.users_per_topic),
            ("hub.presence.users", self.users),
        ] {
            if value == 0 {
                faults.add(
                    key,
                    value,
                    "must be at least 1, or leave out presence in hub.topics",
                );
            }
        }
    }
}
