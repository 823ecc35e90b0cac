//! From a request to the head of its reply.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, dns::Name, proxy::Tunnel},
        proxy::matcher::Intercept,
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{AlertDescription, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::Url;

use super::{
    Ask, AttemptError, Certificates, Head, IpVersion, Limits, Phases, Protocol, Proxy, Tls,
    tls::certificates, with_causes,
};
use crate::browser::Headers;

/// Head lines that are read. Browsers count bytes only, and these are more lines than any server sends.
pub(super) const HEAD_LINES: usize = 4000;

/// What the connector's own time-out leaves to name the address that failed.
const GRACE: Duration = Duration::from_millis(250);

/// Makes exchanges.
#[derive(Debug, Clone, Default)]
pub struct Dialer {
    /// What bounds each exchange.
    pub limits: Limits,
    /// How TLS is spoken. It is shared by all who clone this.
    pub tls: Arc<Tls>,
    /// What requests go through.
    pub proxy: Proxy,
    /// The version of IP that is tried first, and whether the other one is tried as well. By default addresses are tried as
    /// the name service orders them, the other version 300 ms later, as browsers do (RFC 8305).
    pub preferred: Option<(IpVersion, bool)>,
    /// TLS asks for, and verifies, the certificate of this name instead of the URL's host.
    pub sni: Option<String>,
    pinned: HashMap<(String, u16), Vec<SocketAddr>>,
}

/// An exchange whose head is known and whose body still arrives. The connection ends when this is dropped.
#[derive(Debug)]
pub struct Exchange {
    /// The head of the reply.
    pub head: Head,
    pub(super) body: Incoming,
    pub(super) sent: Instant,
    /// For how long this process did not run while it waited for the body.
    pub(super) stood_still: Duration,
    pub(super) body_bytes: u64,
    _connection: JoinSet<Result<(), hyper::Error>>,
}

impl Dialer {
    /// Connections to `host` and `port` go to `address`, whatever the name service says. Several addresses of one host are
    /// raced as those of a name are; they share the port of the first.
    pub fn pin(&mut self, host: &str, port: u16, address: SocketAddr) {
        let key = (host.to_ascii_lowercase(), port);
        let list = self.pinned.entry(key).or_default();
        if !list.contains(&address) {
            list.push(address);
        }
    }

    /// Connects, asks, and waits for the head of the reply.
    ///
    /// # Errors
    ///
    /// Whatever keeps a reply from coming.
    pub async fn open(&self, ask: &Ask) -> Result<Exchange, AttemptError> {
        let Limits { connect, head, .. } = self.limits;
        let (tcp, mut link) = timeout(connect + GRACE, self.connect(&ask.url))
            .await
            .map_err(|_| AttemptError::ConnectTimeout(connect))??;
        let stream = timeout(connect, self.encrypt(tcp, &mut link, ask))
            .await
            .map_err(|_| AttemptError::TlsTimeout(connect))??;
        timeout(head, self.ask(stream, link, ask, Instant::now()))
            .await
            .map_err(|_| AttemptError::HeadTimeout(head))?
    }

    /// The TCP connection, through a proxy if there is one.
    async fn connect(&self, url: &Url) -> Result<(TcpStream, Link), AttemptError> {
        let no_host = || AttemptError::Request("the URL has no host".to_owned());
        let port = url.port_or_known_default().unwrap_or(80);
        let own = (url.host_str().ok_or_else(no_host)?, port);
        let proxy = self.proxy.of(url)?;
        let (host, port) = proxy.as_ref().map_or(own, |proxy| {
            let port = proxy.uri().port_u16().unwrap_or(80);
            (proxy.uri().host().unwrap_or_default(), port)
        });
        let mut phases = Phases::default();
        let begin = Instant::now();
        let at_proxy = |why: String| AttemptError::Proxy(format!("{host}:{port}: {why}"));
        let addresses = self.addresses(host, port).await;
        let addresses = addresses.map_err(|why| match &proxy {
            Some(_) => AttemptError::Proxy(why.to_string()),
            None => why,
        })?;
        phases.resolve = begin.elapsed();

        let begin = Instant::now();
        // The connector gives each address its share of the time, and races the two families.
        let first = addresses.first().copied();
        let to_port = first.map_or(port, |address| address.port());
        let mut connector = HttpConnector::new_with_resolver(Known(addresses));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(self.limits.connect));
        let uri = |scheme: &str, (host, port): (&str, u16)| {
            let text = format!("{scheme}://{host}:{port}/");
            let uri = text.parse::<Uri>();
            uri.map_err(|why| AttemptError::Request(format!("{text}: {why}")))
        };
        let to = uri("http", (host, to_port))?;
        let (stream, forward) = match &proxy {
            Some(proxy) if url.scheme() == "https" => {
                let mut tunnel = Tunnel::new(to, connector);
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                let stream = tunnel.call(uri("https", own)?).await;
                let stream = stream.map_err(|why| at_proxy(with_causes(&why)))?;
                (stream.into_inner(), None)
            }
            _ => {
                use AttemptError::{Connect, ConnectTimeout, Refused, Resolve};
                let failed = |io: io::Error| match (first, io.kind()) {
                    _ if proxy.is_some() => at_proxy(io.to_string()),
                    (Some(_), io::ErrorKind::TimedOut) => ConnectTimeout(self.limits.connect),
                    (Some(address), io::ErrorKind::ConnectionRefused) => Refused(address),
                    (Some(address), _) => Connect(address, io),
                    (None, _) => Resolve(host.to_owned(), io),
                };
                let stream = connector.call(to).await;
                let stream = stream.map_err(|why| failed(io_error(&why)))?;
                (stream.into_inner(), proxy.clone())
            }
        };
        phases.connect = begin.elapsed();
        // Ends with a reset. A server that keeps half-closed connections (actix by default) would otherwise count each
        // finished exchange as an open stream until its second heartbeat, and the next one would meet its limits.
        stream.set_zero_linger().ok();
        let link = Link {
            address: stream.peer_addr().map_err(AttemptError::Io)?,
            phases,
            forward,
            http2: false,
            tls_version: None,
            certificates: None,
        };
        Ok((stream, link))
    }

    /// TLS over it, if the URL wants that.
    async fn encrypt(
        &self,
        stream: TcpStream,
        link: &mut Link,
        ask: &Ask,
    ) -> Result<Box<dyn Duplex>, AttemptError> {
        if ask.url.scheme() != "https" {
            link.http2 = ask.protocol == Protocol::Http2;
            return Ok(Box::new(stream));
        }
        let host = self.sni.as_deref().or(ask.url.host_str());
        let host = host.unwrap_or_default();
        let failed = |why: io::Error| AttemptError::Tls(host.to_owned(), why);
        let config = self.tls.client(ask.protocol, ask.anonymous);
        let config = config.map_err(|why| failed(io::Error::other(why)))?;
        let name = ServerName::try_from(bare(host).to_owned());
        let name = name.map_err(|why| failed(io::Error::other(why)))?;
        let begin = Instant::now();
        let stream = TlsConnector::from(config).connect(name, stream).await;
        let stream = stream.map_err(|why| match tls_alert(&why) {
            Some(AlertDescription::NoApplicationProtocol) => AttemptError::NoHttp2,
            _ => failed(why),
        })?;
        link.phases.tls = begin.elapsed();
        let (_, session) = stream.get_ref();
        link.http2 = session.alpn_protocol() == Some(b"h2");
        if ask.protocol == Protocol::Http2 && !link.http2 {
            return Err(AttemptError::NoHttp2);
        }
        link.forward = None;
        link.tls_version = Some(match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS 1.2",
        });
        link.certificates = certificates(session.peer_certificates().unwrap_or_default());
        Ok(Box::new(stream))
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, AttemptError> {
        if let Some(list) = self.pinned.get(&(host.to_ascii_lowercase(), port)) {
            return Ok(list.clone());
        }
        let failed = |why| AttemptError::Resolve(host.to_owned(), why);
        let found = lookup_host((bare(host), port)).await.map_err(failed)?;
        let mut list: Vec<SocketAddr> = found.collect();
        if let Some((version, fallback)) = self.preferred {
            let preferred = |a: &SocketAddr| a.is_ipv4() == (version == IpVersion::Ip4);
            list.sort_by_key(|address| !preferred(address));
            list.retain(|address| fallback || preferred(address));
        }
        if list.is_empty() {
            let why = "it has no address of the family that is asked for";
            return Err(failed(io::Error::new(io::ErrorKind::NotFound, why)));
        }
        Ok(list)
    }

    async fn ask(
        &self,
        io: Box<dyn Duplex>,
        mut link: Link,
        ask: &Ask,
        sent: Instant,
    ) -> Result<Exchange, AttemptError> {
        let request = ask.request(link.http2, link.forward.as_ref())?;
        let head_bytes = self.limits.head_bytes;
        let failed = |error: hyper::Error| AttemptError::from_hyper(&error, head_bytes);
        let io = TokioIo::new(io);
        // Either way the connection is driven by a task of its own, which ends with the exchange.
        let mut driver = JoinSet::new();
        let reply = if link.http2 {
            let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
                .handshake(io)
                .await
                .map_err(failed)?;
            driver.spawn(connection);
            sender.send_request(request).await
        } else {
            // Browsers read heads that the standard forbids, so these are read as well.
            let (mut sender, connection) = http1::Builder::new()
                .max_buf_size(head_bytes)
                .max_headers(HEAD_LINES)
                .allow_obsolete_multiline_headers_in_responses(true)
                .allow_spaces_after_header_name_in_responses(true)
                .ignore_invalid_headers_in_responses(true)
                .handshake(io)
                .await
                .map_err(failed)?;
            driver.spawn(connection);
            sender.send_request(request).await
        };
        let (parts, body) = reply.map_err(failed)?.into_parts();
        // What was read at once may have gone beyond the limit.
        let bytes = parts
            .headers
            .iter()
            .map(|(n, v)| n.as_str().len() + v.len() + 4);
        if bytes.sum::<usize>() > head_bytes {
            return Err(AttemptError::HeadTooLarge(head_bytes));
        }
        link.phases.processing = sent.elapsed();
        Ok(Exchange {
            head: Head {
                status: parts.status.as_u16(),
                version: parts.version,
                headers: Headers::from(&parts.headers),
                address: link.address,
                phases: link.phases,
                tls_version: link.tls_version,
                certificates: link.certificates,
            },
            body,
            sent,
            stood_still: Duration::ZERO,
            body_bytes: self.limits.body_bytes,
            _connection: driver,
        })
    }
}

