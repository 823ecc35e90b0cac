//! One TCP connection, read with deadlines.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use socket2::{Domain, SockRef, Socket, Type};

use crate::{Head, LIMIT, Response};

/// A client's side of an HTTP/1 connection. It sends what it is given, byte by byte as it is, and
/// repairs nothing.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    #[track_caller]
    pub fn open(to: SocketAddr) -> Self {
        Self::try_open(to).unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"))
    }

    /// Connects, or says why not.
    ///
    /// # Errors
    /// As [`TcpStream::connect`].
    pub fn try_open(to: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&to, LIMIT)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(LIMIT))?;
        Ok(Self {
            socket,
            buffer: Vec::new(),
        })
    }

    /// Connects from another address of this machine (`127.0.0.0/8` is all loopback), or says why
    /// not.
    ///
    /// # Errors
    /// As [`TcpStream::connect`].
    pub fn try_open_from(from: Ipv4Addr, to: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket.connect_timeout(&to.into(), LIMIT)?;
        let socket = TcpStream::from(socket);
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(LIMIT))?;
        Ok(Self {
            socket,
            buffer: Vec::new(),
        })
    }

    /// Makes the kernel hold as little as it can for a reader that does not read.
    #[must_use]
    pub fn with_small_window(self) -> Self {
        // The window of a socket that is open already only shrinks as far as the kernel lets it;
        // what is left is the kernel's own minimum and does for a stalled reader.
        SockRef::from(&self.socket)
            .set_recv_buffer_size(1)
            .expect("a small receive buffer");
        self
    }

    /// The address of this side.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("a local address")
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// As the socket: the peer may be gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Reads the head of a response.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] after the limit, [`ErrorKind::UnexpectedEof`] on an early end,
    /// [`ErrorKind::InvalidData`] for what is no head.
    pub fn head(&mut self, limit: Duration) -> io::Result<Head> {
        let head = self.take_until(b"\r\n\r\n", Instant::now() + limit)?;
        // Header values are bytes; no test here looks at one above ASCII.
        String::from_utf8_lossy(&head)
            .parse()
            .map_err(|error: String| io::Error::new(ErrorKind::InvalidData, error))
    }

    /// Reads a line, without its end.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    pub fn line(&mut self, limit: Duration) -> io::Result<String> {
        let line = self.take_until(b"\r\n", Instant::now() + limit)?;
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Reads up to the next line feed, with it.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    pub fn line_with_end(&mut self, limit: Duration) -> io::Result<Vec<u8>> {
        self.take_until(b"\n", Instant::now() + limit)
    }

    /// Reads so many bytes and forgets them.
    ///
    /// # Panics
    /// If they do not come.
    #[track_caller]
    pub fn skip(&mut self, count: usize, limit: Duration) {
        self.take(count, Instant::now() + limit)
            .expect("the bytes come");
    }

    /// Reads the head of a response, and the rest later.
    ///
    /// # Panics
    /// If none comes.
    #[must_use]
    #[track_caller]
    pub fn response(mut self, to_head_request: bool) -> Response {
        match self.head(LIMIT) {
            Ok(head) => Response::new(head, self, to_head_request),
            Err(error) => panic!("no response: {error}"),
        }
    }

    /// The socket, for a client with a way of its own to read; what was read already is lost.
    #[must_use]
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// A second handle of the socket, to write while the connection is read.
    ///
    /// # Panics
    /// If the system has none.
    #[must_use]
    pub fn socket(&self) -> TcpStream {
        self.socket.try_clone().expect("a second handle")
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub fn half_close(&self) {
        self.socket.shutdown(Shutdown::Write).expect("a half-close");
    }

    /// Resets the connection: the peer sees RST, not FIN.
    pub fn reset(self) {
        SockRef::from(&self.socket)
            .set_linger(Some(Duration::ZERO))
            .expect("no lingering");
    }

    /// Everything up to and including the pattern.
    pub(crate) fn take_until(&mut self, end: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..]
                .windows(end.len())
                .position(|window| window == end);
            if let Some(at) = found {
                return Ok(self.buffer.drain(..searched + at + end.len()).collect());
            }
            searched = self.buffer.len().saturating_sub(end.len() - 1);
            self.fill(deadline)?;
        }
    }

    /// Exactly so many bytes.
    pub(crate) fn take(&mut self, count: usize, deadline: Instant) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.fill(deadline)?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Whatever comes next, at most so many bytes; nothing at the end of the connection.
    pub(crate) fn take_some(&mut self, most: usize, deadline: Instant) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            match self.fill(deadline) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Vec::new()),
                other => other?,
            }
        }
        let count = self.buffer.len().min(most);
        Ok(self.buffer.drain(..count).collect())
    }

    /// Reads once.
    fn fill(&mut self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut piece = [0; 16 * 1024];
        match self.socket.read(&mut piece) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                self.buffer.extend_from_slice(&piece[..read]);
                Ok(())
            }
            Err(error) => match error.kind() {
                // The kernel's word for a read that timed out.
                ErrorKind::WouldBlock => Err(ErrorKind::TimedOut.into()),
                ErrorKind::Interrupted => Ok(()),
                _ => Err(error),
            },
        }
    }
}
