//! From a request to the head of its reply.

use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{AlertDescription, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::AbortHandle,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;
use url::Url;

use super::{
    Ask, ExchangeError, Head, Limits, Phase, Phases, Protocol, Trust, tls::earliest_expiry,
};
use crate::headers::Headers;

/// Head lines that are read. Browsers read fewer.
const HEAD_LINES: usize = 200;

/// Makes exchanges.
#[derive(Debug, Clone, Default)]
pub struct Dialer {
    limits: Limits,
    trust: Trust,
    pinned: HashMap<(String, u16), SocketAddr>,
}

/// An exchange whose head is known and whose body still arrives. The connection ends when this is dropped.
pub struct Exchange {
    head: Head,
    pub(super) body: Incoming,
    pub(super) sent: Instant,
    pub(super) body_bytes: u64,
    _connection: EndOnDrop,
}

impl Dialer {
    /// One with these limits and this trust.
    #[must_use]
    pub fn new(limits: Limits, trust: Trust) -> Self {
        Self {
            limits,
            trust,
            pinned: HashMap::new(),
        }
    }

    /// Connections to `host` and `port` go to `address`, whatever the name service says.
    pub fn pin(&mut self, host: &str, port: u16, address: SocketAddr) {
        self.pinned
            .insert((host.to_ascii_lowercase(), port), address);
    }

    /// The limits of its exchanges.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Connects, asks, and waits for the head of the reply.
    ///
    /// # Errors
    ///
    /// Whatever keeps a reply from coming.
    pub async fn open(&self, ask: &Ask) -> Result<Exchange, ExchangeError> {
        let connect = self.limits.connect;
        let plain = timeout(connect, self.plain(&ask.url))
            .await
            .map_err(|_| ExchangeError::Timeout(Phase::Connect, connect))??;
        let link = timeout(connect, self.encrypt(plain, &ask.url, ask.protocol))
            .await
            .map_err(|_| ExchangeError::Timeout(Phase::Tls, connect))??;
        let started = Instant::now();
        let head = self.limits.head;
        timeout(head, self.ask(link, ask, started))
            .await
            .map_err(|_| ExchangeError::Timeout(Phase::Head, head))?
    }

    /// The TCP connection.
    async fn plain(&self, url: &Url) -> Result<Plain, ExchangeError> {
        let host = url
            .host_str()
            .ok_or_else(|| ExchangeError::Request("the URL has no host".to_owned()))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let mut phases = Phases::default();

        let begin = Instant::now();
        let addresses = self.addresses(host, port).await?;
        phases.resolve = begin.elapsed();

        let begin = Instant::now();
        let (stream, address) = reach(host, &addresses).await?;
        phases.connect = begin.elapsed();
        stream.set_nodelay(true).ok();
        // Ends with a reset. A server that keeps half-closed connections (actix by default) would otherwise count each
        // finished exchange as an open stream until its second heartbeat, and the next one would meet its limits.
        stream.set_zero_linger().ok();

        Ok(Plain {
            stream,
            address,
            phases,
        })
    }

    /// TLS over it, if the URL wants that.
    async fn encrypt(
        &self,
        plain: Plain,
        url: &Url,
        protocol: Protocol,
    ) -> Result<Link, ExchangeError> {
        let Plain {
            stream,
            address,
            mut phases,
        } = plain;
        if url.scheme() != "https" {
            return Ok(Link {
                http2: protocol == Protocol::Http2,
                stream: Box::new(stream),
                address,
                phases,
                certificate_expiry: None,
            });
        }
        let host = url.host_str().unwrap_or_default();
        let tls_error =
            |why: rustls::Error| ExchangeError::Tls(host.to_owned(), io::Error::other(why));
        let config = self.trust.client(protocol).map_err(tls_error)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|why| ExchangeError::Tls(host.to_owned(), io::Error::other(why)))?;
        let begin = Instant::now();
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|why| match tls_alert(&why) {
                Some(AlertDescription::NoApplicationProtocol) => ExchangeError::NoHttp2,
                _ => ExchangeError::Tls(host.to_owned(), why),
            })?;
        phases.tls = begin.elapsed();
        let (_, session) = stream.get_ref();
        let http2 = session.alpn_protocol() == Some(b"h2");
        if protocol == Protocol::Http2 && !http2 {
            return Err(ExchangeError::NoHttp2);
        }
        let certificate_expiry = session.peer_certificates().and_then(earliest_expiry);
        Ok(Link {
            http2,
            stream: Box::new(stream),
            address,
            phases,
            certificate_expiry,
        })
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ExchangeError> {
        if let Some(address) = self.pinned.get(&(host.to_ascii_lowercase(), port)) {
            return Ok(vec![*address]);
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        lookup_host((bare, port))
            .await
            .map(Iterator::collect)
            .map_err(|why| ExchangeError::Resolve(host.to_owned(), why))
    }

    async fn ask(&self, link: Link, ask: &Ask, sent: Instant) -> Result<Exchange, ExchangeError> {
        let request = request(ask, link.http2)?;
        let head_bytes = self.limits.head_bytes;
        let failed = |error: hyper::Error| ExchangeError::from_hyper(&error, head_bytes);
        let io = TokioIo::new(link.stream);
        // Either way the connection is driven by a task of its own, which ends with the exchange.
        let (reply, connection) = if link.http2 {
            let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
                .handshake(io)
                .await
                .map_err(failed)?;
            let connection = EndOnDrop(tokio::spawn(connection).abort_handle());
            (
                sender.send_request(request).await.map_err(failed)?,
                connection,
            )
        } else {
            let (mut sender, connection) = http1::Builder::new()
                .max_buf_size(head_bytes)
                .max_headers(HEAD_LINES)
                .handshake(io)
                .await
                .map_err(failed)?;
            let connection = EndOnDrop(tokio::spawn(connection).abort_handle());
            (
                sender.send_request(request).await.map_err(failed)?,
                connection,
            )
        };
        let (parts, body) = reply.into_parts();
        let mut phases = link.phases;
        phases.processing = sent.elapsed();
        Ok(Exchange {
            head: Head {
                status: parts.status.as_u16(),
                version: parts.version,
                headers: Headers::from(&parts.headers),
                address: link.address,
                phases,
                certificate_expiry: link.certificate_expiry,
            },
            body,
            sent,
            body_bytes: self.limits.body_bytes,
            _connection: connection,
        })
    }
}

impl Exchange {
    /// The head of the reply.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The time since the request was sent.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.sent.elapsed()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A TCP connection.
struct Plain {
    stream: TcpStream,
    address: SocketAddr,
    phases: Phases,
}

/// A connection that is ready for a request.
struct Link {
    http2: bool,
    stream: Box<dyn Duplex>,
    address: SocketAddr,
    phases: Phases,
    certificate_expiry: Option<SystemTime>,
}

struct EndOnDrop(AbortHandle);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The alert with which the server ended the handshake.
fn tls_alert(why: &io::Error) -> Option<AlertDescription> {
    match why.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// The first address that answers.
async fn reach(
    host: &str,
    addresses: &[SocketAddr],
) -> Result<(TcpStream, SocketAddr), ExchangeError> {
    let mut last = ExchangeError::Resolve(
        host.to_owned(),
        io::Error::new(io::ErrorKind::NotFound, "it has no address"),
    );
    for &address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok((stream, address)),
            Err(why) => last = ExchangeError::Connect(address, why),
        }
    }
    Err(last)
}

fn request(ask: &Ask, http2: bool) -> Result<Request<Full<Bytes>>, ExchangeError> {
    let url = &ask.url;
    let target = if http2 {
        let mut absolute = url.clone();
        absolute.set_fragment(None);
        absolute.to_string()
    } else {
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    };
    let mut builder = Request::builder().method(ask.method.clone()).uri(target);
    if !http2 && !ask.headers.iter().any(|(name, _)| *name == header::HOST) {
        builder = builder.header(header::HOST, authority(url));
    }
    for (name, value) in &ask.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Full::new(ask.body.clone()))
        .map_err(|why| ExchangeError::Request(why.to_string()))
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
