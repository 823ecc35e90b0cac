//! Who follows a topic (rule 17 of the [hub](super)).

mod registry;
#[cfg(all(test, not(sse_loom)))]
mod tests;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde::{Serialize, Serializer};
use tokio::time::Instant;

use self::registry::{Change, Edge, Registry};
use super::{
    BackplaneError, Hub, Shared,
    settings::TopicSettings,
    sync::{Mutex, MutexGuard},
};
use crate::{
    config::{PresenceConfig, PresenceMode},
    event::{Event, topic},
    observe::Misconfiguration,
};

/// How many changes are settled or announced before others have a turn.
const CHANGES_PER_TURN: usize = 256;

/// What the name of a topic's joins and leaves begins with.
pub(super) const PREFIX: &str = "presence/";

/// Who follows a topic ([`Hub::presence`]). As JSON: `{"users":[{"user":"alice","streams":2}],"anonymous":0,"whole":true}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Presence {
    /// The users, by name.
    pub users: Vec<PresentUser>,
    /// Open streams without a user.
    pub anonymous: usize,
    /// Nobody is left out: no user is beyond the bounds of [`PresenceConfig`].
    pub whole: bool,
}

impl Default for Presence {
    /// Nobody.
    fn default() -> Self {
        Self {
            users: Vec::new(),
            anonymous: 0,
            whole: true,
        }
    }
}

/// A user who follows a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct PresentUser {
    /// The name.
    #[serde(serialize_with = "as_str")]
    pub user: Arc<str>,
    /// Its open streams of this topic; 0 while it may still come back
    /// ([`grace`](PresenceConfig::grace)).
    pub streams: usize,
}

impl PresentUser {
    /// A user with so many streams.
    #[must_use]
    pub const fn new(user: Arc<str>, streams: usize) -> Self {
        Self { user, streams }
    }
}

fn as_str<S: Serializer>(user: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(user)
}

/// As what a stream counts in a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reader {
    /// As one of this user's.
    User(Arc<str>),
    /// As one without a user.
    Anonymous,
    /// As one of a user who is not listed.
    Unlisted,
}

/// How many streams of a topic a reader has on this node: what a hub tells its [`Backplane`](super::Backplane).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderCount<'a> {
    /// The topic.
    pub topic: &'a Arc<str>,
    /// Whose streams they are.
    pub reader: &'a Reader,
    /// How many are open. `None`: the reader is not there any more; a user may be there without one for the
    /// [grace](PresenceConfig::grace).
    pub streams: Option<usize>,
    /// The topic to which joins and leaves of users are published, if they are.
    pub announced_in: Option<&'a str>,
}

/// The data of a join or leave.
#[derive(Serialize)]
struct Announcement<'a> {
    user: &'a str,
    users: usize,
    topic: &'a str,
}

/// Who follows the topics of a hub. It has a lock of its own, under which no other is taken.
pub(crate) struct Readers {
    registry: Mutex<State>,
    /// Nanoseconds from `start` to the next leave; `u64::MAX` for none. So that who has nothing to do takes no lock.
    next_due: AtomicU64,
    start: Instant,
    /// There are changes to be announced, or something to report.
    news: AtomicBool,
    /// Somebody was not listed.
    overfull: AtomicBool,
}

struct State {
    registry: Registry,
    /// One at a time, so that they are published in their order.
    announcing: bool,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

/// As what a stream counts in its topics with presence, until it is dropped.
#[derive(Debug)]
pub(crate) struct Attendance {
    readers: Arc<Readers>,
    topics: Box<[(Arc<str>, Reader)]>,
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let now = Instant::now();
        self.readers.change(|registry| {
            for (topic, reader) in &self.topics {
                registry.leave(topic, reader, now);
            }
        });
    }
}

impl Readers {
    /// `None`: no topic has presence.
    pub(super) fn new(
        config: &PresenceConfig,
        topics: &TopicSettings,
        shared: bool,
    ) -> Option<Arc<Self>> {
        topics.has_presence().then(|| {
            Arc::new(Self {
                registry: Mutex::new(State {
                    registry: Registry::new(config.clone(), shared),
                    announcing: false,
                }),
                next_due: AtomicU64::new(u64::MAX),
                start: Instant::now(),
                news: AtomicBool::new(false),
                overfull: AtomicBool::new(false),
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state.registry);
        let due = state.registry.next_due().map_or(u64::MAX, |due| {
            let since = due.saturating_duration_since(self.start);
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        });
        self.next_due.store(due, Ordering::Relaxed);
        if !state.registry.changes.is_empty() {
            self.news.store(true, Ordering::Relaxed);
        }
        changed
    }

    /// A stream has opened, of this user, that counts in these topics.
    pub(super) fn enter(
        self: &Arc<Self>,
        topics: Vec<(Arc<str>, PresenceMode)>,
        user: Option<&Arc<str>>,
    ) -> Attendance {
        let topics = self.change(|registry| {
            let topics = topics.into_iter().map(|(topic, mode)| {
                let reader = registry.enter(&topic, mode, user);
                (topic, reader)
            });
            topics.collect::<Box<[_]>>()
        });
        if topics.iter().any(|(_, reader)| *reader == Reader::Unlisted) {
            self.overfull.store(true, Ordering::Relaxed);
            self.news.store(true, Ordering::Relaxed);
        }
        Attendance {
            readers: Arc::clone(self),
            topics,
        }
    }

    /// When the next user leaves, if one is about to.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = self.next_due.load(Ordering::Relaxed);
        (due != u64::MAX).then(|| self.start + std::time::Duration::from_nanos(due))
    }

    /// Users leave whose grace is over, a turn's worth of them.
    pub(super) fn settle(&self, now: Instant) {
        if self.is_due(now) {
            self.change(|registry| registry.settle(now, CHANGES_PER_TURN));
        }
    }

    /// Whether the grace of somebody is over.
    fn is_due(&self, now: Instant) -> bool {
        self.next_due().is_some_and(|due| due <= now)
    }

    /// Publishes what has changed, in its order, a turn's worth of it; whether more may be left. Observers run: nothing
    /// may be borrowed.
    pub(super) fn announce(&self, hub: &Arc<Shared>) -> bool {
        if !self.news.load(Ordering::Relaxed) {
            return false;
        }
        if self.overfull.swap(false, Ordering::Relaxed) {
            hub.report(Misconfiguration::PresenceFull);
        }
        let mut turn = Turn {
            readers: self,
            begun: false,
        };
        for _ in 0..CHANGES_PER_TURN {
            let Some(change) = turn.next() else {
                return false;
            };
            // Whoever announces has a stream or a worker of its own to look after, perhaps while it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| change.announce(hub)));
        }
        true
    }
}

/// The right to announce, which one thread has at a time.
struct Turn<'a> {
    readers: &'a Readers,
    begun: bool,
}

impl Turn<'_> {
    /// The next change; `None` if there is none, or another thread announces it.
    fn next(&mut self) -> Option<Change> {
        let mut state = self.readers.lock();
        if state.announcing && !self.begun {
            return None;
        }
        let change = state.registry.changes.pop_front();
        self.begun = change.is_some();
        state.announcing = self.begun;
        if !self.begun {
            self.readers.news.store(false, Ordering::Relaxed);
        }
        change
    }
}

