//! What the streams of a connection and its [`Socket`](super::socket::Socket) know of each other.
//!
//! 1. A request enters when the application is called and leaves when actix has dropped the body
//!    of its response. Over HTTP/1 little is read behind a request that is under way: beyond
//!    [`AHEAD`] the socket waits until the request has left. actix would read up to 128 KiB and
//!    then poll the connection without a pause.
//! 2. A stream arms an HTTP/1 connection: at most [`BEHIND`] bytes are read behind it, and one
//!    more closes the connection with the reason `protocol`.
//! 3. A stream that the hub has ended although its body is still there is *over*. An HTTP/1
//!    connection is aborted when it has not taken the rest within `stall`. An HTTP/2 connection is
//!    aborted after `stall` if nothing but streams that are over is left on it: behind a proxy the
//!    other streams belong to other clients.
//! 4. The permit of a stream that ended in order over HTTP/1 is kept here until its last bytes are
//!    with the kernel.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    task::Waker,
    time::Duration,
};

use actix_web::{
    HttpRequest,
    http::{
        Version,
        header::{self, HeaderMap},
    },
};
use bytes::Bytes;
use tokio::time::Instant;

use super::{handover::Handover, heads::Heads, script::Script};
use crate::{
    observe::Lane,
    stream::{Carrier, Wakes},
};

/// How many bytes may be read behind an open HTTP/1 stream. Its client has nothing to say; a
/// request or two that a careless client sends ahead fit in.
pub(crate) const BEHIND: usize = 8 * 1024;

/// How many bytes may be read behind an HTTP/1 request that is under way. Half of what makes actix
/// poll without a pause.
const AHEAD: usize = 64 * 1024;

/// What a request has to send by its own `Content-Length` does not count, up to this many bytes:
/// what actix's extractors take by default.
const DECLARED: usize = 256 * 1024;

/// What may still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Anything.
    Free,
    /// So much, and then nothing until the request has left.
    Ahead(usize),
    /// So much, and then the connection is closed.
    Behind(usize),
}

/// What a connection is, from the beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) http2: bool,
    /// What is written to it is what leaves.
    pub(crate) plain: bool,
    /// Streams may write to its socket themselves.
    pub(crate) socket_lane: bool,
}

/// A connection of an [`EventServer`](crate::EventServer), as streams see it.
pub(crate) struct Connection {
    kind: Kind,
    heads: Cell<Heads>,
    handover: Handover,
    /// Of the task that drives the connection.
    waker: RefCell<Option<Waker>>,
    reading: Cell<Reading>,
    /// There is something to read that waits until the request has left.
    withheld: Cell<bool>,
    /// The latest request has a body.
    uploads: Cell<bool>,
    /// The client has sent something behind an open stream.
    spoke: Cell<bool>,
    /// The client has closed its side, or the connection has failed.
    hung_up: Cell<bool>,
    /// Requests under way, streams among them.
    requests: Cell<usize>,
    /// Streams that are over and whose bodies are still there.
    over: Cell<usize>,
    /// One of them did not take its bytes in time: the connection is of no further use.
    spent: Cell<bool>,
    /// How long a connection may take after the end of a stream.
    stall: Cell<Duration>,
    close_at: Cell<Option<Instant>>,
    aborted: Cell<bool>,
    /// Permits of streams whose last bytes are still in actix's buffer.
    permits: RefCell<Vec<Rc<dyn Any>>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("kind", &self.kind)
            .field("requests", &self.requests)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// What the application sees of a connection.
impl Connection {
    pub(crate) fn new(kind: Kind) -> Rc<Self> {
        Rc::new(Self {
            kind,
            heads: Cell::default(),
            handover: Handover::default(),
            waker: RefCell::new(None),
            reading: Cell::new(Reading::Free),
            withheld: Cell::new(false),
            uploads: Cell::new(false),
            spoke: Cell::new(false),
            hung_up: Cell::new(false),
            requests: Cell::new(0),
            over: Cell::new(0),
            spent: Cell::new(false),
            stall: Cell::new(Duration::ZERO),
            close_at: Cell::new(None),
            aborted: Cell::new(false),
            permits: RefCell::default(),
        })
    }

    /// The connection of this request; `None` on a server that is no `EventServer`.
    pub(crate) fn of(request: &HttpRequest) -> Option<Rc<Self>> {
        request.conn_data::<Rc<Self>>().cloned()
    }

