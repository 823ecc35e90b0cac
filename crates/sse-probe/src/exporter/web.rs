//! Who may ask the exporter, and over what: the file that `--web.config.file` names, as Prometheus' exporters have it.
//!
//! ```yaml
//! tls_server_config:
//!   cert_file: server.pem
//!   key_file: server.key
//! basic_auth_users:
//!   prometheus: $2y$10$…   # htpasswd -nBC 10 "" | tr -d ':\n'
//! ```

use std::{
    collections::BTreeMap,
    error::Error,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::http::{Identity, pem_certificates};

/// Passwords that are compared at one time: each costs a core for a while, by design.
static COMPARISONS: Semaphore = Semaphore::const_new(2);

/// What an unknown user's password is compared with, so that the time does not say which users there are.
const NOBODY: &str = "$2b$10$kcJIOKyPVmFQr.XKRdyE6uQ7m7uZGOsL7nv3WKID/amiQcWrEDnje";

/// Who may ask, and over what.
#[derive(Default, Clone)]
pub struct WebConfig {
    source: Option<PathBuf>,
    pub(super) acceptor: Option<TlsAcceptor>,
    users: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    tls_server_config: Option<Server>,
    basic_auth_users: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    cert_file: PathBuf,
    key_file: PathBuf,
    /// Clients must show a certificate that these have signed.
    client_ca_file: Option<PathBuf>,
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, users) = (&self.source, self.users.keys());
        let tls = self.acceptor.is_some();
        write!(f, "WebConfig({source:?}, TLS: {tls}, users: {users:?})")
    }
}

impl WebConfig {
    /// Reads the file. Paths in it are taken from its own folder.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn read(path: &Path) -> Result<Self, String> {
        let named = |why: String| format!("{}: {why}", path.display());
        let text = fs::read_to_string(path).map_err(|why| named(why.to_string()))?;
        let file: File = serde_yaml_ng::from_str(&text).map_err(|why| named(why.to_string()))?;
        for (user, hash) in &file.basic_auth_users {
            if bcrypt::verify("", hash).is_err() {
                let make = format!("make one with `htpasswd -nBC 10 {user}`");
                return Err(named(format!(
                    "basic_auth_users.{user}: not a bcrypt hash; {make}"
                )));
            }
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let acceptor = file.tls_server_config.map(|server| server.acceptor(folder));
        let acceptor = acceptor.transpose().map_err(|why| named(why.to_string()))?;
        let (source, users) = (Some(path.to_owned()), file.basic_auth_users);
        Ok(Self {
            source,
            acceptor,
            users,
        })
    }

    /// The same file, read again.
    pub(super) fn read_again(&self) -> Result<Self, String> {
        let again = self.source.as_deref().map(Self::read);
        again.unwrap_or_else(|| Ok(Self::default()))
    }

    /// Whether a request with these headers may be answered.
    pub(super) async fn admits(&self, headers: &HeaderMap) -> bool {
        if self.users.is_empty() {
            return true;
        }
        let Some((user, password)) = credentials(headers) else {
            return false;
        };
        let known = self.users.get(&user).cloned();
        let Ok(_permit) = COMPARISONS.acquire().await else {
            return false;
        };
        let compared = tokio::task::spawn_blocking(move || {
            let hash = known.as_deref().unwrap_or(NOBODY);
            bcrypt::verify(password, hash).unwrap_or(false) && known.is_some()
        });
        compared.await.unwrap_or(false)
    }
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

impl Server {
    fn acceptor(&self, folder: &Path) -> Result<TlsAcceptor, Box<dyn Error>> {
        let (certificate, key) = (folder.join(&self.cert_file), folder.join(&self.key_file));
        let (chain, key) = Identity::from_files(&certificate, &key)?.into_parts();
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match &self.client_ca_file {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in pem_certificates(&folder.join(file))? {
                    roots.add(certificate)?;
                }
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
