//! An open stream, as its body and its worker both see it.

use std::{fmt, rc::Rc, sync::Arc, task::Waker, time::Duration};

use tokio::time::Instant;

use super::{Filter, Slot, core::Cursor};
use crate::{
    config::StreamConfig,
    identity::AllowedPage,
    observe::CloseReason,
    stream::{Account, Carrier, Due, Ended, Moment, Schedule, Wakes},
};

/// How long a stream that looks stalled has to prove that only the worker was.
const SECOND_LOOK: Duration = Duration::from_millis(200);

/// How long a stream has at least for its last lines from when it is told to end, be its time over by then: its worker
/// may be late.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(250);

/// What a stream waits for before it reads live events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    No,
    /// What was missed is on its way from elsewhere.
    Backlog,
    /// The application makes a snapshot, or it is on its way to the client. Nothing is kept for the
    /// stream meanwhile: the log says afterwards what came.
    Snapshot,
}

/// How far a stream is on its way to its end, as the hub sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Open,
    /// It does not take its bytes in time, and is about to be ended for that.
    GivenUp,
    /// Its end was reported.
    Over,
}

/// An open stream, as its body and its worker both see it.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any may be true with any"
)]
pub(crate) struct Stream {
    pub(crate) account: Account,
    /// Its place in the count of the hub, until its end has been reported.
    slot: Option<Slot>,
    pub(crate) config: Arc<StreamConfig>,
    pub(crate) schedule: Schedule,
    pub(crate) heartbeat_due: bool,
    /// It has an end of its own: a drain lets it go on as long as the window allows.
    pub(crate) whole: bool,
    /// It writes to its socket itself, in the coding of HTTP/1.
    pub(crate) on_socket: bool,
    /// The reason for which the body shall end, once it is polled.
    pub(crate) ending: Option<CloseReason>,
    /// Its client has an ID to come back with.
    pub(crate) named: bool,
    /// Up to this number events may be lost to it.
    pub(crate) lost: Option<u64>,
    pub(crate) user: Option<Arc<str>>,
    /// The foreign page that reads it, if one does.
    pub(crate) page: Option<Arc<AllowedPage>>,
    pub(crate) waker: Option<Waker>,
    /// On an `EventServer`.
    pub(crate) carrier: Option<Rc<dyn Carrier>>,
    pub(crate) lifecycle: Lifecycle,
    /// Since when the body has something to write and has not been polled.
    pub(crate) woken: Option<Moment>,
    /// It was found stalled once: after a pause of the whole worker every stream looks so.
    pub(super) suspect: bool,
    /// If the body is not polled by then, it is ended without.
    pub(super) finish_by: Option<Moment>,
    pub(super) next_check: Moment,
    pub(super) key: Option<usize>,
    pub(super) subscription: Option<Following>,
}

/// The end of a stream, to be reported; until then the hub counts the stream.
#[must_use = "the end is not reported before report()"]
#[derive(Debug)]
pub(crate) struct Departure {
    ended: Ended,
    _slot: Option<Slot>,
}

impl Departure {
    /// Reports the end, and counts the stream out.
    pub(super) fn report(self) {
        self.ended.report();
    }
}

/// A stream's reading position.
pub(super) struct Following {
    /// One per topic; as a rule one, and no room for more.
    pub(super) cursors: Box<[Cursor]>,
    pub(super) filter: Option<Filter>,
    pub(super) catching_up: bool,
    pub(super) waiting: Waiting,
    /// It has everything up to this position from elsewhere. An engine may deliver some of that
    /// here later than it answered: it is passed over.
    pub(super) has: Option<u64>,
    pub(super) behind_since: Option<Moment>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("key", &self.key)
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}

impl Stream {
    pub(crate) fn new(
        account: Account,
        slot: Option<Slot>,
        config: Arc<StreamConfig>,
        user: Option<Arc<str>>,
        now: Instant,
    ) -> Self {
        Self {
            account,
            slot,
            schedule: Schedule::new(config.heartbeat, now),
            config,
            heartbeat_due: false,
            whole: false,
            on_socket: false,
            ending: None,
            named: false,
            lost: None,
            user,
            page: None,
            waker: None,
            carrier: None,
            lifecycle: Lifecycle::Open,
            woken: None,
            suspect: false,
            finish_by: None,
            next_check: now.into(),
            key: None,
            subscription: None,
        }
    }

