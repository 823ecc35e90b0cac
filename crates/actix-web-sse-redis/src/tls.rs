//! TLS: the trusted authorities and the client certificate.

use std::path::PathBuf;

use redis::ConnectionInfo;
use serde::Deserialize;

use crate::error::StartError;

/// Certificates for `rediss://`. Section `[backplane.tls]`; all files are PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisTls {
    /// The authorities that are trusted to sign Redis's certificate. Default: those of the operating
    /// system.
    pub ca: Option<PathBuf>,
    /// The client certificate with its chain, for a Redis that asks for one. Default: none.
    pub certificate: Option<PathBuf>,
    /// The key of that certificate.
    pub key: Option<PathBuf>,
}

impl RedisTls {
    /// Adds the certificates to an address.
    #[cfg(feature = "rustls")]
    pub(crate) fn apply(&self, info: ConnectionInfo) -> Result<ConnectionInfo, StartError> {
        use redis::{Client, ClientTlsConfig, ConnectionAddr, TlsCertificates};

        let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        if is_tls {
            // The client uses rustls's default provider, and there is none if several are compiled
            // in. If the application has installed one, this changes nothing.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        if *self == Self::default() {
            return Ok(info);
        }
        if !is_tls {
            return Err(wrong("tls", "needs a rediss:// URL".to_owned()));
        }
        let client_tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(ClientTlsConfig {
                client_cert: read("tls.certificate", certificate, "CERTIFICATE-----")?,
                client_key: read("tls.key", key, "PRIVATE KEY-----")?,
            }),
            (None, None) => None,
            (Some(_), None) => return Err(wrong("tls.key", "is missing".to_owned())),
            (None, Some(_)) => return Err(wrong("tls.certificate", "is missing".to_owned())),
        };
        let ca = self.ca.as_ref();
        let certificates = TlsCertificates {
            client_tls,
            root_cert: ca
                .map(|ca| read("tls.ca", ca, "CERTIFICATE-----"))
                .transpose()?,
        };
        Client::build_with_tls(info, certificates)
            .map(|client| client.get_connection_info().clone())
            .map_err(|error| wrong("tls", error.to_string()))
    }

    /// Without the feature `rustls`, certificates are an error.
    #[cfg(not(feature = "rustls"))]
    pub(crate) fn apply(&self, info: ConnectionInfo) -> Result<ConnectionInfo, StartError> {
        match *self == Self::default() {
            true => Ok(info),
            false => Err(wrong(
                "tls",
                "needs a feature of the crate: rustls".to_owned(),
            )),
        }
    }
}

fn wrong(key: &'static str, why: String) -> StartError {
    StartError::Setting { key, why }
}

/// Reads a PEM file. An empty file is an error here, because every connection would fail with it.
#[cfg(feature = "rustls")]
fn read(key: &'static str, path: &std::path::Path, holds: &str) -> Result<Vec<u8>, StartError> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|why| wrong(key, format!("{name}: {why}")))?;
    match text.contains(holds) {
        true => Ok(text.into_bytes()),
        false => Err(wrong(
            key,
            format!("{name}: contains no \"{holds}\"; it must be a PEM file"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    #[test]
    fn certificates_without_tls_are_an_error() {
        let tls = RedisTls {
            ca: Some("ca.pem".into()),
            ..RedisTls::default()
        };
        let info = "redis://a".into_connection_info().unwrap();
        let message = tls.apply(info).unwrap_err().to_string();
        assert!(message.starts_with("backplane.tls: "), "{message}");
    }

    #[test]
    #[cfg(feature = "rustls")]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        let missing = folder.path().join("missing.pem");
        let refused = |tls: RedisTls| {
            let info = "rediss://a".into_connection_info().unwrap();
            tls.apply(info).unwrap_err().to_string()
        };
        for file in [empty, missing] {
            let message = refused(RedisTls {
                ca: Some(file.clone()),
                ..RedisTls::default()
            });
            let named = format!("backplane.tls.ca: {}", file.display());
            assert!(message.starts_with(&named), "{message}");
        }
        let message = refused(RedisTls {
            key: Some("key.pem".into()),
            ..RedisTls::default()
        });
        assert_eq!(message, "backplane.tls.certificate: is missing");
    }
}
