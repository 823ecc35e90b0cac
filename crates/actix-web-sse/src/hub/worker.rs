//! One worker thread's side of a hub, and the task that drives it.

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    Position, Shared,
    core::{Attached, Cursor},
    effects::Effects,
    state::State,
    stream::Stream,
    ticks::{PERIOD, Tick},
    topics::NoRoom,
    turn::Turn,
    view::{Found, Read, pack},
};
use crate::{
    config::PresenceMode,
    identity::TopicPattern,
    observe::{CloseReason, Resume},
    stream::{Wakes, give_way},
};

/// How long a worker without streams keeps its task.
const LINGER: Duration = Duration::from_secs(5);

/// How often a worker with streams looks for topics that have become too old.
const SWEEP: Duration = Duration::from_secs(1);

thread_local! {
    static LOCALS: RefCell<Vec<Weak<Local>>> = const { RefCell::new(Vec::new()) };
}

/// A hub as one worker thread sees it.
pub(crate) struct Local {
    hub: Arc<Shared>,
    worker: u64,
    state: RefCell<State>,
    driver: RefCell<Option<Waker>>,
    opened: Cell<bool>,
}

/// Nothing drives this thread's side of a hub: the thread does not run actix's runtime.
#[derive(Debug)]
pub(crate) struct OutsideRuntime;

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

impl Local {
    /// This thread's side of the hub; made, and its task spawned, if there is none yet.
    ///
    /// # Errors
    /// Outside of actix's runtime.
    pub(crate) fn of(hub: &Arc<Shared>) -> Result<Rc<Self>, OutsideRuntime> {
        let known = LOCALS.with_borrow(|locals| {
            locals
                .iter()
                .filter_map(Weak::upgrade)
                .find(|local| Arc::ptr_eq(&local.hub, hub))
        });
        if let Some(local) = known {
            return Ok(local);
        }
        let (local, driver) = Self::start(hub);
        LOCALS.with_borrow_mut(|locals| {
            locals.retain(|local| local.strong_count() > 0);
            locals.push(Rc::downgrade(&local));
        });
        drive(driver)?;
        Ok(local)
    }

    /// A new worker, and the task that it needs.
    pub(super) fn start(hub: &Arc<Shared>) -> (Rc<Self>, Driver) {
        let local = Rc::new(Self {
            hub: Arc::clone(hub),
            worker: hub.core().add_worker(),
            state: RefCell::new(State::new(Instant::now())),
            driver: RefCell::new(None),
            opened: Cell::new(false),
        });
        let driver = Driver {
            local: Rc::clone(&local),
            sleep: None,
            tick: hub.ticks.add(local.worker),
            swept: Instant::now(),
            turning: false,
        };
        (local, driver)
    }

    /// Whether this is the first stream of this worker.
    pub(crate) fn is_first_stream(&self) -> bool {
        !self.opened.replace(true)
    }

    pub(crate) fn hub(&self) -> &Arc<Shared> {
        &self.hub
    }

    /// Takes a place in each topic, under the core's lock.
    pub(crate) fn attach(
        self: &Rc<Self>,
        topics: &[TopicPattern],
        last_event_id: Option<&str>,
    ) -> Result<Placed, NoRoom> {
        let attached = self
            .hub
            .core()
            .attach(self.worker, topics, last_event_id, Instant::now());
        attached.map(|attached| {
            let Attached {
                cursors,
                resume,
                elsewhere,
                ahead,
                anchor,
                start,
                present,
            } = attached;
            Placed {
                places: Places {
                    local: Rc::clone(self),
                    cursors,
                    present,
                },
                resume,
                elsewhere,
                ahead,
                anchor,
                start,
            }
        })
    }

    /// Whether commands wait for this worker.
    pub(crate) fn has_commands(&self) -> bool {
        self.hub.core().has_commands(self.worker)
    }

    pub(crate) fn caught_up(&self, stream: &mut Stream, position: Option<u64>) {
        self.state.borrow_mut().caught_up(stream, position);
    }

    /// Whether the logs still have all that came after the position of a snapshot.
    pub(crate) fn can_go_on(&self, stream: &Stream, after: &Position) -> bool {
        let core = self.hub.core();
        let number = core.number(after);
        number.is_some_and(|number| core.after(stream.cursors(), number).is_some())
    }

    /// A stream's snapshot has been handed over: it goes on after the position at which that stands,
    /// and its client with the ID of this place. `None`: the logs have dropped some of that.
    pub(crate) fn goes_on(
        &self,
        stream: &mut Stream,
        after: &Position,
        topics: &[TopicPattern],
    ) -> Option<String> {
        let state = self.state.borrow();
        state.goes_on(stream, after, topics, &self.hub)
    }

