//! Topics to publish to and to subscribe from.
//!
//! A topic is one log; every subscriber is a cursor in it. Publishing encodes the event once,
//! appends it, and wakes each worker that has subscribers at most once: the cost does not grow
//! with the number of streams. A subscriber that comes back with a `Last-Event-ID` is a cursor
//! that starts in the past; replay and live events are the same log, so that nothing is lost or
//! doubled between them.

mod backplane;
mod census;
pub(crate) mod core;
pub(crate) mod id;
mod index;
pub(crate) mod log;
#[cfg(all(test, sse_loom))]
mod loom;
mod mailbox;
mod reading;
pub(crate) mod state;
pub(crate) mod stream;
pub(crate) mod subscription;
#[cfg(all(test, not(sse_loom)))]
mod tests;
mod topics;
pub(crate) mod view;
mod wheel;
pub(crate) mod worker;

use std::{
    error::Error,
    fmt,
    future::poll_fn,
    sync::{Arc, OnceLock, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, ResponseError, dev::Payload,
    error::ErrorInternalServerError, http::StatusCode, web,
};
use tokio::time::{Instant, timeout};

pub use self::backplane::{Backplane, BackplaneError, BackplaneFuture, History, Revocation, Sink};
pub use self::subscription::{EventHead, IntoTopics, Subscription};
use self::{
    core::Core,
    log::{BURST, Keep, Labels},
    mailbox::Command,
    topics::Limits,
};
use crate::{
    config::{ConfigError, Faults, HubConfig, StreamConfig},
    encode::Unnumbered,
    event::Event,
    observe::{CloseReason, Observer, Publication},
    protect::refusal,
    subscriber::Subscriber,
    sync::{Mutex, MutexGuard},
};

type KnowsTopic = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// What all clones of a hub, on all threads, share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    pub(crate) config: HubConfig,
    pub(crate) stream: Arc<StreamConfig>,
    pub(crate) observer: Box<dyn Observer>,
    knows: Option<KnowsTopic>,
    pub(crate) backplane: Option<Box<dyn Backplane>>,
}

/// A stream's place in the count of its hub, from the decision to open it to its end.
pub(crate) struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        let wakes = self.0.core().census.leave();
        wakes.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    /// The shared part, for a few hundred nanoseconds. A panic under the lock is a bug of this
    /// crate; the data are consistent after each statement, so that a poisoned lock is no reason
    /// to stop every stream.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a stream in, unless the hub drains. Counted under the lock: a drain either refuses a
    /// stream or waits for it.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Slot> {
        let admitted = self.core().census.admit();
        admitted.then(|| Slot(Arc::clone(self)))
    }

    /// Tells the backplane that topics were made or removed.
    pub(crate) fn tell_interest(&self) {
        if let Some(backplane) = &self.backplane {
            backplane.interest();
        }
    }

    fn command(&self, command: &Command) {
        let wakes = self.core().command(command);
        wakes.into_iter().for_each(Waker::wake);
    }
}

/// Topics, their subscribers, and the events between them. A handle: clones share everything.
///
/// ```
/// use actix_web::{Responder, get};
/// use actix_web_sse::{Event, Hub, Subscriber};
///
/// #[get("/events")]
/// async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
///     hub.subscribe("prices", subscriber)
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?; // and `.app_data(hub.clone())` in the application
/// hub.publish("prices", Event::json(&[1.5, 2.5])?.name("price")?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Hub {
    pub(crate) shared: Arc<Shared>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// An event that the hub has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Its ID; `None` for a transient event.
    pub id: Option<String>,
}

/// Why an event was not published. Nothing was sent to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// Larger than `max_event_bytes`.
    TooLarge {
        /// Bytes of data and name.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The event has an ID of its own, and the hub's own are what replay rests on.
    HasId,
    /// A comment: it has nothing to deliver.
    NoData,
    /// Not a topic of this hub ([`HubBuilder::topics`]).
    UnknownTopic(String),
    /// There are `max_topics` topics, and all are in use.
    TooManyTopics(usize),
    /// The hub has a backplane: only [`Hub::publish_shared`] reaches all nodes.
    Shared,
    /// The backplane's engine did not take it.
    Backplane(BackplaneError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { len, max } => write!(
                f,
                "the event has {len} bytes; max_event_bytes is {max}: send a reference, or raise it"
            ),
            Self::HasId => {
                f.write_str("the event has an ID; leave it out, the hub numbers its events")
            }
            Self::NoData => f.write_str("the event is a comment; publish data"),
            Self::UnknownTopic(topic) => write!(f, "{topic:?} is not a topic of this hub"),
            Self::Shared => f.write_str("the hub has a backplane; call publish_shared"),
            Self::Backplane(error) => write!(f, "the backplane did not take the event: {error}"),
            Self::TooManyTopics(max) => write!(
                f,
                "there are {max} topics, and all are in use: raise max_topics, or use fewer"
            ),
        }
    }
}

