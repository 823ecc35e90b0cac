//! One raw exchange: a request on a connection of its own, the head of the reply, and the body as it arrives.
//!
//! Every exchange opens its own connection, so that each answer has passed every hop anew; nothing is decompressed,
//! cached, retried or redirected on the way.

mod connect;
mod recording;
mod tls;

use std::{error, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use clap::ValueEnum;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use humantime::format_duration;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use serde::Deserialize;
use thiserror::Error;
use url::{Position, Url};

pub(crate) use self::{
    connect::bare,
    recording::{YEAR, opens},
    tls::pem_certificates,
};
pub use self::{
    connect::{Dialer, Exchange},
    recording::{End, Recording},
    tls::{Certificates, Identity, Tls, Trust},
};
use crate::browser::{Headers, event_source::is_event_stream, page::is_this_machine};

/// Which version of HTTP to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// As a browser: HTTP/2 where TLS offers it, HTTP/1.1 otherwise.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    #[value(name = "1.1")]
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 only: by ALPN on https, by prior knowledge on http.
    #[value(name = "2")]
    #[serde(rename = "2")]
    Http2,
}

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum IpVersion {
    /// IPv4
    Ip4,
    /// IPv6
    Ip6,
}

/// What bounds an exchange.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// For resolving and connecting, and again for the TLS handshake. 10 s by default.
    pub connect: Duration,
    /// From the request to the head of the reply. 10 s by default.
    pub head: Duration,
    /// The largest head that is read. 256 KiB by default, as in Chromium.
    pub head_bytes: usize,
    /// How much of a body is read before the exchange is ended. 32 MiB by default.
    pub body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_secs(10),
            head_bytes: 256 * 1024,
            body_bytes: 32 * 1024 * 1024,
        }
    }
}

/// A request to make.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Where.
    pub url: Url,
    /// GET, if nothing else is said.
    pub method: Method,
    /// All headers but `Host`, which follows from the URL unless it is given here.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; mostly empty.
    pub body: Bytes,
    /// The version of HTTP.
    pub protocol: Protocol,
    /// Whether TLS keeps back who the client is.
    pub anonymous: bool,
}

impl Ask {
    /// A GET without headers.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// A request without headers.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            url,
            method,
            headers: Vec::new(),
            body: Bytes::new(),
            protocol: Protocol::Auto,
            anonymous: false,
        }
    }

    /// The same with header lines from texts; one without a text is left out.
    ///
    /// # Errors
    ///
    /// A text holds what no header can carry.
    pub fn headers<'a>(
        mut self,
        lines: impl IntoIterator<Item = (HeaderName, impl Into<Option<&'a str>>)>,
    ) -> Result<Self, AttemptError> {
        for (name, text) in lines {
            let Some(text) = text.into() else { continue };
            let wrong = |why| AttemptError::Request(format!("{name}: {why}"));
            let value = HeaderValue::from_str(text).map_err(wrong)?;
            self.headers.push((name, value));
        }
        Ok(self)
    }

    /// The same with one header line of that name, whatever there was before.
    pub fn replace(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.clone(), value.clone()));
    }

    /// The request as hyper takes it. It names the whole URL over HTTP/2, and to a proxy that is to forward it.
    fn request(
        &self,
        http2: bool,
        forward: Option<&Intercept>,
    ) -> Result<Request<Full<Bytes>>, AttemptError> {
        let url = &self.url;
        let target = match http2 || forward.is_some() {
            true => &url[..Position::AfterQuery],
            false => &url[Position::BeforePath..Position::AfterQuery],
        };
        let mut builder = Request::builder().method(&self.method).uri(target);
        if !http2 && !self.headers.iter().any(|(name, _)| *name == header::HOST) {
            let authority = &url[Position::BeforeHost..Position::AfterPort];
            builder = builder.header(header::HOST, authority);
        }
        if let Some(auth) = forward.and_then(Intercept::basic_auth) {
            builder = builder.header(header::PROXY_AUTHORIZATION, auth);
        }
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        let request = builder.body(Full::new(self.body.clone()));
        request.map_err(|why| AttemptError::Request(why.to_string()))
    }
}

/// Which proxy requests go through.
#[derive(Debug, Clone, Default)]
pub enum Proxy {
    /// None.
    Direct,
    /// The one that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name. Requests to this machine go direct.
    #[default]
    Environment,
    /// This one, always.
    Always(Arc<Matcher>),
}

impl Proxy {
    /// Through this proxy, always.
    ///
    /// # Errors
    ///
    /// It is not the URL of an http proxy.
    pub fn always(url: &str) -> Result<Self, String> {
        let matcher = Matcher::builder().all(url.to_owned()).build();
        let found = matcher.intercept(&Uri::from_static("http://proxy.invalid/"));
        if found.is_some_and(|found| found.uri().scheme_str() == Some("http")) {
            return Ok(Self::Always(Arc::new(matcher)));
        }
        let write = "write http://HOST:PORT, with user:password@ if it wants that";
        Err(format!("`{url}` is not a proxy that can be used; {write}"))
    }

