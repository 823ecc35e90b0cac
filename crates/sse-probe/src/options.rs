//! How to probe: one type for the arguments of the command line and for a module of the exporter's configuration.

use std::{
    collections::BTreeMap,
    fs,
    net::{AddrParseError, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use clap::Args;
use http::Method;
use serde::{Deserialize, Deserializer};

use crate::{
    browser::{Credentials, Origin},
    checks::check_names,
    http::{Dialer, Identity, IpVersion, Protocol, Proxy, Tls, Trust, bare},
    target::{
        Access, Profile, Publish, Secret, ServerPolicy, Target, TargetError, TicketSource,
        is_credential, parse_header, parse_url,
    },
};

/// How to probe. Relative paths are taken from the working directory.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The origin of the page that opens the stream, such as `https://app.example.com`.
    #[arg(long)]
    pub origin: Option<String>,

    /// One more origin that must be let in; may be repeated.
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub allow_origins: Vec<String>,

    /// An origin that must be kept out, besides those that are always tried; may be repeated.
    #[arg(long = "deny-origin", value_name = "ORIGIN")]
    pub deny_origins: Vec<String>,

    /// Read what the server allows from its own configuration (TOML or JSON with `policy.origins`), and try all of it.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// The page that opens the stream: its Content-Security-Policy is judged as well.
    #[arg(long, value_name = "URL")]
    pub page: Option<String>,

    /// The page sends cookies (`withCredentials`).
    #[arg(long)]
    pub credentials: bool,

    /// Authenticate as a fetch client. `@FILE` reads the token from a file.
    #[arg(long, value_name = "TOKEN")]
    #[arg(env = "SSE_PROBE_BEARER", hide_env_values = true)]
    #[serde(skip)]
    pub bearer: Option<String>,

    /// Authenticate by cookie: `name=value`. `@FILE` reads it from a file.
    #[arg(long, value_name = "COOKIE")]
    #[arg(env = "SSE_PROBE_COOKIE", hide_env_values = true)]
    #[serde(skip)]
    pub cookie: Option<String>,

    /// A file with the bearer token. It is read for each probe, so it may be renewed.
    #[arg(skip)]
    pub bearer_file: Option<PathBuf>,

    /// A file with the cookie, likewise.
    #[arg(skip)]
    pub cookie_file: Option<PathBuf>,

    /// A user name and a password.
    #[arg(skip)]
    pub basic_auth: Option<BasicAuth>,

    /// Authenticate by tickets: POST here, with --bearer or --cookie, for each one.
    #[arg(long, value_name = "URL")]
    pub ticket_url: Option<String>,

    /// The field of the answer, and the query parameter, that hold the ticket. `ticket` by default.
    #[arg(long, value_name = "NAME", requires = "ticket_url")]
    pub ticket_name: Option<String>,

    /// One more header line on every request; may be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    #[serde(deserialize_with = "header_lines")]
    pub headers: Vec<String>,

    /// The method. POST if there is a body, else GET.
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,

    /// Send this body, as fetch clients of POST streams do. `@FILE` reads it from a file.
    #[arg(long = "data", value_name = "TEXT")]
    pub body: Option<String>,

    /// What must be so: heartbeat=20s, first-byte=1s, first-event=5s, event, http2, resume, auth, public,
    /// certificate=14days, "header=Name: value"; may be repeated.
    #[arg(long, value_name = "WHAT")]
    pub expect: Vec<String>,

    /// Run only this check; may be repeated.
    #[arg(long, value_name = "CHECK")]
    pub only: Vec<String>,

    /// Leave this check out; may be repeated.
    #[arg(long, value_name = "CHECK")]
    pub skip: Vec<String>,

    /// Which findings fail the run: what a browser cannot use and what is insecure, or all.
    #[arg(long, value_enum, default_value_t)]
    pub profile: Profile,

    /// How long the stream must live. 35s by default, since several proxies cut after 30 s.
    #[arg(long, alias = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde")]
    pub hold: Option<Duration>,

    /// Publish an event by a POST here while the stream is held, and time its way.
    #[arg(long = "publish", value_name = "URL")]
    pub publish_url: Option<String>,

    /// The body of that POST; `{marker}` in it is replaced by a text that is different each time.
    #[arg(long = "publish-data", value_name = "TEXT", requires = "publish_url")]
    pub publish_body: Option<String>,

    /// How long connecting, and after it the head of a reply, may take. 10s by default.
    #[arg(long = "timeout", value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde")]
    pub reply_timeout: Option<Duration>,

    /// How long the whole probe may take. Checks for which there is no time are skipped.
    #[arg(long = "deadline", value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde")]
    pub timeout: Option<Duration>,

    /// Whether redirects are followed, as browsers do. They are by default.
    #[arg(long, value_name = "BOOL")]
    pub follow_redirects: Option<bool>,

    /// The version of HTTP to speak; on http, 2 is spoken by prior knowledge. As a browser by default.
    #[arg(long, value_enum, value_name = "VERSION", default_value_t)]
    pub http: Protocol,

    /// The version of IP to try first. As the name service says by default.
    #[arg(long, value_enum, value_name = "VERSION")]
    pub preferred_ip_protocol: Option<IpVersion>,

    /// Whether the other version of IP is tried as well. It is by default.
    #[arg(long, value_name = "BOOL", requires = "preferred_ip_protocol")]
    pub ip_protocol_fallback: Option<bool>,

    /// Go through this http proxy. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count by default.
    #[arg(long, value_name = "URL")]
    pub proxy_url: Option<String>,

    /// Connect to this address whenever HOST:PORT is meant; may be repeated.
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub resolve: Vec<String>,

    /// TLS.
    #[command(flatten)]
    pub tls_config: TlsConfig,

    /// The same as `tls_config.ca_file`.
    #[arg(skip)]
    pub ca_file: Option<PathBuf>,

    /// The origins that this module may be used for. Needed with credentials, so that `/probe` cannot send them elsewhere.
    #[arg(skip)]
    pub target_origins: Vec<String>,

    /// Not read any more; see `target_origins`.
    #[arg(skip)]
    pub hosts: Option<Vec<String>>,

    /// How connections are made, once it has been used.
    #[arg(skip)]
    #[serde(skip)]
    dialer: OnceLock<Result<Dialer, String>>,
}

/// TLS, by the names that Prometheus has for it.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// Trust the certificates in this PEM file as well.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// A PEM file with the client certificate and its chain.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub cert_file: Option<PathBuf>,

    /// A PEM file with the key of the client certificate.
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub key_file: Option<PathBuf>,

    /// Ask for, and verify, the certificate of this name instead of the URL's host.
    #[arg(long = "sni", value_name = "NAME")]
    pub server_name: Option<String>,

    /// Disable certificate verification. For tests only.
    #[arg(long = "insecure", conflicts_with = "ca_file")]
    pub insecure_skip_verify: bool,
}