impl Error for PublishError {}

/// A status and a code that a publishing client can act on; the text stays in the log.
impl ResponseError for PublishError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownTopic(_) => StatusCode::NOT_FOUND,
            Self::TooManyTopics(_) | Self::Backplane(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::HasId | Self::NoData | Self::Shared => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let code = match self {
            Self::TooLarge { .. } => "event_too_large",
            Self::UnknownTopic(_) => "not_found",
            Self::TooManyTopics(_) => "capacity",
            Self::Backplane(_) => "backplane_unavailable",
            Self::HasId | Self::NoData | Self::Shared => "internal",
        };
        refusal::json(self.status_code(), code)
    }
}

/// Levels of a hub, read when asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Open streams.
    pub streams: usize,
    /// Topics with subscribers or with events to replay.
    pub topics: usize,
    /// The hub drains.
    pub draining: bool,
}

impl Hub {
    /// Starts with the defaults of [`HubConfig`] and [`StreamConfig`].
    pub fn builder() -> HubBuilder {
        HubBuilder {
            hub: HubConfig::default(),
            stream: StreamConfig::default(),
            observer: Box::new(()),
            knows: None,
            backplane: None,
        }
    }

    /// The hub of responses whose application has none: no observer, never drained.
    pub(crate) fn fallback() -> Self {
        static FALLBACK: OnceLock<Hub> = OnceLock::new();
        FALLBACK
            .get_or_init(|| {
                Self::new(
                    HubConfig::default(),
                    StreamConfig::default(),
                    Box::new(()),
                    None,
                    None,
                )
            })
            .clone()
    }

