//! Which certificates are trusted, which one is sent, and what the presented ones say.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use x509_cert::{Certificate, der::Decode};

use super::Protocol;

/// Whose certificates are trusted.
#[derive(Debug, Clone, Default)]
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
        let list = pem_certificates(path)?;
        Ok(Self::Also(list.iter().map(|der| der.to_vec()).collect()))
    }
}

/// Who the client is, in TLS.
#[derive(Debug, Clone)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// From a PEM file with the certificate chain and one with the key; they may be one file.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or does not hold what it should.
    pub fn from_files(certificate: &Path, key: &Path) -> io::Result<Self> {
        let chain = pem_certificates(certificate)?;
        let text = read(key)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| no_pem(key, "key"));
        let key = Arc::new(key?);
        Ok(Self { chain, key })
    }

    /// The certificates, the server's or client's own first, and the key.
    pub(crate) fn into_parts(self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain, self.key.clone_key())
    }
}

/// The certificates of a PEM file; at least one. Errors name the file.
pub(crate) fn pem_certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = read(path)?;
    let list = CertificateDer::pem_slice_iter(&text).flatten();
    let list: Vec<_> = list.collect();
    if list.is_empty() {
        return Err(no_pem(path, "certificate"));
    }
    Ok(list)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let named = |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", path.display()));
    fs::read(path).map_err(named)
}

fn no_pem(path: &Path, what: &str) -> io::Error {
    let why = format!("{}: no {what} in PEM form in it", path.display());
    io::Error::new(io::ErrorKind::InvalidData, why)
}

type Made = OnceLock<Result<ClientConfig, String>>;

/// How TLS is spoken. The configuration is made once, at the first use.
#[derive(Debug, Default)]
pub struct Tls {
    trust: Trust,
    /// Who the client is. Requests without credentials do not say it.
    pub identity: Option<Identity>,
    named: Made,
    anonymous: Made,
}

impl From<Trust> for Tls {
    fn from(trust: Trust) -> Self {
        Self {
            trust,
            ..Self::default()
        }
    }
}

impl Tls {
    /// A client configuration that offers what `protocol` asks for.
    pub(super) fn client(
        &self,
        protocol: Protocol,
        anonymous: bool,
    ) -> Result<Arc<ClientConfig>, String> {
        let identity = self.identity.as_ref().filter(|_| !anonymous);
        let made = match identity {
            Some(_) => &self.named,
            None => &self.anonymous,
        };
        let configured = || configure(&self.trust, identity).map_err(|why| why.to_string());
        let mut config = made.get_or_init(configured).clone()?;
        config.alpn_protocols = match protocol {
            Protocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        Ok(Arc::new(config))
    }
}

fn configure(trust: &Trust, identity: Option<&Identity>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match trust {
        Trust::Anything => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider))),
        Trust::System => builder.with_root_certificates(system_roots()),
        Trust::Also(more) => {
            let mut roots = system_roots();
            for der in more {
                roots.add(CertificateDer::from(der.clone()))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    let mut config = match identity {
        Some(Identity { chain, key }) => {
            builder.with_client_auth_cert(chain.clone(), key.clone_key())?
        }
        None => builder.with_no_client_auth(),
    };
    // A resumed session shows the certificate of an earlier handshake, not the one that is served now.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // A store with some unreadable certificates still serves; an empty one makes the handshake say so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// When the presented certificates expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificates {
    /// The first of all that were presented.
    pub earliest_expiry: SystemTime,
    /// The first of those that lead from the server's own to its issuers; what else was sent does not count.
    pub chain_expiry: SystemTime,
}

/// What the presented certificates say.
pub(super) fn certificates(presented: &[CertificateDer<'_>]) -> Option<Certificates> {
    let read = presented.iter().flat_map(|der| Certificate::from_der(der));
    let read: Vec<Certificate> = read.collect();
    let expiry = |certificate: &Certificate| {
        let end = certificate.tbs_certificate().validity().not_after;
        let end = SystemTime::UNIX_EPOCH.checked_add(end.to_unix_duration());
        end.unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let mut leading = read.first()?;
    let mut chain_expiry = expiry(leading);
    for next in read.iter().skip(1) {
        if leading.tbs_certificate().issuer() == next.tbs_certificate().subject() {
            chain_expiry = chain_expiry.min(expiry(next));
            leading = next;
        }
    }
    Some(Certificates {
        earliest_expiry: read.iter().map(expiry).min()?,
        chain_expiry,
    })
}

/// Accepts every certificate, but still checks that the other side holds its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
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
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
