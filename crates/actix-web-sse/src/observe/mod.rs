//! What the library reports to observers.
//!
//! Two levels: an [`Observer`] gets reports of every request and every opened stream; for each
//! stream it hands out a [`StreamObserver`] for what that one stream does, all but its writes: those
//! go to a [`Meter`], which many streams share. `closed` takes the box, so a stream ends exactly
//! once by type. The closed enums of this module are the vocabulary of every
//! metric label and log field.
//!
//! `()` observes nothing; `(A, B)` observes twice; an `Arc<O>` observes as `O` does.
//!
//! Calls are made on the worker's own thread, inside the request or the write they report: an
//! observer must not block and must not panic.

mod backplane;
mod cors_witness;
mod destination;
mod hint;
mod hub;
mod last_event_id;
mod misconfiguration;
mod report;
mod route;
mod vocabulary;

use std::{rc::Rc, sync::Arc};

pub(crate) use self::{
    backplane::BackplaneLevels, cors_witness::PendingVerdict, hub::HubLevels,
    last_event_id::last_event_id, misconfiguration::Reported, route::Route,
};
pub use self::{
    backplane::{BackplaneStats, BackplaneWatch},
    cors_witness::{CorsWitness, WitnessFuture, Witnessed},
    destination::Destination,
    hub::{HubInfo, HubWatch},
    misconfiguration::Misconfiguration,
    report::{
        ConnectionId, End, KeysRead, Opened, PolicyInfo, Publication, READ_OF_BLOCKED, Refused,
        Relayed, Sent, Visitor,
    },
    vocabulary::{
        AuthMethod, CloseReason, CorsVerdict, Lane, OriginClass, RefusalMode, RefusalReason,
        Resume, SentKind, SnapshotOutcome,
    },
};

/// Gets reports of every request at the guards and of every stream.
pub trait Observer: Send + Sync + 'static {
    /// A request reached the guards; the outcome follows as `refused` or `opened`, or neither
    /// (a preflight, a `HEAD`).
    fn attempted(&self, visitor: &Visitor<'_>) {
        let _ = visitor;
    }

    /// A request was refused, or would have been in report-only mode.
    fn refused(&self, refused: &Refused<'_>) {
        let _ = refused;
    }

    /// A stream opened; what it does from now on is reported to the returned observer.
    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver>;

    /// The hub accepted an event.
    fn published(&self, publication: &Publication<'_>) {
        let _ = publication;
    }

    /// An event came from the backplane. Called on the backplane's own thread.
    fn relayed(&self, relayed: &Relayed<'_>) {
        let _ = relayed;
    }

    /// A policy that reports to this observer was built.
    fn policy(&self, policy: &PolicyInfo) {
        let _ = policy;
    }

    /// A policy that reports to this observer has other rules
    /// ([`Policy::reconfigure`](crate::Policy::reconfigure)). Default: as if one was built with them.
    fn policy_changed(&self, before: &PolicyInfo, after: &PolicyInfo) {
        let _ = before;
        self.policy(after);
    }

    /// The published keys of an issuer were read, or could not be.
    fn keys_read(&self, read: &KeysRead<'_>) {
        let _ = read;
    }

    /// A hub that reports to this observer was built. Keep the watch to ask for its settings and how
    /// its workers are; it keeps nothing alive.
    fn hub(&self, watch: &HubWatch) {
        let _ = watch;
    }

    /// A hub with a backplane that reports to this observer was built. Keep the watch to ask how
    /// the backplane is; it keeps nothing alive.
    fn backplane(&self, watch: &BackplaneWatch) {
        let _ = watch;
    }

    /// The process began to drain.
    fn draining(&self) {}

    /// The library is mounted wrongly, as a request showed. Each hub and each policy reports a
    /// mistake once.
    fn misconfigured(&self, mistake: Misconfiguration) {
        let _ = mistake;
    }

    /// Where the reports go, so that a hub and a policy with different observers are noticed.
    /// Default: unknown, which is not compared.
    fn destination(&self) -> Destination {
        Destination::unknown()
    }
}

/// Gets a report of each write. Lives on the worker that serves the streams, and is as a rule shared by
/// those that are counted alike: what it touches is then still in the processor's cache from the
/// stream before, which with thousands of streams is most of what a report costs.
pub trait Meter {
    /// Bytes were handed to the connection.
    fn sent(&self, sent: &Sent<'_>);
}

/// Gets reports of what one stream does. Lives on the worker that serves the stream.
pub trait StreamObserver: 'static {
    /// Who gets reports of this stream's writes; asked once, when the stream opens.
    fn meter(&self) -> Option<Rc<dyn Meter>> {
        None
    }

    /// The stream skipped events, and the client got an `event: lagged`.
    fn lagged(&mut self, events: u64) {
        let _ = events;
    }

    /// What became of the `Last-Event-ID` is known only now, from a backplane; `Opened` said
    /// [`Resume::Fresh`].
    fn resumed(&mut self, resume: Resume) {
        let _ = resume;
    }

