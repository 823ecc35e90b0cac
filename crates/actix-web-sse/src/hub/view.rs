//! A worker's own copy of the frames that its streams are about to read, and how they are read.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::{Bytes, BytesMut};
use slab::Slab;
use tokio::time::Instant;

use super::{
    EventHead, Filter, Position, Shared,
    core::Cursor,
    log::{Frame, Window},
    merge::{Next, merge},
    state::State,
    stream::{Stream, Waiting},
};
use crate::{
    config::SlowConsumer, event::EventName, identity::TopicPattern, observe::CloseReason,
    stream::chunked,
};

/// How much one read hands over: what actix puts into one write at the most.
const CHUNK: usize = 32 * 1024;

/// What a stream found to send.
#[derive(Debug)]
pub(crate) enum Read {
    /// Nothing yet.
    Pending,
    /// Events as bytes.
    Chunk(Chunk),
    /// What was missed is no longer to be had.
    Gap,
    /// Lines of the stream's own.
    Control(Bytes),
    /// So many events were missed; reading goes on after them.
    Lagged(u64),
    /// The stream cannot go on.
    End(CloseReason),
}

#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    /// How many bytes the events have.
    pub(crate) len: usize,
    /// The bytes are in the chunked coding of HTTP/1 already.
    pub(crate) coded: bool,
    pub(crate) events: u32,
    pub(crate) replay: bool,
    /// An event in it has an ID.
    pub(crate) named: bool,
    pub(crate) oldest: Instant,
    /// Whose settings the topic of the oldest event has.
    pub(crate) class: u16,
}

/// The frames of a topic that streams of this worker follow.
#[derive(Debug)]
pub(super) struct View {
    /// Which of the topics with its index it shows.
    pub(super) serial: u64,
    pub(super) window: Window,
    /// The keys of the streams.
    pub(super) seats: Slab<usize>,
    /// The seat whose stream is to be woken next.
    pub(super) round: Option<usize>,
    /// More has come since this round began.
    pub(super) again: bool,
    /// Its newest frames wait for others.
    pub(super) lingers_until: Option<Instant>,
    /// The last chunk that was put together: streams that keep pace ask for the same one.
    pub(super) batch: Option<Packed>,
}

/// Frames that were put together for all streams that ask for the same.
#[derive(Debug)]
pub(super) struct Packed {
    from: u64,
    to: u64,
    chunk: Chunk,
    /// The same in the chunked coding of HTTP/1, once a stream has asked for that.
    coded: Option<Bytes>,
}

impl Packed {
    fn chunk(&mut self, coded: bool) -> Chunk {
        let plain = &self.chunk.bytes;
        let bytes = match coded {
            true => self.coded.get_or_insert_with(|| chunked::chunk(plain)),
            false => plain,
        };
        Chunk {
            bytes: bytes.clone(),
            coded,
            ..self.chunk
        }
    }
}

const fn overrun(missed: u64, slow_consumer: SlowConsumer) -> Read {
    match slow_consumer {
        SlowConsumer::End => Read::End(CloseReason::SlowConsumer),
        SlowConsumer::Skip => Read::Lagged(missed),
    }
}

impl View {
    /// Has the streams woken that lack something, now or once those have been that were to be.
    pub(super) fn begin_round(&mut self, topic: usize, rounds: &mut VecDeque<usize>) {
        if self.round.is_none() {
            self.round = Some(0);
            rounds.push_back(topic);
        } else {
            self.again = true;
        }
    }

    /// Moves a cursor on over what is no longer here; so many events that is.
    fn skip(&self, cursor: &mut Cursor) -> u64 {
        let missed = self.window.first().saturating_sub(cursor.next);
        cursor.next += missed;
        missed
    }

    /// The frames from the cursor on. Streams that keep pace share what is put together here.
    fn read(&mut self, cursor: &mut Cursor, coded: bool) -> Read {
        if cursor.next >= self.window.next() {
            return Read::Pending;
        }
        let from = cursor.next;
        if let Some(batch) = self.batch.as_mut().filter(|batch| batch.from == from) {
            cursor.next = batch.to;
            return Read::Chunk(batch.chunk(coded));
        }
        let mut bytes = 0;
        let frames = self.window.iter_from(from).take_while(|frame| {
            let fits = bytes < CHUNK / 2;
            bytes += frame.bytes.len();
            fits
        });
        let frames = frames.collect::<Vec<_>>();
        let to = from + frames.len() as u64;
        let Read::Chunk(chunk) = pack(frames.into_iter(), None, false) else {
            return Read::Pending;
        };
        cursor.next = to;
        let batch = self.batch.insert(Packed {
            from,
            to,
            chunk,
            coded: None,
        });
        Read::Chunk(batch.chunk(coded))
    }
}

