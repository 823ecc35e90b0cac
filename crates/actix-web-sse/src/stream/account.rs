//! The one place that reports a stream's end.
//!
//! Only a drop is an honest end of a streamed body: actix drops it when the client is gone, when
//! the connection fails, when the worker stops. Whoever knows better says so first, with
//! [`Account::close`]; an account that is dropped unclosed reports that the client has gone.

use std::{fmt, rc::Rc, time::Duration};

use tokio::time::Instant;

use super::Moment;
use crate::observe::{
    CloseReason, ConnectionId, CorsVerdict, End, Lane, Meter, PendingVerdict, READ_OF_BLOCKED,
    Resume, Sent, SentKind, SnapshotOutcome, StreamObserver,
};

/// An open stream, from the head of its response to its end, which is reported exactly once.
pub(crate) struct Account {
    connection: ConnectionId,
    open: Option<Open>,
    /// It gets bytes after the end too: the closing lines of a stream that the hub ended.
    meter: Option<Rc<dyn Meter>>,
}

struct Open {
    observer: Box<dyn StreamObserver>,
    /// Of a witness, which sees the reply's head when it leaves.
    verdict: Option<PendingVerdict>,
    since: Moment,
    /// Its lane was reported.
    carried: bool,
    events: u64,
    /// One a second is 136 years.
    heartbeats: u32,
    bytes: u64,
    first_event: Option<Moment>,
    /// The latest first.
    writes: [Moment; 3],
    filled: Option<Moment>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("open", &self.open.is_some())
            .finish()
    }
}

impl Account {
    pub(crate) fn new(
        connection: ConnectionId,
        observer: Box<dyn StreamObserver>,
        verdict: Option<PendingVerdict>,
        since: Instant,
    ) -> Self {
        let since = since.into();
        Self {
            connection,
            meter: observer.meter(),
            open: Some(Open {
                observer,
                verdict,
                since,
                carried: false,
                events: 0,
                heartbeats: 0,
                bytes: 0,
                first_event: None,
                writes: [since; 3],
                filled: None,
            }),
        }
    }

    /// Bytes go to the connection.
    pub(crate) fn sent<'a>(
        &mut self,
        kind: SentKind,
        events: u32,
        bytes: usize,
        lag: Option<Duration>,
        topics: impl FnOnce() -> Option<&'a str>,
        now: Instant,
    ) {
        let mut first_event_after = None;
        if let Some(open) = &mut self.open {
            first_event_after = open.sent(kind, events, bytes, now);
        }
        if let Some(meter) = &self.meter {
            meter.sent(&Sent {
                kind,
                events,
                bytes,
                lag,
                topics: topics(),
                first_event_after,
            });
        }
    }

    /// The stream missed events, and the client learns of it.
    pub(crate) fn lagged(&mut self, events: u64) {
        if let Some(open) = &mut self.open {
            open.observer.lagged(events);
        }
    }

    /// A backplane has said what became of the last event ID.
    pub(crate) fn resumed(&mut self, resume: Resume) {
        if let Some(open) = &mut self.open {
            open.observer.resumed(resume);
        }
    }

    /// It is known what became of the stream's snapshot.
    pub(crate) fn snapshot(&mut self, outcome: SnapshotOutcome) {
        if let Some(open) = &mut self.open {
            open.observer.snapshot(outcome);
        }
    }

    /// What a browser makes of the reply, where that is known when the stream opens.
    pub(crate) fn judged(&mut self, verdict: CorsVerdict) {
        if let Some(open) = &mut self.open {
            open.observer.judged(verdict);
        }
    }

    /// How its bytes reach its connection. Only the first call counts.
    pub(crate) fn carried(&mut self, lane: Lane) {
        if let Some(open) = &mut self.open {
            open.carried(lane);
        }
    }

    /// What is counted so far; `None` when the end was reported.
    pub(crate) fn counted(&self, now: Instant) -> Option<Counted> {
        let open = self.open.as_ref()?;
        let (now, since) = (Moment::from(now), open.since);
        let [latest, ..] = open.writes;
        Some(Counted {
            connection: self.connection,
            age: now.since(since),
            events: open.events,
            heartbeats: open.heartbeats.into(),
            bytes: open.bytes,
            last_write: (open.bytes > 0).then(|| now.since(latest)),
        })
    }

    /// Ends the account. Only the first call counts: what it returns is to be reported when nothing
    /// is borrowed.
    pub(crate) fn end(&mut self, reason: CloseReason) -> Option<Ended> {
        let open = self.open.take()?;
        Some(Ended {
            duration: Moment::from(Instant::now()).since(open.since),
            open: Some(open),
            reason,
        })
    }

    /// Reports the end. Only the first call counts.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        if let Some(ended) = self.end(reason) {
            ended.report();
        }
    }
}

