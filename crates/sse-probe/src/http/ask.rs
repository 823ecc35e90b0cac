//! A request, before it is sent.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper_util::client::proxy::matcher::Intercept;
use url::Url;

use super::{ExchangeError, Protocol};

/// A request to make.
#[derive(Debug, Clone)]
#[non_exhaustive]
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
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self {
            url,
            method: Method::GET,
            headers: Vec::new(),
            body: Bytes::new(),
            protocol: Protocol::Auto,
            anonymous: false,
        }
    }

    /// The same with one more header line.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same with one header line of that name, whatever there was before.
    pub fn replace(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.clone(), value.clone()));
    }
}

/// The request as hyper takes it. It names the whole URL over HTTP/2, and to a proxy that is to forward it.
pub(super) fn request(
    ask: &Ask,
    http2: bool,
    forward: Option<&Intercept>,
) -> Result<Request<Full<Bytes>>, ExchangeError> {
    let url = &ask.url;
    let target = if http2 || forward.is_some() {
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
    if let Some(auth) = forward.and_then(Intercept::basic_auth) {
        builder = builder.header(header::PROXY_AUTHORIZATION, auth);
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
