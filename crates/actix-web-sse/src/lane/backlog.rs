//! What a stream missed and another node's engine has kept.

use std::task::{Context, Poll};

use crate::{
    event::encode::Unnumbered,
    hub::{
        BackplaneError, BackplaneFuture, History,
        log::{Frame, labels},
        state::State,
        stream::Stream,
        view::Read,
        worker::Local,
    },
    observe::{CloseReason, Resume},
};
use tokio::time::Instant;

/// A question to a backplane that is under way.
pub(crate) struct Backlog {
    after: u64,
    history: BackplaneFuture<History>,
    /// The answer, while commands wait that were given before it came.
    answer: Option<Result<History, BackplaneError>>,
}

impl Backlog {
    pub(crate) const fn new(after: u64, history: BackplaneFuture<History>) -> Self {
        Self {
            after,
            history,
            answer: None,
        }
    }

    /// What there is to send when the answer has come; the stream then goes on with live events.
    pub(crate) fn poll(
        &mut self,
        local: &Local,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<(Resume, Read)> {
        let answer = match self.answer.take() {
            Some(answer) => answer,
            None => match self.history.as_mut().poll(cx) {
                Poll::Ready(answer) => answer,
                Poll::Pending => return Poll::Pending,
            },
        };
        if local.has_commands() {
            // The answer may hold what was published after a revocation: the worker does what they say first,
            // and this stream may be gone then.
            self.answer = Some(answer);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Ok(history) = answer else {
            // Nobody knows what was missed: the client comes back later, with the same ID.
            return Poll::Ready((Resume::Fresh, Read::End(CloseReason::Error)));
        };
        if !history.complete {
            local.caught_up(stream, None);
            stream.account.resumed(Resume::Gap);
            return Poll::Ready((Resume::Gap, Read::Pending));
        }
        let last = history
            .events
            .last()
            .map_or(self.after, |(_, number, _)| *number);
        local.caught_up(stream, Some(last));
        stream.account.resumed(Resume::Hit);
        // Once for all of them: workers and publishers share the lock.
        let epoch = local.hub().core().epoch().clone();
        let frames = history.events.into_iter().map(|(_, number, event)| {
            let bytes = Unnumbered::new(&event).number(&epoch.id(number));
            let (labels, _) = labels(event);
            Frame {
                position: number,
                ordinal: 0,
                end: 0,
                published: now,
                replayable: true,
                class: 0,
                bytes,
                labels,
            }
        });
        Poll::Ready((
            Resume::Hit,
            State::pack(stream, &frames.collect::<Vec<_>>()),
        ))
    }
}
