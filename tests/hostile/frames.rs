//! HTTP/2 as bytes: frames that no client library would send.

use std::{collections::BTreeSet, io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::target::Target;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

/// A frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The client's preface with these settings.
pub(crate) fn preface(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &pairs(settings)));
    bytes
}

/// The payload of a SETTINGS frame.
pub(crate) fn pairs(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    payload
}

/// A field, literal and never indexed, without Huffman's code.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0x10];
    for text in [name, value] {
        integer(&mut bytes, text.len());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// A length with a prefix of seven bits (RFC 7541 § 5.1).
pub(crate) fn integer(bytes: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        bytes.push(value as u8);
        return;
    }
    bytes.push(127);
    value -= 127;
    while value >= 128 {
        bytes.push((value % 128) as u8 | 128);
        value /= 128;
    }
    bytes.push(value as u8);
}

/// The header block of a GET that the demo answers with a stream.
pub(crate) fn stream_block(app: SocketAddr, token: Option<&str>, topic: &str) -> Vec<u8> {
    let mut block = get_block(app, &format!("/events?topic={topic}"));
    block.extend(field("accept", "text/event-stream"));
    if let Some(token) = token {
        block.extend(field("authorization", &format!("Bearer {token}")));
    }
    block
}

/// The header block of a GET.
pub(crate) fn get_block(app: SocketAddr, path: &str) -> Vec<u8> {
    // :method GET and :scheme http are in the static table.
    let mut block = vec![0x82, 0x86];
    block.extend(field(":path", path));
    block.extend(field(":authority", &app.to_string()));
    block
}

/// A frame of the server.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The body's bytes in it.
    pub(crate) fn data(&self) -> &[u8] {
        match self.kind {
            DATA => &self.payload,
            _ => &[],
        }
    }

    /// Whether a header block says 200: `:status: 200` is one byte, after what may change the
    /// table's size.
    pub(crate) fn says_ok(&self) -> bool {
        self.payload.iter().find(|byte| *byte >> 5 != 1) == Some(&0x88)
    }
}

/// Reads the next frame.
pub(crate) async fn read(reader: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Frame> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    reader.read_exact(&mut payload).await?;
    Ok(Frame {
        kind,
        flags,
        stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        payload,
    })
}

/// The streams that a client got and that have not ended, by what the server sent.
#[derive(Debug, Default)]
pub(crate) struct Held(pub(crate) BTreeSet<u32>);

impl Held {
    /// Takes a frame of the server into account.
    pub(crate) fn see(&mut self, frame: &Frame) {
        if frame.kind == HEADERS && frame.says_ok() {
            self.0.insert(frame.stream);
        }
        let ends = [DATA, HEADERS].contains(&frame.kind) && frame.flags & END_STREAM != 0;
        if ends || frame.kind == RST_STREAM {
            self.0.remove(&frame.stream);
        }
        if frame.kind == GOAWAY {
            let last = frame.payload.first_chunk::<4>();
            let last = last.map_or(0, |last| u32::from_be_bytes(*last));
            self.0.retain(|stream| *stream <= last);
        }
    }
}

/// A connection on which the preface was sent.
pub(crate) async fn connect(target: &Target, settings: &[(u16, u32)]) -> io::Result<TcpStream> {
    let mut socket = target.connect().await?;
    socket.write_all(&preface(settings)).await?;
    Ok(socket)
}
