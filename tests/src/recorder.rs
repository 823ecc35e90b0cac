//! An observer that remembers.

use std::{
    rc::Rc,
    sync::{Arc, Mutex},
};

use actix_web_sse::observe::{
    End, Meter, Observer, Opened, Refused, Resume, Sent, SentKind, StreamObserver,
};

use crate::{LIMIT, until};

/// Remembers what became of every stream. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Recorded>>);

/// What happened so far.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// What became of each stream's `Last-Event-ID`, in the order of their opening.
    pub opened: Vec<Resume>,
    /// How each stream ended, in the order of their ends.
    pub closed: Vec<End>,
    /// The reasons and statuses of refusals.
    pub refused: Vec<(&'static str, u16)>,
    /// Body bytes that were handed to connections.
    pub bytes: usize,
    /// Heartbeats that were.
    pub heartbeats: usize,
    /// Events that streams missed and that their clients were told of.
    pub lagged: u64,
}

impl Recorder {
    /// A look at it.
    #[must_use]
    pub fn look(&self) -> Recorded {
        self.0.lock().unwrap().clone()
    }

    /// Waits until so many streams have ended.
    ///
    /// # Panics
    /// If they do not.
    #[track_caller]
    pub fn wait_for_ends(&self, count: usize) -> Vec<End> {
        until(&format!("{count} streams have ended"), LIMIT, || {
            let closed = self.look().closed;
            (closed.len() >= count).then_some(closed)
        })
    }
}

impl Observer for Recorder {
    fn refused(&self, refused: &Refused<'_>) {
        let entry = (refused.reason.as_str(), refused.status);
        self.0.lock().unwrap().refused.push(entry);
    }

    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        self.0.lock().unwrap().opened.push(opened.resume);
        Box::new(self.clone())
    }
}

impl StreamObserver for Recorder {
    fn meter(&self) -> Option<Rc<dyn Meter>> {
        Some(Rc::new(self.clone()))
    }

    fn lagged(&mut self, events: u64) {
        self.0.lock().unwrap().lagged += events;
    }

    fn closed(self: Box<Self>, end: &End) {
        self.0.lock().unwrap().closed.push(*end);
    }
}

impl Meter for Recorder {
    fn sent(&self, sent: &Sent<'_>) {
        let mut recorded = self.0.lock().unwrap();
        recorded.bytes += sent.bytes;
        recorded.heartbeats += usize::from(sent.kind == SentKind::Heartbeat);
    }
}
