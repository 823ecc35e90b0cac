//! What an application starts a stream with: its state.

use std::{fmt, rc::Rc};

use futures_core::Stream;
use futures_util::StreamExt as _;

use super::{Subscription, sse::IntoEvent};
use crate::{
    event::Event,
    hub::Position,
    lane::{Made, Make, Parts},
};

/// The state that a stream begins with: what the closure of [`Subscription::snapshot`] returns.
///
/// An [`Event`] and a `Vec` of events are snapshots too. `Snapshot` is for streams of events, and for a
/// state that stands at another position than the one that the closure was given:
///
/// ```
/// use std::sync::Mutex;
///
/// use actix_web::{Responder, get, web};
/// use actix_web_sse::{Event, EventError, Hub, Snapshot, Subscriber};
///
/// type Scores = Mutex<Vec<u32>>;
///
/// fn score(scores: &Scores, hub: &Hub, points: u32) -> Result<(), Box<dyn std::error::Error>> {
///     let mut scores = scores.lock().map_err(|_| "poisoned")?;
///     scores.push(points);
///     // Under the lock: the state and the position change together.
///     hub.publish("scores", Event::json(&points)?.name("score")?)?;
///     Ok(())
/// }
///
/// #[get("/scores")]
/// async fn events(hub: Hub, subscriber: Subscriber, scores: web::Data<Scores>) -> impl Responder {
///     let now = hub.clone();
///     hub.subscribe("scores", subscriber).snapshot(async move |_at| {
///         let scores = scores.lock().map_err(|_| "poisoned")?;
///         let all = Event::json(&*scores).map_err(|_| "no JSON")?;
///         Ok::<_, &str>(Snapshot::of(all).at(now.position()))
///     })
/// }
/// # let (all, hub) = (Scores::default(), Hub::builder().build().unwrap());
/// # score(&all, &hub, 3).unwrap();
/// ```
#[must_use = "a snapshot does nothing until the closure returns it"]
pub struct Snapshot(Made);

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("position", &self.0.position)
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    /// A state of one event.
    pub fn of(event: Event) -> Self {
        Self::list(vec![event])
    }

    /// A state of these events, in this order. There may be none.
    pub fn list(events: Vec<Event>) -> Self {
        Self(Made {
            parts: Parts::Ready(events.into_iter()),
            position: None,
        })
    }

    /// A state whose events are made while they are sent: the stream is asked for more as the client
    /// takes them, so that only a few are in memory. All of them are of the state at one position.
    pub fn stream<S>(events: S) -> Self
    where
        S: Stream + 'static,
        S::Item: IntoEvent,
    {
        let events = events.map(|item| item.into_event().ok_or(()));
        Self(Made {
            parts: Parts::Coming(Box::pin(events)),
            position: None,
        })
    }

    /// The state stands at this position: it has every event up to it, and none after it. Default:
    /// the position that the closure was given.
    ///
    /// A later one keeps events away that the state already has. An earlier one, of a state that was kept
    /// from before, brings those that it lacks, if the log still has them. One of another numbering, from
    /// before a restart, is as one that the log no longer has.
    pub fn at(mut self, position: Position) -> Self {
        self.0.position = Some(position);
        self
    }
}

/// What the closure of [`Subscription::snapshot`] may return: a [`Snapshot`], an [`Event`], a `Vec` of
/// them, or a `Result` of one of these.
pub trait IntoSnapshot {
    /// The snapshot; `None` if it could not be made, which ends the stream with the reason `error`.
    fn into_snapshot(self) -> Option<Snapshot>;
}

impl IntoSnapshot for Snapshot {
    fn into_snapshot(self) -> Option<Snapshot> {
        Some(self)
    }
}

impl IntoSnapshot for Event {
    fn into_snapshot(self) -> Option<Snapshot> {
        Some(Snapshot::of(self))
    }
}

impl IntoSnapshot for Vec<Event> {
    fn into_snapshot(self) -> Option<Snapshot> {
        Some(Snapshot::list(self))
    }
}

impl<S: IntoSnapshot, E> IntoSnapshot for Result<S, E> {
    fn into_snapshot(self) -> Option<Snapshot> {
        self.ok()?.into_snapshot()
    }
}

impl Subscription {
    /// Begins with the application's state, and goes on with what changes it: in order with the log, so
    /// that no event comes that the state has, and none is missing after it.
    ///
    /// The closure is called when the stream is open, with the position of the newest event of the hub at
    /// that moment. It returns the state with **every event up to that position, and none after it**; or
    /// with another position than that, and [`Snapshot::at`] says so. A state that changes before its
    /// event is published has every event up to the position, however late it is read; to have none after
    /// it as well, read it together with [`Hub::position`](crate::Hub::position) under the lock under
    /// which it is changed and published. Where there is no such lock (a database), an event that the
    /// state has may come again: give both a version.
    ///
    /// # What the client gets
    ///
    /// The events of the snapshot, without IDs, then `event: anchor` with the ID to come back with, then
    /// what was published after the position. A client that comes back gets what it missed, and no
    /// snapshot; if the log no longer has that, `event: reset` and the snapshot. So `reset` says *forget
    /// what you have*, and there is nothing to load. A client that is cut before the anchor has no new
    /// ID, and gets another snapshot: let the first event say that a state begins, where one event is not
    /// all of it. Heartbeats go on while it waits. What the stream's [filter](Self::filter) leaves out of
    /// the log it does not leave out of the snapshot. A topic's last value is not sent: the snapshot
    /// has it.
    ///
    /// # When it goes wrong
    ///
    /// - **It takes long.** Nothing piles up for this stream: what is published meanwhile is in the log.
    ///   If the log drops some of it before the snapshot is made, the closure is called again, up to three
    ///   times: choose [`replay_events`](crate::config::HubConfig::replay_events) and its neighbours for
    ///   longer than a snapshot takes. With [`resume`](crate::config::HubConfig::resume) off there is no log,
    ///   and every event that comes meanwhile has the snapshot made again. Transient events that come
    ///   meanwhile are left out.
    /// - **It takes too long, or is too large.** Beyond
    ///   [`snapshot_time`](crate::config::HubConfig::snapshot_time),
    ///   [`snapshot_events`](crate::config::HubConfig::snapshot_events) or
    ///   [`snapshot_bytes`](crate::config::HubConfig::snapshot_bytes) the stream ends with the reason `error`,
    ///   as it does if the closure fails or panics or an event has an ID. Which of these it was, an
    ///   observer learns
    ///   ([`StreamObserver::snapshot`](crate::observe::StreamObserver::snapshot)). The client
    ///   comes back after its `retry`.
    /// - **The client takes it slowly.** If the log drops something before the anchor is sent, or the client takes
    ///   longer than ten times `stall`, the stream ends with `slow_consumer`. Until then it holds its snapshot: each
    ///   stream has one of its own. [`Snapshot::stream`] holds less than a list.
    /// - **Many clients come at once.** The closure runs once for each. Let it wait for a semaphore, or
    ///   return a state that was kept, with its position.
    /// - **The stream ends meanwhile** (a drain, a revocation, credentials that expire, the client goes): the
    ///   future is dropped, and nothing more of the snapshot is sent.
    pub fn snapshot<F, S>(mut self, make: F) -> Self
    where
        F: AsyncFn(Position) -> S + 'static,
        S: IntoSnapshot,
    {
        let make = Rc::new(make);
        let make: Make = Box::new(move |at| {
            let make = Rc::clone(&make);
            Box::pin(async move {
                let made = make(at).await.into_snapshot();
                made.map(|Snapshot(made)| made)
            })
        });
        self.make = Some(make);
        self
    }
}
