//! Origins: what a browser sends in `Origin`, and the look-alikes that a matcher must not take for it.

use std::{fmt, str::FromStr};

use serde::Serialize;
use thiserror::Error;
use url::{Host, Url};

/// An origin as a browser serialises it: `https://app.example.com`, or `null`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Origin(String);

/// A text that no browser would send as an origin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{}` is not an origin as a browser sends it; {meant}", given.escape_debug())]
pub struct OriginError {
    given: String,
    meant: String,
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
        let key = |url: &Url| Some((url.scheme().to_owned(), site(url)?));
        let own = Url::parse(&self.0).ok().and_then(|own| key(&own));
        match own.is_some() && own == key(url) {
            _ if self.is_origin_of(url) => "same-origin",
            true => "same-site",
            false => "cross-site",
        }
    }

    /// Origins that a careless comparison (prefix, suffix, unescaped dot, scheme or port ignored) takes for this one.
    #[must_use]
    pub fn look_alikes(&self) -> Vec<LookAlike> {
        let url = Url::parse(&self.0).ok();
        let Some((url, host)) = url.as_ref().and_then(|url| Some((url, url.host_str()?))) else {
            return Vec::new();
        };
        let scheme = url.scheme();
        let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
        let mut list = Vec::new();
        if matches!(url.host(), Some(Host::Domain(_))) {
            let suffix = format!("{scheme}://{host}.evil.example{port}");
            list.push((Mistake::Suffix, suffix));
            list.push((Mistake::Prefix, format!("{scheme}://evil{host}{port}")));
            if let Some((first, rest)) = host.split_once('.') {
                list.push((Mistake::Dot, format!("{scheme}://{first}x{rest}{port}")));
            }
            list.push((Mistake::Subdomain, format!("{scheme}://evil.{host}{port}")));
        }
        let other = if scheme == "https" { "http" } else { "https" };
        list.push((Mistake::Scheme, format!("{other}://{host}{port}")));
        let other = if url.port() == Some(8443) { 9443 } else { 8443 };
        list.push((Mistake::Port, format!("{scheme}://{host}:{other}")));
        list.retain(|(_, text)| *text != self.0);
        let list = list.into_iter().map(|(how, text)| (how, Self(text)));
        let list = list.map(|(mistake, origin)| LookAlike { mistake, origin });
        list.collect()
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

named! {
    /// The mistake in an origin matcher that a look-alike tests for.
    #[non_exhaustive]
    pub enum Mistake {
        /// Compares only the beginning.
        Suffix = "only the beginning is compared",
        /// Compares only the end.
        Prefix = "only the end is compared",
        /// A dot in a regular expression that stands for any character.
        Dot = "a dot stands for any character",
        /// Trusts every sub-domain.
        Subdomain = "every sub-domain is let in",
        /// Ignores the scheme.
        Scheme = "the scheme is not compared",
        /// Ignores the port.
        Port = "the port is not compared",
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let url = Url::parse(text).ok().filter(usable);
        let serialised = url.map(|url| url.origin().ascii_serialization());
        if text == "null" || serialised.as_deref() == Some(text) || is_of_other_scheme(text) {
            return Ok(Self(text.to_owned()));
        }
        let form = "give scheme://host, with the port if it is not the usual one, and no path";
        Err(OriginError {
            given: text.to_owned(),
            meant: serialised.map_or(form.to_owned(), |meant| format!("it would be `{meant}`")),
        })
    }
}

/// Extensions and desktop shells have origins that the URL standard calls opaque, yet browsers send them.
fn is_of_other_scheme(text: &str) -> bool {
    let only = |text: &str, more: &[u8]| {
        let mut bytes = text.bytes();
        bytes.all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    text.split_once("://").is_some_and(|(scheme, rest)| {
        !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")
            && scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && only(scheme, b"+-.")
            && only(rest, b"-._")
    })
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The registrable domain, or the whole host where there is none.
fn site(url: &Url) -> Option<String> {
    Some(match url.host()? {
        Host::Domain(host) => psl::domain_str(host).unwrap_or(host).to_owned(),
        address => address.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_serialised_form_is_an_origin() {
        #[rustfmt::skip]
        let (good, bad) = (
            ["https://app.example.com", "http://localhost:5173", "null", "chrome-extension://abcd"],
            [
                "", "app.example.com", "https://app.example.com/", "https://app.example.com:443", "HTTPS://app.example.com",
                "https://a b.com", "https://u@app.example.com", "https://", "ftp//x", "http://[::1]:80808",
            ],
        );
        for text in good {
            assert!(text.parse::<Origin>().is_ok(), "{text}");
        }
        for text in bad {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        let error = "https://App.example.com/x".parse::<Origin>().unwrap_err();
        let meant = "`https://app.example.com`";
        assert!(error.to_string().contains(meant), "{error}");
    }

    #[test]
    fn look_alikes_are_never_the_origin_itself() {
        let of = |text: &str| text.parse::<Origin>().unwrap().look_alikes();
        let list = of("https://app.example.com:8443");
        let origins: Vec<_> = list.iter().map(|l| l.origin.as_str()).collect();
        assert_eq!(origins.len(), 6);
        assert!(!origins.contains(&"https://app.example.com:8443"));
        assert!(origins.contains(&"https://appxexample.com:8443"));
        let local = of("http://localhost:5173");
        assert!(local.iter().all(|l| l.mistake != Mistake::Dot));
        assert!(Origin::null().look_alikes().is_empty());
    }

    #[test]
    fn sites_are_told_apart_by_the_public_suffix() {
        let api = Url::parse("https://api.example.co.uk/events").unwrap();
        for (origin, site) in [
            ("https://api.example.co.uk", "same-origin"),
            ("https://app.example.co.uk", "same-site"),
            ("https://other.co.uk", "cross-site"),
            ("http://app.example.co.uk", "cross-site"),
            ("null", "cross-site"),
        ] {
            assert_eq!(
                origin.parse::<Origin>().unwrap().site_towards(&api),
                site,
                "{origin}"
            );
        }
    }
}
