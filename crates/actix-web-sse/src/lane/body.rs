//! The body lane: an ordinary response body, for every protocol that actix speaks.

use std::{
    any::Any,
    cell::RefCell,
    fmt,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    ahead::Ahead,
    connection::Connection,
    script::{EventSource, Extras, Script},
    unasked::Unasked,
};
use crate::{
    hub::{
        stream::{Lifecycle, Stream},
        worker::Local,
    },
    observe::{CloseReason, Lane},
};

pub(crate) struct EventBody {
    /// Absent while the connection has it, and for good when the stream has left this lane.
    script: Option<Box<Script>>,
    /// Over HTTP/1: the client can have the body polled.
    unasked: Option<Unasked>,
    /// On an `EventServer`.
    connection: Option<Rc<Connection>>,
    /// It may leave this lane.
    may_leave: bool,
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
        f.debug_struct("EventBody").finish_non_exhaustive()
    }
}

impl EventBody {
    pub(crate) fn new(
        local: Rc<Local>,
        stream: Rc<RefCell<Stream>>,
        source: Option<EventSource>,
        ahead: Option<Box<Ahead>>,
        first: Bytes,
    ) -> Self {
        let script = Script::new(local, stream, source, ahead, first);
        Self {
            script: Some(Box::new(script)),
            unasked: None,
            connection: None,
            may_leave: false,
        }
    }

    /// It sends beside its events what this says.
    pub(crate) fn with_extras(mut self, extras: Option<Box<Extras>>) -> Self {
        if let Some(script) = &mut self.script {
            script.adds(extras);
        }
        self
    }

    /// The stream's slots are taken until the body, or what takes its place, is gone.
    pub(crate) fn with_permit(mut self, permit: Option<Rc<dyn Any>>) -> Self {
        if let Some(script) = &mut self.script {
            script.holds(permit);
        }
        self
    }

    /// The connection that it goes over, where that is known.
    pub(crate) fn on(mut self, connection: Option<Rc<Connection>>) -> Self {
        self.connection = connection;
        self
    }

    /// The body goes over HTTP/1.
    pub(crate) fn over_http1(mut self) -> Self {
        self.unasked = Some(Unasked::default());
        self
    }

    /// It may leave this lane, or stays in it for this reason.
    pub(crate) fn in_lane(mut self, lane: Lane) -> Self {
        self.may_leave = lane == Lane::Socket;
        if !self.may_leave
            && let Some(script) = &self.script
        {
            script.carried(lane);
        }
        self
    }

    /// What the script says next, with the waker that it is to be polled with.
    fn poll_script(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.script.is_none() {
            let connection = self.connection.as_ref();
            self.script = connection.and_then(|connection| connection.take_back());
        }
        let Some(script) = &mut self.script else {
            // Polled after the stream has left, which nobody does.
            return Poll::Pending;
        };
        script.poll(cx, Instant::now())
    }

    /// Lets the connection compare what it writes with what was said, and take the stream over.
    fn offer(&mut self, polled: &Poll<Option<Bytes>>) {
        let Some(connection) = self.connection.as_ref().filter(|_| self.may_leave) else {
            return;
        };
        if let Some(lane) = connection.stays() {
            self.may_leave = false;
            if let Some(script) = &self.script {
                script.carried(lane);
            }
            return;
        }
        match polled {
            Poll::Ready(Some(piece)) => connection.says(piece),
            Poll::Ready(None) => self.may_leave = false,
            Poll::Pending => {
                if let Some(script) = self.script.take_if(|script| script.is_live()) {
                    connection.offer(script);
                }
            }
        }
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
            return self.poll_script(cx).map(|bytes| bytes.map(Ok));
        };
        let polled = match unasked.waker(cx.waker()) {
            None => self.poll_script(cx),
            Some(waker) => self.poll_script(&mut Context::from_waker(&waker)),
        };
        if let Some(unasked) = &mut self.unasked {
            if polled.is_ready() {
                unasked.found();
            } else if unasked.found_nothing(cx.waker()) {
                if let Some(script) = &mut self.script {
                    script.close(CloseReason::Protocol);
                }
                return Poll::Ready(Some(Err(SentBehind)));
            }
        }
        self.offer(&polled);
        polled.map(|bytes| bytes.map(Ok))
    }
}

impl Drop for EventBody {
    /// actix drops a body when it is over, and when the connection is.
    fn drop(&mut self) {
        let Some(connection) = self.connection.clone() else {
            return;
        };
        let script = self.script.take().or_else(|| connection.take_back());
        let Some(mut script) = script else {
            connection.gone(false);
            return;
        };
        let is_done = script.is_done();
        script.close(if std::thread::panicking() {
            CloseReason::Error
        } else if connection.broke_protocol() {
            CloseReason::Protocol
        } else {
            CloseReason::ClientGone
        });
        let stream = Rc::clone(script.stream());
        let stream = stream.borrow();
        connection.gone(stream.lifecycle == Lifecycle::Over);
        if is_done {
            connection.keep(script.take_permit(), stream.config.stall, Instant::now());
        }
    }
}
