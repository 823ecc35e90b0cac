//! Topics to publish to and to subscribe from.
//!
//! A topic is one log; every subscriber is a cursor in it. Publishing encodes the event once, appends
//! it, and wakes each worker that has subscribers at most once: the cost does not grow with the
//! number of streams.
//!
//! ```text
//!  publish ──► Core (one lock): topic ─► log      mailbox ──► Driver ─► State (one a thread): view
//!                                  └► followers ─►  │  waker             └► stream: cursor, body
//! ```
//!
//! # Locks
//!
//! 1. [`Core`] is what all threads share: the topics with their logs, a mailbox per worker, the count
//!    of open streams. It has one lock for the whole hub, because an event ID places a subscriber of
//!    several topics: positions are handed out and delivered in one order. A publication takes it for
//!    a few hundred nanoseconds, a worker once per batch, a subscription once.
//! 2. [`State`](state::State) is one worker's: its streams, and a view of each topic that they follow.
//!    It is a `RefCell` of that thread. A worker may take the core's lock while its state is borrowed,
//!    never the other way round.
//! 3. No code of the application runs under either. Events are encoded and filters run outside; wakers
//!    and observers are collected in [`Effects`](effects::Effects) and called when nothing is
//!    borrowed. They may call back: publish, open a stream, drop one.
//!
//! # Publication
//!
//! 4. Under the lock the event gets the next position, which is the number in its ID, and is appended to
//!    the log of its topic. The topic goes into the mailbox of each worker with followers, unless it is
//!    there already. The first mail since the worker looked signals the mailbox and takes its waker;
//!    whoever holds the lock wakes it after the release.
//! 5. A worker looks into its mailbox and, if there is no mail, leaves its waker there, in one critical
//!    section. It rests only after a look that found nothing. So a publication either finds the waker,
//!    or its mail is found by the look to come: no wake-up is lost, and there is at most one for each
//!    worker and publication.
//! 6. A worker takes commands before frames, moves the new frames into its views, and wakes the streams
//!    that lack some, a few at a time. Those that keep pace share the bytes of one chunk.
//!
//!    The streams of a topic with a `linger` are woken so long after the first frame that they lack, and have
//!    read all that came meanwhile: [`State::linger`](state::State).
//!
//! # Replay
//!
//! 7. A subscription registers its worker with the topics and reads where to start in one critical
//!    section. Its cursor has two marks: `next`, by the `Last-Event-ID`, and `live_from`, the end of the
//!    log at that moment. Frames before `live_from` are read from the log, under the lock, a piece at a
//!    time; frames from there on reach the worker's view, since the worker is registered. The two parts
//!    meet at `live_from`: nothing is lost or doubled between them.
//! 8. Several topics are merged by position ([`merge`]), from the log as from the views. An ID that none
//!    of the topics has, or after which one of them lacks something, is a gap: the stream starts with
//!    live events, and the client learns of it (`event: reset`). A client without an ID gets that of
//!    its start (`event: anchor`, [`Epoch::start`](id::Epoch::start)), which is resumed from in the same
//!    way: else what comes between its first opening and a cut before its first event would be lost
//!    without a word.
//!
//! # Slow readers
//!
//! 9. A reader that falls behind costs no memory of its own: its frames are shared. A view keeps what some
//!    stream has not read, up to a bound; the log keeps what replay allows, and everything for a second.
//! 10. Four times a second a worker compares cursors with views ([`lag`]). A stream that has been further
//!     behind than the limits for a second ends with `slow_consumer`, or skips what is too old. A
//!     stream that was woken and is not polled for `stall` ends with `stalled` ([`deadlines`]): its peer
//!     takes nothing. After a pause of the whole worker every stream looks so, and has another 200 ms.
//!
//! # Ends
//!
//! 11. A revocation is a command in every mailbox. A stream is counted and its identity checked under the
//!     lock, and then belongs to its worker before that worker takes the next command: either the check
//!     finds the revocation, or the command finds the stream ([`Standing`](crate::identity::Standing)).
//!     Commands come before frames: nothing that was published after a revocation reaches its streams.
//! 12. A drain refuses new streams under the lock and sends a command to end the others, spread over the
//!     window. It is over when the count is zero. A stream counts until its end has been reported.
//!
//! # Several nodes
//!
//! 13. With a [`Backplane`] its engine numbers the events, and [`Sink::deliver`] takes the place of the
//!     publication in rule 4, in the order of the numbers over all topics, followed or not. So a topic
//!     that is made is complete from the position of the hub on. The logs are then a cache of what this
//!     node follows. What a client lacks before it is asked of the engine, and live events wait for the
//!     answer.
//!
//! # Snapshots
//!
//! 14. A stream that starts with a snapshot is registered first, as in rule 7, and then waits: nothing is
//!     put aside for it, and no view keeps a frame for it. Its snapshot is asked for with the position of
//!     that moment, and stands at a position; the logs say whether they still have all that came after. If
//!     not, it is asked for anew. When it has been handed over, one critical section says where each log
//!     goes on after its position (`next`), with `live_from` at the end of the worker's view, and from there
//!     on rule 7 applies. If the logs have dropped something by then, the stream ends. Its client gets an
//!     ID only behind the snapshot, so that it cannot come back as one that has it.
//!
//! # Questions
//!
//! 15. A question about single streams, or the order to end one, is a command of which every worker has a
//!     copy ([`inspect`]). It answers with what its streams keep anyhow. The copy is dropped with the
//!     effects, since that may wake whoever asks, and the answer is whole when no copy is left.
//!
//! # Patterns
//!
//! 16. The log of a pattern has a copy of each frame of the topics that match ([`patterns`]): who follows a pattern is a
//!     cursor in one log, and rules 4 to 14 hold for it as they stand. It is made by the first stream that follows the
//!     pattern, complete from the position of that moment on, and kept for a while after the last.
//!
//! # Presence
//!
//! 17. A stream of a topic with presence has an [`Attendance`](presence::Attendance) beside it in its worker's state, which goes
//!     with it, whatever ends it. They count under a lock of their own ([`presence`]), within which no other is taken.
//!     What others are to know of it is put into a queue there, and published when nothing is borrowed, by one
//!     thread at a time: joins and leaves are published in the order in which they happened. Users whose grace is over
//!     leave in the turn of any worker. One without streams goes on while somebody is about to leave.

