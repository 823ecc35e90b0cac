//! How a hub is made.

use std::{
    fmt,
    sync::{Arc, Weak, atomic::AtomicUsize},
};

use super::{
    Backplane, Hub, KnowsTopic, Shared, Sink,
    core::Core,
    presence::{PREFIX, Readers},
    settings::{self, TopicSettings},
    sync::Mutex,
    ticks::Ticks,
    topics::Limits,
};
use crate::{
    config::{ConfigError, Faults, HubConfig, PresenceMode, StreamConfig, TopicConfig},
    identity::TopicPattern,
    observe::{BackplaneWatch, HubWatch, Observer, Reported},
};

/// Makes a [`Hub`].
#[must_use = "nothing is made before build()"]
pub struct HubBuilder {
    hub: HubConfig,
    stream: StreamConfig,
    observer: Box<dyn Observer>,
    knows: Option<KnowsTopic>,
    backplane: Option<Box<dyn Backplane>>,
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder")
            .field("hub", &self.hub)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl HubBuilder {
    pub(super) fn new() -> Self {
        Self {
            hub: HubConfig::default(),
            stream: StreamConfig::default(),
            observer: Box::new(()),
            knows: None,
            backplane: None,
        }
    }

    /// What the hub keeps, and how far a subscriber may fall behind.
    pub fn config(mut self, config: HubConfig) -> Self {
        self.hub = config;
        self
    }

    /// How each stream behaves.
    pub fn stream(mut self, config: StreamConfig) -> Self {
        self.stream = config;
        self
    }

    /// Changes some settings and leaves the others as they are.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use actix_web_sse::Hub;
    /// let hub = Hub::builder().with(|hub, stream| {
    ///     hub.replay_events = 100;
    ///     stream.heartbeat = Duration::from_secs(10);
    /// });
    /// # hub.build().unwrap();
    /// ```
    pub fn with(mut self, change: impl FnOnce(&mut HubConfig, &mut StreamConfig)) -> Self {
        change(&mut self.hub, &mut self.stream);
        self
    }

    /// Who gets reports of streams and publications. Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Which topics there are. Default: every non-empty name, made on first use. To all others
    /// nobody can publish, and a subscription is refused as if the right to it were missing.
    pub fn topics(mut self, knows: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.knows = Some(Box::new(knows));
        self
    }

    /// Shares topics with the hubs of other processes.
    pub fn backplane(mut self, backplane: impl Backplane) -> Self {
        self.backplane = Some(Box::new(backplane));
        self
    }

    /// Checks everything, then makes the hub.
    ///
    /// # Errors
    /// [`ConfigError`] with all faults at once.
    pub fn build(self) -> Result<Hub, ConfigError> {
        let mut faults = Faults::default();
        self.hub.check(&mut faults);
        self.stream.check(&mut faults);
        settings::check(&self.hub, &mut faults);
        let has_events = |topics: &TopicConfig| topics.presence == Some(PresenceMode::Events);
        let backplane = self.backplane.as_ref();
        if backplane.is_some_and(|backplane| !backplane.shares_presence())
            && self.hub.topics.iter().any(has_events)
        {
            faults.add(
                "hub.topics.presence",
                "events",
                "needs a backplane that counts who follows topics; this one does not: use list",
            );
        }
        if backplane.is_some_and(|backplane| backplane.shares_presence()) {
            let announced = self.hub.topics.iter().filter(|topics| has_events(topics));
            for topics in announced {
                if let Some(own) = self.kept_from_other_nodes(&topics.pattern) {
                    faults.add(
                        "hub.topics.shared",
                        false,
                        format!(
                            "of {own:?} keeps the joins and leaves of {:?} from every node, since they come through the \
                             backplane: add an entry for {:?} before it, or use presence = \"list\"",
                            topics.pattern,
                            format!("{PREFIX}{}", topics.pattern),
                        ),
                    );
                }
            }
        }
        faults.into_result(())?;
        Ok(self.make())
    }

    /// The entry by which the joins and leaves of these topics are of one node alone, or those of some.
    fn kept_from_other_nodes(&self, pattern: &str) -> Option<&str> {
        let announced = TopicPattern::from(format!("{PREFIX}{pattern}").as_str());
        for topics in &self.hub.topics {
            let entry = TopicPattern::from(topics.pattern.as_str());
            let whole = entry.covers(&announced);
            if (whole || announced.covers(&entry)) && topics.shared == Some(false) {
                return Some(&topics.pattern);
            }
            if whole {
                break;
            }
        }
        None
    }

    /// The hub, of a configuration that has been checked.
    pub(super) fn make(self) -> Hub {
        let config = self.hub;
        let topics = Arc::new(TopicSettings::new(&config));
        let mut core = Core::new(Limits {
            resume: config.resume,
            max_topics: config.max_topics,
            settings: Arc::clone(&topics),
        });
        if self.backplane.is_some() {
            core.share();
        }
        let backplane = self.backplane.as_ref();
        let is_shared = backplane.is_some_and(|backplane| backplane.shares_presence());
        let shared = Arc::new(Shared {
            presence: Readers::new(&config.presence, &topics, is_shared),
            core: Mutex::new(core),
            config,
            stream: Arc::new(self.stream),
            observer: self.observer,
            knows: self.knows,
            topics,
            ticks: Ticks::default(),
            backplane: self.backplane,
            sockets: AtomicUsize::default(),
            reported: Reported::default(),
        });
        let settings: Weak<Shared> = Arc::downgrade(&shared);
        shared.observer.hub(&HubWatch::new(settings));
        if let Some(backplane) = &shared.backplane {
            backplane.start(Sink::new(&shared));
            let levels: Weak<Shared> = Arc::downgrade(&shared);
            let watch = BackplaneWatch::new(levels);
            shared.observer.backplane(&watch);
        }
        Hub { shared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_and_leaves_that_one_node_would_keep_to_itself_are_found() {
        let local = |pattern: &str| TopicConfig::of(pattern).shared(false);
        let room = || TopicConfig::of("room/*").presence(PresenceMode::Events);
        let cases = [
            (vec![room()], None),
            (vec![room(), local("cpu/*")], None),
            (vec![room(), local("presence/*")], Some("presence/*")),
            (vec![room(), local("*")], Some("*")),
            (
                vec![room(), local("presence/room/7")],
                Some("presence/room/7"),
            ),
            // The first entry that matches a topic counts.
            (
                vec![TopicConfig::of("presence/room/*"), room(), local("*")],
                None,
            ),
            (
                vec![TopicConfig::of("presence/room/7"), room(), local("*")],
                Some("*"),
            ),
        ];
        for (topics, found) in cases {
            let builder = Hub::builder().with(|hub, _| hub.topics = topics);
            assert_eq!(
                builder.kept_from_other_nodes("room/*"),
                found,
                "{:?}",
                builder.hub.topics
            );
        }
    }
}