    /// A request is handed to the application. `body`: how many bytes it says that its body has;
    /// `None` if it does not say.
    pub(crate) fn enter(self: &Rc<Self>, body: Option<usize>) -> UnderWay {
        self.requests.set(self.requests.get() + 1);
        if !self.kind.http2 {
            let mut heads = self.heads.get();
            heads.entered(body != Some(0));
            self.heads.set(heads);
            self.uploads.set(body != Some(0));
            if let Some(body) = body {
                self.reads(Reading::Ahead(AHEAD.saturating_add(body)));
            }
            if !self.spent.get() {
                // Its bytes queue behind those of the stream that has ended, and may take long: the connection is not
                // closed for that. The permit stays as long as they do.
                self.close_at.set(None);
            }
        }
        UnderWay(Rc::clone(self))
    }

    /// A stream opens. `body` as for [`enter`](Self::enter).
    pub(crate) fn arm(&self, body: usize) {
        if !self.kind.http2 {
            self.reads(Reading::Behind(BEHIND + body.min(DECLARED)));
            self.spoke.set(false);
        }
    }

    /// In which lane a stream of a hub opens: in that of the socket if it may leave actix, which it
    /// does when its first block is written.
    pub(crate) fn lane(&self, version: Version) -> Lane {
        let heads = self.heads.get();
        let lane = match self.kind {
            Kind { http2: true, .. } => Lane::Http2,
            Kind { plain: false, .. } => Lane::Tls,
            Kind {
                socket_lane: false, ..
            } => Lane::Off,
            _ if version < Version::HTTP_11 => Lane::Http10,
            _ if !heads.are_counted() => Lane::RequestBody,
            _ if !heads.is_alone() => Lane::Pipelined,
            _ => Lane::Socket,
        };
        if lane == Lane::Socket {
            self.handover.open();
        }
        lane
    }

    /// Why the stream stays in the body lane, where that has turned out after it opened.
    pub(crate) fn stays(&self) -> Option<Lane> {
        self.handover.stays()
    }

    /// A piece of a stream goes to actix.
    pub(crate) fn says(&self, piece: &Bytes) {
        self.handover.says(piece);
    }

    /// The stream waits, and can leave when what it said is written.
    pub(crate) fn offer(&self, script: Box<Script>) {
        self.handover.offer(script);
    }

    /// The stream that was offered, if it has not left.
    pub(crate) fn take_back(&self) -> Option<Box<Script>> {
        self.handover.take_back()
    }

    /// A stream's body is gone.
    pub(crate) fn gone(&self, was_over: bool) {
        self.handover.close();
        if was_over {
            self.over.set(self.over.get().saturating_sub(1));
        }
        if matches!(self.reading.get(), Reading::Behind(_)) {
            self.reading.set(Reading::Free);
        }
    }

    /// Keeps a permit until everything that was written is with the kernel, and closes the
    /// connection if that takes longer than `stall`.
    pub(crate) fn keep(&self, permit: Option<Rc<dyn Any>>, stall: Duration, now: Instant) {
        if !self.kind.http2 {
            self.permits.borrow_mut().extend(permit);
            self.close_by(now + stall);
        }
    }

    /// Whether the client, and not the network, is why the connection ended: it sent what nobody
    /// asked for.
    pub(crate) fn broke_protocol(&self) -> bool {
        self.spoke.get() && !self.hung_up.get()
    }

    fn close_by(&self, at: Instant) {
        let at = self.close_at.get().map_or(at, |known| known.min(at));
        self.close_at.set(Some(at));
    }

    /// Whether nothing but streams that are over is left.
    fn is_idle(&self) -> bool {
        self.over.get() > 0 && (!self.kind.http2 || self.over.get() == self.requests.get())
    }

    /// From here on this may be read, what was withheld included.
    fn reads(&self, reading: Reading) {
        self.reading.set(reading);
        if self.withheld.take() {
            self.wake();
        }
    }

