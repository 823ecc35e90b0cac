//! A worker's own copy of the frames that its streams are about to read, and the pieces that they
//! are read in.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use bytes::{Bytes, BytesMut};
use slab::Slab;
use tokio::time::Instant;

use super::{
    EventHead, Filter,
    core::Cursor,
    index::IndexMap,
    log::{Frame, Window},
};
use crate::{config::SlowConsumer, event::EventName, observe::CloseReason};

/// How much one read hands over: what actix puts into one write at the most.
pub(super) const CHUNK: usize = 32 * 1024;

/// What a stream found to send.
#[derive(Debug)]
pub(crate) enum Read {
    /// Nothing yet.
    Pending,
    /// Events as bytes.
    Chunk(Chunk),
    /// What was missed is no longer to be had.
    Gap,
    /// So many events were missed; reading goes on after them.
    Lagged(u64),
    /// The stream cannot go on.
    End(CloseReason),
}

#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    pub(crate) events: u32,
    pub(crate) replay: bool,
    pub(crate) oldest: Instant,
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
    /// The last chunk that was put together: streams that keep pace ask for the same one.
    pub(super) batch: Option<(u64, u64, Rc<Chunk>)>,
}

pub(super) const fn overrun(missed: u64, slow_consumer: SlowConsumer) -> Read {
    match slow_consumer {
        SlowConsumer::End => Read::End(CloseReason::SlowConsumer),
        SlowConsumer::Skip => Read::Lagged(missed),
    }
}

impl View {
    /// Moves a cursor on over what is no longer here; so many events that is.
    pub(super) fn skip(&self, cursor: &mut Cursor) -> u64 {
        let missed = self.window.first().saturating_sub(cursor.next);
        cursor.next += missed;
        missed
    }

    /// The frames from the cursor on. Streams that keep pace share what is put together here.
    pub(super) fn read(&mut self, cursor: &mut Cursor) -> Read {
        if cursor.next >= self.window.next() {
            return Read::Pending;
        }
        let known = self
            .batch
            .as_ref()
            .filter(|(from, ..)| *from == cursor.next);
        let (to, chunk) = if let Some((_, to, chunk)) = known {
            (*to, Rc::clone(chunk))
        } else {
            let mut bytes = 0;
            let frames = self.window.iter_from(cursor.next).take_while(|frame| {
                let fits = bytes < CHUNK / 2;
                bytes += frame.bytes.len();
                fits
            });
            let frames = frames.collect::<Vec<_>>();
            let to = cursor.next + frames.len() as u64;
            let Read::Chunk(chunk) = pack(frames.into_iter(), None, false) else {
                return Read::Pending;
            };
            let chunk = Rc::new(chunk);
            self.batch = Some((cursor.next, to, Rc::clone(&chunk)));
            (to, chunk)
        };
        cursor.next = to;
        Read::Chunk(Chunk {
            bytes: chunk.bytes.clone(),
            ..*chunk
        })
    }
}

/// The next frames of several topics, in the order of their positions, about a chunk's worth.
pub(super) fn merge(cursors: &mut [Cursor], views: &IndexMap<View>) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut bytes = 0;
    while bytes < CHUNK / 2 {
        let mut oldest: Option<(&Frame, &mut Cursor)> = None;
        for cursor in cursors.iter_mut() {
            let frame = views
                .get(&cursor.topic)
                .and_then(|view| view.window.get(cursor.next));
            if let Some(frame) = frame
                && oldest
                    .as_ref()
                    .is_none_or(|(known, _)| frame.position < known.position)
            {
                oldest = Some((frame, cursor));
            }
        }
        let Some((frame, cursor)) = oldest else { break };
        cursor.next += 1;
        bytes += frame.bytes.len();
        frames.push(frame.clone());
    }
    frames
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
        bytes,
        events: u32::try_from(wanted.len()).unwrap_or(u32::MAX),
        replay,
        oldest: first.published,
    })
}
