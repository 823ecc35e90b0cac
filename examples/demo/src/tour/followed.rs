//! The log of streams on tour, kept for their page besides being written.
//!
//! While the log writes a record about a request that names a session, that session stands in a
//! variable of the thread, and a second layer of the subscriber gives the finished line to it.

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    sync::{Arc, Weak},
};

use actix_web::HttpRequest;
use actix_web_sse::observe::{
    CorsVerdict, Destination, End, KeysRead, Lane, Meter, Misconfiguration, Observer, Opened,
    Refused, Resume, SnapshotOutcome, StreamObserver,
};
use tracing_subscriber::fmt::MakeWriter;

use super::{Sessions, session::Session};

thread_local! {
    /// Whose record is being written.
    static CURRENT: RefCell<Option<Arc<Session>>> = const { RefCell::new(None) };
}

/// Whether a record is being written that a page waits for.
pub(crate) fn is_followed() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

fn during<T>(session: Option<Arc<Session>>, write: impl FnOnce() -> T) -> T {
    let outer = CURRENT.replace(session);
    let written = write();
    CURRENT.set(outer);
    written
}

/// Takes the lines of records to the session that they are about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl io::Write for Lines {
    /// A line comes whole. What the log says on this occasion about all clients is not about this one.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let about_all = br#"{"event":"sse_suppressed""#;
        CURRENT.with_borrow(|session| {
            if let Some(session) = session
                && !line.starts_with(about_all)
            {
                session.keep(line);
            }
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log whose records about streams on tour are kept for their page.
pub(crate) struct Followed<O> {
    log: O,
    sessions: Sessions,
}

impl<O: Observer> Followed<O> {
    pub(crate) const fn new(log: O, sessions: Sessions) -> Self {
        Self { log, sessions }
    }

    fn session(&self, request: Option<&HttpRequest>) -> Option<Arc<Session>> {
        self.sessions.of(request?)
    }
}

impl<O: Observer> Observer for Followed<O> {
    fn refused(&self, refused: &Refused<'_>) {
        let session = self.session(refused.visitor.request);
        during(session, || self.log.refused(refused));
    }

    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        let session = self.session(opened.visitor.request);
        let stream = during(session.clone(), || self.log.opened(opened));
        match session {
            None => stream,
            Some(session) => {
                let session = Arc::downgrade(&session);
                Box::new(FollowedStream { stream, session })
            }
        }
    }

    fn keys_read(&self, read: &KeysRead<'_>) {
        self.log.keys_read(read);
    }

    fn misconfigured(&self, mistake: Misconfiguration) {
        self.log.misconfigured(mistake);
    }

    fn destination(&self) -> Destination {
        self.log.destination()
    }
}

struct FollowedStream {
    stream: Box<dyn StreamObserver>,
    /// A session that has made room for others does not wait for its streams.
    session: Weak<Session>,
}

impl StreamObserver for FollowedStream {
    fn meter(&self) -> Option<Rc<dyn Meter>> {
        self.stream.meter()
    }

    fn lagged(&mut self, events: u64) {
        self.stream.lagged(events);
    }

    fn resumed(&mut self, resume: Resume) {
        self.stream.resumed(resume);
    }

    fn snapshot(&mut self, outcome: SnapshotOutcome) {
        self.stream.snapshot(outcome);
    }

    fn judged(&mut self, verdict: CorsVerdict) {
        self.stream.judged(verdict);
    }

    fn carried(&mut self, lane: Lane) {
        self.stream.carried(lane);
    }

    fn closed(self: Box<Self>, end: &End) {
        let Self { stream, session } = *self;
        during(session.upgrade(), || stream.closed(end));
    }
}
