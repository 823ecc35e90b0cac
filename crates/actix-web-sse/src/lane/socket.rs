//! The socket between actix and the network: it bounds what is read behind a stream, and closes
//! what a stream has left behind.

use std::{
    any::Any,
    future::Future as _,
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep_until},
};

use super::{
    connection::{Connection, Kind, Reading, aborted},
    detached::Detached,
    plain::Carries,
};
use crate::stream::give_way;

/// How much actix may read of an HTTP/1 connection before it looks at what it has read. It would
/// go on to 128 KiB, and what came behind a request could not be bounded any more.
const BURST: usize = 8 * 1024;

/// The same within a head, where nothing can have come behind it: all that actix takes of one. It looks at the head from its
/// beginning each time.
const HEAD: usize = 128 * 1024;

/// The same on a connection whose client uploads. actix answers `Connection: close` when a response
/// leaves before the body of the next request is there, and with less read at a time every client
/// that sends requests without waiting for the answers would get that.
const UPLOAD: usize = 64 * 1024;

/// How much is read of an HTTP/2 connection before others have their turn. A frame of 16 KiB can name 64 MB of headers, which
/// takes more than a millisecond; tokio's budget would let a connection send 128 of them in one poll.
const TURN: usize = 8 * 1024;

/// How much is read at once behind an open stream.
const SIP: usize = 256;

/// A TCP, TLS or Unix stream as actix sees it.
pub(crate) struct Socket<T: 'static> {
    /// Absent when a stream has taken it.
    io: Option<T>,
    connection: Rc<Connection>,
    burst: usize,
    /// The byte that showed that there is more to read; actix gets it with the next ones.
    peeked: Option<u8>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T: Carries> Socket<T> {
    /// `socket_lane`: streams may take it over.
    pub(crate) fn new(io: T, http2: bool, socket_lane: bool) -> Self {
        let kind = Kind {
            http2,
            plain: T::PLAIN,
            socket_lane,
        };
        Self {
            io: Some(io),
            connection: Connection::new(kind),
            burst: 0,
            peeked: None,
            timer: None,
        }
    }

    /// Whether a stream has taken the socket over.
    fn hand_over(&mut self) -> bool {
        let Some(script) = self.connection.leave(self.peeked.is_some()) else {
            return false;
        };
        if let Some(io) = self.io.take().and_then(T::into_plain) {
            Detached::start(io, *script);
        }
        true
    }
}

impl<T> Socket<T> {
    pub(crate) const fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    pub(crate) const fn io(&self) -> Option<&T> {
        self.io.as_ref()
    }

    /// The socket, for actix.
    fn live(io: &mut Option<T>) -> io::Result<Pin<&mut T>>
    where
        T: Unpin,
    {
        let io = io.as_mut().map(Pin::new);
        io.ok_or_else(|| aborted("an event stream has taken the socket"))
    }

    /// Fails when the connection is to be closed. Whatever actix does with a connection, it comes
    /// by here each time that it polls it.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.connection.is_aborted() {
            return Err(self.abort());
        }
        let Some(deadline) = self.connection.deadline() else {
            self.timer = None;
            return Ok(());
        };
        let timer = match &mut self.timer {
            Some(timer) => timer,
            none => none.insert(Box::pin(sleep_until(deadline))),
        };
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(cx).is_ready() {
            self.timer = None;
            if self.connection.is_due() {
                return Err(self.abort());
            }
        }
        Ok(())
    }

    /// Has the kernel throw away what it has not sent: the peer does not take it.
    fn abort(&self) -> io::Error {
        if let Some(stream) = self.io.as_ref().and_then(|io| tcp(io)) {
            // Refused, the connection lasts until the kernel gives it up, and nothing else.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
        aborted("the connection is closed by its event stream")
    }
}

/// What there is to read while actix is not to have it.
enum Withheld {
    /// Nothing; the task is woken when something comes.
    Nothing,
    /// Something.
    Bytes,
    /// The client has closed its side.
    End,
}