    /// The stream started with a snapshot, and this became of it: called once, unless the stream ends
    /// before that is known.
    fn snapshot(&mut self, outcome: SnapshotOutcome) {
        let _ = outcome;
    }

    /// What the browser will make of the reply: called once. For a cross-origin stream with a
    /// [`CorsWitness`] around it, when its head has gone through all middleware; for every other
    /// at once, and then it is [`Visitor::cors`].
    fn judged(&mut self, verdict: CorsVerdict) {
        let _ = verdict;
    }

    /// How the stream's bytes reach its connection, called once: for a stream that may take its
    /// socket over, when it has done so, or when it has turned out that it cannot.
    fn carried(&mut self, lane: Lane) {
        let _ = lane;
    }

    /// The stream ended.
    fn closed(self: Box<Self>, end: &End);
}

impl Observer for () {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(())
    }

    fn destination(&self) -> Destination {
        Destination::nowhere()
    }
}

impl StreamObserver for () {
    fn closed(self: Box<Self>, _: &End) {}
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn attempted(&self, visitor: &Visitor<'_>) {
        self.0.attempted(visitor);
        self.1.attempted(visitor);
    }

    fn refused(&self, refused: &Refused<'_>) {
        self.0.refused(refused);
        self.1.refused(refused);
    }

    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new((self.0.opened(opened), self.1.opened(opened)))
    }

    fn published(&self, publication: &Publication<'_>) {
        self.0.published(publication);
        self.1.published(publication);
    }

    fn relayed(&self, relayed: &Relayed<'_>) {
        self.0.relayed(relayed);
        self.1.relayed(relayed);
    }

    fn policy(&self, policy: &PolicyInfo) {
        self.0.policy(policy);
        self.1.policy(policy);
    }

    fn policy_changed(&self, before: &PolicyInfo, after: &PolicyInfo) {
        self.0.policy_changed(before, after);
        self.1.policy_changed(before, after);
    }

    fn keys_read(&self, read: &KeysRead<'_>) {
        self.0.keys_read(read);
        self.1.keys_read(read);
    }

    fn hub(&self, watch: &HubWatch) {
        self.0.hub(watch);
        self.1.hub(watch);
    }

    fn backplane(&self, watch: &BackplaneWatch) {
        self.0.backplane(watch);
        self.1.backplane(watch);
    }

    fn draining(&self) {
        self.0.draining();
        self.1.draining();
    }

    fn misconfigured(&self, mistake: Misconfiguration) {
        self.0.misconfigured(mistake);
        self.1.misconfigured(mistake);
    }

    fn destination(&self) -> Destination {
        self.0.destination().and(self.1.destination())
    }
}

impl Meter for (Rc<dyn Meter>, Rc<dyn Meter>) {
    fn sent(&self, sent: &Sent<'_>) {
        self.0.sent(sent);
        self.1.sent(sent);
    }
}

impl StreamObserver for (Box<dyn StreamObserver>, Box<dyn StreamObserver>) {
    fn meter(&self) -> Option<Rc<dyn Meter>> {
        match (self.0.meter(), self.1.meter()) {
            (Some(first), Some(second)) => Some(Rc::new((first, second))),
            (first, second) => first.or(second),
        }
    }

    fn lagged(&mut self, events: u64) {
        self.0.lagged(events);
        self.1.lagged(events);
    }

    fn resumed(&mut self, resume: Resume) {
        self.0.resumed(resume);
        self.1.resumed(resume);
    }

    fn snapshot(&mut self, outcome: SnapshotOutcome) {
        self.0.snapshot(outcome);
        self.1.snapshot(outcome);
    }

    fn judged(&mut self, verdict: CorsVerdict) {
        self.0.judged(verdict);
        self.1.judged(verdict);
    }

    fn carried(&mut self, lane: Lane) {
        self.0.carried(lane);
        self.1.carried(lane);
    }

    fn closed(self: Box<Self>, end: &End) {
        let (first, second) = *self;
        first.closed(end);
        second.closed(end);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn attempted(&self, visitor: &Visitor<'_>) {
        (**self).attempted(visitor);
    }

    fn refused(&self, refused: &Refused<'_>) {
        (**self).refused(refused);
    }

    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        (**self).opened(opened)
    }

    fn published(&self, publication: &Publication<'_>) {
        (**self).published(publication);
    }

    fn relayed(&self, relayed: &Relayed<'_>) {
        (**self).relayed(relayed);
    }

    fn policy(&self, policy: &PolicyInfo) {
        (**self).policy(policy);
    }

    fn policy_changed(&self, before: &PolicyInfo, after: &PolicyInfo) {
        (**self).policy_changed(before, after);
    }

    fn keys_read(&self, read: &KeysRead<'_>) {
        (**self).keys_read(read);
    }

    fn hub(&self, watch: &HubWatch) {
        (**self).hub(watch);
    }

    fn backplane(&self, watch: &BackplaneWatch) {
        (**self).backplane(watch);
    }

    fn draining(&self) {
        (**self).draining();
    }

    fn misconfigured(&self, mistake: Misconfiguration) {
        (**self).misconfigured(mistake);
    }

    fn destination(&self) -> Destination {
        (**self).destination()
    }
}
