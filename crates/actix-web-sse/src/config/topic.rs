use serde::{Deserialize, Serialize};

use super::error::Faults;

/// Settings of the topics that a pattern matches. An entry of `[[hub.topics]]`.
///
/// ```
/// # use actix_web_sse::{Hub, config::TopicConfig};
/// let hub = Hub::builder().with(|hub, _| {
///     hub.topics.push(TopicConfig::of("prices/*").last_value(true));
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
}

impl TopicConfig {
    /// The topics that this matches, with the settings of the hub.
    #[must_use]
    pub fn of(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            last_value: None,
        }
    }

    /// Whether a new subscriber gets the latest event of these topics at once.
    #[must_use]
    pub fn last_value(mut self, last_value: bool) -> Self {
        self.last_value = Some(last_value);
        self
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        if self.pattern.is_empty() {
            faults.add(
                "hub.topics.match",
                &self.pattern,
                "must match a topic: a name, or a pattern such as orders/*",
            );
        }
    }
}