    fn wake(&self) {
        let waker = self.waker.borrow().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Carrier for Connection {
    fn over(&self, spent: bool, stall: Duration, now: Instant, wakes: &mut Wakes) {
        self.over.set(self.over.get() + 1);
        self.stall.set(stall);
        self.spent
            .set(self.spent.get() | (spent && !self.kind.http2));
        if self.is_idle() {
            self.close_by(now + stall);
            wakes.add(self.waker.borrow().clone());
        }
    }
}

/// What the socket sees of it.
impl Connection {
    pub(super) const fn is_http2(&self) -> bool {
        self.kind.http2
    }

    /// The task that drives the connection waits.
    pub(super) fn waits(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        match &mut *known {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    pub(super) const fn reading(&self) -> Reading {
        self.reading.get()
    }

    pub(super) const fn uploads(&self) -> bool {
        self.uploads.get()
    }

    /// Whether a head has begun and not ended, with nothing before it that waits.
    pub(super) fn is_in_head(&self) -> bool {
        self.kind.plain && self.heads.get().is_inside()
    }

    /// Something has come that may not be read yet. Its task is woken when it may.
    pub(super) fn withholds(&self) {
        self.withheld.set(true);
    }

    /// These bytes are for actix.
    pub(super) fn came(&self, bytes: &[u8]) {
        if self.kind.plain && !self.kind.http2 {
            let mut heads = self.heads.get();
            heads.came(bytes);
            self.heads.set(heads);
        }
    }

    /// So much of these bytes was taken by the socket.
    pub(super) fn wrote(&self, bytes: &[u8], taken: usize) {
        self.handover.wrote(bytes, taken);
    }

    /// The stream, if it can leave now. `more`: there is something to read that actix does not have.
    pub(super) fn leave(&self, more: bool) -> Option<Box<Script>> {
        if !self.handover.is_ready() {
            return None;
        }
        if more || !self.heads.get().is_alone() {
            // Whoever has read it answers it.
            self.handover.stay(Lane::Pipelined);
            return None;
        }
        self.handover.leave()
    }

    /// Something was read; nothing: the client has closed its side.
    pub(super) fn read(&self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            self.hung_up.set(true);
            return Ok(());
        }
        match self.reading.get() {
            Reading::Free => {}
            Reading::Ahead(left) => self.reading.set(Reading::Ahead(left.saturating_sub(bytes))),
            Reading::Behind(left) => {
                self.spoke.set(true);
                let Some(left) = left.checked_sub(bytes) else {
                    self.aborted.set(true);
                    return Err(aborted("too much was sent behind an open event stream"));
                };
                self.reading.set(Reading::Behind(left));
            }
        }
        Ok(())
    }

    pub(super) fn failed(&self) {
        self.hung_up.set(true);
    }

    /// When the connection is to be looked at again; `None`: there is nothing to wait for.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.close_at.get()
    }

    /// Its time has come: whether it is to be aborted.
    pub(super) fn is_due(&self) -> bool {
        let due = !self.kind.http2 || self.is_idle();
        if !due {
            self.close_at.set(None);
        }
        self.aborted.set(due);
        due
    }

    pub(super) const fn is_aborted(&self) -> bool {
        self.aborted.get()
    }

    /// All that was written is with the kernel.
    pub(super) fn flushed(&self) -> io::Result<()> {
        if self.kind.http2 || self.over.get() > 0 {
            return Ok(());
        }
        if self.spent.get() {
            // What the kernel has is on its way; the end of the connection follows it.
            return Err(aborted("the client took its stream too slowly"));
        }
        self.close_at.set(None);
        drop(self.permits.take());
        Ok(())
    }

    /// The socket is closed.
    pub(super) fn closed(&self) {
        drop(self.waker.take());
        drop(self.permits.take());
    }
}

/// How many bytes a request says that its body has.
pub(crate) fn declared(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or_default()
}

pub(super) fn aborted(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, why)
}

/// A request, from the call of the application to the end of its response's body.
#[derive(Debug)]
pub(crate) struct UnderWay(Rc<Connection>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let connection = &*self.0;
        connection.requests.set(connection.requests.get() - 1);
        if connection.kind.http2 {
            // The last one that kept the connection from being closed may have left.
            if connection.is_idle() && connection.close_at.get().is_none() {
                connection.close_by(Instant::now() + connection.stall.get());
                connection.wake();
            }
        } else {
            connection.reads(Reading::Free);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h04_a_request_behind_a_stream_that_has_ended_does_not_free_its_slot() {
        let connection = Connection::new(Kind {
            http2: false,
            plain: true,
            socket_lane: false,
        });
        let permit = Rc::new(());
        let kept: Rc<dyn Any> = permit.clone();
        let stream = connection.enter(Some(0));
        connection.keep(Some(kept), Duration::from_secs(1), Instant::now());
        drop(stream);
        let behind = connection.enter(Some(0));
        assert_eq!(
            Rc::strong_count(&permit),
            2,
            "its bytes wait for the socket"
        );
        assert!(
            connection.deadline().is_none(),
            "what comes behind it may take its time"
        );
        connection.flushed().unwrap();
        assert_eq!(Rc::strong_count(&permit), 1);
        drop(behind);
    }
}
