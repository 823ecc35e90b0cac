//! What to probe, as whom, and what is expected of it.

mod access;
mod expected;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use thiserror::Error;
use url::Url;

pub use self::{
    access::{Access, Secret, TicketSource},
    expected::{Expectation, Profile, ServerPolicy},
};
use crate::{
    browser::{Credentials, Origin, OriginError},
    http::{Dialer, Limits, Protocol, Tls},
};

/// The user agent of every request, so that a server's logs and metrics can tell probes from people.
pub const USER_AGENT: &str = concat!("sse-probe/", env!("CARGO_PKG_VERSION"));

/// What is wrong with a target.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Not a URL that can be probed, and why.
    #[error("`{}` cannot be probed: {}", .0.escape_debug(), .1)]
    Url(String, String),
    /// Not an origin.
    #[error("{0}")]
    Origin(#[from] OriginError),
    /// Not a header line.
    #[error("`{}` is not a header line that can be added; write `Name: value`", .0.escape_debug())]
    Header(String),
    /// Not an expectation.
    #[error("`{}` is not an expectation; there are: heartbeat=20s, first-byte=1s, first-event=5s, event, http2, \
             resume, auth, public, certificate=14days, header=Name: value", .0.escape_debug())]
    Expectation(String),
    /// No check of that name; and the names that there are.
    #[error("there is no check `{}`; there are: {}", .0.escape_debug(), .1.join(", "))]
    UnknownCheck(String, Vec<&'static str>),
    /// A server's policy that cannot be read, and why.
    #[error("{0}")]
    Policy(String),
    /// A browser sends cookies across origins only in the credentials mode `include`.
    #[error("a browser sends a cookie across origins only with credentials; add --credentials")]
    CookieWithoutCredentials,
    /// The same origin is to be let in and to be kept out.
    #[error("`{0}` is both an origin to let in and one to keep out; remove it from one of the two")]
    AllowedAndDenied(String),
    /// A token or cookie with bytes that a header cannot hold.
    #[error("the token or cookie holds a line break or another byte that no header can carry")]
    SecretNotAHeader,
}

impl From<TargetError> for String {
    fn from(why: TargetError) -> Self {
        why.to_string()
    }
}

/// A stream to probe.
///
/// ```
/// use sse_probe::{Credentials, Target};
///
/// # fn main() -> Result<(), sse_probe::TargetError> {
/// let target = Target::new("https://api.example.com/events")?
///     .origin("https://app.example.com")?
///     .credentials(Credentials::Include)
///     .cookie("__Host-sid=…");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) url: Url,
    pub(crate) method: Method,
    pub(crate) body: Bytes,
    pub(crate) origin: Option<Origin>,
    /// Further origins that are to be let in.
    pub(crate) allow: Vec<Origin>,
    pub(crate) policy: Option<ServerPolicy>,
    pub(crate) page: Option<Url>,
    pub(crate) publish: Option<Publish>,
    pub(crate) follow_redirects: bool,
    /// The origins that redirects may lead to; all if there are none.
    pub(crate) keep_to: Vec<Origin>,
    pub(crate) credentials: Credentials,
    pub(crate) access: Access,
    pub(crate) deny: Vec<Origin>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) protocol: Protocol,
    pub(crate) hold: Duration,
    pub(crate) expectations: Vec<Expectation>,
    pub(crate) profile: Profile,
    pub(crate) only: Vec<&'static str>,
    pub(crate) skip: Vec<&'static str>,
    pub(crate) dialer: Dialer,
}

/// How an event is published while the stream is held, so that its way can be timed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Publish {
    /// Where to POST.
    pub url: Url,
    /// The body; `{marker}` in it stands for a text that is different each time. `sse-probe {marker}` by default.
    pub body: String,
}

impl Publish {
    /// By a POST of a short text to `url`.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url,
            body: "sse-probe {marker}".to_owned(),
        }
    }
}

