//! What a stream says, from its first block to its last line. It knows nothing of how the bytes
//! leave: the [body](super::body) hands them to actix, a [detached](super::detached) stream writes
//! them to its socket.

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::ahead::Ahead;
use crate::{
    event::{
        Event,
        encode::{self, HEARTBEAT},
    },
    hub::{
        stream::{Lifecycle, Stream},
        view::{Chunk, Read},
        worker::Local,
    },
    observe::{CloseReason, Lane, Resume, SentKind},
    stream::{chunked, retry},
};

/// An application's own stream of events. `Err(())`: it failed.
pub(crate) type EventSource = Pin<Box<dyn futures_core::Stream<Item = Result<Event, ()>>>>;

/// What a stream sends beside its events, where that is not the usual.
#[derive(Debug, Clone)]
pub(crate) struct Extras {
    /// Events and nothing else: no first block, no `retry:`, and errors as data.
    pub(crate) plain: bool,
    /// What fills a silence; `None`: nothing does.
    pub(crate) heartbeat: Option<Bytes>,
    /// The end of the events is the end for good: the client is told not to ask again.
    pub(crate) once: bool,
}

impl Default for Extras {
    fn default() -> Self {
        Self {
            plain: false,
            heartbeat: Some(Bytes::from_static(HEARTBEAT)),
            once: false,
        }
    }
}

/// A heartbeat as a chunk of HTTP/1.
const CODED_HEARTBEAT: &[u8] = b"2\r\n:\n\r\n";

/// How many bytes of an application's stream go out in one piece, if it has them ready.
pub(super) const PIECE: usize = 16 * 1024;

/// How many bytes a stream that ends may still hand over of what was published before.
const FLUSH: usize = 256 * 1024;

/// Where the stream stands.
#[derive(Debug, Clone, Copy)]
enum Phase {
    First,
    Live,
    /// Hands over what is left, at most so many bytes.
    Flush(CloseReason, usize),
    Last(CloseReason),
    Done(CloseReason),
}

/// A stream's side of the conversation.
pub(crate) struct Script {
    local: Rc<Local>,
    stream: Rc<RefCell<Stream>>,
    source: Option<EventSource>,
    /// What goes before its live events.
    ahead: Option<Box<Ahead>>,
    first: Bytes,
    phase: Phase,
    /// The pieces are chunks of HTTP/1 already.
    coded: bool,
    extras: Option<Box<Extras>>,
    /// Frees the stream's slots when dropped: as long as there is a script, there are its bytes, its
    /// task and its connection, whether or not the stream's end has been reported.
    permit: Option<Rc<dyn Any>>,
}

impl Script {
    pub(super) fn new(
        local: Rc<Local>,
        stream: Rc<RefCell<Stream>>,
        source: Option<EventSource>,
        ahead: Option<Box<Ahead>>,
        first: Bytes,
    ) -> Self {
        Self {
            local,
            stream,
            source,
            ahead,
            first,
            phase: Phase::First,
            coded: false,
            extras: None,
            permit: None,
        }
    }

    /// It sends beside its events what this says.
    pub(super) fn adds(&mut self, extras: Option<Box<Extras>>) {
        if extras.as_ref().is_some_and(|extras| extras.plain) {
            self.phase = Phase::Live;
        }
        self.extras = extras;
    }

    /// The stream's slots are taken until the script is gone.
    pub(super) fn holds(&mut self, permit: Option<Rc<dyn Any>>) {
        self.permit = permit;
    }

    pub(super) const fn stream(&self) -> &Rc<RefCell<Stream>> {
        &self.stream
    }

    pub(super) const fn local(&self) -> &Rc<Local> {
        &self.local
    }

    pub(super) fn take_permit(&mut self) -> Option<Rc<dyn Any>> {
        self.permit.take()
    }

