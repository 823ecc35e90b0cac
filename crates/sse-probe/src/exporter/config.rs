//! The exporter's configuration, and who may ask it, over what.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::{
    http::{Identity, pem_certificates},
    options::Options,
    report::without_query,
};

/// What connecting, and after it the head of a reply, may take if the module does not say.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// The exporter's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen. `127.0.0.1:9465` by default.
    pub listen: SocketAddr,
    /// How often each target is probed. One minute by default.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// How many targets may be probed at one time in rounds. 8 by default.
    pub concurrency: usize,
    /// How many probes on demand may be under way; further ones wait within the time of their scrape. 64 by default.
    pub probe_concurrency: usize,
    /// Ways to probe.
    pub modules: BTreeMap<String, Options>,
    /// What is probed by itself.
    pub targets: Vec<StaticTarget>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9465)),
            interval: Duration::from_secs(60),
            concurrency: 8,
            probe_concurrency: 64,
            modules: BTreeMap::new(),
            targets: Vec::new(),
        }
    }
}

/// A target that is probed by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticTarget {
    /// The stream's URL.
    pub url: String,
    /// The name of a module. `default` by default.
    #[serde(default = "default_module")]
    pub module: String,
    /// The label `instance`. The URL without its query by default.
    pub name: Option<String>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not TOML of this form, or says something that cannot be done: all faults at once.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path);
        Self::parse(&text.map_err(|why| format!("{}: {why}", path.display()))?)
    }

    /// Reads TOML.
    ///
    /// # Errors
    ///
    /// As for [`Config::read`].
    pub fn parse(text: &str) -> Result<Self, String> {
        let config = toml::from_str::<Self>(text);
        let mut config = config.map_err(|why| why.to_string().trim().to_owned())?;
        config.modules.entry(default_module()).or_default();
        for module in config.modules.values_mut() {
            module.reply_timeout.get_or_insert(REPLY_TIMEOUT);
        }
        let faults = config.faults();
        match faults.is_empty() {
            true => Ok(config),
            false => Err(faults.join("\n")),
        }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let times = Duration::from_secs(1)..=Duration::from_secs(365 * 86_400);
        #[rustfmt::skip]
        let rules = [
            (self.concurrency > 0, "concurrency: 0, so nothing is probed; write 1 or more"),
            (self.probe_concurrency > 0, "probe_concurrency: 0, so /probe never answers; write 1 or more"),
            (times.contains(&self.interval), "interval: write a time from \"1s\" to \"1year\""),
        ];
        let broken = rules.iter().filter(|(holds, _)| !holds);
        faults.extend(broken.map(|(_, fault)| (*fault).to_owned()));
        for (name, module) in &self.modules {
            let of_module = module.faults().into_iter();
            faults.extend(of_module.map(|fault| format!("modules.{name}: {fault}")));
        }
        let mut instances: BTreeMap<String, (usize, &str)> = BTreeMap::new();
        for (number, target) in (1..).zip(&self.targets) {
            let shown = without_query(&target.url);
            let fault = match self.modules.get(&target.module) {
                None => Some(format!("there is no module `{}`", target.module)),
                Some(module) => module.allows(&target.url).err(),
            };
            faults.extend(fault.map(|fault| format!("targets, {shown}: {fault}")));
            // Metrics of two targets with one label would be one.
            let instance = target.instance();
            if let Some((first, other)) = instances.get(&instance) {
                let both = format!("number {first} ({other}) and number {number} ({shown})");
                let query = match target.name {
                    None => ", since queries are left out of it",
                    Some(_) => "",
                };
                faults.push(format!(
                    "targets: {both} both have the instance `{instance}`{query}; give each a `name` of its own"
                ));
            }
            instances.entry(instance).or_insert((number, shown));
        }
        faults
    }
}

impl StaticTarget {
    /// The label `instance`.
    pub fn instance(&self) -> String {
        let name = self.name.clone();
        name.unwrap_or_else(|| without_query(&self.url).to_owned())
    }
}

fn default_module() -> String {
    "default".to_owned()
}

/// Passwords that are compared at one time: each costs a core for a while, by design.
static COMPARISONS: Semaphore = Semaphore::const_new(2);

/// What an unknown user's password is compared with, so that the time does not say which users there are.
const NOBODY: &str = "$2b$10$kcJIOKyPVmFQr.XKRdyE6uQ7m7uZGOsL7nv3WKID/amiQcWrEDnje";

/// Who may ask, and over what: the file that `--web.config.file` names, as Prometheus' exporters have it.
///
/// ```yaml
/// tls_server_config:
///   cert_file: server.pem
///   key_file: server.key
/// basic_auth_users:
///   prometheus: $2y$10$…   # htpasswd -nBC 10 "" | tr -d ':\n'
/// ```
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
                let why = format!("basic_auth_users.{user}: not a bcrypt hash; {make}");
                return Err(named(why));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_configuration_has_defaults() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.listen.port(), 9465);
        assert!(config.modules.contains_key("default"));
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let long = "18446744073709551615s";
        let times = format!(
            "interval = \"{long}\"\n[modules.a]\nhold = \"{long}\"\n\
             [modules.b]\ntimeout = \"0s\"\n[modules.c]\nreply_timeout = \"0s\"\n"
        );
        let two =
            "[[targets]]\nurl = \"http://x/?topic=a\"\n[[targets]]\nurl = \"http://x/?topic=b\"\n";
        let cases: &[(&str, &[&str])] = &[
            (
                "concurrency = 0\n\
                 [modules.a]\norigin = \"app.example.com\"\n\
                 [modules.b]\nbearer_file = \"/nowhere\"\n\
                 [modules.d]\nhosts = [\"x\"]\n\
                 [[targets]]\nurl = \"https://x/\"\nmodule = \"c\"\n\
                 [[targets]]\nurl = \"x\"\n",
                &[
                    "concurrency",
                    "modules.a",
                    "without `target_origins`",
                    "/nowhere",
                    "modules.d: `hosts` is not read any more",
                    "no module `c`",
                    "`x` cannot be probed",
                ],
            ),
            // Times that no clock holds.
            (
                &times,
                &[
                    "interval: ",
                    "modules.a: --hold",
                    "modules.b: ",
                    "modules.c: ",
                ],
            ),
            (
                "[modules.a]\nbearer = \"secret\"\n",
                &["unknown field `bearer`"],
            ),
            // Targets that differ in the query alone.
            (
                two,
                &[
                    "number 1 (http://x/) and number 2 (http://x/)",
                    "`http://x/`",
                    "`name`",
                ],
            ),
            // Targets with one name.
            (
                "[[targets]]\nurl = \"http://x/a?b\"\nname = \"n\"\n[[targets]]\nurl = \"http://y/c\"\nname = \"n\"\n",
                &[
                    "number 1 (http://x/a) and number 2 (http://y/c)",
                    "`n`; give",
                ],
            ),
        ];
        for (text, parts) in cases {
            let error = Config::parse(text).unwrap_err();
            for part in *parts {
                assert!(error.contains(part), "{part} in {error}");
            }
        }
        assert!(Config::parse(&format!("{two}name = \"b\"\n")).is_ok());
    }
}
