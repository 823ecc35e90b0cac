//! Which certificates are believed, and what the presented ones say.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use x509_cert::{Certificate, der::Decode};

use super::Protocol;

/// Whose certificates are believed.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Trust {
    /// The machine's own store (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured).
    #[default]
    System,
    /// The machine's store, and these as well, in DER.
    Also(Vec<Vec<u8>>),
    /// Anybody's. For tests against self-made certificates only.
    Anything,
}

impl Trust {
    /// The machine's store and the certificates of a PEM file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds no certificate.
    pub fn also_file(path: &Path) -> io::Result<Self> {
        let text = fs::read(path)?;
        let list: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .filter_map(Result::ok)
            .map(|der| der.to_vec())
            .collect();
        if list.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "no certificate in PEM form in it",
            ));
        }
        Ok(Self::Also(list))
    }

    /// A client configuration that offers what `protocol` asks for.
    pub(super) fn client(&self, protocol: Protocol) -> Result<Arc<ClientConfig>, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let mut config = match self {
            Self::Anything => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Believer(provider)))
                .with_no_client_auth(),
            Self::System => builder
                .with_root_certificates(system_roots())
                .with_no_client_auth(),
            Self::Also(more) => {
                let mut roots = system_roots();
                for der in more {
                    roots.add(CertificateDer::from(der.clone()))?;
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        config.alpn_protocols = match protocol {
            Protocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        Ok(Arc::new(config))
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // A store with some unreadable certificates still serves; an empty one makes the handshake say so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// The earliest end of validity in a chain.
pub(super) fn earliest_expiry(chain: &[CertificateDer<'_>]) -> Option<SystemTime> {
    chain
        .iter()
        .filter_map(|der| Certificate::from_der(der).ok())
        .filter_map(|certificate| {
            let end: Duration = certificate
                .tbs_certificate()
                .validity()
                .not_after
                .to_unix_duration();
            SystemTime::UNIX_EPOCH.checked_add(end)
        })
        .min()
}

/// Believes every certificate, but still checks that the other side holds its key.
#[derive(Debug)]
struct Believer(Arc<CryptoProvider>);

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
