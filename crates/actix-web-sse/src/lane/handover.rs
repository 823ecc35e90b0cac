//! How a stream leaves actix's dispatcher (rules 3 to 6 of the [lanes](super)).

use std::cell::{Cell, RefCell};

use bytes::Bytes;

use super::script::Script;
use crate::{observe::Lane, stream::chunked};

/// What the body of an HTTP/1 stream and the socket below actix say to each other.
#[derive(Default)]
pub(super) struct Handover {
    /// There is a stream that may leave.
    wanted: Cell<bool>,
    /// Why it does not.
    stays: Cell<Option<Lane>>,
    /// What was said and not yet written.
    said: RefCell<Vec<Bytes>>,
    /// The latest write ended with what was said, byte for byte, and all of it was taken.
    exact: Cell<bool>,
    /// The stream, while its body waits for something to say.
    script: RefCell<Option<Box<Script>>>,
}

/// What the body does.
impl Handover {
    /// A stream opens that may leave.
    pub(super) fn open(&self) {
        self.wanted.set(true);
        self.stays.set(None);
        self.exact.set(false);
        self.said.borrow_mut().clear();
    }

    /// It is gone, or has left.
    pub(super) fn close(&self) {
        self.wanted.set(false);
        drop(self.said.take());
    }

    /// Why the stream stays, where that has turned out.
    pub(super) const fn stays(&self) -> Option<Lane> {
        self.stays.get()
    }

    /// A piece goes to actix.
    pub(super) fn says(&self, piece: &Bytes) {
        self.exact.set(false);
        self.said.borrow_mut().push(piece.clone());
    }

    /// The body waits. It takes the script back when it is polled the next time.
    pub(super) fn offer(&self, script: Box<Script>) {
        *self.script.borrow_mut() = Some(script);
    }

    pub(super) fn take_back(&self) -> Option<Box<Script>> {
        self.script.take()
    }
}

/// What the socket does.
impl Handover {
    /// The stream stays, for this reason.
    pub(super) fn stay(&self, lane: Lane) {
        self.stays.set(Some(lane));
        self.close();
    }

    /// So much of these bytes was taken.
    pub(super) fn wrote(&self, bytes: &[u8], taken: usize) {
        if !self.wanted.get() {
            return;
        }
        let said = self.said.take();
        // Of what is written in several parts nothing is known; the next piece may be written in one.
        let whole = taken == bytes.len() && !said.is_empty();
        self.exact.set(whole && chunked::ends_with(bytes, &said));
        if whole && !self.exact.get() {
            self.stay(Lane::Changed);
        }
    }

    /// The stream, if it can leave now.
    pub(super) fn leave(&self) -> Option<Box<Script>> {
        if !self.wanted.get() || !self.exact.get() {
            return None;
        }
        let mut offered = self.script.borrow_mut();
        let mut script = offered.take_if(|script| script.is_open())?;
        drop(offered);
        self.close();
        script.leaves();
        Some(script)
    }

    /// Whether the stream could leave, if nothing else has come.
    pub(super) fn is_ready(&self) -> bool {
        self.wanted.get() && self.exact.get() && self.script.borrow().is_some()
    }
}
