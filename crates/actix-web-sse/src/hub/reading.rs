//! What a stream of a worker reads next: what it missed, then what its worker has.

use super::{
    Shared,
    log::Frame,
    state::State,
    stream::Stream,
    view::{CHUNK, Read, merge, overrun, pack},
};
use crate::observe::CloseReason;

/// What there is for a stream to read.
#[derive(Debug)]
pub(super) enum Found {
    Read(Read),
    /// Frames that the stream's filter is to see.
    Frames {
        frames: Vec<Frame>,
        replay: bool,
    },
}

impl State {
    /// A stream that waited goes on: with what comes after this position, up to which it has
    /// everything; without one, as a stream that never asked.
    pub(crate) fn caught_up(&mut self, stream: &mut Stream, position: Option<u64>) {
        let Some(following) = &mut stream.subscription else {
            return;
        };
        following.waiting = false;
        following.has = position;
        if position.is_some() {
            following.catching_up = false;
            for cursor in &mut following.cursors {
                cursor.next = cursor.next.max(cursor.live_from);
            }
        }
        self.pass_over(stream);
    }

    /// Moves a stream on over what it has from elsewhere.
    fn pass_over(&self, stream: &mut Stream) {
        let Some(following) = &mut stream.subscription else {
            return;
        };
        let Some(position) = following.has else {
            return;
        };
        for cursor in &mut following.cursors {
            if let Some(view) = self.views.get(&cursor.topic) {
                cursor.next = cursor.next.max(view.window.ordinal_after(position));
            }
        }
    }

    /// Packs events from elsewhere, as the filter wants them.
    pub(crate) fn pack(stream: &Stream, frames: &[Frame]) -> Read {
        pack(frames.iter(), stream.filter(), true)
    }

    /// The next frames of a stream.
    pub(super) fn read(&mut self, stream: &mut Stream, hub: &Shared) -> Found {
        self.pass_over(stream);
        let Some(following) = &mut stream.subscription else {
            return Found::Read(Read::Pending);
        };
        if following.waiting {
            return Found::Read(Read::Pending);
        }
        if following.catching_up {
            let Some(frames) = hub.core().replay(&mut following.cursors, CHUNK / 2) else {
                return Found::Read(Read::End(CloseReason::SlowConsumer));
            };
            if !frames.is_empty() {
                let replay = true;
                return Found::Frames { frames, replay };
            }
            following.catching_up = false;
        }
        let (cursors, filter) = (&mut following.cursors, following.filter.as_ref());
        if let ([cursor], None) = (&mut **cursors, filter) {
            // The way of nearly all streams: one topic, all of it.
            let Some(view) = self.views.get_mut(&cursor.topic) else {
                return Found::Read(Read::Pending);
            };
            let missed = view.skip(cursor);
            return Found::Read(if missed > 0 {
                overrun(missed, hub.config.slow_consumer)
            } else {
                view.read(cursor)
            });
        }
        let missed = cursors.iter_mut().fold(0, |missed, cursor| {
            let view = self.views.get(&cursor.topic);
            missed + view.map_or(0, |view| view.skip(cursor))
        });
        if missed > 0 {
            return Found::Read(overrun(missed, hub.config.slow_consumer));
        }
        let frames = merge(cursors, &self.views);
        if frames.is_empty() {
            Found::Read(Read::Pending)
        } else {
            let replay = false;
            Found::Frames { frames, replay }
        }
    }
}