    /// The hub of the application that serves this request.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        request
            .app_data::<Self>()
            .or_else(|| request.app_data::<web::Data<Self>>().map(|data| &***data))
            .cloned()
    }

    fn new(
        config: HubConfig,
        stream: StreamConfig,
        observer: Box<dyn Observer>,
        knows: Option<KnowsTopic>,
        backplane: Option<Box<dyn Backplane>>,
    ) -> Self {
        let kept = |limit: usize| if config.resume { limit } else { 0 };
        let keep = Keep {
            events: kept(config.replay_events),
            bytes: kept(config.replay_bytes),
            age: if config.resume {
                config.replay_age
            } else {
                Duration::ZERO
            },
            last_value: config.last_value,
            burst_events: config.subscriber_events.saturating_mul(BURST),
            burst_bytes: config.subscriber_bytes.saturating_mul(BURST),
        };
        let limits = Limits {
            keep,
            max_topics: config.max_topics,
        };
        let mut core = Core::new(limits);
        if backplane.is_some() {
            core.keep_changes();
        }
        let hub = Self {
            shared: Arc::new(Shared {
                core: Mutex::new(core),
                config,
                stream: Arc::new(stream),
                observer,
                knows,
                backplane,
            }),
        };
        if let Some(backplane) = &hub.shared.backplane {
            backplane.start(Sink::new(&hub.shared));
        }
        hub
    }

    /// Publishes an event to everybody who follows the topic. From any thread; never waits for a
    /// subscriber.
    ///
    /// # Errors
    /// [`PublishError`]; nothing was sent then.
    pub fn publish(&self, topic: &str, event: Event) -> Result<Published, PublishError> {
        if self.shared.backplane.is_some() {
            return Err(PublishError::Shared);
        }
        self.check(topic, &event)?;
        // The bytes are written before the lock is taken, and under it only the number.
        let encoded = Unnumbered::new(&event);
        let (labels, transient) = labels(event);
        let accepted = self
            .shared
            .core()
            .publish(topic, encoded, labels, transient, Instant::now())
            .map_err(|_| PublishError::TooManyTopics(self.shared.config.max_topics))?;
        accepted.wakes.into_iter().for_each(std::task::Waker::wake);
        self.shared.observer.published(&Publication {
            topic,
            bytes: accepted.bytes,
        });
        Ok(Published { id: accepted.id })
    }

    /// Publishes to every node of a hub with a [`Backplane`]; without one it is
    /// [`publish`](Self::publish) and ready at once.
    ///
    /// # Errors
    /// As `publish`, and [`PublishError::Backplane`] when the engine did not take the event: then
    /// nobody can count on it, although the engine may have it.
    pub async fn publish_shared(
        &self,
        topic: &str,
        event: Event,
    ) -> Result<Published, PublishError> {
        let Some(backplane) = &self.shared.backplane else {
            return self.publish(topic, event);
        };
        self.check(topic, &event)?;
        let (bytes, transient) = (event.weight(), event.transient);
        let number = backplane
            .publish(topic, event)
            .await
            .map_err(PublishError::Backplane)?;
        self.shared
            .observer
            .published(&Publication { topic, bytes });
        let id = (!transient).then(|| self.shared.core().id(number));
        Ok(Published { id })
    }

    fn check(&self, topic: &str, event: &Event) -> Result<(), PublishError> {
        let max = self.shared.config.max_event_bytes;
        let len = event.weight();
        if len > max {
            return Err(PublishError::TooLarge { len, max });
        }
        if event.id.is_some() {
            return Err(PublishError::HasId);
        }
        if event.data.is_none() {
            return Err(PublishError::NoData);
        }
        if !self.knows(topic) {
            return Err(PublishError::UnknownTopic(topic.to_owned()));
        }
        Ok(())
    }

    /// The response that follows one topic or several: what was missed, then live events.
    ///
    /// One `Last-Event-ID` places the client in all of them: the hub numbers all its events in
    /// one sequence.
    pub fn subscribe(&self, topics: impl IntoTopics, subscriber: Subscriber) -> Subscription {
        Subscription::new(self.clone(), topics.into_topics(), subscriber)
    }

    /// How many streams follow a topic, on all workers of this process.
    #[must_use]
    pub fn subscribers(&self, topic: &str) -> usize {
        self.shared.core().subscribers(topic)
    }

    /// Ends all streams of a user, at once: nothing published after this call reaches them.
    /// Whoever holds valid credentials can open a new one; revoke them first.
    pub fn disconnect(&self, user: &str) {
        self.revoke(Revocation::User(user.into()));
    }

    /// Ends all streams that follow a topic, at once.
    pub fn disconnect_topic(&self, topic: &str) {
        self.revoke(Revocation::Topic(topic.into()));
    }

    /// Here at once, and on the other nodes as soon as the backplane has told them.
    fn revoke(&self, revocation: Revocation) {
        self.shared.revoke(&revocation);
        if let Some(backplane) = &self.shared.backplane {
            backplane.revoke(revocation);
        }
    }

    /// Ends every stream cleanly, each with a jittered `retry:`, spread over the window
    /// `stream.drain`; from now on new streams are refused for a time. Returns when the last one
    /// has ended, and when the window is over at the latest.
    ///
    /// The server itself goes on: stop it after this
    /// ([`for_event_streams`](crate::ForEventStreams::for_event_streams) does both on SIGTERM).
    pub async fn drain(&self) {
        self.drain_within(self.shared.stream.drain).await;
    }

    /// As [`drain`](Self::drain), within another window; zero ends all streams at once.
    pub async fn drain_within(&self, window: Duration) {
        // No longer than a timer of tokio's can be.
        let window = window.min(Duration::from_secs(365 * 24 * 3600));
        let first = self.shared.core().census.drain();
        if first {
            self.shared.observer.draining();
        }
        let until = Instant::now() + window;
        self.shared
            .command(&Command::All(CloseReason::Drain, until));
        let ended = poll_fn(|cx| match self.shared.core().census.is_empty(cx.waker()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        // What is still open then belongs to peers that take nothing; their workers end it.
        let _ = timeout(window + Duration::from_millis(250), ended).await;
    }

    /// Whether the hub drains: what a readiness check answers by.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.core().census.is_draining()
    }

    /// Levels, read now.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let core = self.shared.core();
        HubStats {
            streams: core.census.streams(),
            topics: core.topics(),
            draining: core.census.is_draining(),
        }
    }

    pub(crate) fn knows(&self, topic: &str) -> bool {
        !topic.is_empty() && self.shared.knows.as_ref().is_none_or(|knows| knows(topic))
    }
}

impl FromRequest for Hub {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::of(request).ok_or_else(|| {
            ErrorInternalServerError("no Hub in the application: add `.app_data(hub.clone())`")
        }))
    }
}

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

    /// Who hears of streams and publications. Default: nobody.
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
        faults.into_result(())?;
        Ok(Hub::new(
            self.hub,
            self.stream,
            self.observer,
            self.knows,
            self.backplane,
        ))
    }
}

/// What filters look at, and whether the event is transient.
pub(crate) fn labels(event: Event) -> (Option<Arc<Labels>>, bool) {
    let Event {
        name,
        tag,
        transient,
        ..
    } = event;
    let labels = (name.is_some() || tag.is_some()).then(|| Arc::new(Labels { name, tag }));
    (labels, transient)
}
