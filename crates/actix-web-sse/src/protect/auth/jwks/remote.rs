//! One `GET` of a key set: no redirects, a bounded body, https unless it is said otherwise.

use std::{io, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{Request, Response, StatusCode, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use super::source::too_long;

/// A key set at a URL.
pub(super) struct Remote {
    url: Url,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Remote {
    /// # Errors
    /// What is wrong with the URL, or that this machine trusts no certificates.
    pub(super) fn new(text: &str, plain_http: bool) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err("is no URL of a server: https://login.example.com/keys".into()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a name or a password: a key set is public, leave it out".into());
        }
        let tls = match url.scheme() {
            "https" => {
                let name = ServerName::try_from(host.clone())
                    .map_err(|_| "has a host that no certificate can name")?;
                Some((connector()?, name))
            }
            "http" if plain_http || is_loopback(&url) => None,
            "http" => {
                return Err("lets whoever is on the way sign tokens: use https, or set \
                     dangerous_plain_http = true"
                    .into());
            }
            _ => return Err("must begin with https://".into()),
        };
        Ok(Self {
            port: url.port_or_known_default().unwrap_or_default(),
            host,
            tls,
            url,
        })
    }

    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Gets the body of a 200.
    ///
    /// # Errors
    /// What went wrong, in a sentence.
    pub(super) async fn get(&self, limit: usize) -> Result<Bytes, String> {
        let cannot_connect = |error: io::Error| format!("cannot connect: {error}");
        let socket = TcpStream::connect((&*self.host, self.port));
        let socket = socket.await.map_err(cannot_connect)?;
        match &self.tls {
            None => self.ask(socket, limit).await,
            Some((tls, name)) => {
                let socket = tls.connect(name.clone(), socket).await;
                self.ask(socket.map_err(cannot_connect)?, limit).await
            }
        }
    }

    async fn ask<S>(&self, socket: S, limit: usize) -> Result<Bytes, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: hyper::Error| format!("the connection broke: {error}");
        let request = Request::get(&self.url[Position::BeforePath..Position::AfterQuery])
            .header(
                header::HOST,
                &self.url[Position::BeforeHost..Position::AfterPort],
            )
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(broken)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            body(response, limit).await
        };
        // The connection may end before all of it is read.
        let driven = async {
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = exchange => outcome,
            () = driven => Err("the connection broke".to_owned()),
        }
    }
}

async fn body(response: Response<Incoming>, limit: usize) -> Result<Bytes, String> {
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => {
            return Err(format!(
                "it answers {status}: redirects are not followed, write the URL of the set"
            ));
        }
        status => return Err(format!("it answers {status}")),
    }
    let encoding = response.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err("it is compressed, which was not asked for".to_owned());
    }
    let collected = Limited::new(response.into_body(), limit).collect().await;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_long(limit)),
        Err(error) => Err(format!("the connection broke: {error}")),
    }
}

/// Who is trusted is what this machine trusts, with TLS 1.2 or 1.3.
fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "needs the certificates of authorities: install ca-certificates, or set SSL_CERT_FILE"
                .into(),
        );
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w12_keys_come_by_https() {
        for url in [
            "https://login.example.com/realms/x/protocol/openid-connect/certs",
            "https://login.example.com:8443/keys?v=2",
            "https://[2001:db8::1]/keys",
            "http://127.0.0.1:8080/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            let remote = Remote::new(url, false).map(|remote| remote.url().to_owned());
            assert_eq!(remote.as_deref(), Ok(url));
        }
        for url in [
            "",
            "login.example.com/keys",
            "http://login.example.com/keys",
            "http://localhost.example.com/keys",
            "ftp://login.example.com/keys",
            "file:///etc/keys.json",
            "https://user:password@login.example.com/keys",
        ] {
            assert!(Remote::new(url, false).is_err(), "{url}");
        }
        assert!(Remote::new("http://keycloak:8080/keys", true).is_ok());
        assert!(Remote::new("ftp://keycloak/keys", true).is_err());
    }
}
