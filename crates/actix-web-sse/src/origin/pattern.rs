//! One entry of the allow-list: checked when it is made, so that matching is a comparison of
//! bytes and cannot fail.

use std::sync::Arc;

use url::{Host, Url};

use super::wildcard::{InsideLabel, ONE_WILDCARD, WholeScheme};

/// The longest origin that can match a pattern: scheme, a DNS name, a port.
const MAX_ORIGIN: usize = "https://".len() + 253 + ":65535".len();
pub(super) const MAX_LABEL: usize = 63;

/// An entry of the allow-list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OriginPattern {
    text: Arc<str>,
    shape: Shape,
    plain_http: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// `*`.
    Any,
    /// Byte for byte.
    Exact,
    /// `https://*.example.com`: `https://`, labels, `.example.com`.
    SubDomains { scheme: Box<str>, suffix: Box<str> },
    /// `http://localhost:*`: `http://localhost` and any port.
    AnyPort { host: Box<str> },
    /// `https://name-*.example.app`.
    InsideLabel(InsideLabel),
    /// `moz-extension://*`.
    WholeScheme(WholeScheme),
}

impl OriginPattern {
    /// Reads an entry as the configuration has it.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (shape, plain_http) = match text {
            "*" => (Shape::Any, false),
            "null" => {
                return Err(
                    "every sandboxed frame and local file is `null`: it names nobody".into(),
                );
            }
            _ => shape(text)?,
        };
        Ok(Self {
            text: text.into(),
            shape,
            plain_http,
        })
    }

    /// Whether a serialised origin matches.
    pub(crate) fn matches(&self, origin: &[u8]) -> bool {
        match &self.shape {
            Shape::Any => true,
            Shape::Exact => self.text.as_bytes() == origin,
            Shape::SubDomains { scheme, suffix } => {
                origin.len() <= MAX_ORIGIN
                    && origin
                        .strip_prefix(scheme.as_bytes())
                        .and_then(|rest| rest.strip_suffix(suffix.as_bytes()))
                        .is_some_and(are_labels)
            }
            Shape::AnyPort { host } => {
                origin
                    .strip_prefix(host.as_bytes())
                    .is_some_and(|rest| match rest.split_first() {
                        None => true,
                        Some((b':', port)) => is_port(port) && !is_default(port, host),
                        Some(_) => false,
                    })
            }
            Shape::InsideLabel(inside) => inside.matches(origin),
            Shape::WholeScheme(scheme) => scheme.matches(origin),
        }
    }

    /// The entry as the configuration has it.
    pub(crate) const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// `*`.
    pub(crate) const fn is_any(&self) -> bool {
        matches!(self.shape, Shape::Any)
    }

    /// Compared as a whole, so that a set can hold it.
    pub(crate) const fn is_exact(&self) -> bool {
        matches!(self.shape, Shape::Exact)
    }

    /// `http`, and not loopback: whoever is on the way can speak for it.
    pub(crate) const fn is_plain_http(&self) -> bool {
        self.plain_http
    }

    /// A wildcard stands for a part of a label: whoever can have such a name is let in.
    pub(crate) const fn is_inside_label(&self) -> bool {
        matches!(self.shape, Shape::InsideLabel(_))
    }

    /// Every origin of a scheme: every extension, say, that the user has installed.
    pub(crate) const fn is_whole_scheme(&self) -> bool {
        matches!(self.shape, Shape::WholeScheme(_))
    }

    /// The public suffix that a pattern opens to everybody, if it does.
    pub(crate) fn public_suffix(&self) -> Option<&str> {
        let host = match &self.shape {
            Shape::SubDomains { suffix, .. } => {
                let host = suffix.trim_start_matches('.');
                host.split_once(':').map_or(host, |(host, _)| host)
            }
            Shape::InsideLabel(inside) => inside.domain(),
            _ => return None,
        };
        public_suffix(host).map(|(host, _)| host)
    }
}

/// The host, if it is a public suffix; and whether names below it are for anybody to register, as
/// below `com`, and not given out by a platform, as below `netlify.app`.
pub(super) fn public_suffix(host: &str) -> Option<(&str, bool)> {
    let kind = psl::suffix(host.as_bytes())?.typ()?;
    psl::domain(host.as_bytes())
        .is_none()
        .then_some((host, kind == psl::Type::Icann))
}

/// One or more labels of `[a-z0-9_-]`, parted by single dots: what browsers serialise and DNS
/// carries.
fn are_labels(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == b'.')
        .all(|label| (1..=MAX_LABEL).contains(&label.len()) && label.iter().all(is_label_byte))
}

pub(super) const fn is_label_byte(byte: &u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')
}

/// A port as browsers serialise it: no leading zero, 1 to 65535.
fn is_port(bytes: &[u8]) -> bool {
    !bytes.starts_with(b"0")
        && bytes.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(bytes)
            .ok()
            .and_then(|digits| digits.parse::<u16>().ok())
            .is_some()
}