impl Drop for Turn<'_> {
    /// What is left is announced next time.
    fn drop(&mut self) {
        if self.begun {
            self.readers.lock().announcing = false;
        }
    }
}

impl Change {
    fn announce(&self, hub: &Arc<Shared>) {
        let name = format!("{PREFIX}{}", self.topic);
        let has_events = self.mode == PresenceMode::Events
            && topic::check(&name, hub.config.max_topic_bytes).is_ok();
        if let Some(backplane) = &hub.backplane {
            backplane.counted(&ReaderCount {
                topic: &self.topic,
                reader: &self.reader,
                streams: self.streams,
                announced_in: has_events.then_some(&*name),
            });
            return;
        }
        let Some((edge, users)) = self.edge.filter(|_| has_events) else {
            return;
        };
        let Reader::User(user) = &self.reader else {
            return;
        };
        let kind = match edge {
            Edge::Join => "join",
            Edge::Leave => "leave",
        };
        let topic = &self.topic;
        let event = Event::json(&Announcement { user, users, topic });
        let event = event.and_then(|event| event.name(kind));
        if let Ok(event) = event {
            let hub = Hub {
                shared: Arc::clone(hub),
            };
            hub.announce(&name, event);
        }
    }
}

/// The topic whose joins and leaves a topic of this name has.
pub(super) fn announced<'a>(topics: &TopicSettings, name: &'a str) -> Option<&'a str> {
    let topic = name.strip_prefix(PREFIX)?;
    (presence(topics, topic) == Some(PresenceMode::Events)).then_some(topic)
}

/// Whether it is known who follows the topic of this name.
pub(super) fn presence(topics: &TopicSettings, name: &str) -> Option<PresenceMode> {
    let mode = topics.class(name).presence;
    mode.filter(|_| !is_exempt(name))
}

/// Whether it is never known who follows a topic of this name.
pub(super) fn is_exempt(name: &str) -> bool {
    name.starts_with(PREFIX)
}

impl Hub {
    /// Who follows a topic on this node: the users with their open streams, and the streams without a user. `None`: the topic
    /// has no [presence](crate::config::TopicConfig::presence). It copies the list under a lock that only
    /// streams of such topics take.
    ///
    /// A user is there from its first stream on, until the last one has ended and the
    /// [grace](PresenceConfig::grace) is over. A stream ends when the server notices it: a client that is cut off
    /// without a word is there until a heartbeat cannot be written.
    ///
    /// ```
    /// use actix_web_sse::{Hub, config::{PresenceMode, TopicConfig}};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = Hub::builder()
    ///     .with(|hub, _| hub.topics = vec![TopicConfig::of("room/*").presence(PresenceMode::List)])
    ///     .build()?;
    /// let present = hub.presence("room/7").expect("it has presence");
    /// assert!(present.users.is_empty() && present.whole);
    /// assert_eq!(hub.presence("news"), None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn presence(&self, topic: &str) -> Option<Presence> {
        let readers = self.shared.presence.as_ref()?;
        presence(&self.shared.topics, topic)?;
        let now = Instant::now();
        while readers.is_due(now) {
            readers.settle(now);
        }
        readers.announce(&self.shared);
        let mut present = readers.lock().registry.list(topic);
        present.users.sort_unstable();
        Some(present)
    }

    /// Who follows a topic on all nodes of a hub with a [`Backplane`](super::Backplane) that counts them; else it is
    /// [`presence`](Self::presence).
    ///
    /// # Errors
    /// [`BackplaneError`] when the engine does not answer.
    pub async fn presence_shared(&self, topic: &str) -> Result<Option<Presence>, BackplaneError> {
        let here = self.presence(topic);
        match &self.shared.backplane {
            Some(backplane) if here.is_some() && backplane.shares_presence() => {
                let mut present = backplane.presence(topic).await?;
                present.users.sort_unstable();
                Ok(Some(present))
            }
            _ => Ok(here),
        }
    }
}