impl Exchange {
    /// The time since the request was sent. That in which this process did not run, on a machine that is busy, is left out:
    /// what came meanwhile was not late, and did not come at one moment.
    pub fn age(&self) -> Duration {
        self.sent.elapsed().saturating_sub(self.stood_still)
    }
}

/// A resolver that knows the answer.
#[derive(Debug, Clone)]
struct Known(Vec<SocketAddr>);

impl Service<Name> for Known {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        std::future::ready(Ok(self.0.clone().into_iter()))
    }
}

/// A host without the brackets of IPv6.
pub(crate) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// What is known of a connection, which is over TCP alone at first.
struct Link {
    address: SocketAddr,
    phases: Phases,
    /// The proxy that is asked to forward the request.
    forward: Option<Intercept>,
    http2: bool,
    tls_version: Option<&'static str>,
    certificates: Option<Certificates>,
}

/// The alert with which the server ended the handshake.
fn tls_alert(why: &io::Error) -> Option<AlertDescription> {
    match why.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// The operating system's error below a connector's.
fn io_error(why: &(dyn std::error::Error + 'static)) -> io::Error {
    let mut cause = Some(why);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io::Error::new(io.kind(), io.to_string());
        }
        cause = error.source();
    }
    io::Error::other(why.to_string())
}