/// Browsers leave it out.
fn is_default(port: &[u8], origin: &str) -> bool {
    port == if origin.starts_with("https:") {
        b"443".as_slice()
    } else {
        b"80"
    }
}

fn shape(text: &str) -> Result<(Shape, bool), String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("an origin is scheme://host, such as https://app.example.com".into());
    };
    if scheme.contains('*') {
        return Err("a wildcard cannot stand in the scheme: write http and https apart".into());
    }
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        if rest == "*" && is_scheme(scheme) && !WITHOUT_ORIGINS.contains(&scheme) {
            return Ok((Shape::WholeScheme(WholeScheme::of(scheme)), false));
        }
        return foreign_scheme(text).map(|()| (Shape::Exact, false));
    }
    if let Some(host) = rest.strip_suffix(":*") {
        return any_port(scheme, host);
    }
    match rest.strip_prefix("*.") {
        Some(domain) => sub_domains(scheme, domain),
        None if rest.contains('*') => {
            let (inside, plain_http) = InsideLabel::parse(scheme, rest)?;
            Ok((Shape::InsideLabel(inside), plain_http))
        }
        None => {
            let plain_http = canonical(text)?.1;
            Ok((Shape::Exact, plain_http))
        }
    }
}

/// Schemes whose pages have no origin of their own, or that no page has.
const WITHOUT_ORIGINS: [&str; 7] = ["about", "blob", "data", "file", "javascript", "ws", "wss"];

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
}

/// `chrome-extension://abcd`, `file://`, `app://-`: nothing is known of their serialisation, so
/// they are taken byte by byte.
fn foreign_scheme(text: &str) -> Result<(), String> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b',' | b'*'));
    let scheme_ok = text.split("://").next().is_some_and(is_scheme);
    if plain && scheme_ok {
        Ok(())
    } else {
        Err(
            "an origin of another scheme must be written byte by byte as the browser sends it: \
             lower-case scheme, ASCII, no spaces, commas or wildcards"
                .into(),
        )
    }
}

fn any_port(scheme: &str, host: &str) -> Result<(Shape, bool), String> {
    let text = format!("{scheme}://{host}");
    let (url, _) = canonical(&text)?;
    if url.port().is_some() || !is_loopback(&url) {
        return Err("any port is for loopback hosts only: http://localhost:*".into());
    }
    Ok((Shape::AnyPort { host: text.into() }, false))
}

fn sub_domains(scheme: &str, domain: &str) -> Result<(Shape, bool), String> {
    if domain.is_empty() || domain.starts_with(':') {
        return Err("a wildcard stands before a domain: https://*.example.com".into());
    }
    if domain.contains('*') {
        return Err(ONE_WILDCARD.into());
    }
    // With a label in the wildcard's place it is an origin like any other, and is checked as one.
    let (url, plain_http) = canonical(&format!("{scheme}://label.{domain}"))
        .map_err(|message| message.replace("://label.", "://*."))?;
    if !matches!(url.host(), Some(Host::Domain(_))) {
        return Err("a wildcard stands before a domain name, not before an address".into());
    }
    Ok((
        Shape::SubDomains {
            scheme: format!("{scheme}://").into(),
            suffix: format!(".{domain}").into(),
        },
        plain_http,
    ))
}

/// An `http` or `https` origin, if it is written as browsers serialise it (WHATWG URL § 4.7,
/// HTML § 7.1.1); and whether it is open to whoever is on the way.
pub(super) fn canonical(text: &str) -> Result<(Url, bool), String> {
    let url = Url::parse(text).map_err(|error| format!("is no origin: {error}"))?;
    let origin = url.origin().ascii_serialization();
    if origin != text {
        return Err(format!(
            "would never match, for browsers write it as {origin}"
        ));
    }
    if url.port() == Some(0) {
        return Err("port 0 cannot be connected to".into());
    }
    if let Some(Host::Domain(name)) = url.host()
        && !are_labels(name.strip_suffix('.').unwrap_or(name).as_bytes())
    {
        return Err("is no host name: labels of letters, digits, `-` and `_`".into());
    }
    let plain_http = url.scheme() == "http" && !is_loopback(&url);
    Ok((url, plain_http))
}

