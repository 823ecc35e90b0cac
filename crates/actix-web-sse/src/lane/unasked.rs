//! Polls that nobody asked for.
//!
//! actix polls the body of an HTTP/1 response whenever its connection is polled. A client that
//! sends behind its stream has the connection polled as often as it likes; with actix's buffers
//! full, actix itself polls it without a pause. [`EventServer`](crate::EventServer) does not let
//! it come to that; on `HttpServer` the body is the only place that can notice:
//!
//! 1. Polls that found nothing to send are counted. There is one of them after each delivery, and
//!    sometimes one more when the socket has room again; each delivery takes [`FORGIVEN`] off the
//!    count.
//! 2. Beyond [`MANY`], the body hands out a waker that remembers whether it was called: an
//!    application's stream may well have itself polled and find nothing. A poll after such a call
//!    counts as a delivery.
//! 3. Beyond twice as many the client is the reason.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

/// Enough that no ordinary client comes near, few enough that nobody feels them.
const MANY: u32 = 64;

/// How many polls each delivery explains, with some to spare.
const FORGIVEN: u32 = 8;

/// Counts the polls that nobody asked for.
#[derive(Debug, Default)]
pub(crate) struct Unasked {
    polls: u32,
    mark: Option<Arc<Mark>>,
}

/// A waker that remembers its calls.
#[derive(Debug)]
struct Mark {
    waker: Waker,
    called: AtomicBool,
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.store(true, Ordering::Release);
        self.waker.wake_by_ref();
    }
}

impl Unasked {
    /// What the body is to be polled with instead of this waker, if it is to be watched.
    pub(crate) fn waker(&mut self, waker: &Waker) -> Option<Waker> {
        let mark = self.mark.as_mut()?;
        if !mark.waker.will_wake(waker) {
            *mark = Mark::new(waker);
        }
        Some(Arc::clone(mark).into())
    }

    /// There was something to send.
    pub(crate) fn found(&mut self) {
        self.polls = self.polls.saturating_sub(FORGIVEN);
        if self.polls == 0 {
            self.mark = None;
        }
    }

    /// There was nothing to send. `true`: that was so too often.
    pub(crate) fn found_nothing(&mut self, waker: &Waker) -> bool {
        self.polls += 1;
        match &self.mark {
            Some(mark) if mark.called.swap(false, Ordering::Acquire) => self.found(),
            Some(_) => return self.polls > 2 * MANY,
            None if self.polls > MANY => self.mark = Some(Mark::new(waker)),
            None => {}
        }
        false
    }
}

impl Mark {
    fn new(waker: &Waker) -> Arc<Self> {
        Arc::new(Self {
            waker: waker.clone(),
            called: AtomicBool::new(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polls_until_it_is_too_many(unasked: &mut Unasked, mut asked: impl FnMut(&Waker)) -> u32 {
        for poll in 1..=1000 {
            let waker = unasked.waker(Waker::noop());
            asked(waker.as_ref().unwrap_or(Waker::noop()));
            if unasked.found_nothing(Waker::noop()) {
                return poll;
            }
        }
        1000
    }

    #[test]
    fn polls_that_nobody_asked_for_are_too_many_in_the_end() {
        let mut unasked = Unasked::default();
        let polls = polls_until_it_is_too_many(&mut unasked, |_| {});
        assert_eq!(polls, 2 * MANY + 1);
    }

    #[test]
    fn a_stream_that_has_itself_polled_may_find_nothing_for_ever() {
        let mut unasked = Unasked::default();
        let polls = polls_until_it_is_too_many(&mut unasked, |waker| waker.wake_by_ref());
        assert_eq!(polls, 1000);
    }

    #[test]
    fn deliveries_explain_some_polls_each_and_not_any_number() {
        let too_many = |polls: u32| {
            let mut unasked = Unasked::default();
            (0..1000).any(|_| {
                unasked.found();
                (0..polls).any(|_| {
                    unasked.waker(Waker::noop());
                    unasked.found_nothing(Waker::noop())
                })
            })
        };
        assert!(!too_many(FORGIVEN));
        assert!(too_many(2 * FORGIVEN));
    }
}
