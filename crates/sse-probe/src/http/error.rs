//! Why an exchange gave no reply.

use std::{error::Error, fmt, io, net::SocketAddr, time::Duration};

/// Where an exchange stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Looking the name up, or connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Waiting for the head of the reply.
    Head,
}

/// Why there was no reply that can be judged.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The name has no address.
    Resolve(String, io::Error),
    /// Nobody listens, or the network does not go there.
    Connect(SocketAddr, io::Error),
    /// The TLS handshake failed; an expired or untrusted certificate is reported here.
    Tls(String, io::Error),
    /// The server does not speak HTTP/2, which was asked for.
    NoHttp2,
    /// The head has more bytes or lines than any client reads.
    HeadTooLarge(usize),
    /// What came back is not HTTP.
    Protocol(String),
    /// Nothing came in time.
    Timeout(Phase, Duration),
    /// The connection was closed before a reply.
    Closed,
    /// The proxy did not connect.
    Proxy(String),
    /// The operating system failed.
    Io(io::Error),
    /// The request itself cannot be made, for instance because a header value holds a line break.
    Request(String),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(host, why) => write!(f, "`{host}` cannot be resolved: {why}"),
            Self::Connect(to, why) if why.kind() == io::ErrorKind::ConnectionRefused => {
                write!(f, "{to} refuses the connection: nothing listens there")
            }
            Self::Connect(to, why) => write!(f, "no connection to {to}: {why}"),
            Self::Tls(host, why) => write!(f, "TLS with `{host}` failed: {why}"),
            Self::NoHttp2 => f.write_str("the server does not speak HTTP/2"),
            Self::HeadTooLarge(limit) => write!(
                f,
                "the head of the reply goes on beyond {} KiB or 200 lines",
                limit / 1024
            ),
            Self::Protocol(why) => write!(f, "the reply is not HTTP: {why}"),
            Self::Timeout(Phase::Connect, after) => {
                write!(
                    f,
                    "no connection within {}",
                    humantime::format_duration(*after)
                )
            }
            Self::Timeout(Phase::Tls, after) => write!(
                f,
                "no TLS handshake within {}; does the server speak TLS on this port?",
                humantime::format_duration(*after)
            ),
            Self::Timeout(Phase::Head, after) => write!(
                f,
                "no reply within {}; a server that waits for the first event before it sends the head does this",
                humantime::format_duration(*after)
            ),
            Self::Closed => f.write_str("the connection was closed before a reply"),
            Self::Proxy(why) => write!(f, "the proxy did not connect: {why}"),
            Self::Io(why) => write!(f, "{why}"),
            Self::Request(why) => write!(f, "the request cannot be made: {why}"),
        }
    }
}

impl Error for ExchangeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Resolve(_, why) | Self::Connect(_, why) | Self::Tls(_, why) => Some(why),
            _ => None,
        }
    }
}

impl ExchangeError {
    /// The error as a label, from a closed list.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Resolve(..) => "dns",
            Self::Connect(..) | Self::Io(_) | Self::Timeout(Phase::Connect, _) => "connect",
            Self::Proxy(_) => "proxy",
            Self::Tls(..) | Self::NoHttp2 | Self::Timeout(Phase::Tls, _) => "tls",
            Self::HeadTooLarge(_) | Self::Protocol(_) => "protocol",
            Self::Timeout(Phase::Head, _) => "timeout",
            Self::Closed => "closed",
            Self::Request(_) => "request",
        }
    }

    /// What hyper says, in the words of this crate.
    pub(super) fn from_hyper(error: &hyper::Error, head_bytes: usize) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        if error.is_parse_too_large() || text.contains("header list size") {
            Self::HeadTooLarge(head_bytes)
        } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            Self::Closed
        } else {
            Self::Protocol(text)
        }
    }
}