impl<T: AsyncRead + Unpin> Socket<T> {
    /// Looks whether there is something to read.
    ///
    /// actix takes a poll of its connection that finds nothing new for the end of an idle
    /// connection, if the beginning of a further request is there: it closes it then. So it is not
    /// woken, before there is something that it gets.
    fn look(&mut self, cx: &mut Context<'_>) -> io::Result<Withheld> {
        if self.peeked.is_some() {
            return Ok(Withheld::Bytes);
        }
        let mut byte = [0; 1];
        let mut into = ReadBuf::new(&mut byte);
        match Self::live(&mut self.io)?.poll_read(cx, &mut into) {
            Poll::Pending => Ok(Withheld::Nothing),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => {
                self.peeked = into.filled().first().copied();
                Ok(match self.peeked {
                    Some(_) => Withheld::Bytes,
                    None => Withheld::End,
                })
            }
        }
    }

    fn most_at_once(&self) -> usize {
        if self.connection.is_in_head() {
            HEAD
        } else if self.connection.uploads() {
            UPLOAD
        } else {
            BURST
        }
    }

    /// Reads into what the caller has room for, or little by little behind an open stream and over HTTP/2.
    fn poll_io(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        if buf.remaining() > 0
            && let Some(byte) = self.peeked.take()
        {
            buf.put_slice(&[byte]);
            return Poll::Ready(Ok(1));
        }
        let most = match self.connection.reading() {
            _ if self.connection.is_http2() => TURN.saturating_sub(self.burst),
            // One byte more than may come shows that more has come.
            Reading::Behind(left) => left.saturating_add(1).min(SIP),
            Reading::Free | Reading::Ahead(_) => {
                let before = buf.filled().len();
                ready!(Self::live(&mut self.io)?.poll_read(cx, buf))?;
                return Poll::Ready(Ok(buf.filled().len() - before));
            }
        };
        let most = most.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Self::live(&mut self.io)?.poll_read(cx, &mut part))?;
        let bytes = part.filled().len();
        buf.advance(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn read(&mut self, read: io::Result<usize>) -> io::Result<()> {
        match read {
            Ok(bytes) => {
                self.burst += bytes;
                let counted = self.connection.read(bytes);
                counted.inspect_err(|_| drop(self.abort()))
            }
            Err(error) => {
                self.connection.failed();
                Err(error)
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        this.connection.waits(cx.waker());
        let waits = this.connection.reading() == Reading::Ahead(0);
        if !this.connection.is_http2() && (waits || this.burst >= this.most_at_once()) {
            this.burst = 0;
            return match this.look(cx) {
                Ok(Withheld::Nothing) => Poll::Pending,
                Ok(Withheld::Bytes) if waits => {
                    // The request wakes the task when it has left.
                    this.connection.withholds();
                    Poll::Pending
                }
                Ok(Withheld::Bytes) => {
                    give_way(cx);
                    Poll::Pending
                }
                Ok(Withheld::End) => Poll::Ready(this.read(Ok(0))),
                Err(error) => Poll::Ready(this.read(Err(error))),
            };
        }
        if this.connection.is_http2() && this.burst >= TURN {
            this.burst = 0;
            give_way(cx);
            return Poll::Pending;
        }
        let before = buf.filled().len();
        match this.poll_io(cx, buf) {
            Poll::Pending => {
                this.burst = 0;
                Poll::Pending
            }
            Poll::Ready(read) => {
                this.connection
                    .came(buf.filled().get(before..).unwrap_or_default());
                Poll::Ready(this.read(read))
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> Socket<T> {
    fn wrote<R>(&self, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if matches!(written, Poll::Ready(Err(_))) {
            self.connection.failed();
        }
        written
    }
}

impl<T: Carries> AsyncWrite for Socket<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check(cx)?;
        let written = Self::live(&mut this.io)?.poll_write(cx, buf);
        if let Poll::Ready(Ok(taken)) = written {
            this.connection.wrote(buf, taken);
        }
        this.wrote(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check(cx)?;
        let written = Self::live(&mut this.io)?.poll_write_vectored(cx, bufs);
        this.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(T::is_write_vectored)
    }

    /// Over HTTP/1 actix calls it when its write buffer is empty, and only then.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        let flushed = Self::live(&mut this.io)?.poll_flush(cx);
        ready!(this.wrote(flushed))?;
        if this.hand_over() {
            // Ends the dispatcher, in this poll; nobody looks at the error.
            return Poll::Ready(Err(aborted("an event stream has taken the socket")));
        }
        Poll::Ready(this.connection.flushed())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        Self::live(&mut this.io)?.poll_shutdown(cx)
    }
}

impl<T> Drop for Socket<T> {
    fn drop(&mut self) {
        // The connection knows the task's waker, and the task owns the connection.
        self.connection.closed();
    }
}

/// The TCP stream below whatever actix serves.
pub(crate) fn tcp(io: &dyn Any) -> Option<&TcpStream> {
    held::<TcpStream>(io).or_else(|| tls(io))
}

/// The TCP stream below TLS.
#[cfg(feature = "rustls")]
fn tls(io: &dyn Any) -> Option<&TcpStream> {
    use actix_tls::accept::rustls_0_23::TlsStream;
    held::<TlsStream<TcpStream>>(io)
        .map(|stream| stream.get_ref().0)
        .or_else(|| {
            let stream = held::<TlsStream<Box<TcpStream>>>(io)?;
            Some(&**stream.get_ref().0)
        })
}

#[cfg(not(feature = "rustls"))]
const fn tls(_: &dyn Any) -> Option<&TcpStream> {
    None
}

/// The value itself, or what holds it.
fn held<T: 'static>(io: &dyn Any) -> Option<&T> {
    let in_box = || io.downcast_ref::<Box<T>>().map(|held| &**held);
    let in_rc = || io.downcast_ref::<Rc<T>>().map(|held| &**held);
    let in_arc = || io.downcast_ref::<Arc<T>>().map(|held| &**held);
    let in_socket = || io.downcast_ref::<Socket<T>>().and_then(Socket::io);
    io.downcast_ref::<T>()
        .or_else(in_box)
        .or_else(in_rc)
        .or_else(in_arc)
        .or_else(in_socket)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    impl Carries for DuplexStream {
        const PLAIN: bool = true;
    }

    /// What a socket gives in one poll.
    async fn read(socket: &mut Socket<DuplexStream>) -> usize {
        let poll = std::future::poll_fn(|cx| {
            let (mut bytes, mut read) = ([0; 1000], 0);
            loop {
                let mut buf = ReadBuf::new(&mut bytes);
                match Pin::new(&mut *socket).poll_read(cx, &mut buf) {
                    Poll::Ready(done) => done.unwrap(),
                    Poll::Pending => return Poll::Ready(read),
                }
                read += buf.filled().len();
            }
        });
        poll.await
    }

    #[actix_rt::test]
    async fn a_long_head_is_read_at_once_and_what_is_behind_it_is_not() {
        let head = [&b"GET / HTTP/1.1\r\nA: "[..], &[b'a'; 100_000], b"\r\n\r\n"].concat();
        let (mut client, server) = duplex(2 * head.len());
        client.write_all(&head).await.unwrap();
        client.write_all(&[b'x'; 50_000]).await.unwrap();
        let mut socket = Socket::new(server, false, true);
        let read = read(&mut socket).await;
        assert!((head.len()..head.len() + 1000).contains(&read), "{read}");
    }

    #[actix_rt::test]
    async fn h08_a_connection_over_http2_lets_others_have_their_turn() {
        let all = 4 * TURN;
        let (mut client, server) = duplex(all);
        client.write_all(&vec![0; all]).await.unwrap();
        let mut socket = Socket::new(server, true, false);
        let read = read(&mut socket).await;
        assert_eq!(read, TURN);
        // It is woken for the rest.
        let mut rest = vec![0; all - read];
        socket.read_exact(&mut rest).await.unwrap();
    }

    #[actix_rt::test]
    async fn a_tcp_stream_is_seen_through_what_holds_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || async { TcpStream::connect(address).await.unwrap() };
        let port = |io: &dyn Any| tcp(io).and_then(|io| io.local_addr().ok()).is_some();
        assert!(port(&connect().await));
        assert!(port(&Box::new(connect().await)));
        assert!(port(&Rc::new(connect().await)));
        assert!(port(&Arc::new(connect().await)));
        assert!(port(&Socket::new(connect().await, false, false)));
        assert!(!port(&"no stream"));
    }
}
