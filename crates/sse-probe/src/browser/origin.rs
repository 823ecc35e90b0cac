//! Origins: what a browser sends in `Origin`, and the look-alikes that a matcher must not take for it.

use std::{error::Error, fmt, str::FromStr};

use serde::Serialize;
use url::{Host, Url};

/// An origin as a browser serialises it: `https://app.example.com`, or `null`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Origin(String);

/// A text that no browser would send as an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginError {
    given: String,
    meant: Option<String>,
}

impl Origin {
    /// The opaque origin of sandboxed frames, `data:` documents and redirects.
    #[must_use]
    pub fn null() -> Self {
        Self("null".to_owned())
    }

    /// The origin of a URL; opaque ones are `null`.
    #[must_use]
    pub fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }

    /// The serialised form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a page of this origin and that URL are of one origin.
    #[must_use]
    pub fn is_origin_of(&self, url: &Url) -> bool {
        self.0 != "null" && *self == Self::of(url)
    }

    /// What the browser says in `Sec-Fetch-Site` when a page of this origin asks for `url`.
    #[must_use]
    pub fn site_towards(&self, url: &Url) -> &'static str {
        if self.is_origin_of(url) {
            return "same-origin";
        }
        let Ok(own) = Url::parse(&self.0) else {
            return "cross-site";
        };
        if own.scheme() == url.scheme() && site(&own).is_some() && site(&own) == site(url) {
            "same-site"
        } else {
            "cross-site"
        }
    }

    /// Origins that a careless comparison (prefix, suffix, unescaped dot, scheme or port ignored) takes for this one.
    #[must_use]
    pub fn look_alikes(&self) -> Vec<LookAlike> {
        let Ok(url) = Url::parse(&self.0) else {
            return Vec::new();
        };
        let scheme = url.scheme();
        let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
        let mut list = Vec::new();
        let mut add = |mistake, text: String| {
            if text != self.0 {
                list.push(LookAlike {
                    mistake,
                    origin: Self(text),
                });
            }
        };
        if let Some(Host::Domain(host)) = url.host() {
            add(
                Mistake::Suffix,
                format!("{scheme}://{host}.evil.example{port}"),
            );
            add(Mistake::Prefix, format!("{scheme}://evil{host}{port}"));
            if let Some((first, rest)) = host.split_once('.') {
                add(Mistake::Dot, format!("{scheme}://{first}x{rest}{port}"));
            }
            add(Mistake::Subdomain, format!("{scheme}://evil.{host}{port}"));
        }
        let other = if scheme == "https" { "http" } else { "https" };
        if let Some(host) = url.host_str() {
            add(Mistake::Scheme, format!("{other}://{host}{port}"));
            let other_port = if url.port() == Some(8443) { 9443 } else { 8443 };
            add(Mistake::Port, format!("{scheme}://{host}:{other_port}"));
        }
        list
    }
}

/// An origin that resembles an allowed one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookAlike {
    /// The mistake in a matcher that it would slip through.
    pub mistake: Mistake,
    /// The origin itself.
    pub origin: Origin,
}

/// The mistake in an origin matcher that a look-alike tests for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mistake {
    /// Compares only the beginning.
    Suffix,
    /// Compares only the end.
    Prefix,
    /// A dot in a regular expression that stands for any character.
    Dot,
    /// Trusts every sub-domain.
    Subdomain,
    /// Ignores the scheme.
    Scheme,
    /// Ignores the port.
    Port,
}

impl Mistake {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Suffix => "only the beginning is compared",
            Self::Prefix => "only the end is compared",
            Self::Dot => "a dot stands for any character",
            Self::Subdomain => "every sub-domain is let in",
            Self::Scheme => "the scheme is not compared",
            Self::Port => "the port is not compared",
        }
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text == "null" {
            return Ok(Self::null());
        }
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let serialised = url.as_ref().map(|url| url.origin().ascii_serialization());
        if serialised.as_deref() == Some(text) {
            return Ok(Self(text.to_owned()));
        }
        // Extensions and desktop shells have origins that the URL standard calls opaque, yet browsers send them.
        let other_scheme = text.split_once("://").is_some_and(|(scheme, rest)| {
            !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")
                && scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        });
        if other_scheme {
            return Ok(Self(text.to_owned()));
        }
        Err(OriginError {
            given: text.to_owned(),
            meant: serialised,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not an origin as a browser sends it",
            self.given.escape_debug()
        )?;
        match &self.meant {
            Some(meant) => write!(f, "; it would be `{meant}`"),
            None => f.write_str(
                "; give scheme://host, with the port if it is not the usual one, and no path",
            ),
        }
    }
}

impl Error for OriginError {}

/// The registrable domain, or the whole host where there is none.
fn site(url: &Url) -> Option<String> {
    match url.host()? {
        Host::Domain(host) => {
            Some(psl::domain_str(host).map_or_else(|| host.to_owned(), str::to_owned))
        }
        address => Some(address.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_serialised_form_is_an_origin() {
        for good in [
            "https://app.example.com",
            "http://localhost:5173",
            "http://[::1]:80808",
            "null",
            "chrome-extension://abcd",
        ] {
            assert_eq!(
                good.parse::<Origin>().is_ok(),
                good != "http://[::1]:80808",
                "{good}"
            );
        }
        for bad in [
            "",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com:443",
            "HTTPS://app.example.com",
            "https://a b.com",
            "https://u@app.example.com",
            "https://",
            "ftp//x",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_error_says_what_was_probably_meant() {
        let error = "https://App.example.com/x".parse::<Origin>().unwrap_err();
        assert!(
            error.to_string().contains("`https://app.example.com`"),
            "{error}"
        );
    }

    #[test]
    fn look_alikes_are_never_the_origin_itself() {
        let origin: Origin = "https://app.example.com:8443".parse().unwrap();
        let list = origin.look_alikes();
        assert_eq!(list.len(), 6);
        assert!(list.iter().all(|l| l.origin != origin));
        assert!(
            list.iter()
                .any(|l| l.origin.as_str() == "https://appxexample.com:8443")
        );
        let localhost: Origin = "http://localhost:5173".parse().unwrap();
        assert!(
            localhost
                .look_alikes()
                .iter()
                .all(|l| l.mistake != Mistake::Dot)
        );
        assert!(Origin::null().look_alikes().is_empty());
    }

    #[test]
    fn sites_are_told_apart_by_the_public_suffix() {
        let api = Url::parse("https://api.example.co.uk/events").unwrap();
        let site = |o: &str| o.parse::<Origin>().unwrap().site_towards(&api);
        assert_eq!(site("https://api.example.co.uk"), "same-origin");
        assert_eq!(site("https://app.example.co.uk"), "same-site");
        assert_eq!(site("https://other.co.uk"), "cross-site");
        assert_eq!(site("http://app.example.co.uk"), "cross-site");
        assert_eq!(site("null"), "cross-site");
    }
}
