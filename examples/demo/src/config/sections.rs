use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error};

/// Where and how the demo listens. Section `[server]`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerSection {
    /// Address and port; port 0 takes a free one, which is printed.
    #[serde(deserialize_with = "address")]
    pub(crate) listen: SocketAddr,
    /// Worker threads; absent: one for each core.
    pub(crate) workers: Option<NonZeroUsize>,
    /// Where the page is served once more, at a foreign origin; absent: nowhere.
    #[serde(deserialize_with = "some_address")]
    pub(crate) foreign: Option<SocketAddr>,
    /// How often something is published to the topic `demo`; absent: never.
    #[serde(with = "humantime_serde")]
    pub(crate) tick: Option<Duration>,
    /// Whether anybody may ask for a token (`POST /session`), and, where none is required, cause the
    /// incidents of the page's tour. For the page, and never in earnest.
    pub(crate) sign_in: bool,
    /// The networks of balancers whose connections begin with a PROXY protocol header, which names
    /// the client; empty: there are none.
    pub(crate) proxy_protocol: Vec<String>,
    /// Whether streams take their sockets over from actix, over plaintext HTTP/1.1.
    pub(crate) socket_lane: bool,
    /// The certificate, then HTTP/1.1 and HTTP/2 by ALPN; absent: no TLS.
    pub(crate) tls: Option<Tls>,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            workers: None,
            foreign: None,
            tick: None,
            sign_in: false,
            proxy_protocol: Vec::new(),
            socket_lane: true,
            tls: None,
        }
    }
}

/// A certificate chain and its key, PEM files. `[server] tls`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where the metrics are. Section `[metrics]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MetricsSection {
    /// Their own listener; absent: `/metrics` is mounted in the application.
    #[serde(deserialize_with = "some_address")]
    pub(crate) listen: Option<SocketAddr>,
    /// Who may look at addresses and refused origins, at `/operators` beside the metrics; absent:
    /// nobody.
    pub(crate) operators: Option<Operators>,
}

/// `"token"`, `{ bearer = "a token of 16 bytes or more" }` or `"loopback-without-token"`.
/// `[metrics] operators`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operators {
    /// A token that is made at the start, and printed.
    Token,
    Bearer(String),
    /// Clients on this machine. A proxy on it opens the endpoint to all its clients.
    LoopbackWithoutToken,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "{text:?} is not an address with a port; write it like \"127.0.0.1:8080\" or \"[::1]:8080\""
        ))
    })
}

fn some_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    address(deserializer).map(Some)
}
