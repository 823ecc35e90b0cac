//! What is due by time: heartbeats, ends, and peers that take nothing (rule 10 of the [hub](super)).

use std::rc::Rc;

use super::{
    state::State,
    stream::{Lifecycle, Stream},
    turn::Turn,
};
use crate::{
    observe::CloseReason,
    stream::{Due, Moment},
};

impl State {
    /// Does what the time calls for.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) {
        while let Some(keys) = self.wheel.pop(turn.now) {
            for key in keys {
                let Some(stream) = self.streams.get(key).map(Rc::clone) else {
                    continue;
                };
                let mut stream = stream.borrow_mut();
                if stream.next_check > turn.now.into() {
                    continue;
                }
                self.check(&mut stream, turn);
                if stream.key.is_some() {
                    let next = stream.look_again(turn.now);
                    self.wheel.insert(key, next);
                }
            }
        }
        if self.scan_at.is_some_and(|at| at <= turn.now) {
            self.scan(turn);
        }
    }

    fn check(&mut self, stream: &mut Stream, turn: &mut Turn<'_>) {
        let overdue = stream.finish_by.is_some_and(|by| by <= turn.now.into());
        if let Some(reason) = stream.ending.filter(|_| overdue) {
            stream.lifecycle = Lifecycle::GivenUp;
            return self.finish(stream, reason, turn);
        }
        let stalled = stream
            .woken
            .is_some_and(|since| Moment::from(turn.now).since(since) >= stream.config.stall);
        if stalled && !stream.suspect {
            stream.suspect = true;
            return;
        }
        if stalled {
            stream.lifecycle = Lifecycle::GivenUp;
            return self.finish(stream, CloseReason::Stalled, turn);
        }
        if stream.ending.is_some() {
            return;
        }
        match stream.schedule.due(turn.now) {
            Due::End(reason) => stream.end(reason, turn.now, &mut turn.effects.wakes),
            Due::Heartbeat => {
                stream.heartbeat_due = true;
                stream.wake(turn.now, &mut turn.effects.wakes);
            }
            Due::Nothing => {}
        }
    }
}