/// A user name and a password.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user name.
    pub username: String,
    /// A file with the password. It is read for each probe.
    pub password_file: PathBuf,
}

impl Options {
    /// A target at that URL. Files with secrets are read each time, those for TLS the first time.
    ///
    /// # Errors
    ///
    /// What cannot be done, with the value and the remedy.
    pub fn target(&self, url: &str) -> Result<Target, String> {
        let dialer = self.dialer.get_or_init(|| self.make_dialer()).clone()?;
        let (year, least) = (Duration::from_secs(365 * 86_400), Duration::from_millis(1));
        let reply = "--timeout (reply_timeout of a module)";
        let whole = "--deadline (timeout of a module)";
        for (name, time, least) in [
            ("--hold", self.hold, Duration::ZERO),
            (reply, self.reply_timeout, least),
            (whole, self.timeout, least),
        ] {
            if time.is_some_and(|time| !(least..=year).contains(&time)) {
                return Err(format!("{name}: write a time from {least:?} to a year"));
            }
        }
        let mut target = Target::new(url)?;
        target.dialer = dialer;
        target.profile = self.profile;
        target.protocol = self.http;
        target.follow_redirects = self.follow_redirects.unwrap_or(true);
        target.hold = self.hold.unwrap_or(target.hold);
        target.keep_to = self.origins()?;
        target.allow = parsed(&self.allow_origins)?;
        target.deny = parsed(&self.deny_origins)?;
        target.expectations = parsed(&self.expect)?;
        target.only = check_names(&self.only)?;
        target.skip = check_names(&self.skip)?;
        let headers = self.headers.iter().map(|line| parse_header(line));
        target.headers = headers.collect::<Result<_, _>>()?;
        if let Some(origin) = &self.origin {
            target = target.origin(origin)?;
        }
        if let Some(page) = &self.page {
            target = target.page(page)?;
        }
        if let Some(file) = &self.policy {
            target = target.policy(ServerPolicy::read(file)?);
        }
        if self.credentials {
            target.credentials = Credentials::Include;
        }
        if let Some(body) = &self.body {
            target = target.post(text_or_file(body)?);
        }
        if let Some(method) = &self.method {
            let wrong = |_| format!("method: `{method}` is no method of HTTP; write GET or POST");
            target.method = Method::from_bytes(method.as_bytes()).map_err(wrong)?;
        }
        if let Some(url) = &self.publish_url {
            let mut publish = Publish::new(parse_url(url)?);
            if let Some(body) = &self.publish_body {
                publish.body = text_or_file(body)?;
            }
            target.publish = Some(publish);
        }
        target.access = self.access()?;
        target.validate()?;
        Ok(target)
    }

