//! The body lane: an ordinary response body, for every protocol that actix speaks.

use std::{
    any::Any,
    cell::RefCell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::body::{BodySize, MessageBody};
use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::{backlog::Backlog, connection::Connection, unasked::Unasked};
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
    observe::{CloseReason, Resume, SentKind},
    stream::retry,
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

/// How many bytes of an application's stream go out in one piece, if it has them ready.
const PIECE: usize = 16 * 1024;

/// How many bytes a stream that ends may still hand over of what was published before.
const FLUSH: usize = 256 * 1024;

/// Where the body stands.
#[derive(Debug, Clone, Copy)]
enum Phase {
    First,
    Live,
    /// Hands over what is left, at most so many bytes.
    Flush(CloseReason, usize),
    Last(CloseReason),
    Done(CloseReason),
}

pub(crate) struct EventBody {
    local: Rc<Local>,
    stream: Rc<RefCell<Stream>>,
    source: Option<EventSource>,
    backlog: Option<Backlog>,
    first: Bytes,
    phase: Phase,
    extras: Option<Box<Extras>>,
    /// Over HTTP/1: the client can have the body polled.
    unasked: Option<Unasked>,
    /// Frees the stream's slots when dropped: as long as there is a body, there are its bytes, its
    /// task and its connection, whether or not the stream's end has been reported.
    permit: Option<Rc<dyn Any>>,
    /// On an `EventServer`.
    connection: Option<Rc<Connection>>,
}

/// The client sends behind its stream, and has the server do nothing but look for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SentBehind;

impl fmt::Display for SentBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much was sent behind an open event stream; the connection is closed")
    }
}

impl std::error::Error for SentBehind {}

impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBody")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl EventBody {
    pub(crate) fn new(
        local: Rc<Local>,
        stream: Rc<RefCell<Stream>>,
        source: Option<EventSource>,
        backlog: Option<Backlog>,
        first: Bytes,
    ) -> Self {
        Self {
            local,
            stream,
            source,
            backlog,
            first,
            phase: Phase::First,
            extras: None,
            unasked: None,
            permit: None,
            connection: None,
        }
    }

    /// It sends beside its events what this says.
    pub(crate) fn with_extras(mut self, extras: Option<Box<Extras>>) -> Self {
        if extras.as_ref().is_some_and(|extras| extras.plain) {
            self.phase = Phase::Live;
        }
        self.extras = extras;
        self
    }

    /// The connection that it goes over, where that is known.
    pub(crate) fn on(mut self, connection: Option<Rc<Connection>>) -> Self {
        self.connection = connection;
        self
    }

    /// The stream's slots are taken until the body is gone.
    pub(crate) fn with_permit(mut self, permit: Option<Rc<dyn Any>>) -> Self {
        self.permit = permit;
        self
    }

    /// The body goes over HTTP/1.
    pub(crate) fn over_http1(mut self) -> Self {
        self.unasked = Some(Unasked::default());
        self
    }

    /// What the hub, or the application's stream, has ready.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Read {
        if let Some(backlog) = &mut self.backlog {
            let found = backlog.poll(&self.local, &mut self.stream.borrow_mut(), cx, now);
            let Poll::Ready((resume, read)) = found else {
                return Read::Pending;
            };
            self.backlog = None;
            if resume == Resume::Gap {
                return Read::Gap;
            }
            if !matches!(read, Read::Pending) {
                return read;
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
            .sent(SentKind::Control, 0, bytes.len(), None, now);
        bytes
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
        stream
            .account
            .sent(kind, chunk.events, chunk.bytes.len(), lag, now);
        chunk.bytes
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
        stream.account.sent(kind, 1, beat.len(), None, now);
        Some(beat)
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

    /// Tells a client that events are lost to it, unless it will ask with an ID of its own.
    fn loss(&self) -> Option<Bytes> {
        let mut stream = self.stream.borrow_mut();
        let number = stream.lost.take().filter(|_| !stream.named)?;
        let anchor = self.local.hub().core().id(number);
        Some(encode::reset(Resume::Gap, Some(&anchor)))
    }
}

impl MessageBody for EventBody {
    type Error = SentBehind;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SentBehind>>> {
        let Some(unasked) = &mut self.unasked else {
            return self.poll_bytes(cx).map(|bytes| bytes.map(Ok));
        };
        let polled = match unasked.waker(cx.waker()) {
            None => self.poll_bytes(cx),
            Some(waker) => self.poll_bytes(&mut Context::from_waker(&waker)),
        };
        let Some(unasked) = &mut self.unasked else {
            return polled.map(|bytes| bytes.map(Ok));
        };
        match polled {
            Poll::Ready(bytes) => {
                unasked.found();
                Poll::Ready(bytes.map(Ok))
            }
            Poll::Pending if unasked.found_nothing(cx.waker()) => {
                self.phase = Phase::Done(CloseReason::Protocol);
                self.local.close(&self.stream, CloseReason::Protocol);
                Poll::Ready(Some(Err(SentBehind)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl EventBody {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let now = Instant::now();
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
                    self.phase = match reason {
                        CloseReason::Drain | CloseReason::Lifetime => Phase::Flush(reason, FLUSH),
                        _ => Phase::Last(reason),
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
                    if let Some(bytes) = self.last(reason) {
                        return Poll::Ready(Some(self.control(bytes, now)));
                    }
                }
                (Phase::Done(reason), _) => {
                    self.local.close(&self.stream, reason);
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Drop for EventBody {
    /// actix drops a body when it is over, and when the connection is.
    fn drop(&mut self) {
        let reason = match self.phase {
            Phase::Last(reason) | Phase::Flush(reason, _) | Phase::Done(reason) => reason,
            Phase::First | Phase::Live => {
                let stream = self.stream.borrow();
                let connection = self.connection.as_ref();
                stream.ending.unwrap_or(if std::thread::panicking() {
                    CloseReason::Error
                } else if connection.is_some_and(|connection| connection.broke_protocol()) {
                    CloseReason::Protocol
                } else {
                    CloseReason::ClientGone
                })
            }
        };
        self.local.close(&self.stream, reason);
        let stream = self.stream.borrow();
        let Some(connection) = self.connection.clone() else {
            return;
        };
        connection.gone(stream.lifecycle == Lifecycle::Over);
        if matches!(self.phase, Phase::Done(_)) {
            connection.keep(self.permit.take(), stream.config.stall, Instant::now());
        }
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
        _ => Read::Chunk(Chunk {
            bytes: first.unwrap_or_else(|| all.freeze()),
            events,
            replay: false,
            named: false,
            oldest: now,
        }),
    }
}
