//! The streams on their sockets of one worker thread, and the task that drives them.
//!
//! A task of tokio's has at least 256 bytes, and memory that is aligned to 128; with a kilobyte for everything that is
//! much. So there is one task for all, and each stream has a waker that leaves its key with it.

use std::{
    cell::RefCell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::{Rc, Weak},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use slab::Slab;

use super::detached::Detached;
use crate::stream::give_way;

/// How many streams are polled before the runtime's other tasks have their turn.
const STREAMS_PER_TURN: usize = 256;

thread_local! {
    static FLEET: RefCell<Weak<Fleet>> = const { RefCell::new(Weak::new()) };
}

/// The streams of this thread.
#[derive(Default)]
struct Fleet {
    streams: RefCell<Slab<Berth>>,
    calls: Arc<Mutex<Calls>>,
}

/// A stream's place.
struct Berth {
    /// Absent while it is polled.
    stream: Option<Box<Detached>>,
    waker: Waker,
}

/// Whose wakers were called.
#[derive(Default)]
struct Calls {
    keys: Vec<usize>,
    /// Of the task, while it waits.
    waker: Option<Waker>,
}

/// What is behind a stream's waker.
struct Call {
    key: usize,
    calls: Arc<Mutex<Calls>>,
}

fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    // A push is all that is done under it.
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut calls = lock(&self.calls);
        calls.keys.push(self.key);
        let waker = calls.waker.take();
        drop(calls);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Drives a stream on this thread from here on.
pub(super) fn board(stream: Detached) {
    let fleet = FLEET.with_borrow(Weak::upgrade).unwrap_or_else(|| {
        let fleet = Rc::<Fleet>::default();
        FLEET.set(Rc::downgrade(&fleet));
        let driver = Driver {
            fleet: Rc::clone(&fleet),
            called: Vec::new(),
        };
        // It polls many streams: tokio's budget is for one.
        drop(actix_web::rt::spawn(tokio::task::unconstrained(driver)));
        fleet
    });
    let mut streams = fleet.streams.borrow_mut();
    let place = streams.vacant_entry();
    let waker = Waker::from(Arc::new(Call {
        key: place.key(),
        calls: Arc::clone(&fleet.calls),
    }));
    place.insert(Berth {
        stream: Some(Box::new(stream)),
        waker: waker.clone(),
    });
    drop(streams);
    // The first poll.
    waker.wake();
}

impl Fleet {
    /// Polls a stream, if it is there: a waker may be called after its stream's end.
    fn poll(&self, key: usize) {
        let taken = self.streams.borrow_mut().get_mut(key).and_then(|berth| {
            let stream = berth.stream.take()?;
            Some((stream, berth.waker.clone()))
        });
        let Some((mut stream, waker)) = taken else {
            return;
        };
        // Nothing is borrowed: observers and filters are the application's, and may do anything. A panic of
        // theirs ends this stream and no other.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            stream.poll(&mut Context::from_waker(&waker))
        }));
        let mut streams = self.streams.borrow_mut();
        if matches!(polled, Ok(Poll::Pending)) {
            if let Some(berth) = streams.get_mut(key) {
                berth.stream = Some(stream);
            }
            return;
        }
        streams.try_remove(key);
        if streams.is_empty() {
            // Gives back the room that a crowd took.
            *streams = Slab::new();
        }
        drop(streams);
        // So may the report of the end, and the permit.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            if polled.is_err() {
                stream.failed();
            }
            drop(stream);
        }));
        drop(ended);
    }
}

/// The task.
struct Driver {
    fleet: Rc<Fleet>,
    called: Vec<usize>,
}

impl Driver {
    /// The first of those whose wakers were called since the last time; `None`: the task is woken when one is.
    fn collect(&mut self, cx: &Context<'_>) -> Option<usize> {
        let mut calls = lock(&self.fleet.calls);
        if calls.keys.is_empty() {
            match &mut calls.waker {
                Some(known) => known.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return None;
        }
        std::mem::swap(&mut calls.keys, &mut self.called);
        drop(calls);
        // The first that was called is the first to be polled.
        self.called.reverse();
        self.called.pop()
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..STREAMS_PER_TURN {
            let Some(key) = self.called.pop().or_else(|| self.collect(cx)) else {
                return Poll::Pending;
            };
            self.fleet.poll(key);
        }
        give_way(cx);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waker_leaves_its_key_and_wakes_the_task_once() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(0.into()));
        let calls = Arc::new(Mutex::new(Calls::default()));
        lock(&calls).waker = Some(Waker::from(Arc::clone(&count)));
        for key in [3, 5, 3] {
            let calls = Arc::clone(&calls);
            Waker::from(Arc::new(Call { key, calls })).wake();
        }
        assert_eq!(lock(&calls).keys, [3, 5, 3]);
        assert_eq!(count.0.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