    fn access(&self) -> Result<Access, String> {
        let secret = |text: &Option<String>, file: &Option<PathBuf>| {
            let text = text.as_deref().map(text_or_file);
            let text = text.or_else(|| file.as_deref().map(read)).transpose();
            text.map(|text| text.map(|text| Secret::new(text.trim())))
        };
        let bearer = secret(&self.bearer, &self.bearer_file)?;
        let cookie = secret(&self.cookie, &self.cookie_file)?;
        if let Some(url) = &self.ticket_url {
            let mut source = TicketSource::new(parse_url(url)?);
            if let Some(name) = &self.ticket_name {
                source.field.clone_from(name);
                source.parameter.clone_from(name);
            }
            (source.bearer, source.cookie) = (bearer, cookie);
            return Ok(Access::Ticket(source));
        }
        match (bearer, cookie, &self.basic_auth) {
            (None, None, None) => Ok(Access::Open),
            (Some(token), None, None) => Ok(Access::Bearer(token)),
            (None, Some(cookie), None) => Ok(Access::Cookie(cookie)),
            (None, None, Some(basic)) => {
                let password = Secret::new(read(&basic.password_file)?.trim());
                Ok(Access::Basic(basic.username.clone(), password))
            }
            _ => {
                let only = "both together only with --ticket-url";
                let give = "give --bearer, --cookie or basic_auth, not both";
                Err(format!("{give}; {only}"))
            }
        }
    }

    fn make_dialer(&self) -> Result<Dialer, String> {
        let options = &self.tls_config;
        let trust = match options.ca_file.as_ref().or(self.ca_file.as_ref()) {
            _ if options.insecure_skip_verify => Trust::Anything,
            Some(path) => Trust::also_file(path).map_err(|why| why.to_string())?,
            None => Trust::System,
        };
        let mut tls = Tls::from(trust);
        match (&options.cert_file, &options.key_file) {
            (Some(certificate), Some(key)) => {
                let identity = Identity::from_files(certificate, key);
                tls.identity = Some(identity.map_err(|why| why.to_string())?);
            }
            (None, None) => {}
            _ => return Err("tls_config: cert_file and key_file belong together".to_owned()),
        }
        let mut dialer = Dialer::default();
        dialer.tls = Arc::new(tls);
        dialer.sni.clone_from(&options.server_name);
        if let Some(time) = self.reply_timeout {
            (dialer.limits.connect, dialer.limits.head) = (time, time);
        }
        if let Some(url) = &self.proxy_url {
            dialer.proxy = Proxy::always(url)?;
        }
        let fallback = self.ip_protocol_fallback.unwrap_or(true);
        dialer.preferred = self
            .preferred_ip_protocol
            .map(|version| (version, fallback));
        for text in &self.resolve {
            let (host, port, address) = pin(text)?;
            dialer.pin(&host, port, address);
        }
        Ok(dialer)
    }

    /// The origins that this module may be used for.
    fn origins(&self) -> Result<Vec<Origin>, String> {
        parsed(&self.target_origins).map_err(|why| format!("target_origins: {why}"))
    }

    /// Whether this module may be used for that URL.
    pub(crate) fn allows(&self, url: &str) -> Result<(), String> {
        let origin = Origin::of(&parse_url(url)?);
        if self.target_origins.is_empty() || self.origins()?.contains(&origin) {
            return Ok(());
        }
        let not = format!("`{origin}` is not one of the module's `target_origins`");
        Err(format!(
            "{not}: scheme, host and port must be those of an entry"
        ))
    }

