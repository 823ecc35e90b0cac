//! Certificates: what is read of their settings.

use redis::ConnectionInfo;
#[cfg(feature = "rustls")]
use redis::{Client, ConnectionAddr};

use crate::{config::RedisTls, error::StartError};

/// How the settings are named in messages.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(feature = "rustls"),
    allow(dead_code, reason = "only certificates have names")
)]
pub(crate) struct Names {
    section: &'static str,
    ca: &'static str,
    certificate: &'static str,
    key: &'static str,
}

/// Those for Redis.
pub(crate) const OF_REDIS: Names = Names {
    section: "tls",
    ca: "tls.ca",
    certificate: "tls.certificate",
    key: "tls.key",
};

/// Those for Sentinels.
pub(crate) const OF_SENTINELS: Names = Names {
    section: "sentinel.tls",
    ca: "sentinel.tls.ca",
    certificate: "sentinel.tls.certificate",
    key: "sentinel.tls.key",
};

impl RedisTls {
    /// Adds the certificates to an address.
    #[cfg(feature = "rustls")]
    pub(crate) fn apply(
        &self,
        info: ConnectionInfo,
        names: Names,
    ) -> Result<ConnectionInfo, StartError> {
        let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        // The client uses rustls's default provider, which only the application can choose. Where it has
        // not, and several are compiled in, rustls panics.
        if is_tls && std::panic::catch_unwind(rustls::ClientConfig::builder).is_err() {
            let why =
                "no default provider of rustls: call CryptoProvider::install_default() in main()";
            return Err(wrong(names.section, why.to_owned()));
        }
        let Some(certificates) = self.read(names)? else {
            return Ok(info);
        };
        if !is_tls {
            return Err(wrong(names.section, "needs a rediss:// URL".to_owned()));
        }
        Client::build_with_tls(info, certificates)
            .map(|client| client.get_connection_info().clone())
            .map_err(|error| wrong(names.section, error.to_string()))
    }

    /// The certificates, if there are any.
    #[cfg(feature = "rustls")]
    pub(crate) fn read(&self, names: Names) -> Result<Option<redis::TlsCertificates>, StartError> {
        if *self == Self::default() {
            return Ok(None);
        }
        let client_tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(redis::ClientTlsConfig {
                client_cert: read(names.certificate, certificate, "CERTIFICATE-----")?,
                client_key: read(names.key, key, "PRIVATE KEY-----")?,
            }),
            (None, None) => None,
            (Some(_), None) => return Err(wrong(names.key, "is missing".to_owned())),
            (None, Some(_)) => return Err(wrong(names.certificate, "is missing".to_owned())),
        };
        let ca = self.ca.as_ref();
        Ok(Some(redis::TlsCertificates {
            client_tls,
            root_cert: ca
                .map(|ca| read(names.ca, ca, "CERTIFICATE-----"))
                .transpose()?,
        }))
    }

    /// Without the feature `rustls`, certificates are an error.
    #[cfg(not(feature = "rustls"))]
    pub(crate) fn apply(
        &self,
        info: ConnectionInfo,
        names: Names,
    ) -> Result<ConnectionInfo, StartError> {
        match *self == Self::default() {
            true => Ok(info),
            false => Err(wrong(
                names.section,
                "needs a feature of the crate: rustls".to_owned(),
            )),
        }
    }
}

/// A setting that is wrong.
pub(crate) fn wrong(key: &'static str, why: String) -> StartError {
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