mod backplane;
mod builder;
mod commands;
pub(crate) mod core;
mod deadlines;
mod drained;
pub(crate) mod effects;
mod filter;
pub(crate) mod id;
mod inspect;
mod lag;
pub(crate) mod log;
#[cfg(all(test, sse_loom))]
mod loom;
mod mailbox;
mod merge;
mod open_streams;
mod patterns;
mod position;
mod presence;
mod publication;
#[cfg(all(test, not(sse_loom)))]
mod reentrant_tests;
mod settings;
pub(crate) mod state;
pub(crate) mod stream;
mod sync;
#[cfg(all(test, not(sse_loom)))]
mod tests;
mod ticks;
mod topics;
mod turn;
mod typed;
pub(crate) mod view;
mod wheel;
pub(crate) mod worker;

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, error::ErrorInternalServerError, web};
use tokio::time::{Instant, timeout};

pub use self::backplane::{Backplane, BackplaneError, BackplaneFuture, History, Revocation, Sink};
pub use self::builder::HubBuilder;
pub use self::drained::IntoHubs;
pub use self::filter::EventHead;
pub use self::inspect::StreamStats;
pub use self::position::{InvalidPosition, Position};
pub use self::presence::{Presence, PresentUser, Reader, ReaderCount};
pub use self::publication::{PublishError, Published};
pub use self::typed::Topic;
use self::{
    core::Core,
    mailbox::Command,
    settings::TopicSettings,
    stream::LAST_WORDS,
    sync::{Mutex, MutexGuard},
    ticks::Ticks,
};
pub(crate) use self::{drained::DrainedHubs, filter::Filter};
use crate::{
    config::{HubConfig, StreamConfig},
    identity::{AllowedPage, Identity, Pages, PagesOf, PolicyStreams},
    observe::{
        BackplaneLevels, BackplaneStats, CloseReason, HubInfo, HubLevels, Misconfiguration,
        Observer, RefusalReason, Reported,
    },
};