    /// What is wrong with it as a module.
    pub(crate) fn faults(&self) -> Vec<String> {
        const WRITE: &str = "write `target_origins = [\"https://api.example.com\"]`";
        let mut faults = Vec::new();
        let is_secret = |line: &String| parse_header(line).is_ok_and(|(n, _)| is_credential(&n));
        let secret = self.bearer_file.is_some()
            || self.cookie_file.is_some()
            || self.basic_auth.is_some()
            || self.ticket_url.is_some()
            || self.tls_config.cert_file.is_some()
            || self.headers.iter().any(is_secret);
        if self.hosts.is_some() {
            let why = "a host alone would let plain http and other ports have the credentials";
            faults.push(format!("`hosts` is not read any more: {why}; {WRITE}"));
        } else if secret && self.target_origins.is_empty() {
            let without = "credentials without `target_origins`";
            let why = "/probe could be made to send them anywhere";
            faults.push(format!("{without}: {why}; {WRITE}"));
        }
        // Any URL shows the faults that do not depend on it.
        faults.extend(self.target("https://module.invalid/").err());
        faults
    }
}

/// What each of these texts says.
fn parsed<T: FromStr<Err: Into<TargetError>>>(texts: &[String]) -> Result<Vec<T>, TargetError> {
    let texts = texts.iter().map(|text| text.parse().map_err(Into::into));
    texts.collect()
}

/// A text, given as it is or in a file, where `ps` does not show it.
fn text_or_file(text: &str) -> Result<String, String> {
    text.strip_prefix('@')
        .map_or_else(|| Ok(text.to_owned()), |path| read(Path::new(path)))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

/// `host:port:address`, where the address may have a port of its own.
pub(crate) fn pin(text: &str) -> Result<(String, u16, SocketAddr), String> {
    let wrong =
        || format!("`{text}` is not HOST:PORT:ADDRESS, such as api.example.com:443:127.0.0.1:8443");
    let (host, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (port, address) = rest.split_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let own_port = address.parse();
    let address = own_port.or_else(|_| Ok(SocketAddr::new(bare(address).parse()?, port)));
    let address = address.map_err(|_: AddrParseError| wrong())?;
    Ok((host.to_owned(), port, address))
}

/// Header lines, or a table of names and values as blackbox_exporter has it.
fn header_lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Lines(Vec<String>),
        Table(BTreeMap<String, String>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::Lines(lines) => lines,
        Form::Table(table) => table.iter().map(|(n, v)| format!("{n}: {v}")).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_port_of_its_own() {
        let ok = |text: &str| pin(text).unwrap().2.to_string();
        assert_eq!(ok("api.example.com:443:127.0.0.1:8443"), "127.0.0.1:8443");
        assert_eq!(ok("api.example.com:443:127.0.0.1"), "127.0.0.1:443");
        assert_eq!(ok("api.example.com:443:[::1]:8443"), "[::1]:8443");
        assert_eq!(ok("api.example.com:443:[::1]"), "[::1]:443");
        assert!(pin("api.example.com").is_err());
        assert!(pin("api.example.com:x:127.0.0.1").is_err());
    }

    #[test]
    fn a_module_keeps_to_its_origins() {
        let module = Options {
            target_origins: vec!["https://api.example.com".into()],
            ..Options::default()
        };
        assert!(module.allows("https://API.example.com/x").is_ok());
        for other in [
            "http://api.example.com/x",
            "https://api.example.com:8443/x",
            "https://api.example.com.evil.example/",
            "https://evil.example/?api.example.com",
        ] {
            assert!(module.allows(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_module_reads_the_forms_of_blackbox_exporter() {
        let module: Options = toml::from_str(
            "timeout = \"9s\"\nmethod = \"POST\"\nbody = \"{}\"\nfollow_redirects = false\n\
             preferred_ip_protocol = \"ip4\"\nhttp = \"2\"\nprofile = \"strict\"\n\
             headers = { Accept = \"application/json\" }\ntls_config = { insecure_skip_verify = true }\n",
        )
        .unwrap();
        assert_eq!(module.headers, ["Accept: application/json"]);
        assert_eq!(module.timeout, Some(Duration::from_secs(9)));
        assert!(module.tls_config.insecure_skip_verify);
        assert!(module.target("http://x/").is_ok());
        assert!(toml::from_str::<Options>("bearer = \"secret\"\n").is_err());
    }
}