    /// Whether everything is said.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done(_))
    }

    /// Whether events flow, or could.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live)
    }

    /// Whether nothing has ended it, and nothing is about to.
    pub(super) fn is_open(&self) -> bool {
        let stream = self.stream.borrow();
        self.is_live() && stream.lifecycle == Lifecycle::Open && stream.ending.is_none()
    }

    /// From here on its pieces are chunks of HTTP/1, and its end is reported by who writes them.
    pub(super) fn leaves(&mut self) {
        self.coded = true;
        let mut stream = self.stream.borrow_mut();
        stream.on_socket = true;
        stream.carrier = None;
        stream.account.carried(Lane::Socket);
    }

    /// Says how the stream's bytes reach its client.
    pub(super) fn carried(&self, lane: Lane) {
        self.stream.borrow_mut().account.carried(lane);
    }

    /// Ends the stream here and now, for this reason unless it is about to end for another.
    pub(super) fn close(&mut self, otherwise: CloseReason) {
        let reason = match self.phase {
            Phase::Last(reason) | Phase::Flush(reason, _) | Phase::Done(reason) => reason,
            Phase::First | Phase::Live => self.stream.borrow().ending.unwrap_or(otherwise),
        };
        self.phase = Phase::Done(reason);
        self.local.close(&self.stream, reason);
    }

    /// Whether the hub has ended the stream already.
    pub(super) fn is_over(&self) -> bool {
        self.stream.borrow().lifecycle == Lifecycle::Over
    }

    /// What the hub, or the application's stream, has ready.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Read {
        if let Some(ahead) = &mut self.ahead {
            match ahead.poll(&self.local, &self.stream, cx, now) {
                Poll::Pending => return Read::Pending,
                Poll::Ready(Some(read)) => return read,
                Poll::Ready(None) => self.ahead = None,
            }
        }
        match &mut self.source {
            None => self.local.read(&mut self.stream.borrow_mut()),
            Some(source) => read_source(source, cx, now),
        }
    }

    /// A piece of the stream's own lines.
    fn control(&self, bytes: Bytes, now: Instant) -> Bytes {
        let mut stream = self.stream.borrow_mut();
        stream.schedule.wrote(now);
        stream
            .account
            .sent(SentKind::Control, 0, bytes.len(), None, || None, now);
        self.piece(bytes)
    }

    /// In the coding of its lane.
    fn piece(&self, bytes: Bytes) -> Bytes {
        match self.coded {
            true => chunked::chunk(&bytes),
            false => bytes,
        }
    }

    fn chunk(&self, chunk: Chunk, now: Instant) -> Bytes {
        let mut stream = self.stream.borrow_mut();
        stream.schedule.wrote(now);
        stream.heartbeat_due = false;
        stream.named |= chunk.named;
        let (kind, lag) = if chunk.replay {
            (SentKind::Replay, None)
        } else {
            (
                SentKind::Event,
                Some(now.saturating_duration_since(chunk.oldest)),
            )
        };
        let topics = || lag.and_then(|_| self.local.hub().topics.pattern(chunk.class));
        let (events, len) = (chunk.events, chunk.len);
        stream.account.sent(kind, events, len, lag, topics, now);
        match chunk.coded {
            true => chunk.bytes,
            false => self.piece(chunk.bytes),
        }
    }

    fn heartbeat(&self, now: Instant) -> Option<Bytes> {
        let mut stream = self.stream.borrow_mut();
        if !std::mem::take(&mut stream.heartbeat_due) {
            return None;
        }
        stream.schedule.beat(now);
        let beat = match &self.extras {
            None => Bytes::from_static(HEARTBEAT),
            Some(extras) => extras.heartbeat.clone()?,
        };
        let kind = SentKind::Heartbeat;
        stream.account.sent(kind, 1, beat.len(), None, || None, now);
        Some(match (&self.extras, self.coded) {
            (None, true) => Bytes::from_static(CODED_HEARTBEAT),
            _ => self.piece(beat),
        })
    }

    /// The last lines of a stream that the server ends.
    fn last(&self, reason: CloseReason) -> Option<Bytes> {
        let config = &self.stream.borrow().config;
        let (plain, once) = match &self.extras {
            None => (false, false),
            Some(extras) => (extras.plain, extras.once),
        };
        match reason {
            CloseReason::Complete if once => Some(encode::end(retry::planned(config))),
            CloseReason::Complete => None,
            CloseReason::Expired if plain => Some(Bytes::from_static(encode::PLAIN_AUTH_EXPIRED)),
            CloseReason::Expired => Some(Bytes::from_static(encode::AUTH_EXPIRED)),
            _ if plain => None,
            CloseReason::Lifetime => Some(encode::closing_block(retry::planned(config))),
            CloseReason::Drain => {
                let others = self.local.hub().backplane.is_some();
                Some(encode::closing_block(retry::drained(config, others)))
            }
            _ => Some(encode::closing_block(retry::usual(config))),
        }
    }

    /// Whether its client has not got all of a snapshot.
    fn is_in_snapshot(&self) -> bool {
        let ahead = self.ahead.as_ref();
        ahead.is_some_and(|ahead| ahead.has_snapshot())
    }

    /// Tells a client that events are lost to it, unless it will ask with an ID of its own, or for
    /// another snapshot.
    fn loss(&self) -> Option<Bytes> {
        let mut stream = self.stream.borrow_mut();
        let number = stream.lost.take().filter(|_| !stream.named)?;
        if self.is_in_snapshot() {
            return None;
        }
        let anchor = self.local.hub().core().id(number);
        Some(encode::reset(Resume::Gap, Some(&anchor)))
    }

    /// The next piece; `None`: everything is said.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Option<Bytes>> {
        let ending = self.stream.borrow_mut().polled(cx.waker(), now);
        loop {
            match (self.phase, ending) {
                (Phase::First, _) => {
                    self.phase = Phase::Live;
                    let first = std::mem::take(&mut self.first);
                    let bytes = self.control(first, now);
                    return Poll::Ready(Some(bytes));
                }
                (Phase::Live, Some(reason)) => {
                    let flushes = matches!(reason, CloseReason::Drain | CloseReason::Lifetime);
                    self.phase = match flushes && !self.is_in_snapshot() {
                        true => Phase::Flush(reason, FLUSH),
                        false => Phase::Last(reason),
                    };
                }
                (Phase::Live, None) => match self.read(cx, now) {
                    Read::Chunk(chunk) => return Poll::Ready(Some(self.chunk(chunk, now))),
                    Read::Lagged(missed) => {
                        self.stream.borrow_mut().account.lagged(missed);
                        let bytes = format!("event: lagged\ndata: {{\"missed\":{missed}}}\n\n");
                        return Poll::Ready(Some(self.control(bytes.into(), now)));
                    }
                    Read::Gap => {
                        let reset = encode::reset(Resume::Gap, None);
                        return Poll::Ready(Some(self.control(reset, now)));
                    }
                    Read::Control(bytes) => return Poll::Ready(Some(self.control(bytes, now))),
                    Read::End(reason) => self.phase = Phase::Last(reason),
                    Read::Pending => {
                        return match self.heartbeat(now) {
                            Some(beat) => Poll::Ready(Some(beat)),
                            None => Poll::Pending,
                        };
                    }
                },
                (Phase::Flush(reason, left), _) => match self.read(cx, now) {
                    Read::Chunk(chunk) if left > 0 => {
                        let left = left.saturating_sub(chunk.bytes.len());
                        self.phase = Phase::Flush(reason, left);
                        return Poll::Ready(Some(self.chunk(chunk, now)));
                    }
                    _ => self.phase = Phase::Last(reason),
                },
                (Phase::Last(reason), _) => {
                    if let Some(bytes) = self.loss() {
                        return Poll::Ready(Some(self.control(bytes, now)));
                    }
                    self.phase = Phase::Done(reason);
                    // The application's stream is not needed any more: what it holds goes now.
                    self.source = None;
                    self.ahead = None;
                    if let Some(bytes) = self.last(reason) {
                        return Poll::Ready(Some(self.control(bytes, now)));
                    }
                }
                (Phase::Done(reason), _) => {
                    if self.coded {
                        // It ends when its last bytes are with the kernel.
                        self.stream.borrow_mut().closing(reason, now);
                    } else {
                        self.local.close(&self.stream, reason);
                    }
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Drop for Script {
    /// It is dropped when its connection is over, and when its worker is.
    fn drop(&mut self) {
        self.close(match std::thread::panicking() {
            true => CloseReason::Error,
            false => CloseReason::ClientGone,
        });
    }
}

/// Everything that the application's stream has ready, up to a piece.
fn read_source(source: &mut EventSource, cx: &mut Context<'_>, now: Instant) -> Read {
    let mut events = 0;
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    let end = loop {
        // A panic of the application's must not take the worker's other streams with it.
        let next = catch_unwind(AssertUnwindSafe(|| source.as_mut().poll_next(cx)));
        match next {
            Ok(Poll::Ready(Some(Ok(event)))) => {
                let bytes = encode::encode(&event);
                events += 1;
                match first.take() {
                    None if all.is_empty() => first = Some(bytes),
                    known => {
                        all.extend_from_slice(&known.unwrap_or_default());
                        all.extend_from_slice(&bytes);
                    }
                }
                if all.len() >= PIECE || first.as_ref().is_some_and(|one| one.len() >= PIECE) {
                    break None;
                }
            }
            Ok(Poll::Pending) => break None,
            Ok(Poll::Ready(None)) => break Some(CloseReason::Complete),
            Ok(Poll::Ready(Some(Err(())))) | Err(_) => break Some(CloseReason::Error),
        }
    };
    if let Some(reason) = end {
        // Asked again, the stream would panic, or worse.
        let over = futures_util::stream::once(std::future::ready(Err(())));
        *source = match reason {
            CloseReason::Complete => Box::pin(futures_util::stream::empty()),
            _ => Box::pin(over),
        };
    }
    match (events, end) {
        (0, None) => Read::Pending,
        (0, Some(reason)) => Read::End(reason),
        _ => {
            let bytes = first.unwrap_or_else(|| all.freeze());
            Read::Chunk(Chunk {
                len: bytes.len(),
                bytes,
                coded: false,
                events,
                replay: false,
                named: false,
                oldest: now,
                class: 0,
            })
        }
    }
}
