//! Commands to end streams, as a worker carries them out (rules 11 and 12 of the [hub](super)).

use std::{cell::RefCell, rc::Rc};

use super::{inspect::Inquiry, mailbox::Command, state::State, stream::Stream, turn::Turn};
use crate::{
    observe::CloseReason,
    stream::{Moment, between},
};

impl State {
    /// Does what a command says.
    pub(super) fn apply(&mut self, command: &Command, turn: &mut Turn<'_>) {
        if command.inquiry().is_some_and(Inquiry::is_abandoned) {
            return;
        }
        let streams = match command {
            Command::Topic(topic, serial, _) | Command::Lost(topic, serial, _) => self
                .views
                .get(topic)
                .filter(|view| view.serial == *serial)
                .into_iter()
                .flat_map(|view| &view.seats)
                .filter_map(|(_, key)| self.streams.get(*key).map(Rc::clone))
                .collect::<Vec<_>>(),
            Command::User(user) => self
                .keys_of(user)
                .filter_map(|key| self.streams.get(key).map(Rc::clone))
                .collect(),
            Command::Pages(policy) => {
                let page_is_removed = |stream: &RefCell<Stream>| {
                    let stream = stream.borrow();
                    let page = stream.page.as_ref();
                    page.is_some_and(|page| page.is_removed_from(policy))
                };
                self.streams
                    .iter()
                    .filter(|(_, stream)| page_is_removed(stream))
                    .map(|(_, stream)| Rc::clone(stream))
                    .collect()
            }
            Command::Connections(inquiry) => {
                let keys = self.inspect(inquiry, turn).into_iter();
                keys.filter_map(|key| self.streams.get(key).map(Rc::clone))
                    .collect()
            }
            Command::Inspect(inquiry) => {
                self.inspect(inquiry, turn);
                return;
            }
            Command::All(..) => self
                .streams
                .iter()
                .map(|(_, stream)| Rc::clone(stream))
                .collect(),
        };
        for stream in streams {
            let mut stream = stream.borrow_mut();
            match command {
                Command::User(_) | Command::Connections(_) => {
                    self.finish(&mut stream, CloseReason::Revoked, turn);
                }
                Command::Pages(_) => {
                    self.finish(&mut stream, CloseReason::OriginRemoved, turn);
                }
                Command::Topic(.., reason) => {
                    self.finish(&mut stream, *reason, turn);
                }
                Command::Lost(.., number) => {
                    stream.lost = Some(*number);
                    self.finish(&mut stream, CloseReason::SlowConsumer, turn);
                }
                Command::Inspect(_) => {}
                Command::All(reason, until) => {
                    let window = until.saturating_duration_since(turn.now);
                    let after = if stream.whole {
                        window.mul_f64(0.9)
                    } else {
                        between(window, 0.0, 0.75)
                    };
                    stream.schedule.end_by(turn.now + after, *reason);
                    let until = Moment::from(*until);
                    stream.finish_by = Some(stream.finish_by.map_or(until, |by| by.min(until)));
                    let next = stream.look_again(turn.now);
                    if let Some(key) = stream.key {
                        self.wheel.insert(key, next);
                    }
                }
            }
        }
    }
}