    /// Gives a stream its place among this worker's. `ends` are the byte counts that stood beside
    /// its cursors, `present` those of its topics in which it is counted.
    pub(crate) fn insert(
        &self,
        stream: &Rc<RefCell<Stream>>,
        ends: &[u64],
        present: Vec<(Arc<str>, PresenceMode)>,
    ) {
        let mut state = self.state.borrow_mut();
        let before = state.next_due();
        state.insert(stream, ends, Instant::now());
        if let Some(presence) = self.hub.presence.as_ref().filter(|_| !present.is_empty()) {
            let stream = stream.borrow();
            let attendance = presence.enter(present, stream.user.as_ref());
            state
                .attending
                .extend(stream.key.map(|key| (key, attendance)));
        }
        let sooner = state.next_due() < before || before.is_none();
        drop(state);
        if sooner {
            self.wake_driver();
        }
    }

    fn wake_driver(&self) {
        // A waker may run anything, a turn of the driver too.
        let driver = self.driver.borrow().clone();
        driver.into_iter().for_each(Waker::wake);
    }

    /// Publishes who has joined and left, as much as fits into a turn; the driver goes on with the rest. Nothing may be
    /// borrowed.
    pub(crate) fn announce(&self) {
        if self.announce_some() {
            self.wake_driver();
        }
    }

    /// Publishes a turn's worth of who has joined and left; whether more may be left.
    fn announce_some(&self) -> bool {
        let presence = self.hub.presence.as_ref();
        presence.is_some_and(|presence| presence.announce(&self.hub))
    }

    pub(crate) fn read(&self, stream: &mut Stream) -> Read {
        loop {
            let found = self.state.borrow_mut().read(stream, &self.hub);
            match found {
                Found::Read(read) => return read,
                // The filter is the application's: nothing of the worker is borrowed while it runs.
                Found::Frames { frames, replay } => {
                    match pack(frames.iter(), stream.filter(), replay) {
                        Read::Pending => {}
                        read => return read,
                    }
                }
            }
        }
    }

    /// What this worker holds of a topic: frames, their bytes, and whether a batch of them.
    #[cfg(all(test, not(sse_loom)))]
    pub(super) fn holds(&self, topic: usize) -> (usize, u64, bool) {
        let state = self.state.borrow();
        let view = state.views.get(&topic);
        view.map_or((0, 0, false), |view| {
            let bytes = view.window.bytes_from(view.window.first());
            (view.window.len(), bytes, view.batch.is_some())
        })
    }

    /// Ends a stream of this worker.
    pub(crate) fn close(&self, stream: &RefCell<Stream>, reason: CloseReason) {
        let mut effects = Effects::default();
        let mut ending = stream.borrow_mut();
        let mut turn = Turn {
            hub: &self.hub,
            worker: self.worker,
            now: Instant::now(),
            effects: &mut effects,
        };
        let mut state = self.state.borrow_mut();
        let attending = state.attending.len();
        state.remove(&mut ending, &mut turn);
        let attended = state.attending.len() < attending;
        drop(state);
        let ended = ending.depart(reason);
        drop(ending);
        // Not among the effects, which would allocate for it.
        if let Some(ended) = ended {
            ended.report();
        }
        effects.run();
        if attended {
            self.announce();
            // It has to know when the user leaves.
            self.wake_driver();
        }
    }
}

/// Where a new stream starts, with its places.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) places: Places,
    pub(crate) resume: Resume,
    pub(crate) elsewhere: Option<u64>,
    pub(crate) ahead: Option<u64>,
    pub(crate) anchor: Option<String>,
    pub(crate) start: Option<String>,
}

/// A stream's places in its topics, before it is there: whatever becomes of the request until then,
/// an observer that panics say, they are given back.
#[derive(Debug)]
pub(crate) struct Places {
    local: Rc<Local>,
    cursors: Vec<(Cursor, u64)>,
    present: Vec<(Arc<str>, PresenceMode)>,
}

/// What a stream takes over of its [`Places`].
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// A cursor per topic. From here on they are the stream's to give back.
    pub(crate) cursors: Vec<Cursor>,
    /// The topics' byte counts beside them.
    pub(crate) ends: Vec<u64>,
    /// Those of the topics in which it is counted.
    pub(crate) present: Vec<(Arc<str>, PresenceMode)>,
}

impl Places {
    pub(crate) fn take(mut self) -> Taken {
        let (cursors, ends) = std::mem::take(&mut self.cursors).into_iter().unzip();
        Taken {
            cursors,
            ends,
            present: std::mem::take(&mut self.present),
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if self.cursors.is_empty() {
            return;
        }
        let local = &self.local;
        let now = Instant::now();
        let mut core = local.hub.core();
        for (cursor, _) in &self.cursors {
            core.detach(local.worker, cursor.topic, now);
        }
    }
}

/// Spawns the task on this thread.
fn drive(driver: Driver) -> Result<(), OutsideRuntime> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(OutsideRuntime);
    }
    // A task of a runtime that is not actix's cannot spawn on its own thread, and tokio has no way
    // to ask beforehand.
    catch_unwind(AssertUnwindSafe(|| drop(actix_web::rt::spawn(driver))))
        .map_err(|_panic| OutsideRuntime)
}