type KnowsTopic = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// What all clones of a hub, on all threads, share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    pub(crate) config: HubConfig,
    pub(crate) stream: Arc<StreamConfig>,
    pub(crate) observer: Box<dyn Observer>,
    knows: Option<KnowsTopic>,
    pub(crate) topics: Arc<TopicSettings>,
    ticks: Ticks,
    /// Who follows the topics for which that is to be known, if there are some.
    presence: Option<Arc<presence::Readers>>,
    pub(crate) backplane: Option<Box<dyn Backplane>>,
    /// Sockets that streams of this hub have taken over.
    pub(crate) sockets: AtomicUsize,
    /// Mistakes in how this hub is mounted.
    reported: Reported,
}

/// A stream's place in the count of its hub, from the decision to open it to its end.
pub(crate) struct Slot(Arc<Shared>);

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let wakes = self.0.core().open_streams.leave();
        wakes.wake();
    }
}

impl Shared {
    /// The shared part, for a few hundred nanoseconds. A panic under the lock is a bug of this
    /// crate; the data are consistent after each statement, so that a poisoned lock is no reason
    /// to stop every stream.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a stream in, unless the hub drains or its identity does not hold any more. Decided and
    /// counted under the lock: a drain either refuses a stream or waits for it, and a revocation
    /// either refuses it or finds it ([`standing`](crate::identity::Standing)).
    ///
    /// # Errors
    /// Why it is not let in.
    pub(crate) fn admit(
        self: &Arc<Self>,
        identity: &Identity,
        page: Option<&AllowedPage>,
    ) -> Result<Slot, RefusalReason> {
        let mut core = self.core();
        identity.check()?;
        page.map_or(Ok(()), AllowedPage::check)?;
        let admitted = core.open_streams.admit();
        drop(core);
        match admitted {
            true => Ok(Slot(Arc::clone(self))),
            false => Err(RefusalReason::Draining),
        }
    }

    /// Reports a mistake in how this hub is mounted, once.
    pub(crate) fn report(&self, mistake: Misconfiguration) {
        self.reported.report(&*self.observer, mistake);
    }

    fn command(&self, command: &Command) {
        let wakes = self.core().command(command);
        wakes.wake();
    }
}

impl PolicyStreams for Shared {
    fn end_streams(&self, user: &Arc<str>) {
        self.revoke(&Revocation::User(Arc::clone(user)));
    }

    fn end_streams_elsewhere(&self, user: &Arc<str>) {
        if let Some(backplane) = &self.backplane {
            backplane.revoke(Revocation::User(Arc::clone(user)));
        }
    }

    fn end_streams_of_pages(&self, policy: &Arc<dyn Pages>) {
        self.command(&Command::Pages(PagesOf(Arc::clone(policy))));
    }
}

impl HubLevels for Shared {
    fn info(&self) -> HubInfo {
        HubInfo {
            heartbeat: self.stream.heartbeat,
            max_lifetime: self.stream.max_lifetime,
            replay_events: if self.config.resume {
                self.config.replay_events
            } else {
                0
            },
            backplane: self.backplane.is_some(),
        }
    }

    fn worker_ages(&self) -> Vec<(u64, Duration)> {
        self.ticks.ages()
    }
}

impl BackplaneLevels for Shared {
    fn backplane_stats(&self) -> Option<BackplaneStats> {
        let backplane = self.backplane.as_ref();
        backplane.map(|backplane| backplane.stats())
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

/// Levels of a hub, read when asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Open streams.
    pub streams: usize,
    /// Topics with subscribers or with events to replay, and patterns with subscribers or left a while ago.
    pub topics: usize,
    /// The hub drains.
    pub draining: bool,
    /// Sockets that the hub's streams have taken over from an [`EventServer`](crate::EventServer),
    /// until they are closed: `max_connections` does not count them.
    pub sockets: usize,
}

static FALLBACK: OnceLock<Hub> = OnceLock::new();

impl Hub {
    /// Starts with the defaults of [`HubConfig`] and [`StreamConfig`].
    pub fn builder() -> HubBuilder {
        HubBuilder::new()
    }

