//! The socket lane: a stream that writes to its socket itself (rules 7 to 11 of the [lanes](super)).

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{connection::BEHIND, fleet, plain::Plain, script::Script};
use crate::{hub::Shared, observe::CloseReason, stream::chunked::LAST};

/// How much goes out in one write at the most, as from actix's buffer; a piece more may be in it.
const WRITE: usize = 32 * 1024;

/// How many writes a stream makes before others have their turn.
const WRITES: usize = 4;

/// How much is read at once of what a client sends behind its stream.
const SIP: usize = 256;

/// A stream on its socket.
pub(crate) struct Detached {
    /// Absent only at the end. It is closed before the permit is free.
    io: Option<Plain>,
    script: Script,
    /// What the socket has not taken yet.
    tail: Bytes,
    /// How many bytes may still come.
    left: usize,
    /// The last chunk is in the tail, or sent.
    said_all: bool,
    /// When the connection is aborted.
    timer: Option<Pin<Box<Sleep>>>,
    _counted: Counted,
}

/// A socket that is counted.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(hub: &Arc<Shared>) -> Self {
        hub.sockets.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(hub))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a stream comes to its end.
enum Outcome {
    /// All of it is with the kernel.
    Ended,
    /// The client has closed the connection, or it has failed.
    Gone,
    /// The kernel has given up a client that took nothing.
    Stalled,
    /// The client has sent too much.
    Protocol,
    /// The client has not taken the end in time.
    Aborted,
}

/// What there is to say after what was said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    /// Something, perhaps.
    Unknown,
    /// Nothing before the task is woken.
    Nothing,
}

impl Detached {
    /// Drives a stream on this thread from here on.
    pub(super) fn start(io: Plain, script: Script) {
        let counted = Counted::new(script.local().hub());
        fleet::board(Self {
            io: Some(io),
            script,
            tail: Bytes::new(),
            left: BEHIND,
            said_all: false,
            timer: None,
            _counted: counted,
        });
    }

    /// Ready when the stream has ended. The first poll takes the place of the dispatcher's waker at the socket and
    /// at the hub, which would keep that task's memory.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(outcome) = self.step(cx) else {
            return Poll::Pending;
        };
        let io = self.io.take();
        match outcome {
            Outcome::Ended | Outcome::Gone => {
                self.script.close(CloseReason::ClientGone);
                io.into_iter().for_each(Plain::finish);
            }
            Outcome::Protocol => {
                self.script.close(CloseReason::Protocol);
                io.into_iter().for_each(Plain::abort);
            }
            Outcome::Aborted | Outcome::Stalled => {
                self.script.close(CloseReason::Stalled);
                io.into_iter().for_each(Plain::abort);
            }
        }
        Poll::Ready(())
    }

    /// Something of the application's has panicked.
    pub(super) fn failed(&mut self) {
        self.io = None;
        self.script.close(CloseReason::Error);
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(end) = self.hear(cx) {
            return Poll::Ready(end);
        }
        let now = Instant::now();
        let mut more = More::Unknown;
        for _ in 0..WRITES {
            let taken = self.write(cx, now);
            if !matches!(taken, Poll::Ready(None)) {
                return taken.map(|end| end.unwrap_or(Outcome::Gone));
            }
            if self.said_all {
                return Poll::Ready(Outcome::Ended);
            }
            if more == More::Nothing {
                return Poll::Pending;
            }
            more = self.fill(cx, now);
            if self.tail.is_empty() && more == More::Nothing {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Looks whether the client has closed its side, or sends what nobody asked for.
    fn hear(&mut self, cx: &mut Context<'_>) -> Option<Outcome> {
        let io = self.io.as_ref()?;
        loop {
            match io.poll_read_ready(cx) {
                Poll::Pending => return None,
                Poll::Ready(Err(error)) => return Some(self.failure(&error)),
                Poll::Ready(Ok(())) => {}
            }
            // One byte more than may come shows that more has come.
            let mut sip = [0; SIP];
            let most = (self.left + 1).min(SIP);
            match io.try_read(sip.get_mut(..most).unwrap_or_default()) {
                Ok(0) => return Some(Outcome::Gone),
                Ok(bytes) => match self.left.checked_sub(bytes) {
                    Some(left) => self.left = left,
                    None => return Some(Outcome::Protocol),
                },
                Err(error) if is_passing(&error) => {}
                Err(error) => return Some(self.failure(&error)),
            }
        }
    }

    /// What the end of the connection means.
    fn failure(&self, error: &io::Error) -> Outcome {
        // The kernel's limit is `stall` as well, and it may be the first to notice.
        match error.kind() {
            io::ErrorKind::TimedOut if !self.tail.is_empty() => Outcome::Stalled,
            _ => Outcome::Gone,
        }
    }

    /// Writes the tail. Ready with `None` when all of it is taken.
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Option<Outcome>> {
        let Some(io) = &self.io else {
            return Poll::Ready(Some(Outcome::Gone));
        };
        let mut took = false;
        while !self.tail.is_empty() {
            match io.try_write(&self.tail) {
                Ok(0) => return Poll::Ready(Some(Outcome::Gone)),
                Ok(bytes) => {
                    took = true;
                    self.tail.advance(bytes);
                }
                Err(error) if is_passing(&error) => match io.poll_write_ready(cx) {
                    Poll::Pending => return self.wait(took, cx, now).map(Some),
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(self.failure(&error))),
                },
                Err(error) => return Poll::Ready(Some(self.failure(&error))),
            }
        }
        // Empty, it would still hold the frames.
        self.tail = Bytes::new();
        Poll::Ready(None)
    }

    /// Takes from the script what there is to say.
    fn fill(&mut self, cx: &mut Context<'_>, now: Instant) -> More {
        let mut all = BytesMut::new();
        loop {
            let piece = match self.script.poll(cx, now) {
                Poll::Pending => break,
                Poll::Ready(Some(piece)) => piece,
                Poll::Ready(None) => {
                    self.said_all = true;
                    Bytes::from_static(LAST)
                }
            };
            // As a rule there is one, which many streams share.
            if self.tail.is_empty() {
                self.tail = piece;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&self.tail);
                }
                all.extend_from_slice(&piece);
            }
            if self.said_all {
                break;
            }
            if self.tail.len().max(all.len()) >= WRITE {
                if !all.is_empty() {
                    self.tail = all.freeze();
                }
                return More::Unknown;
            }
        }
        if !all.is_empty() {
            self.tail = all.freeze();
        }
        More::Nothing
    }

    /// The socket takes nothing more. Ready when it has been given enough time after the end.
    fn wait(&mut self, took: bool, cx: &mut Context<'_>, now: Instant) -> Poll<Outcome> {
        let mut stream = self.script.stream().borrow_mut();
        stream.blocked(took, cx.waker(), now);
        let stall = stream.config.stall;
        drop(stream);
        if self.said_all || self.script.is_over() {
            let timer = &mut self.timer;
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(now + stall)));
            return timer.as_mut().poll(cx).map(|()| Outcome::Aborted);
        }
        Poll::Pending
    }
}

/// The socket has nothing, or takes nothing, for now.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted)
}
