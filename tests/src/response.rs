//! A response: its head, and its body as it comes.

use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use crate::{Connection, EventStream, Head, LIMIT};

/// A response whose body is read piece by piece.
#[derive(Debug)]
pub struct Response {
    /// The head.
    pub head: Head,
    connection: Connection,
    framing: Framing,
}

/// How the end of the body is found (RFC 9112 § 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Chunked,
    Length(usize),
    UntilClose,
    Ended,
}

impl Response {
    pub(crate) fn new(head: Head, connection: Connection, to_head_request: bool) -> Self {
        let chunked = head.headers.get("transfer-encoding") == Some("chunked");
        let length = head.headers.get("content-length").map(|length| {
            let length = length.parse();
            length.expect("Content-Length is a number")
        });
        let framing = match length {
            _ if to_head_request || matches!(head.status, 204 | 304) => Framing::Ended,
            None if chunked => Framing::Chunked,
            Some(_) if chunked => panic!("Content-Length beside Transfer-Encoding"),
            Some(0) => Framing::Ended,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        };
        Self {
            head,
            connection,
            framing,
        }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The only header line of this name.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)
    }

    /// The next piece of the body; `None` at its clean end.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if nothing comes within the limit, [`ErrorKind::UnexpectedEof`] if
    /// the connection ends before the body does, and what the socket says.
    pub fn piece(&mut self, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + limit;
        match self.framing {
            Framing::Ended => Ok(None),
            Framing::Chunked => self.chunk(deadline),
            Framing::Length(left) => {
                let piece = self.connection.take_some(left, deadline)?;
                if piece.is_empty() {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                self.framing = match left - piece.len() {
                    0 => Framing::Ended,
                    left => Framing::Length(left),
                };
                Ok(Some(piece))
            }
            Framing::UntilClose => {
                let piece = self.connection.take_some(usize::MAX, deadline)?;
                if piece.is_empty() {
                    self.framing = Framing::Ended;
                    return Ok(None);
                }
                Ok(Some(piece))
            }
        }
    }

    fn chunk(&mut self, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
        let line = self.connection.take_until(b"\r\n", deadline)?;
        let line = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(line.trim_end(), 16)
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, format!("chunk size {line:?}")))?;
        let mut chunk = self.connection.take(size + 2, deadline)?;
        if chunk.split_off(size) != b"\r\n" {
            return Err(io::Error::new(ErrorKind::InvalidData, "chunk without end"));
        }
        if size == 0 {
            self.framing = Framing::Ended;
            return Ok(None);
        }
        Ok(Some(chunk))
    }

    /// The whole body.
    ///
    /// # Panics
    /// If it does not end cleanly, or is no text.
    #[track_caller]
    pub fn text(mut self) -> String {
        let mut body = Vec::new();
        loop {
            match self.piece(LIMIT) {
                Ok(Some(piece)) => body.extend(piece),
                Ok(None) => return String::from_utf8(body).expect("text"),
                Err(error) => panic!("the body does not end: {error}"),
            }
        }
    }

    /// The whole body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    /// The body as an event stream.
    ///
    /// # Panics
    /// If the response is none.
    #[must_use]
    #[track_caller]
    pub fn events(self) -> EventStream {
        let kind = self.header("content-type").unwrap_or_default();
        if self.status() != 200 || !kind.starts_with("text/event-stream") {
            let status = self.status();
            panic!("no event stream but {status} {:?}", self.text());
        }
        EventStream::new(self)
    }

    /// The connection, for what a client can do to it while it reads.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The connection, for what else a client can do to it.
    #[must_use]
    pub fn into_connection(self) -> Connection {
        self.connection
    }
}