impl Target {
    setters! {
        /// Whether redirects are followed, as browsers do. They are by default.
        pub follow_redirects: bool,
        /// The credentials mode of the page. `Omit` by default.
        pub credentials: Credentials,
        /// How long the stream must live. 35 s by default: longer than the 30 s after which several proxies cut.
        pub hold: Duration,
        /// The version of HTTP.
        pub protocol: Protocol,
        /// How connections are made.
        pub dialer: Dialer,
        /// Asks by another method.
        pub method: Method,
        /// Which findings fail the run. [`Profile::Browser`] by default.
        pub profile: Profile,
        /// Redirects may lead to these origins only. To all, if none is given.
        pub keep_to: Vec<Origin>,
    }

    /// A target with everything else as it usually is: no origin (a page of the same origin), no credentials,
    /// held for 35 s.
    ///
    /// # Errors
    ///
    /// The text is not an http or https URL with a host, or it holds a user name or password.
    pub fn new(url: &str) -> Result<Self, TargetError> {
        Ok(Self {
            url: parse_url(url)?,
            method: Method::GET,
            body: Bytes::new(),
            origin: None,
            allow: Vec::new(),
            policy: None,
            page: None,
            publish: None,
            follow_redirects: true,
            keep_to: Vec::new(),
            credentials: Credentials::Omit,
            access: Access::Open,
            deny: Vec::new(),
            headers: Vec::new(),
            protocol: Protocol::Auto,
            hold: Duration::from_secs(35),
            expectations: Vec::new(),
            profile: Profile::default(),
            only: Vec::new(),
            skip: Vec::new(),
            dialer: Dialer::default(),
        })
    }

    /// The origin of the page that opens the stream, which the server should let in.
    ///
    /// # Errors
    ///
    /// No browser sends that text as an origin.
    pub fn origin(mut self, origin: &str) -> Result<Self, TargetError> {
        self.origin = Some(origin.parse()?);
        Ok(self)
    }

    /// One more origin that the server should let in.
    ///
    /// # Errors
    ///
    /// No browser sends that text as an origin.
    pub fn allow_origin(mut self, origin: &str) -> Result<Self, TargetError> {
        self.allow.push(origin.parse()?);
        Ok(self)
    }

    /// What the server's own configuration allows. Every origin of it is tried. The first one is the target's, if none was
    /// given; the stream's own origin only if there is no other.
    #[must_use]
    pub fn policy(mut self, policy: ServerPolicy) -> Self {
        if self.origin.is_none() {
            let mut origins = policy.origins();
            origins.sort_by_key(|origin| origin.is_origin_of(&self.url));
            self.origin = origins.into_iter().next();
        }
        self.policy = Some(policy);
        self
    }

    /// The page that opens the stream. Its own policies are judged as well; its origin is the target's, if none was given.
    ///
    /// # Errors
    ///
    /// It is not an http or https URL.
    pub fn page(mut self, url: &str) -> Result<Self, TargetError> {
        let url = parse_url(url)?;
        self.origin.get_or_insert_with(|| Origin::of(&url));
        self.page = Some(url);
        Ok(self)
    }

    /// Publishes an event while the stream is held, and times its way.
    #[must_use]
    pub fn publish(mut self, publish: Publish) -> Self {
        self.publish = Some(publish);
        self
    }

    /// Asks by POST with this body, as a fetch client does; its type is JSON if it looks like it.
    #[must_use]
    pub fn post(mut self, body: impl Into<Bytes>) -> Self {
        self.method = Method::POST;
        self.body = body.into();
        if !self.headers.iter().any(|(n, _)| *n == header::CONTENT_TYPE) {
            let kind = HeaderValue::from_static(body_type(&self.body));
            self.headers.push((header::CONTENT_TYPE, kind));
        }
        self
    }

    /// An origin that the server must not let in, besides those that are always tried.
    ///
    /// # Errors
    ///
    /// No browser sends that text as an origin.
    pub fn deny_origin(mut self, origin: &str) -> Result<Self, TargetError> {
        self.deny.push(origin.parse()?);
        Ok(self)
    }

