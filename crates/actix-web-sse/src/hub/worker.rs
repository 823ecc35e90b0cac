//! One worker thread's side of a hub, and the task that drives it.

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    Shared,
    core::Attached,
    state::State,
    stream::Stream,
    ticks::{PERIOD, Tick},
    topics::TooManyTopics,
    view::Read,
};
use crate::observe::CloseReason;

/// How long a worker without streams keeps its task.
const LINGER: Duration = Duration::from_secs(5);

/// How often a worker with streams looks for topics that have become too old, and how many of
/// them each time.
const SWEEP: (Duration, usize) = (Duration::from_secs(1), 256);

thread_local! {
    static LOCALS: RefCell<Vec<Weak<Local>>> = const { RefCell::new(Vec::new()) };
}

/// A hub as one worker thread sees it.
pub(crate) struct Local {
    hub: Arc<Shared>,
    worker: u64,
    state: RefCell<State>,
    driver: RefCell<Option<Waker>>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

impl Local {
    /// This thread's side of the hub; made, and its task spawned, if there is none yet.
    pub(crate) fn of(hub: &Arc<Shared>) -> Rc<Self> {
        let known = LOCALS.with_borrow(|locals| {
            locals
                .iter()
                .filter_map(Weak::upgrade)
                .find(|local| Arc::ptr_eq(&local.hub, hub))
        });
        known.unwrap_or_else(|| {
            let (local, driver) = Self::start(hub);
            LOCALS.with_borrow_mut(|locals| {
                locals.retain(|local| local.strong_count() > 0);
                locals.push(Rc::downgrade(&local));
            });
            actix_web::rt::spawn(driver);
            local
        })
    }

    /// A new worker, and the task that it needs.
    pub(super) fn start(hub: &Arc<Shared>) -> (Rc<Self>, Driver) {
        let local = Rc::new(Self {
            hub: Arc::clone(hub),
            worker: hub.core().add_worker(),
            state: RefCell::new(State::new(Instant::now())),
            driver: RefCell::new(None),
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

    pub(crate) fn hub(&self) -> &Arc<Shared> {
        &self.hub
    }

    /// Takes a place in each topic, under the core's lock.
    pub(crate) fn attach(
        &self,
        topics: &[Arc<str>],
        last_event_id: Option<&str>,
    ) -> Result<Attached, TooManyTopics> {
        let attached = self
            .hub
            .core()
            .attach(self.worker, topics, last_event_id, Instant::now());
        self.hub.tell_interest();
        attached
    }

    pub(crate) fn caught_up(&self, stream: &mut Stream, position: Option<u64>) {
        self.state.borrow_mut().caught_up(stream, position);
    }

    /// Gives a stream its place among this worker's. `ends` are the byte counts that stood beside
    /// its cursors.
    pub(crate) fn insert(&self, stream: &Rc<RefCell<Stream>>, ends: &[u64]) {
        let mut state = self.state.borrow_mut();
        let before = state.next_due();
        state.insert(stream, ends, Instant::now());
        let sooner = state.next_due() < before || before.is_none();
        drop(state);
        if sooner && let Some(driver) = &*self.driver.borrow() {
            driver.wake_by_ref();
        }
    }

    pub(crate) fn read(&self, stream: &mut Stream) -> Read {
        self.state.borrow_mut().read(stream, &self.hub)
    }

    /// Ends a stream of this worker.
    pub(crate) fn close(&self, stream: &RefCell<Stream>, reason: CloseReason) {
        let stream = &mut *stream.borrow_mut();
        self.state
            .borrow_mut()
            .remove(stream, &self.hub, self.worker, Instant::now());
        stream.watch.close(reason);
    }
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
enum Turn {
    /// The waker may not be in the mailbox, which takes it only when it is empty: to rest now
    /// would be to sleep through the next publication.
    Again,
    /// Nothing is to be done before the next timer or the next post.
    Rest,
    /// The worker has had no stream for long.
    Over,
}

impl Driver {
    /// Does everything that is to be done now.
    fn turn(&mut self, waker: &Waker, wakes: &mut Vec<Waker>) -> Turn {
        let local = &*self.local;
        let mut state = local.state.borrow_mut();
        let now = Instant::now();
        let post = local
            .hub
            .core()
            .collect(local.worker, waker, |topic| state.since(topic));
        let had_post = post.is_some();
        if let Some(post) = post {
            state.accept(post, &local.hub, local.worker, now, wakes);
        }
        state.tick(&local.hub, local.worker, now, wakes);
        state.wake_readers(now, wakes);
        if now.duration_since(self.swept) >= SWEEP.0 {
            self.swept = now;
            local.hub.core().sweep(SWEEP.1, now);
            local.hub.tell_interest();
        }
        let unneeded = state
            .empty_since
            .is_some_and(|since| now.duration_since(since) >= LINGER);
        match had_post || !wakes.is_empty() {
            true => Turn::Again,
            false if unneeded => Turn::Over,
            false => Turn::Rest,
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let state = self.local.state.borrow();
        state
            .next_due()
            .or_else(|| state.empty_since.map(|since| since + LINGER))
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.local.driver.replace(Some(cx.waker().clone()));
        self.tick.now();
        loop {
            let mut wakes = Vec::new();
            self.turning = true;
            let turn = self.turn(cx.waker(), &mut wakes);
            self.turning = false;
            // Nothing is borrowed here: a waker may run or drop anything.
            wakes.into_iter().for_each(Waker::wake);
            match turn {
                Turn::Over => return Poll::Ready(()),
                Turn::Again => {
                    // The streams first; what comes meanwhile goes out with the next turn.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Turn::Rest => {}
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
            let mut wakes = Vec::new();
            if let Ok(state) = self.local.state.try_borrow() {
                state.abandon(&mut wakes);
            }
            wakes.into_iter().for_each(Waker::wake);
        }
        self.local.hub.core().remove_worker(self.local.worker);
        let _ = LOCALS.try_with(|locals| {
            if let Ok(mut locals) = locals.try_borrow_mut() {
                locals.retain(|local| !std::ptr::eq(local.as_ptr(), Rc::as_ptr(&self.local)));
            }
        });
    }
}
