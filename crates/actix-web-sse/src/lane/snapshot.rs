//! A stream's beginning that the application makes: its state, sent once, in order with the logs
//! (rule 14 of the [hub](crate::hub)).

use std::{
    cell::RefCell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
    vec,
};

use bytes::BytesMut;
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use super::{
    ahead::STALLS,
    script::{EventSource, PIECE},
};
use crate::{
    config::HubConfig,
    event::{Event, encode},
    hub::{
        Position,
        stream::Stream,
        view::{Chunk, Read},
        worker::Local,
    },
    identity::TopicPattern,
    observe::{CloseReason, SnapshotOutcome},
};

/// How often a snapshot is asked for before the stream is given up.
const ATTEMPTS: u8 = 3;

/// The application's closure, as a stream calls it.
pub(crate) type Make = Box<dyn Fn(Position) -> Making>;

/// A snapshot that is being made. `None`: it could not be.
pub(crate) type Making = Pin<Box<dyn Future<Output = Option<Made>>>>;

/// What the application has made.
pub(crate) struct Made {
    pub(crate) parts: Parts,
    /// Where it stands, if not where it was asked for.
    pub(crate) position: Option<Position>,
}

/// The events of a snapshot.
pub(crate) enum Parts {
    Ready(vec::IntoIter<Event>),
    Coming(EventSource),
}

impl Parts {
    /// The next event. `Err`: there will be none.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, SnapshotOutcome>> {
        let source = match self {
            Self::Ready(events) => return Poll::Ready(Ok(events.next())),
            Self::Coming(source) => source,
        };
        let next = catch_unwind(AssertUnwindSafe(|| source.as_mut().poll_next(cx)));
        let Ok(next) = next else {
            return Poll::Ready(Err(SnapshotOutcome::Panicked));
        };
        next.map(|next| next.transpose().map_err(|()| SnapshotOutcome::Failed))
    }
}

/// How far a snapshot is.
enum Stage {
    /// To be asked for.
    Due,
    Making {
        at: Position,
        making: Making,
    },
    Sending {
        position: Position,
        parts: Parts,
        /// When the client must have taken it.
        until: Instant,
    },
    /// All of it is sent, but for the anchor behind it.
    Complete(Position),
    Sent,
}

/// A snapshot on its way to a client.
pub(crate) struct Taking {
    make: Make,
    topics: Vec<TopicPattern>,
    stage: Stage,
    attempts: u8,
    /// How many events and bytes it may still have.
    events: usize,
    bytes: usize,
    /// How long the application may still keep the client waiting.
    patience: Duration,
    /// Runs while it does.
    timer: Option<Pin<Box<Sleep>>>,
    /// The anchor behind it has an ID.
    resumable: bool,
}

impl Taking {
    pub(crate) const fn new(make: Make, topics: Vec<TopicPattern>, config: &HubConfig) -> Self {
        Self {
            make,
            topics,
            stage: Stage::Due,
            attempts: 0,
            events: config.snapshot_events,
            bytes: config.snapshot_bytes,
            patience: config.snapshot_time,
            timer: None,
            resumable: config.resume,
        }
    }

    pub(super) const fn is_sent(&self) -> bool {
        matches!(self.stage, Stage::Sent)
    }

