//! How a stream's bytes reach its connection.
//!
//! What a stream says is its [`Script`](script::Script)'s: first block, events, heartbeats, last lines. There
//! are two lanes for it. In the body lane ([`body`]) the script is behind an ordinary response body, and actix
//! asks for its pieces. In the socket lane ([`detached`]) the stream has taken its socket out of actix's
//! dispatcher and writes to it itself: two buffers of 8 KiB and the dispatcher's task are freed, which is nearly
//! all that an idle stream costs.
//!
//! ```text
//!  Script ──► EventBody ──► actix's dispatcher ──► Socket ──► TCP, TLS, Unix
//!     └──────────────────── Handover ───────────────┘
//!  Script ──► Detached ──────────────────────────────────────► TCP, Unix
//! ```
//!
//! # Who may leave
//!
//! 1. A stream of a hub, on an [`EventServer`](crate::EventServer), over plaintext HTTP/1.1. The others stay in the
//!    body lane: over HTTP/2 the connection is not the stream's, over TLS its bytes are not what leaves, HTTP/1.0 has
//!    no chunks, and an application's own stream may be anything.
//! 2. Nothing may have come behind the request: what actix has read would be lost with its buffer.
//!    [`heads`] counts. A request with a body ends the counting, and with it the connection's streams stay.
//!
//! # The hand-over
//!
//! 3. The body says each piece to the connection too. It is then in actix's write buffer.
//! 4. The first time that it has nothing to say, it leaves its script with the connection. It takes it back when it is
//!    polled again: whatever happens in between, the script is in one place.
//! 5. The socket compares what actix writes: the write must end with exactly the pieces that were said, each as one
//!    chunk, and be taken whole. So no middleware has compressed, wrapped or delayed them. If it has, the stream stays.
//! 6. actix flushes the socket when its write buffer is empty, and only then. If the comparison held and the script is
//!    there, the socket is moved out, and the flush returns an error. That ends the dispatcher within this poll; its
//!    task and its buffers go, and actix-server looks at no error. The same poll, so that no event falls between.
//!
//! # On the socket
//!
//! 7. The stream is polled on the same worker, by one task for all ([`fleet`]). The hub wakes it as it woke the dispatcher; how streams are
//!    placed, woken, ended and counted is one and the same for both lanes ([`hub`](crate::hub)).
//! 8. Its pieces are chunks as actix writes them, byte for byte. Streams that keep pace share one. What a full socket
//!    has not taken is the stream's tail; until that is gone the script is not asked for more, and the stream counts as
//!    stalled from the moment at which the socket took the last byte.
//! 9. It waits for the socket to be readable too. Nothing read: the client has gone. Something: it is thrown away, and
//!    beyond [`BEHIND`](connection::BEHIND) bytes the stream ends with `protocol`.
//! 10. An end in order is the script's last lines and the last chunk. It is reported when they are with the kernel, so
//!     that a drain waits for them. Then the connection is closed: nobody is left to read another request.
//! 11. A stream that the hub has ended, or that has said all, has `stall` to be rid of its tail. Then the connection is
//!     aborted. Permits end with the socket.
//!
//! What actix and its middleware hold of a connection ends with the dispatcher: data of `on_connect`, the place in
//! `max_connections`, a body around the stream's.

mod ahead;
mod backlog;
pub(crate) mod body;
pub(crate) mod connection;
mod detached;
mod fleet;
mod handover;
mod heads;
pub(crate) mod plain;
pub(crate) mod script;
mod snapshot;
pub(crate) mod socket;
mod unasked;

pub(crate) use self::{
    ahead::Ahead,
    backlog::Backlog,
    snapshot::{Made, Make, Parts, Taking},
};
