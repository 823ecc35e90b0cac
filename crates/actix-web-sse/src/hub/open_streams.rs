//! How many streams there are, and whether more may come.

use std::task::Waker;

use crate::stream::Wakes;

#[derive(Debug, Default)]
pub(crate) struct OpenStreams {
    draining: bool,
    /// Open streams, and those that are about to open.
    streams: usize,
    /// Who waits until there is none.
    awaiting_none: Vec<Waker>,
}

impl OpenStreams {
    /// From here on nobody is let in; says whether this is the first call.
    pub(crate) const fn drain(&mut self) -> bool {
        !std::mem::replace(&mut self.draining, true)
    }

    pub(crate) const fn is_draining(&self) -> bool {
        self.draining
    }

    pub(crate) const fn streams(&self) -> usize {
        self.streams
    }

    /// Counts a stream in, unless the hub drains.
    pub(crate) fn admit(&mut self) -> bool {
        self.streams += usize::from(!self.draining);
        !self.draining
    }

    /// Counts a stream out; to be woken is who waits for the last one.
    pub(crate) fn leave(&mut self) -> Wakes {
        self.streams = self.streams.saturating_sub(1);
        match self.streams {
            0 => std::mem::take(&mut self.awaiting_none).into(),
            _ => Wakes::new(),
        }
    }

    /// Whether no stream is left; else the waker is called when it is so.
    pub(crate) fn is_empty(&mut self, waker: &Waker) -> bool {
        let known = |one: &Waker| one.will_wake(waker);
        if self.streams > 0 && !self.awaiting_none.iter().any(known) {
            self.awaiting_none.push(waker.clone());
        }
        self.streams == 0
    }
}
