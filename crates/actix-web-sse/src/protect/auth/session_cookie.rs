//! A cookie that holds a token, with the attributes that keep it where it belongs.

use std::{fmt, time::Duration};

use actix_web::http::header::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, Faults};

/// Which requests a browser sends the cookie with (RFC 6265bis § 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SameSite {
    /// Those from pages of the same site. Sub-domains of one registrable domain are one site, so
    /// this does for `app.example.com` and `api.example.com`.
    Strict,
    /// The same, and navigations from elsewhere.
    Lax,
    /// All, where the browser still allows it.
    None,
}

/// What a session cookie is to look like.
///
/// ```
/// use actix_web_sse::protect::SessionCookie;
///
/// // A page on another site; kept apart for each site that embeds it.
/// let cookie = SessionCookie::cross_site("__Host-sid").build()?;
/// assert_eq!(
///     cookie.holding("a.b.c").unwrap(),
///     "__Host-sid=a.b.c; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"
/// );
/// # Ok::<(), actix_web_sse::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it has to be built"]
pub struct SessionCookie {
    name: String,
    same_site: SameSite,
    secure: bool,
    partitioned: bool,
    domain: Option<String>,
    max_age: Option<Duration>,
}

/// A session cookie, ready to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieTemplate {
    name: String,
    attributes: String,
    max_age: Option<Duration>,
}

/// A value that no cookie can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCookieValue;

impl fmt::Display for InvalidCookieValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a cookie's value is ASCII without spaces, quotes, commas, semicolons and backslashes",
        )
    }
}

impl std::error::Error for InvalidCookieValue {}

impl SessionCookie {
    fn new(name: impl Into<String>, same_site: SameSite) -> Self {
        Self {
            name: name.into(),
            same_site,
            secure: true,
            partitioned: same_site == SameSite::None,
            domain: None,
            max_age: None,
        }
    }

    /// For pages of the same site.
    pub fn same_site(name: impl Into<String>) -> Self {
        Self::new(name, SameSite::Strict)
    }

    /// For pages of other sites: `SameSite=None; Partitioned`. Browsers that block third-party
    /// cookies take it for the sake of `Partitioned`.
    pub fn cross_site(name: impl Into<String>) -> Self {
        Self::new(name, SameSite::None)
    }

    /// Which requests it goes with.
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Whether it goes over https only. Default true; false is for plain `http` on loopback.
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Whether each embedding site has its own.
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// Shared by all sub-domains of this one. Default: this host alone.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// For how long the browser keeps it. Default until it is closed.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// Every combination that a browser would refuse, silently.
    pub fn build(self) -> Result<CookieTemplate, ConfigError> {
        let mut faults = Faults::default();
        let name = self.name.as_str();
        if name.is_empty() || !name.bytes().all(is_token) {
            faults.add("cookie.name", name, "is no name of a cookie");
        }
        if !self.secure {
            if self.same_site == SameSite::None {
                faults.add("cookie.same_site", "None", "is for Secure cookies only");
            }
            if self.partitioned {
                faults.add("cookie.partitioned", true, "is for Secure cookies only");
            }
            if name.starts_with("__Host-") || name.starts_with("__Secure-") {
                faults.add(
                    "cookie.name",
                    name,
                    "promises Secure: set it, or take another name",
                );
            }
        }
        if let Some(domain) = &self.domain {
            if name.starts_with("__Host-") {
                faults.add(
                    "cookie.domain",
                    domain,
                    "cannot go with __Host-, which promises that one host alone set it",
                );
            }
            if domain.is_empty() || !domain.bytes().all(|byte| is_token(byte) || byte == b'.') {
                faults.add("cookie.domain", domain, "is no name of a domain");
            }
        }
        let mut attributes = String::new();
        if let Some(domain) = &self.domain {
            attributes.push_str("; Domain=");
            attributes.push_str(domain);
        }
        attributes.push_str("; Path=/");
        if self.secure {
            attributes.push_str("; Secure");
        }
        attributes.push_str("; HttpOnly");
        attributes.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        if self.partitioned {
            attributes.push_str("; Partitioned");
        }
        faults.into_result(CookieTemplate {
            name: self.name,
            attributes,
            max_age: self.max_age,
        })
    }
}

impl CookieTemplate {
    /// The `Set-Cookie` that holds this token.
    ///
    /// # Errors
    /// [`InvalidCookieValue`] for what RFC 6265 § 4.1.1 does not allow.
    pub fn holding(&self, token: &str) -> Result<HeaderValue, InvalidCookieValue> {
        let allowed =
            |byte| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
        if !token.bytes().all(allowed) {
            return Err(InvalidCookieValue);
        }
        self.set(token, self.max_age)
    }

    /// The `Set-Cookie` that takes it away.
    ///
    /// # Errors
    /// None that a built template could have.
    pub fn removal(&self) -> Result<HeaderValue, InvalidCookieValue> {
        self.set("", Some(Duration::ZERO))
    }

    fn set(
        &self,
        value: &str,
        max_age: Option<Duration>,
    ) -> Result<HeaderValue, InvalidCookieValue> {
        let mut text = format!("{}={value}{}", self.name, self.attributes);
        if let Some(max_age) = max_age {
            text.push_str(&format!("; Max-Age={}", max_age.as_secs()));
        }
        HeaderValue::from_str(&text).map_err(|_| InvalidCookieValue)
    }
}

/// RFC 9110 § 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c13_a_cross_site_cookie() {
        let cookie = SessionCookie::cross_site("__Host-sid").build().unwrap();
        assert_eq!(
            cookie.holding("x").unwrap(),
            "__Host-sid=x; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"
        );
        assert_eq!(
            cookie.removal().unwrap(),
            "__Host-sid=; Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Max-Age=0"
        );
    }

    #[test]
    fn c14_a_same_site_cookie() {
        let cookie = SessionCookie::same_site("sid")
            .domain("example.com")
            .max_age(Duration::from_secs(60))
            .build()
            .unwrap();
        assert_eq!(
            cookie.holding("x").unwrap(),
            "sid=x; Domain=example.com; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=60"
        );
    }

    #[test]
    fn f16_what_a_browser_would_refuse() {
        for (cookie, faults) in [
            (SessionCookie::cross_site("sid").secure(false), 2),
            (
                SessionCookie::same_site("sid")
                    .partitioned(true)
                    .secure(false),
                1,
            ),
            (
                SessionCookie::same_site("__Host-sid").domain("example.com"),
                1,
            ),
            (SessionCookie::same_site("__Host-sid").secure(false), 1),
            (SessionCookie::same_site("a b"), 1),
            (SessionCookie::same_site("").domain("x;y"), 2),
        ] {
            let error = cookie.clone().build().unwrap_err();
            assert_eq!(error.faults().len(), faults, "{cookie:?}: {error}");
        }
        assert!(
            SessionCookie::same_site("sid")
                .secure(false)
                .build()
                .is_ok()
        );
    }

    #[test]
    fn a_value_cannot_add_attributes() {
        let cookie = SessionCookie::same_site("sid").build().unwrap();
        for value in [
            "a;b",
            "a b",
            "a\r\nSet-Cookie: x",
            "a\"",
            "a,b",
            "a\\b",
            "é",
        ] {
            assert_eq!(cookie.holding(value), Err(InvalidCookieValue), "{value}");
        }
    }
}
