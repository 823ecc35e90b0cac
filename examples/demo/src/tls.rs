//! The certificate of `[server] tls`, for HTTP/1.1 and HTTP/2 by ALPN.

use std::path::Path;

use rustls::{
    ServerConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

use crate::config::Tls;

/// Reads both files.
///
/// # Errors
/// One line that names the key and the file.
pub(crate) fn server_config(tls: &Tls) -> Result<ServerConfig, String> {
    let chain = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| describe("server.tls.cert", &tls.cert, &error))?;
    if chain.is_empty() {
        return Err(describe(
            "server.tls.cert",
            &tls.cert,
            &pem::Error::NoItemsFound,
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| describe("server.tls.key", &tls.key, &error))?;
    // The provider is named: with several in the build, rustls would not choose by itself.
    let provider = rustls::crypto::ring::default_provider();
    ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| {
            format!("server.tls: {error}; the key must be the one that the certificate is for")
        })
}

fn describe(key: &str, file: &Path, error: &pem::Error) -> String {
    let why = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is none in it; it must be a PEM file".to_owned(),
        other => format!("{other:?}; it must be a PEM file"),
    };
    format!("{key}: cannot read {}: {why}", file.display())
}