    /// The next piece. The application's code runs here: nothing is borrowed meanwhile.
    pub(super) fn poll(
        &mut self,
        local: &Local,
        stream: &RefCell<Stream>,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Read> {
        let read = match ready!(self.step(local, stream, cx, now)) {
            Ok(read) => read,
            Err(outcome) => self.gives_up(outcome, CloseReason::Error, stream),
        };
        Poll::Ready(read)
    }

    /// There will be no more of it, and the stream ends.
    fn gives_up(
        &mut self,
        outcome: SnapshotOutcome,
        reason: CloseReason,
        stream: &RefCell<Stream>,
    ) -> Read {
        self.stage = Stage::Sent;
        stream.borrow_mut().account.snapshot(outcome);
        Read::End(reason)
    }

    fn step(
        &mut self,
        local: &Local,
        stream: &RefCell<Stream>,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Result<Read, SnapshotOutcome>> {
        loop {
            match &mut self.stage {
                Stage::Due => {
                    let at = local.hub().core().here();
                    self.attempts += 1;
                    let make = AssertUnwindSafe(|| (self.make)(at.clone()));
                    let Ok(making) = catch_unwind(make) else {
                        return Poll::Ready(Err(SnapshotOutcome::Panicked));
                    };
                    self.stage = Stage::Making { at, making };
                }
                Stage::Making { at, making } => {
                    let polled = catch_unwind(AssertUnwindSafe(|| making.as_mut().poll(cx)));
                    let Ok(polled) = polled else {
                        return Poll::Ready(Err(SnapshotOutcome::Panicked));
                    };
                    let Poll::Ready(made) = polled else {
                        return self.wait(cx, now).map(Err);
                    };
                    let Some(Made { parts, position }) = made else {
                        return Poll::Ready(Err(SnapshotOutcome::Failed));
                    };
                    let position = position.unwrap_or_else(|| at.clone());
                    self.came(now);
                    let stream = stream.borrow();
                    self.stage = if local.can_go_on(&stream, &position) {
                        Stage::Sending {
                            position,
                            parts,
                            until: now + STALLS * stream.config.stall,
                        }
                    } else if self.attempts < ATTEMPTS {
                        Stage::Due
                    } else {
                        return Poll::Ready(Err(SnapshotOutcome::Overtaken));
                    };
                }
                Stage::Sending { .. } | Stage::Complete(_) if local.has_commands() => {
                    // It may have what was published after a revocation: the worker does what they say
                    // first, and this stream may be gone then.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Stage::Sending { until, .. } if *until <= now => {
                    let (untaken, slow) = (SnapshotOutcome::Untaken, CloseReason::SlowConsumer);
                    return Poll::Ready(Ok(self.gives_up(untaken, slow, stream)));
                }
                Stage::Sending { .. } => {
                    if let Some(chunk) = ready!(self.piece(cx, now))? {
                        return Poll::Ready(Ok(Read::Chunk(chunk)));
                    }
                }
                Stage::Complete(position) => {
                    let id = local.goes_on(&mut stream.borrow_mut(), position, &self.topics);
                    let Some(id) = id else {
                        let (overtaken, slow) =
                            (SnapshotOutcome::Overtaken, CloseReason::SlowConsumer);
                        return Poll::Ready(Ok(self.gives_up(overtaken, slow, stream)));
                    };
                    self.stage = Stage::Sent;
                    let mut stream = stream.borrow_mut();
                    stream.account.snapshot(SnapshotOutcome::Sent);
                    stream.named = true;
                    let id = self.resumable.then_some(&*id);
                    return Poll::Ready(Ok(Read::Control(encode::anchor(id))));
                }
                Stage::Sent => return Poll::Pending,
            }
        }
    }

    /// What is ready, up to a piece; `None`: there is no more.
    fn piece(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Result<Option<Chunk>, SnapshotOutcome>> {
        let mut events = 0;
        let mut all = BytesMut::new();
        while all.len() < PIECE {
            let Stage::Sending {
                position, parts, ..
            } = &mut self.stage
            else {
                break;
            };
            let event = match parts.poll(cx) {
                Poll::Ready(event) => event?,
                Poll::Pending if all.is_empty() => {
                    return self.wait(cx, now).map(Err);
                }
                Poll::Pending => break,
            };
            let Some(event) = event else {
                self.stage = Stage::Complete(position.clone());
                break;
            };
            self.came(now);
            if event.id.is_some() {
                // The client would come back with it, as if it had all of the snapshot.
                return Poll::Ready(Err(SnapshotOutcome::HasId));
            }
            let bytes = encode::encode(&event);
            let left = self.events.checked_sub(1);
            let left = left.zip(self.bytes.checked_sub(bytes.len()));
            let Some(left) = left else {
                return Poll::Ready(Err(SnapshotOutcome::TooLarge));
            };
            (self.events, self.bytes) = left;
            all.extend_from_slice(&bytes);
            events += 1;
        }
        let bytes = all.freeze();
        Poll::Ready(Ok((!bytes.is_empty()).then_some(Chunk {
            len: bytes.len(),
            bytes,
            coded: false,
            events,
            replay: true,
            named: false,
            oldest: now,
            class: 0,
        })))
    }

    /// The application keeps the client waiting. Ready: for too long.
    fn wait(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<SnapshotOutcome> {
        let patience = self.patience;
        let timer = &mut self.timer;
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(now + patience)));
        timer.as_mut().poll(cx).map(|()| SnapshotOutcome::TooSlow)
    }

    /// It has come.
    fn came(&mut self, now: Instant) {
        if let Some(timer) = self.timer.take() {
            self.patience = timer.deadline().saturating_duration_since(now);
        }
    }
}
