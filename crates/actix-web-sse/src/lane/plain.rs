//! Sockets whose bytes are those of HTTP: what a stream can write to itself.

use std::{
    io,
    net::Shutdown,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// What a connection of an `EventServer` is carried by.
pub(crate) trait Carries: AsyncRead + AsyncWrite + Unpin + Sized + 'static {
    /// Whether what is written to it is what leaves.
    const PLAIN: bool = false;

    /// The socket, if it is plain.
    fn into_plain(self) -> Option<Plain> {
        None
    }
}

impl Carries for TcpStream {
    const PLAIN: bool = true;

    fn into_plain(self) -> Option<Plain> {
        Some(Plain::Tcp(self))
    }
}

#[cfg(unix)]
impl Carries for UnixStream {
    const PLAIN: bool = true;

    fn into_plain(self) -> Option<Plain> {
        Some(Plain::Unix(self))
    }
}

#[cfg(feature = "rustls")]
impl Carries for actix_tls::accept::rustls_0_23::TlsStream<TcpStream> {}

/// A socket without anything between it and HTTP.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// How much is read of what has come when the connection is closed: with something unread the kernel
/// would reset it, and the client might lose the last bytes.
const UNREAD: usize = 16 * 1024;

impl Plain {
    pub(super) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(io) => io.try_read(buf),
            #[cfg(unix)]
            Self::Unix(io) => io.try_read(buf),
        }
    }

    pub(super) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(io) => io.try_write(buf),
            #[cfg(unix)]
            Self::Unix(io) => io.try_write(buf),
        }
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(io) => io.poll_read_ready(cx),
            #[cfg(unix)]
            Self::Unix(io) => io.poll_read_ready(cx),
        }
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(io) => io.poll_write_ready(cx),
            #[cfg(unix)]
            Self::Unix(io) => io.poll_write_ready(cx),
        }
    }

    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(io) => SockRef::from(io),
            #[cfg(unix)]
            Self::Unix(io) => SockRef::from(io),
        }
    }

    /// Closes it behind what was written.
    pub(super) fn finish(self) {
        // Refused, the client has closed it already.
        let _ = self.socket().shutdown(Shutdown::Write);
        let mut unread = [0; 1024];
        for _ in 0..UNREAD / unread.len() {
            if !matches!(self.try_read(&mut unread), Ok(1..)) {
                break;
            }
        }
    }

    /// Closes it, and has the kernel throw away what it has not sent.
    pub(super) fn abort(self) {
        // Refused, the connection lasts until the kernel gives it up, and nothing else.
        let _ = self.socket().set_linger(Some(Duration::ZERO));
    }
}
