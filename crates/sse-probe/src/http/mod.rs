//! One raw exchange: a request on a connection of its own, the head of the reply, and the body as it arrives.
//!
//! Every exchange opens its own connection, so that each answer has passed every hop anew; nothing is decompressed,
//! cached, retried or redirected on the way.

mod ask;
mod connect;
mod error;
mod recording;
mod tls;
mod way;

use std::{net::SocketAddr, time::Duration};

pub(crate) use self::recording::opens;
pub use self::{
    ask::Ask,
    connect::{Dialer, Exchange},
    error::{ExchangeError, Phase},
    recording::{Chunk, End, Recording},
    tls::{Certificates, Identity, Tls, Trust},
    way::{Family, Proxy},
};
use crate::browser::headers::Headers;

/// Which version of HTTP to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// As a browser: HTTP/2 where TLS offers it, HTTP/1.1 otherwise.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only: by ALPN on https, by prior knowledge on http.
    Http2,
}

/// What bounds an exchange.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// For resolving and connecting, and again for the TLS handshake. 10 s by default.
    pub connect: Duration,
    /// From the request to the head of the reply. 10 s by default.
    pub head: Duration,
    /// The largest head that is read. 64 KiB by default, more than any browser accepts.
    pub head_bytes: usize,
    /// How much of a body is read before the exchange is ended. 32 MiB by default.
    pub body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_secs(10),
            head_bytes: 64 * 1024,
            body_bytes: 32 * 1024 * 1024,
        }
    }
}

/// The head of a reply, and what was seen before it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    pub version: http::Version,
    /// The header list.
    pub headers: Headers,
    /// The address that answered.
    pub address: SocketAddr,
    /// How long each phase took.
    pub phases: Phases,
    /// `TLS 1.2` or `TLS 1.3`; `None` without TLS.
    pub tls_version: Option<&'static str>,
    /// What the presented certificates say; `None` without TLS.
    pub certificates: Option<Certificates>,
}

impl Head {
    /// Whether the reply redirects.
    #[must_use]
    pub fn redirects(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308)
    }

    /// `1.0`, `1.1` or `2`.
    #[must_use]
    pub fn version_number(&self) -> &'static str {
        match self.version {
            http::Version::HTTP_10 => "1.0",
            http::Version::HTTP_2 => "2",
            _ => "1.1",
        }
    }
}

/// The time each phase took, by blackbox_exporter's names.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Phases {
    /// Looking the name up.
    pub resolve: Duration,
    /// The TCP handshake.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From the request to the head of the reply.
    pub processing: Duration,
}
