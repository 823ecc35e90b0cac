//! A request, before it is sent, and the proxy that it goes through.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::{Position, Url};

use super::{ExchangeError, Protocol};
use crate::browser::page::is_this_machine;

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
        Self::new(Method::GET, url)
    }

    /// A request without headers.
    #[must_use]
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
    ) -> Result<Self, ExchangeError> {
        for (name, text) in lines {
            let Some(text) = text.into() else { continue };
            let value = HeaderValue::from_str(text)
                .map_err(|why| ExchangeError::Request(format!("{name}: {why}")))?;
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
    pub(super) fn request(
        &self,
        http2: bool,
        forward: Option<&Intercept>,
    ) -> Result<Request<Full<Bytes>>, ExchangeError> {
        let url = &self.url;
        let target = if http2 || forward.is_some() {
            &url[..Position::AfterQuery]
        } else {
            &url[Position::BeforePath..Position::AfterQuery]
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
        builder
            .body(Full::new(self.body.clone()))
            .map_err(|why| ExchangeError::Request(why.to_string()))
    }
}

/// Which proxy requests go through.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
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
        let any = Uri::from_static("http://proxy.invalid/");
        match matcher.intercept(&any) {
            Some(found) if found.uri().scheme_str() == Some("http") => {
                Ok(Self::Always(Arc::new(matcher)))
            }
            _ => Err(format!(
                "`{url}` is not a proxy that can be used; write http://HOST:PORT, with user:password@ if it wants that"
            )),
        }
    }

    pub(super) fn of(&self, url: &Url) -> Option<Intercept> {
        let uri: Uri = url.as_str().parse().ok()?;
        match self {
            Self::Direct => None,
            Self::Environment if is_this_machine(url) => None,
            Self::Environment => Matcher::from_env().intercept(&uri),
            Self::Always(matcher) => matcher.intercept(&uri),
        }
    }
}