    /// Authenticates as a fetch client: `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        self.access = Access::Bearer(Secret::new(token));
        self
    }

    /// Authenticates by user name and password: `Authorization: Basic …`.
    #[must_use]
    pub fn basic(mut self, user: &str, password: &str) -> Self {
        self.access = Access::Basic(user.to_owned(), Secret::new(password));
        self
    }

    /// Authenticates by cookie: the value of the `Cookie` header.
    #[must_use]
    pub fn cookie(mut self, cookie: &str) -> Self {
        self.access = Access::Cookie(Secret::new(cookie));
        self
    }

    /// Authenticates by a ticket in the URL, a new one for each exchange.
    #[must_use]
    pub fn tickets(mut self, source: TicketSource) -> Self {
        self.access = Access::Ticket(source);
        self
    }

    /// One more header line on every request; it replaces what a browser would send under that name. Headers that look
    /// like credentials are left out where the probe asks as somebody else.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Something that must be so, beyond what every stream needs.
    #[must_use]
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expectations.push(expectation);
        self
    }

    /// What bounds each exchange, and how TLS is spoken. Addresses that were pinned stay.
    #[must_use]
    pub fn connection(mut self, limits: Limits, tls: impl Into<Tls>) -> Self {
        (self.dialer.limits, self.dialer.tls) = (limits, Arc::new(tls.into()));
        self
    }

    /// Connects to `address` whenever `host` and `port` are meant.
    #[must_use]
    pub fn pin(mut self, host: &str, port: u16, address: std::net::SocketAddr) -> Self {
        self.dialer.pin(host, port, address);
        self
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the page and the stream are of one origin, so that no CORS headers are needed.
    #[must_use]
    pub fn is_same_origin(&self) -> bool {
        let origin = self.origin.as_ref();
        origin.is_none_or(|o| o.is_origin_of(&self.url))
    }

    /// Whether the check of that name is to be run.
    pub(crate) fn runs(&self, check: &str) -> bool {
        let named = |list: &[&str]| list.contains(&check);
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }

    /// Whether the user expects that.
    pub(crate) fn expects(&self, what: &Expectation) -> bool {
        self.expectations.contains(what)
    }

    /// Whether every page may read the stream, by the user's word or by the server's policy.
    pub(crate) fn is_public(&self) -> bool {
        self.expects(&Expectation::Public)
            || self.policy.as_ref().is_some_and(ServerPolicy::is_public)
    }

    /// Whether pages of that origin are to be let in.
    pub(crate) fn allows(&self, origin: &Origin) -> bool {
        self.origin.as_ref() == Some(origin)
            || self.allow.contains(origin)
            || self.policy.as_ref().is_some_and(|p| p.allows(origin))
    }

    /// Whether a request proves who it is.
    pub(crate) fn is_secured(&self) -> bool {
        !matches!(self.access, Access::Open)
            || self.dialer.tls.identity.is_some()
            || self.headers.iter().any(|(name, _)| is_credential(name))
    }

    /// Whether a script with `fetch` opens the stream, and not an `EventSource`, which can neither send headers nor a body.
    pub(crate) fn is_for_fetch(&self) -> bool {
        self.method != Method::GET
            || self.access.authorization().is_some()
            || self.headers.iter().any(|(name, _)| needs_preflight(name))
    }

    /// The names of request headers that a browser asks permission for, in lower case.
    pub(crate) fn unsafe_headers(&self) -> Vec<String> {
        let asks = |(name, value): &&(HeaderName, HeaderValue)| {
            needs_preflight(name) || (*name == header::CONTENT_TYPE && !is_form(value))
        };
        let headers = self.headers.iter().filter(asks);
        let mut names: Vec<String> = headers.map(|(name, _)| name.to_string()).collect();
        if self.access.authorization().is_some() {
            names.push("authorization".to_owned());
        }
        names.sort();
        names.dedup();
        names
    }

    /// Finds contradictions between the parts.
    ///
    /// # Errors
    ///
    /// A cookie without credentials mode would never be sent by a browser across origins.
    pub fn validate(&self) -> Result<(), TargetError> {
        let cookie = matches!(self.access, Access::Cookie(_));
        if cookie && self.credentials == Credentials::Omit && !self.is_same_origin() {
            return Err(TargetError::CookieWithoutCredentials);
        }
        if let Some(denied) = self.deny.iter().find(|d| self.allows(d)) {
            return Err(TargetError::AllowedAndDenied(denied.to_string()));
        }
        let authorization = self.access.authorization();
        let mut secrets = authorization.iter().chain(self.access.cookie());
        if secrets.any(|s| HeaderValue::from_str(s.expose()).is_err()) {
            return Err(TargetError::SecretNotAHeader);
        }
        Ok(())
    }
}