    /// Ends the account. Only the first call counts: what it returns is to be reported when
    /// nothing is borrowed.
    pub(super) fn depart(&mut self, reason: CloseReason) -> Option<Departure> {
        let ended = self.account.end(reason)?;
        Some(Departure {
            ended,
            _slot: self.slot.take(),
        })
    }

    /// Makes it read topics. It may have everything up to a position that is ahead of what has come here.
    pub(crate) fn follow(
        &mut self,
        cursors: Vec<Cursor>,
        filter: Option<Filter>,
        has: Option<u64>,
    ) {
        self.subscription = Some(Following {
            catching_up: cursors.iter().any(|cursor| cursor.next < cursor.live_from),
            cursors: cursors.into_boxed_slice(),
            filter,
            waiting: Waiting::No,
            has,
            behind_since: None,
        });
    }

    /// Whether its snapshot is being made, or is on its way.
    pub(super) fn awaits_snapshot(&self) -> bool {
        let following = self.subscription.as_ref();
        following.is_some_and(|following| following.waiting == Waiting::Snapshot)
    }

    /// Its places in its topics.
    pub(super) fn cursors(&self) -> &[Cursor] {
        let following = self.subscription.as_ref();
        following.map_or(&[], |following| &following.cursors)
    }

    /// Which events it wants.
    pub(super) fn filter(&self) -> Option<&Filter> {
        let following = self.subscription.as_ref();
        following.and_then(|following| following.filter.as_ref())
    }

    /// The body is being polled; says why it shall end, if it shall.
    pub(crate) fn polled(&mut self, waker: &Waker, now: Instant) -> Option<CloseReason> {
        self.woken = None;
        self.suspect = false;
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        // The driver looks every 50 ms; not one event goes out after a deadline.
        if self.ending.is_none()
            && let Due::End(reason) = self.schedule.due(now)
        {
            self.closing(reason, now);
        }
        self.ending
    }

    /// The socket takes nothing more for now. `took`: it has taken something since the last time.
    pub(crate) fn blocked(&mut self, took: bool, waker: &Waker, now: Instant) {
        if took {
            self.woken = Some(now.into());
            self.suspect = false;
        }
        self.woken.get_or_insert(now.into());
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// It comes to its end, and has `stall` for that: its last lines are to be said, or its last bytes are not with the
    /// kernel yet. Only the first call counts.
    pub(crate) fn closing(&mut self, reason: CloseReason, now: Instant) {
        if self.ending.is_none() {
            let least = (now + LAST_WORDS).into();
            self.finish_by = self.finish_by.map(|by| by.max(least));
        }
        self.ending.get_or_insert(reason);
        self.finish_by
            .get_or_insert((now + self.config.stall).into());
    }

    /// Holds live events back until [`State::caught_up`](super::state::State::caught_up), or
    /// [`State::goes_on`](super::state::State::goes_on) after a snapshot.
    pub(crate) fn wait(&mut self, waiting: Waiting) {
        if let Some(following) = &mut self.subscription {
            following.waiting = waiting;
        }
    }

    /// Whether there is something of this topic that it has not read.
    pub(super) fn lacks(&self, topic: usize, next: u64) -> bool {
        self.subscription.as_ref().is_some_and(|following| {
            let mut cursors = following.cursors.iter();
            following.waiting == Waiting::No
                && cursors.any(|cursor| cursor.topic == topic && cursor.next < next)
        })
    }

    /// Has the body polled. The waker is to be called when nothing is borrowed.
    pub(super) fn wake(&mut self, now: Instant, wakes: &mut Wakes) {
        self.woken.get_or_insert(now.into());
        wakes.add(self.waker.take());
    }

    pub(super) fn end(&mut self, reason: CloseReason, now: Instant, wakes: &mut Wakes) {
        self.closing(reason, now);
        self.wake(now, wakes);
    }

    /// When to look at it next, after now. It is not looked at before.
    pub(super) fn look_again(&mut self, now: Instant) -> Instant {
        let stall = match self.woken {
            Some(_) if self.suspect => Some(now + SECOND_LOOK),
            Some(since) => Some(Instant::from(since) + self.config.stall),
            None => None,
        };
        // Once it is ending, its deadlines are behind it.
        let schedule = self.ending.is_none().then(|| self.schedule.next(now));
        let finish = self.ending.and(self.finish_by).map(Instant::from);
        let next = [stall, schedule, finish]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| now + self.config.stall)
            .max(now + Duration::from_millis(1));
        self.next_check = next.into();
        next
    }
}
