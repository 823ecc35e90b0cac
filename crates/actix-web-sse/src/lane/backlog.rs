//! What a stream missed and another node's engine has kept.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{ahead::STALLS, script::PIECE};
use crate::{
    event::{Event, encode::Unnumbered},
    hub::{
        BackplaneError, BackplaneFuture, History,
        id::Epoch,
        log::{Frame, labels},
        state::State,
        stream::Stream,
        view::Read,
        worker::Local,
    },
    observe::{CloseReason, Resume},
};
use tokio::time::Instant;

/// What an engine was asked for on behalf of a client that comes back.
pub(crate) struct Backlog {
    /// The number up to which the client has everything.
    after: u64,
    stage: Stage,
}

enum Stage {
    Asked(BackplaneFuture<History>),
    /// Commands wait that were given before the answer came.
    Answered(Result<History, BackplaneError>),
    Sending {
        history: History,
        /// The first of its events that is not with the client.
        next: usize,
        epoch: Epoch,
        /// When the client must have taken it.
        until: Instant,
    },
}

impl Backlog {
    pub(crate) const fn new(after: u64, history: BackplaneFuture<History>) -> Self {
        Self {
            after,
            stage: Stage::Asked(history),
        }
    }

    /// The next piece of what there is to send. Pending: the stream goes on with live events. A gap: something is missing.
    pub(crate) fn poll(
        &mut self,
        local: &Local,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Read> {
        loop {
            match &mut self.stage {
                Stage::Asked(history) => {
                    self.stage = Stage::Answered(ready!(history.as_mut().poll(cx)));
                }
                _ if local.has_commands() => {
                    // It may hold what was published after a revocation: the worker does what they say first, and this
                    // stream may be gone then.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                // Nobody knows what was missed: the client comes back later, with the same ID.
                Stage::Answered(Err(_)) => return Poll::Ready(Read::End(CloseReason::Error)),
                Stage::Answered(Ok(history)) => {
                    let Some(events) = history.events() else {
                        local.caught_up(stream, None);
                        stream.account.resumed(Resume::Gap);
                        return Poll::Ready(Read::Gap);
                    };
                    let last = events.last().map_or(0, |(_, number, _)| *number);
                    local.caught_up(stream, Some(last.max(self.after)));
                    stream.account.resumed(Resume::Hit);
                    self.stage = Stage::Sending {
                        next: events.partition_point(|(_, number, _)| *number <= self.after),
                        history: history.clone(),
                        // Once for all of them: workers and publishers share the lock.
                        epoch: local.hub().core().epoch().clone(),
                        until: now + STALLS * stream.config.stall,
                    };
                }
                Stage::Sending { until, .. } if *until <= now => {
                    return Poll::Ready(Read::End(CloseReason::SlowConsumer));
                }
                Stage::Sending {
                    history,
                    next,
                    epoch,
                    ..
                } => {
                    let left = history.events().and_then(|events| events.get(*next..));
                    let frames = piece(left.unwrap_or_default(), epoch, now);
                    *next += frames.len();
                    match State::pack(stream, &frames) {
                        // The filter wants none of these.
                        Read::Pending if !frames.is_empty() => {}
                        read => return Poll::Ready(read),
                    }
                }
            }
        }
    }
}

/// The first of these events, as many as fit into a piece, or one.
fn piece(events: &[(Arc<str>, u64, Event)], epoch: &Epoch, now: Instant) -> Vec<Frame> {
    let mut len = 0;
    let frames = events.iter().map_while(|(_, number, event)| {
        (len < PIECE).then(|| {
            let bytes = Unnumbered::new(event).number(&epoch.id(*number));
            len += bytes.len();
            Frame {
                position: *number,
                ordinal: 0,
                end: 0,
                published: now,
                replayable: true,
                class: 0,
                bytes,
                labels: labels(event.name.clone(), event.tag.clone()),
            }
        })
    });
    frames.collect()
}
