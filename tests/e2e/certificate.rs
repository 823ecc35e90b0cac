//! A certificate that nobody signed, for servers on loopback.

use std::{fs, path::PathBuf, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;

/// The browsers under test accept it.
pub(crate) struct Certificate {
    pair: CertifiedKey<rcgen::KeyPair>,
    folder: TempDir,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let pair = generate_simple_self_signed(names).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cert.pem"), pair.cert.pem()).unwrap();
        fs::write(
            folder.path().join("key.pem"),
            pair.signing_key.serialize_pem(),
        )
        .unwrap();
        Self { pair, folder }
    }

    /// The files: certificate and key.
    pub(crate) fn files(&self) -> (PathBuf, PathBuf) {
        (
            self.folder.path().join("cert.pem"),
            self.folder.path().join("key.pem"),
        )
    }

    pub(crate) fn server_config(&self) -> ServerConfig {
        let key = PrivatePkcs8KeyDer::from(self.pair.signing_key.serialize_der());
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.pair.cert.der().clone()], PrivateKeyDer::from(key))
            .unwrap()
    }
}