/// The task that moves frames from the core to this worker, and time to its streams.
pub(super) struct Driver {
    local: Rc<Local>,
    sleep: Option<Pin<Box<Sleep>>>,
    tick: Tick,
    swept: Instant,
    /// A turn began and did not end.
    turning: bool,
}

/// How a turn of the driver leaves it.
enum Outcome {
    /// The waker may not be in the mailbox, which takes it only when it is empty: to rest now
    /// would be to sleep through the next publication.
    Again,
    /// Nothing is to be done before the next timer or the next mail.
    Rest,
    /// The worker has had no stream for long.
    Over,
}

impl Driver {
    /// Decides everything that is to be decided now.
    fn turn(&mut self, waker: &Waker, effects: &mut Effects) -> Outcome {
        let local = &*self.local;
        let mut state = local.state.borrow_mut();
        let now = Instant::now();
        let batch = local
            .hub
            .core()
            .collect(local.worker, waker, |topic| state.since(topic));
        let had_batch = batch.is_some();
        let mut turn = Turn {
            hub: &local.hub,
            worker: local.worker,
            now,
            effects,
        };
        if let Some(batch) = batch {
            state.accept(batch, &mut turn);
        }
        state.linger(&turn);
        state.tick(&mut turn);
        state.wake_readers(&mut turn);
        if let Some(presence) = &local.hub.presence {
            presence.settle(now);
        }
        if now.duration_since(self.swept) >= SWEEP {
            self.swept = now;
            local.hub.core().sweep(now);
        }
        let unneeded = state
            .empty_since
            .is_some_and(|since| now.duration_since(since) >= LINGER)
            && self.next_leave().is_none();
        match had_batch || effects.wakes_anybody() {
            true => Outcome::Again,
            false if unneeded => Outcome::Over,
            false => Outcome::Rest,
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let state = self.local.state.borrow();
        let leave = self.next_leave();
        let over = || state.empty_since.map(|since| since + LINGER).max(leave);
        let own = state.next_due().or_else(over);
        [own, leave].into_iter().flatten().min()
    }

    /// When the next user leaves a topic with presence, if one is about to.
    fn next_leave(&self) -> Option<Instant> {
        self.local.hub.presence.as_ref()?.next_due()
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.local.driver.replace(Some(cx.waker().clone()));
        self.tick.now();
        loop {
            let mut effects = Effects::default();
            self.turning = true;
            let turn = self.turn(cx.waker(), &mut effects);
            // Nothing is borrowed here: a waker or an observer may run or drop anything.
            effects.run();
            let crowded = self.local.announce_some()
                || self.next_leave().is_some_and(|due| due <= Instant::now());
            self.turning = false;
            if crowded {
                // Whoever waits for this thread goes before the rest of a crowd that comes or leaves at once.
                give_way(cx);
                return Poll::Pending;
            }
            match turn {
                Outcome::Over => return Poll::Ready(()),
                Outcome::Again => {
                    // The streams first; what comes meanwhile goes out with the next turn.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Outcome::Rest => {}
            }
            let now = Instant::now();
            let latest = now + PERIOD;
            let due = self.next_due().map_or(latest, |due| due.min(latest));
            let sleep = match &mut self.sleep {
                Some(sleep) => {
                    // Sooner than it is due is soon enough: most turns then leave the timer alone.
                    if sleep.deadline() > due || sleep.deadline() <= now {
                        sleep.as_mut().reset(due);
                    }
                    sleep
                }
                none => none.insert(Box::pin(sleep_until(due))),
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Driver {
    /// The task is over, or its runtime is: the next stream on this thread makes a new worker.
    fn drop(&mut self) {
        if self.turning {
            // An observer panicked. Without a driver the worker's streams would stay open and
            // silent for ever.
            let mut wakes = Wakes::new();
            if let Ok(state) = self.local.state.try_borrow() {
                state.abandon(&mut wakes);
            }
            wakes.wake();
        }
        if let Ok(mut state) = self.local.state.try_borrow_mut() {
            // Nobody follows a topic any more from here.
            state.attending.clear();
        }
        let now = Instant::now();
        let left = self.local.hub.core().remove_worker(self.local.worker, now);
        // Commands in it may wake somebody.
        drop(left);
        let _ = LOCALS.try_with(|locals| {
            if let Ok(mut locals) = locals.try_borrow_mut() {
                locals.retain(|local| !std::ptr::eq(local.as_ptr(), Rc::as_ptr(&self.local)));
            }
        });
    }
}