/// What an account has at some moment.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) connection: ConnectionId,
    /// Since the request.
    pub(crate) age: Duration,
    pub(crate) events: u64,
    pub(crate) heartbeats: u64,
    pub(crate) bytes: u64,
    /// Since the latest write, if there was one.
    pub(crate) last_write: Option<Duration>,
}

/// The end of a stream, to be reported: the observer is the application's and may do anything.
#[must_use = "the end is not reported before report()"]
pub(crate) struct Ended {
    /// Absent only when it has been reported.
    open: Option<Open>,
    reason: CloseReason,
    duration: Duration,
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl Ended {
    /// Reports it.
    pub(crate) fn report(mut self) {
        self.report_once();
    }

    fn report_once(&mut self) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        open.report_verdict();
        open.carried(Lane::Brief);
        let age = |moment: Moment| moment.since(open.since);
        open.observer.closed(&End {
            reason: self.reason,
            duration: self.duration,
            events: open.events,
            heartbeats: open.heartbeats.into(),
            bytes: open.bytes,
            time_to_first_event: open.first_event.map(age),
            latest_writes: open.writes.map(age),
            filled_after: open.filled.map(age),
        });
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.report_once();
    }
}

impl Open {
    /// Adds a write to the stream's account; at the first event, how long it was in coming.
    fn sent(
        &mut self,
        kind: SentKind,
        events: u32,
        bytes: usize,
        now: Instant,
    ) -> Option<Duration> {
        let now = Moment::from(now);
        let [latest, before, _] = self.writes;
        self.writes = [now, latest, before];
        self.bytes += bytes as u64;
        if self.filled.is_none() && self.bytes >= READ_OF_BLOCKED {
            self.filled = Some(now);
        }
        // Something has left, after the head.
        self.report_verdict();
        match kind {
            SentKind::Heartbeat => self.heartbeats = self.heartbeats.saturating_add(events),
            SentKind::Event | SentKind::Replay => {
                self.events += u64::from(events);
                if self.first_event.is_none() {
                    self.first_event = Some(now);
                    return Some(now.since(self.since));
                }
            }
            SentKind::Control => {}
        }
        None
    }

    fn carried(&mut self, lane: Lane) {
        if !std::mem::replace(&mut self.carried, true) {
            self.observer.carried(lane);
        }
    }

    /// The verdict on the head, once it has left.
    fn report_verdict(&mut self) {
        if let Some(verdict) = self.verdict.take() {
            self.observer.judged(verdict.get());
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.close(CloseReason::ClientGone);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::*;

    #[derive(Default)]
    struct Ends(Rc<Cell<Option<End>>>);

    impl StreamObserver for Ends {
        fn closed(self: Box<Self>, end: &End) {
            self.0.set(Some(*end));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_has_the_moment_at_which_the_body_had_what_is_read_of_a_blocked_one() {
        let filled_after = |writes: &[(u64, usize)]| {
            let ends = Rc::default();
            let since = Instant::now();
            let mut account = Account::new(1.into(), Box::new(Ends(Rc::clone(&ends))), None, since);
            for (second, bytes) in writes {
                let now = since + Duration::from_secs(*second);
                account.sent(SentKind::Event, 1, *bytes, None, || None, now);
            }
            account.close(CloseReason::ClientGone);
            ends.take().and_then(|end| end.filled_after)
        };
        assert_eq!(filled_after(&[]), None);
        assert_eq!(filled_after(&[(0, 100), (1, 16_283)]), None);
        let second = Some(Duration::from_secs(2));
        assert_eq!(filled_after(&[(1, 100), (2, 16_284), (3, 5)]), second);
        assert_eq!(filled_after(&[(2, 500_000), (3, 5)]), second);
    }
}
