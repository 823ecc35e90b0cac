//! What to probe, as whom, and what is expected of it.

mod access;
mod error;
mod expectation;

use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use url::Url;

pub use self::{
    access::{Access, Secret, TicketSource},
    error::TargetError,
    expectation::Expectation,
};
use crate::{
    exchange::{Dialer, Limits, Protocol, Trust},
    origin::Origin,
    verdict::Credentials,
};

/// The user agent of every request, so that a server's logs and metrics can tell probes from people.
pub const USER_AGENT: &str = concat!("sse-probe/", env!("CARGO_PKG_VERSION"));

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
    pub(crate) origin: Option<Origin>,
    pub(crate) credentials: Credentials,
    pub(crate) access: Access,
    pub(crate) deny: Vec<Origin>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) protocol: Protocol,
    pub(crate) hold: Duration,
    pub(crate) expectations: Vec<Expectation>,
    pub(crate) only: Vec<String>,
    pub(crate) skip: Vec<String>,
    pub(crate) dialer: Dialer,
}

impl Target {
    /// A target with everything else as it usually is: no origin (a page of the same origin), no credentials,
    /// held for 20 s.
    ///
    /// # Errors
    ///
    /// The text is not an http or https URL with a host, or it holds a user name or password.
    pub fn new(url: &str) -> Result<Self, TargetError> {
        Ok(Self {
            url: parse_url(url)?,
            origin: None,
            credentials: Credentials::Omit,
            access: Access::Open,
            deny: Vec::new(),
            headers: Vec::new(),
            protocol: Protocol::Auto,
            hold: Duration::from_secs(20),
            expectations: Vec::new(),
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
        self.origin = Some(origin.parse().map_err(TargetError::Origin)?);
        Ok(self)
    }

    /// An origin that the server must not let in, besides those that are always tried.
    ///
    /// # Errors
    ///
    /// No browser sends that text as an origin.
    pub fn deny_origin(mut self, origin: &str) -> Result<Self, TargetError> {
        self.deny.push(origin.parse().map_err(TargetError::Origin)?);
        Ok(self)
    }

    /// The credentials mode of the page. `Omit` by default.
    #[must_use]
    pub fn credentials(mut self, mode: Credentials) -> Self {
        self.credentials = mode;
        self
    }

    /// Authenticates as a fetch client: `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        self.access = Access::Bearer(Secret::new(token));
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

    /// One more header line on every request.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// How long the stream must live. 20 s by default.
    #[must_use]
    pub fn hold(mut self, time: Duration) -> Self {
        self.hold = time;
        self
    }

    /// The version of HTTP.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Something that must be so, beyond what every stream needs.
    #[must_use]
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expectations.push(expectation);
        self
    }

    /// Runs only these checks.
    ///
    /// # Errors
    ///
    /// There is no check of that name.
    pub fn only(mut self, check: &str) -> Result<Self, TargetError> {
        self.only.push(known(check)?);
        Ok(self)
    }

    /// Leaves a check out.
    ///
    /// # Errors
    ///
    /// There is no check of that name.
    pub fn skip(mut self, check: &str) -> Result<Self, TargetError> {
        self.skip.push(known(check)?);
        Ok(self)
    }

    /// Whose certificates are believed, and what bounds each exchange.
    #[must_use]
    pub fn connection(mut self, limits: Limits, trust: Trust) -> Self {
        self.dialer = Dialer::new(limits, trust);
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
        self.origin
            .as_ref()
            .is_none_or(|o| o.is_origin_of(&self.url))
    }

    /// Whether the check of that name is to be run.
    pub(crate) fn runs(&self, check: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|c| c == check);
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
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
        if let Some(denied) = self.deny.iter().find(|d| Some(*d) == self.origin.as_ref()) {
            return Err(TargetError::AllowedAndDenied(denied.to_string()));
        }
        let secret = match &self.access {
            Access::Bearer(secret) | Access::Cookie(secret) => Some(secret),
            _ => None,
        };
        if secret.is_some_and(|s| HeaderValue::from_str(s.expose()).is_err()) {
            return Err(TargetError::SecretNotAHeader);
        }
        Ok(())
    }
}

/// A URL that can be probed.
pub(crate) fn parse_url(text: &str) -> Result<Url, TargetError> {
    let url = Url::parse(text).map_err(|why| TargetError::Url(text.to_owned(), why.to_string()))?;
    let wrong = |why: &str| Err(TargetError::Url(text.to_owned(), why.to_owned()));
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("only http and https can be probed");
    }
    if !url.has_host() {
        return wrong("it has no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong(
            "user names and passwords in URLs are not sent by browsers; use --bearer or --cookie",
        );
    }
    Ok(url)
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

fn known(check: &str) -> Result<String, TargetError> {
    if crate::check::names().any(|name| name == check) {
        Ok(check.to_owned())
    } else {
        Err(TargetError::UnknownCheck(check.to_owned()))
    }
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
    fn an_unknown_check_is_named() {
        let error = Target::new("http://x/")
            .unwrap()
            .skip("vari")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`vari`") && error.contains("vary"),
            "{error}"
        );
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let target = Target::new("http://x/").unwrap().bearer("s3cret-token");
        assert!(!format!("{target:?}").contains("s3cret"));
    }
}