/// One piece out of several frames. Pending: the filter wants none of them. The end: the filter
/// panicked.
pub(super) fn pack<'a>(
    frames: impl Iterator<Item = &'a Frame>,
    filter: Option<&Filter>,
    replay: bool,
) -> Read {
    let mut wanted = Vec::new();
    for frame in frames {
        if let Some(filter) = filter {
            let labels = frame.labels.as_deref();
            let head = EventHead {
                name: labels
                    .and_then(|labels| labels.name.as_ref())
                    .map(EventName::as_str),
                tag: labels.and_then(|labels| labels.tag.as_deref()),
            };
            match catch_unwind(AssertUnwindSafe(|| filter(&head))) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => return Read::End(CloseReason::Error),
            }
        }
        wanted.push(frame);
    }
    let Some((first, rest)) = wanted.split_first() else {
        return Read::Pending;
    };
    let bytes = if rest.is_empty() {
        first.bytes.clone()
    } else {
        let mut all = BytesMut::with_capacity(wanted.iter().map(|frame| frame.bytes.len()).sum());
        for frame in &wanted {
            all.extend_from_slice(&frame.bytes);
        }
        all.freeze()
    };
    Read::Chunk(Chunk {
        len: bytes.len(),
        bytes,
        coded: false,
        events: u32::try_from(wanted.len()).unwrap_or(u32::MAX),
        replay,
        named: wanted.iter().any(|frame| frame.replayable),
        oldest: first.published,
        class: first.class,
    })
}

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
        following.waiting = Waiting::No;
        following.has = position;
        if position.is_some() {
            following.catching_up = false;
            for cursor in &mut following.cursors {
                cursor.next = cursor.next.max(cursor.live_from);
            }
        }
        self.pass_over(stream);
    }

    /// A stream whose snapshot stands at this position goes on with what comes after it (rule 14 of
    /// the [hub](super)): the ID of its place. `None`: the logs have dropped some of that.
    pub(crate) fn goes_on(
        &self,
        stream: &mut Stream,
        after: &Position,
        topics: &[TopicPattern],
        hub: &Shared,
    ) -> Option<String> {
        let following = stream.subscription.as_mut()?;
        let core = hub.core();
        let number = core.number(after)?;
        let next = core.after(&following.cursors, number)?;
        // Another node's state may be ahead of what has come here.
        following.has = core.is_ahead(number).then_some(number);
        let id = core.epoch().start(number, topics);
        drop(core);
        for (cursor, next) in following.cursors.iter_mut().zip(next) {
            let view = self.views.get(&cursor.topic);
            cursor.next = next;
            cursor.live_from = view.map_or(next, |view| view.window.next().max(next));
        }
        let mut cursors = following.cursors.iter();
        following.catching_up = cursors.any(|cursor| cursor.next < cursor.live_from);
        following.waiting = Waiting::No;
        Some(id)
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
        let coded = stream.on_socket;
        let Some(following) = &mut stream.subscription else {
            return Found::Read(Read::Pending);
        };
        if following.waiting != Waiting::No {
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
                view.read(cursor, coded)
            });
        }
        let missed = cursors.iter_mut().fold(0, |missed, cursor| {
            let view = self.views.get(&cursor.topic);
            missed + view.map_or(0, |view| view.skip(cursor))
        });
        if missed > 0 {
            return Found::Read(overrun(missed, hub.config.slow_consumer));
        }
        let next = |cursor: &Cursor| {
            let view = self.views.get(&cursor.topic);
            view.and_then(|view| view.window.get(cursor.next))
                .map_or(Next::Nothing, Next::Frame)
        };
        let frames = merge(cursors, CHUNK / 2, next, |_| true).unwrap_or_default();
        if frames.is_empty() {
            Found::Read(Read::Pending)
        } else {
            let replay = false;
            Found::Frames { frames, replay }
        }
    }
}

/// Maps by index: the indexes are this crate's own, no client chooses them, so that their hash need
/// not resist anybody. A stream looks its topic up at each delivery.
pub(super) type IndexMap<V> = HashMap<usize, V, BuildHasherDefault<IndexHasher>>;

/// Fibonacci hashing: neighbours stay apart in the low bits, and the high bits are mixed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn write_usize(&mut self, index: usize) {
        self.0 = (self.0 ^ index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn indexes_near_to_each_other_get_hashes_that_differ_at_both_ends() {
        let hash = |index: usize| {
            let mut hasher = IndexHasher::default();
            hasher.write_usize(index);
            hasher.finish()
        };
        let low = (0..1024).map(|index| hash(index) & 0x3ff);
        assert_eq!(low.collect::<HashSet<_>>().len(), 1024);
        let high = (0..1024).map(|index| hash(index) >> 57);
        assert_eq!(high.collect::<HashSet<_>>().len(), 128);
    }
}