    fn of(&self, url: &Url) -> Result<Option<Intercept>, AttemptError> {
        let Ok(uri) = url.as_str().parse::<Uri>() else {
            return Ok(None);
        };
        let found = match self {
            Self::Direct => None,
            Self::Environment if is_this_machine(url) => None,
            Self::Environment => Matcher::from_env().intercept(&uri),
            Self::Always(matcher) => matcher.intercept(&uri),
        };
        let scheme = found.as_ref().and_then(|found| found.uri().scheme_str());
        match scheme.filter(|scheme| *scheme != "http") {
            None => Ok(found),
            Some(other) => Err(AttemptError::Proxy(format!(
                "the environment names one of the scheme `{other}`, and only http proxies can be used"
            ))),
        }
    }
}

/// The head of a reply, and what was seen before it.
#[derive(Debug, Clone)]
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
    pub fn redirects(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308)
    }

    /// Whether it is the head of an event stream.
    pub fn is_stream(&self) -> bool {
        self.status == 200 && is_event_stream(&self.headers)
    }

    /// Whether the body is compressed.
    pub fn is_compressed(&self) -> bool {
        let codings = self.headers.tokens("content-encoding");
        codings.iter().any(|c| c != "identity")
    }

    /// `1.0`, `1.1` or `2`.
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

/// Why there was no reply that can be judged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// The name has no address.
    #[error("`{0}` cannot be resolved: {1}")]
    Resolve(String, #[source] io::Error),
    /// Nobody listens.
    #[error("{0} refuses the connection: nothing listens there")]
    Refused(SocketAddr),
    /// The network does not go there.
    #[error("no connection to {0}: {1}")]
    Connect(SocketAddr, #[source] io::Error),
    /// The TLS handshake failed; an expired or untrusted certificate is reported here.
    #[error("TLS with `{0}` failed: {1}")]
    Tls(String, #[source] io::Error),
    /// The server does not speak HTTP/2, which was asked for.
    #[error("the server does not speak HTTP/2")]
    NoHttp2,
    /// The head has more bytes or lines than any client reads.
    #[error("the head of the reply goes on beyond {} KiB or {} lines", .0 / 1024, connect::HEAD_LINES)]
    HeadTooLarge(usize),
    /// What came back is not HTTP.
    #[error("the reply is not HTTP: {0}")]
    Protocol(String),
    /// No connection came about in time.
    #[error("no connection within {}", format_duration(*.0))]
    ConnectTimeout(Duration),
    /// The TLS handshake did not end in time.
    #[error("no TLS handshake within {}; does the server speak TLS on this port?", format_duration(*.0))]
    TlsTimeout(Duration),
    /// The head of the reply did not come in time.
    #[error("no reply within {}; a server that waits for the first event before it sends the head does this", format_duration(*.0))]
    HeadTimeout(Duration),
    /// The connection was closed before a reply.
    #[error("the connection was closed before a reply")]
    Closed,
    /// The proxy did not connect.
    #[error("the proxy did not connect: {0}")]
    Proxy(String),
    /// The operating system failed.
    #[error("{0}")]
    Io(io::Error),
    /// The request itself cannot be made, for instance because a header value holds a line break.
    #[error("the request cannot be made: {0}")]
    Request(String),
    /// No ticket to make the request with.
    #[error("{0}")]
    Ticket(String),
    /// The server answered again and again that it is full: the status.
    #[error("the server answers that it is full (status {0}), also when asked again")]
    Full(u16),
    /// Not even the head of the stream came within this time, although other requests are answered at once: something
    /// holds the reply back until it ends, or the application waits for the first event.
    #[error(
        "other requests are answered at once, but not even the head of the stream came within {}: a proxy holds the \
         reply back until it ends, or the application waits for the first event; for nginx `proxy_buffering off;`, for \
         Caddy `flush_interval -1`, for Varnish `set beresp.do_stream = true;`",
        format_duration(*.0)
    )]
    HeldBack(Duration),
    /// The time for the whole probe was up.
    #[error("the time for the probe was up; give it more")]
    OutOfTime,
}

impl AttemptError {
    /// The error as a label, from a closed list.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Resolve(..) => "dns",
            Self::Refused(_) | Self::Connect(..) => "connect",
            Self::Io(_) | Self::ConnectTimeout(_) => "connect",
            Self::Proxy(_) => "proxy",
            Self::Tls(..) | Self::NoHttp2 | Self::TlsTimeout(_) => "tls",
            Self::HeadTooLarge(_) | Self::Protocol(_) => "protocol",
            Self::HeadTimeout(_) | Self::OutOfTime => "timeout",
            Self::Closed => "closed",
            Self::Request(_) => "request",
            Self::Ticket(_) => "ticket",
            Self::Full(_) => "full",
            Self::HeldBack(_) => "held_back",
        }
    }

    /// Whether it says nothing about the server but that it was full, or there was no time.
    pub(crate) fn is_inconclusive(&self) -> bool {
        matches!(self, Self::Full(_) | Self::OutOfTime)
    }

    /// What hyper says, in the words of this crate.
    fn from_hyper(error: &hyper::Error, head_bytes: usize) -> Self {
        let text = with_causes(error);
        if error.is_parse_too_large() || text.contains("header list size") {
            Self::HeadTooLarge(head_bytes)
        } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            Self::Closed
        } else {
            Self::Protocol(text)
        }
    }
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
