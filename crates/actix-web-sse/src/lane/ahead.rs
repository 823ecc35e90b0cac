//! What goes to a client before its live events, and has to be waited for.

use std::{
    cell::RefCell,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use super::{backlog::Backlog, snapshot::Taking};
use crate::hub::{
    stream::{Stream, Waiting},
    view::Read,
    worker::Local,
};

/// How long a client may take over what goes before its live events, in multiples of `stall`: what takes a byte now and
/// then is not stalled, and has a state or an answer to itself that perhaps no other stream shares.
pub(super) const STALLS: u32 = 10;

/// What was missed, or a snapshot, or the one if the other cannot be had.
pub(crate) struct Ahead {
    backlog: Option<Backlog>,
    snapshot: Option<Taking>,
}

impl Ahead {
    /// `None`: there is nothing to wait for.
    pub(crate) fn new(backlog: Option<Backlog>, snapshot: Option<Taking>) -> Option<Box<Self>> {
        let waits = backlog.is_some() || snapshot.is_some();
        waits.then(|| Box::new(Self { backlog, snapshot }))
    }

    /// What the stream waits for first.
    pub(crate) const fn waiting(&self) -> Waiting {
        match (&self.backlog, &self.snapshot) {
            (Some(_), _) => Waiting::Backlog,
            (None, Some(_)) => Waiting::Snapshot,
            (None, None) => Waiting::No,
        }
    }

    /// Whether a snapshot is due or under way, and perhaps in part with the client.
    pub(super) const fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// What there is to send; `None`: nothing more, and live events follow.
    pub(super) fn poll(
        &mut self,
        local: &Local,
        stream: &RefCell<Stream>,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Option<Read>> {
        if let Some(backlog) = &mut self.backlog {
            let polled = backlog.poll(local, &mut stream.borrow_mut(), cx, now);
            match ready!(polled) {
                Read::Gap => {
                    self.backlog = None;
                    stream.borrow_mut().wait(self.waiting());
                    return Poll::Ready(Some(Read::Gap));
                }
                // It has what it missed.
                Read::Pending => (self.backlog, self.snapshot) = (None, None),
                read => {
                    self.snapshot = None;
                    return Poll::Ready(Some(read));
                }
            }
        }
        let Some(snapshot) = &mut self.snapshot else {
            return Poll::Ready(None);
        };
        let read = ready!(snapshot.poll(local, stream, cx, now));
        // One that failed stays: what it began with is not whole.
        if snapshot.is_sent() && !matches!(read, Read::End(_)) {
            self.snapshot = None;
        }
        Poll::Ready(Some(read))
    }
}