/// A URL that can be probed.
pub(crate) fn parse_url(text: &str) -> Result<Url, TargetError> {
    let wrong = |why: String| TargetError::Url(text.to_owned(), why);
    let url = Url::parse(text).map_err(|why| wrong(why.to_string()))?;
    let why = if !matches!(url.scheme(), "http" | "https") {
        "only http and https can be probed"
    } else if !url.has_host() {
        "it has no host"
    } else if !url.username().is_empty() || url.password().is_some() {
        "user names and passwords in URLs are not sent by browsers; use --bearer or --cookie"
    } else {
        return Ok(url);
    };
    Err(wrong(why.to_owned()))
}

/// A header line from `Name: value`.
///
/// # Errors
///
/// It is no header line.
pub fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), TargetError> {
    let wrong = || TargetError::Header(text.to_owned());
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
    if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
        return Err(wrong());
    }
    Ok((name, value))
}

/// The type of a body: JSON if it looks like it, else what scripts send for a text.
pub(crate) fn body_type(body: &[u8]) -> &'static str {
    match body.trim_ascii_start().first() {
        Some(b'{' | b'[') => "application/json",
        _ => "text/plain;charset=UTF-8",
    }
}

/// Whether a header of that name is likely to hold a secret.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    const PARTS: &str = "authorization cookie token api-key apikey secret";
    PARTS.split(' ').any(|part| name.as_str().contains(part))
}

/// Whether a browser asks permission for a header of that name, set by a script. `Content-Type` depends on its value.
fn needs_preflight(name: &HeaderName) -> bool {
    const BY_THE_BROWSER: &str = "accept accept-language content-language content-type accept-encoding cookie host origin referer user-agent";
    let mut by_the_browser = BY_THE_BROWSER.split(' ');
    !name.as_str().starts_with("sec-") && by_the_browser.all(|own| own != name.as_str())
}

/// Whether a page may send a body of that type without asking.
fn is_form(kind: &HeaderValue) -> bool {
    const FORMS: &str = "application/x-www-form-urlencoded multipart/form-data text/plain";
    let essence = kind.as_bytes().split(|b| *b == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    let mut forms = FORMS.split(' ').map(str::as_bytes);
    forms.any(|form| essence.eq_ignore_ascii_case(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_with_a_host_can_be_probed() {
        for bad in [
            "",
            "api.example.com/events",
            "ftp://x/",
            "http://",
            "https://u:p@x/",
            "/events",
        ] {
            assert!(Target::new(bad).is_err(), "{bad}");
        }
        assert!(Target::new("http://127.0.0.1:8080/events?topic=a").is_ok());
    }

    #[test]
    fn a_cookie_across_origins_needs_the_credentials_mode() {
        let target = Target::new("https://api.example.com/events")
            .unwrap()
            .cookie("a=b");
        assert!(target.validate().is_ok(), "same origin");
        let cross = target.origin("https://app.example.com").unwrap();
        assert!(matches!(
            cross.validate(),
            Err(TargetError::CookieWithoutCredentials)
        ));
        assert!(cross.credentials(Credentials::Include).validate().is_ok());
    }

    #[test]
    fn a_policy_that_begins_with_the_streams_own_origin_is_tried_by_another() {
        let allow = ["http://localhost:8080", "http://127.0.0.1:8080"];
        let policy = ServerPolicy {
            allow: allow.map(str::to_owned).into(),
            ..ServerPolicy::default()
        };
        let target = Target::new("http://localhost:8080/events").unwrap();
        let target = target.policy(policy);
        assert_eq!(target.origin.unwrap().as_str(), allow[1]);
    }

    #[test]
    fn a_proxy_that_cuts_after_30_s_is_seen_by_default() {
        let target = Target::new("http://x/").unwrap();
        assert!(target.hold > Duration::from_secs(32), "{:?}", target.hold);
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let target = Target::new("http://x/").unwrap().bearer("s3cret-token");
        assert!(!format!("{target:?}").contains("s3cret"));
    }
}