    /// The hub of responses whose application has none: no observer, never drained.
    pub(crate) fn fallback() -> Self {
        FALLBACK.get_or_init(|| HubBuilder::new().make()).clone()
    }

    /// Whether it stands in for one that the application does not have.
    pub(crate) fn is_fallback(&self) -> bool {
        FALLBACK.get().is_some_and(|hub| hub.is(&self.shared))
    }

    /// The hub of the application that serves this request.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        request
            .app_data::<Self>()
            .or_else(|| request.app_data::<web::Data<Self>>().map(|data| &***data))
            .cloned()
    }

    /// Whether it is a handle of this hub.
    pub(crate) fn is(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// The position of the newest event of all topics: what is published after this call comes after it.
    /// With a [`Backplane`] it is that of the newest event that has come to this node.
    #[must_use]
    pub fn position(&self) -> Position {
        self.shared.core().here()
    }

    /// How many streams follow a topic, by its name or by a pattern, on all workers of this process.
    #[must_use]
    pub fn subscribers(&self, topic: &str) -> usize {
        let possible = topic.len() <= self.shared.config.max_topic_bytes;
        let class = self.shared.topics.class(topic);
        if possible {
            self.shared.core().subscribers(topic, class)
        } else {
            0
        }
    }

    /// Ends all streams of a user, at once: nothing published after this call reaches them.
    /// Whoever holds valid credentials can open a new one: to take those back, call
    /// [`Policy::revoke`](crate::Policy::revoke), which does both.
    pub fn disconnect(&self, user: &str) {
        self.revoke(Revocation::User(user.into()));
    }

    /// Ends all streams that follow a topic, by its name or by a pattern, at once.
    pub fn disconnect_topic(&self, topic: &str) {
        self.revoke(Revocation::Topic(topic.into()));
    }

    /// Here at once, and on the other nodes as soon as the backplane has passed it on.
    fn revoke(&self, revocation: Revocation) {
        self.shared.revoke(&revocation);
        if let Some(backplane) = &self.shared.backplane {
            backplane.revoke(revocation);
        }
    }

    /// Ends every stream cleanly, each with a jittered `retry:`, spread over the window
    /// `stream.drain`; from now on new streams are refused for a time. Returns when the last one
    /// has ended, and soon after the window is over at the latest.
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
        let first = self.shared.core().open_streams.drain();
        if first {
            self.shared.observer.draining();
        }
        let until = Instant::now() + window;
        self.shared
            .command(&Command::All(CloseReason::Drain, until));
        let ended = poll_fn(
            |cx| match self.shared.core().open_streams.is_empty(cx.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            },
        );
        // What is still open then belongs to peers that take nothing; their workers end it.
        let mut ended = pin!(ended);
        if timeout(window + LAST_WORDS, ended.as_mut()).await.is_err() {
            // Or to a worker that had no processor while the window ended. Once each has had a turn, what it has ended
            // in that has time for its last lines as well.
            self.streams([]).await;
            let _ = timeout(LAST_WORDS, ended).await;
        }
    }

    /// Whether the hub drains: what a readiness check answers by.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.core().open_streams.is_draining()
    }

    /// Levels, read now.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let core = self.shared.core();
        HubStats {
            streams: core.open_streams.streams(),
            topics: core.topics(),
            draining: core.open_streams.is_draining(),
            sockets: self.shared.sockets.load(Ordering::Relaxed),
        }
    }

    /// How the backplane is, now; `None` if there is none.
    #[must_use]
    pub fn backplane_stats(&self) -> Option<BackplaneStats> {
        self.shared.backplane_stats()
    }

    pub(crate) fn knows(&self, topic: &str) -> bool {
        let is_known = |topic: &str| self.shared.knows.as_ref().is_none_or(|knows| knows(topic));
        !topic.is_empty() && (is_known(topic) || self.announced(topic).is_some_and(is_known))
    }

    /// The topic whose joins and leaves this one has.
    fn announced<'a>(&self, topic: &'a str) -> Option<&'a str> {
        self.shared.presence.as_ref()?;
        presence::announced(&self.shared.topics, topic)
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