/// What browsers hold to be potentially trustworthy over `http` (Secure Contexts § 3.1).
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> OriginPattern {
        OriginPattern::parse(text).unwrap()
    }

    #[test]
    fn o11_a_wildcard_stands_for_one_or_more_labels() {
        let tenants = pattern("https://*.tenant.example.net");
        for origin in [
            "https://a.tenant.example.net",
            "https://a.b.tenant.example.net",
            "https://a_b.tenant.example.net",
        ] {
            assert!(tenants.matches(origin.as_bytes()), "{origin}");
        }
    }

    #[test]
    fn o12_o13_a_wildcard_stands_for_nothing_else() {
        let tenants = pattern("https://*.tenant.example.net");
        for origin in [
            "https://tenant.example.net",
            "https://.tenant.example.net",
            "https://a..tenant.example.net",
            "https://xtenant.example.net",
            "https://a.tenant.example.net.evil.com",
            "https://a.tenant.example.net:444",
            "http://a.tenant.example.net",
            "https://A.tenant.example.net",
            "https://x`.tenant.example.net",
            "https://a b.tenant.example.net",
            "https://evil.com#.tenant.example.net",
            "https://evil.com/.tenant.example.net",
            "https://evil.com?.tenant.example.net",
            "https://evil.com:80.tenant.example.net",
            "https://me@evil.tenant.example.net",
        ] {
            assert!(!tenants.matches(origin.as_bytes()), "{origin}");
        }
        let long = format!("https://{}.tenant.example.net", "a.".repeat(200) + "a");
        assert!(!tenants.matches(long.as_bytes()));
        let label = format!("https://{}.tenant.example.net", "a".repeat(64));
        assert!(!tenants.matches(label.as_bytes()));
    }

    #[test]
    fn a_wildcard_keeps_its_port() {
        let pattern = pattern("https://*.example.net:8443");
        assert!(pattern.matches(b"https://a.example.net:8443"));
        assert!(!pattern.matches(b"https://a.example.net"));
        assert!(!pattern.matches(b"https://a.example.net:18443"));
    }

    #[test]
    fn any_port_of_a_loopback_host() {
        let local = pattern("http://localhost:*");
        assert!(local.matches(b"http://localhost"));
        assert!(local.matches(b"http://localhost:5173"));
        for origin in [
            "http://localhost:",
            "http://localhost:0",
            "http://localhost:80",
            "http://localhost:05173",
            "http://localhost:65536",
            "http://localhost:5173/",
            "http://localhost.evil.com",
            "http://localhost:1@evil.com",
            "https://localhost:5173",
            "http://127.0.0.1:5173",
        ] {
            assert!(!local.matches(origin.as_bytes()), "{origin}");
        }
        assert!(OriginPattern::parse("http://example.com:*").is_err());
        assert!(OriginPattern::parse("http://localhost:80:*").is_err());
    }

    #[test]
    fn f02_to_f09_what_would_never_match_is_refused() {
        for text in [
            "null",
            "",
            "https://app.example.com/",
            "https://app.example.com/x",
            "https://app.example.com?q",
            "https://app.example.com#f",
            "https://user@app.example.com",
            " https://app.example.com",
            "https://app.example.com ",
            "//app.example.com",
            "app.example.com",
            "app.example.com:8443",
            "HTTPS://app.example.com",
            "https://App.example.com",
            "https://résumé.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://app.example.com:0",
            "https://app.example.com:65536",
            "https://app.example.com:06060",
            "https://app.example.com:",
            "https://*example.com",
            "https://**.x.com",
            "https://*.*.x.com",
            "https://a.*.x.com",
            "http*://x",
            "https://*.127.0.0.1",
            "https://*.[::1]",
            "https://*.",
            "https://*.:8443",
            "https://*..com",
            "https://a..com",
            "https://*",
            "http://[0:0:0:0:0:0:0:1]",
            "http://[fe80::1%eth0]",
            "http://[::ffff:1.2.3.4]",
            "http://0x7f000001",
            "https://a,b",
            "https://a b",
            "app://a b",
            "App://a",
            "app://*.x",
            "://x",
        ] {
            assert!(OriginPattern::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn f04_the_message_shows_what_to_write() {
        for (text, remedy) in [
            ("https://résumé.com", "https://xn--rsum-bpad.com"),
            ("https://App.example.com/", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("https://*.Example.com", "https://*.example.com"),
            ("http://0x7f000001", "http://127.0.0.1"),
        ] {
            let message = OriginPattern::parse(text).unwrap_err();
            assert!(message.ends_with(remedy), "{text}: {message}");
        }
    }

    #[test]
    fn o23_other_schemes_are_taken_byte_by_byte() {
        for text in ["chrome-extension://abcd", "file://", "app://-"] {
            assert!(pattern(text).matches(text.as_bytes()), "{text}");
        }
        assert!(!pattern("app://-").matches(b"app://-/"));
    }

    #[test]
    fn f06_a_pattern_below_a_public_suffix_is_noticed() {
        for text in ["https://*.com", "https://*.co.uk", "https://*.github.io"] {
            assert!(pattern(text).public_suffix().is_some(), "{text}");
        }
        for text in [
            "https://*.example.com",
            "https://*.me.github.io:8443",
            "http://*.localhost",
            "https://example.com",
        ] {
            assert!(pattern(text).public_suffix().is_none(), "{text}");
        }
    }

    #[test]
    fn f08_plain_http_is_noticed_unless_loopback() {
        assert!(pattern("http://app.example.com").is_plain_http());
        assert!(pattern("http://*.example.com").is_plain_http());
        for text in [
            "https://app.example.com",
            "http://localhost:5173",
            "http://localhost:*",
            "http://app.localhost",
            "http://*.localhost:8080",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
        ] {
            assert!(!pattern(text).is_plain_http(), "{text}");
        }
    }
}
