//! Reading an event stream as its bytes arrive.

use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use crate::{Connection, LIMIT, Response};

/// What stands in an event stream, in the order of its lines. Unlike a browser's parser this one
/// keeps what dispatches nothing: comments, and blocks without data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A line that begins with a colon, without it.
    Comment(String),
    /// A `retry:` field, in milliseconds. It takes effect at the end of its line, whatever block it
    /// stands in (WHATWG HTML § 9.2.6), so it is told by itself.
    Retry(u64),
    /// The other fields up to a blank line.
    Event {
        /// The `id:` field.
        id: Option<String>,
        /// The `event:` field.
        event: Option<String>,
        /// The `data:` fields, joined by line ends.
        data: Option<String>,
    },
}

impl Block {
    /// The data of an event that a browser would dispatch.
    #[must_use]
    pub fn data(&self) -> Option<&str> {
        match self {
            Self::Event { data, .. } => data.as_deref(),
            Self::Comment(_) | Self::Retry(_) => None,
        }
    }

    /// The name of an event.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        match self {
            Self::Event { event, .. } => event.as_deref(),
            Self::Comment(_) | Self::Retry(_) => None,
        }
    }

    /// The ID of an event.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Event { id, .. } => id.as_deref(),
            Self::Comment(_) | Self::Retry(_) => None,
        }
    }

    /// A reconnection time, in milliseconds.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        match self {
            Self::Retry(retry) => Some(*retry),
            Self::Event { .. } | Self::Comment(_) => None,
        }
    }

    /// Whether it is there for its ID alone.
    fn is_anchor(&self) -> bool {
        self.event() == Some("anchor") && self.data() == Some("{}")
    }

    fn is_blank(&self) -> bool {
        matches!(
            self,
            Self::Event {
                id: None,
                event: None,
                data: None
            }
        )
    }
}

/// An open event stream.
#[derive(Debug)]
pub struct EventStream {
    response: Response,
    rest: Vec<u8>,
    fields: Block,
    wire: Vec<u8>,
    anchor: Option<String>,
}

const BLANK: Block = Block::Event {
    id: None,
    event: None,
    data: None,
};

impl EventStream {
    pub(crate) fn new(response: Response) -> Self {
        Self {
            response,
            rest: Vec::new(),
            fields: BLANK,
            wire: Vec::new(),
            anchor: None,
        }
    }

    /// The ID of the anchor that was read, which a hub sends to a client without a last event ID. It
    /// is no event of anybody's, and is not among the blocks.
    #[must_use]
    pub fn anchor(&self) -> Option<&str> {
        self.anchor.as_deref()
    }

    /// The response that carries the stream.
    #[must_use]
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// All bytes of the body that were read so far.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The next comment or block; `None` at the clean end of the stream.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if none comes within the limit, [`ErrorKind::UnexpectedEof`] if the
    /// stream is cut.
    pub fn block(&mut self, limit: Duration) -> io::Result<Option<Block>> {
        let deadline = Instant::now() + limit;
        loop {
            while let Some(at) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=at).collect();
                let line = String::from_utf8(line).map_err(|_| ErrorKind::InvalidData)?;
                // The library writes LF only; a CR is not its line end and would show in the data.
                if let Some(block) = self.line(line.trim_end_matches('\n')) {
                    return Ok(Some(block));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(piece) = self.response.piece(left)? else {
                return Ok(None);
            };
            self.wire.extend_from_slice(&piece);
            self.rest.extend(piece);
        }
    }

    fn line(&mut self, line: &str) -> Option<Block> {
        if line.is_empty() {
            let block = std::mem::replace(&mut self.fields, BLANK);
            if block.is_anchor() {
                self.anchor = block.id().map(str::to_owned);
                return None;
            }
            return (!block.is_blank()).then_some(block);
        }
        if let Some(comment) = line.strip_prefix(':') {
            return Some(Block::Comment(comment.to_owned()));
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let Block::Event { id, event, data } = &mut self.fields else {
            unreachable!("the fields are those of an event");
        };
        match name {
            "id" => *id = Some(value.to_owned()),
            "event" => *event = Some(value.to_owned()),
            "data" => match data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => *data = Some(value.to_owned()),
            },
            "retry" => {
                let retry = value.parse().expect("retry is a number");
                return Some(Block::Retry(retry));
            }
            other => panic!("unknown field {other:?}"),
        }
        None
    }

    /// The next event with data, past comments and other blocks.
    ///
    /// # Panics
    /// If the stream ends, is cut, or none comes within [`LIMIT`].
    #[track_caller]
    pub fn next_event(&mut self) -> Block {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.block(left) {
                Ok(Some(block)) if block.data().is_some() => return block,
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended; so far: {}", self.so_far()),
                Err(error) => panic!("{error}; so far: {}", self.so_far()),
            }
        }
    }

    /// The next heartbeat or other comment, past events.
    ///
    /// # Panics
    /// As [`next_event`](Self::next_event).
    #[track_caller]
    pub fn next_comment(&mut self) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.block(left) {
                Ok(Some(Block::Comment(text))) => return text,
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended; so far: {}", self.so_far()),
                Err(error) => panic!("{error}; so far: {}", self.so_far()),
            }
        }
    }

    /// Everything up to the clean end.
    ///
    /// # Panics
    /// If the stream is cut, or does not end within the limit.
    #[track_caller]
    pub fn until_end(&mut self, limit: Duration) -> Vec<Block> {
        let deadline = Instant::now() + limit;
        let mut blocks = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.block(left) {
                Ok(Some(block)) => blocks.push(block),
                Ok(None) => return blocks,
                Err(error) => panic!("no clean end: {error}; so far: {}", self.so_far()),
            }
        }
    }

    /// The connection, for what else a client can do to it.
    #[must_use]
    pub fn into_connection(self) -> Connection {
        self.response.into_connection()
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.wire).into_owned()
    }
}
