//! Which way a connection takes: the version of IP, and a proxy.

use std::{net::IpAddr, sync::Arc};

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::Url;

/// Which addresses of a name are tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Family {
    /// As the name service orders them. The other family is tried 300 ms later, as browsers do (RFC 8305).
    #[default]
    Any,
    /// IPv4 first; nothing else unless `fallback`.
    V4 {
        /// Whether IPv6 is tried as well.
        fallback: bool,
    },
    /// IPv6 first; nothing else unless `fallback`.
    V6 {
        /// Whether IPv4 is tried as well.
        fallback: bool,
    },
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

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
