//! The Fetch standard's [CORS check](https://fetch.spec.whatwg.org/#concept-cors-check). Pure.

use std::fmt;

use serde::Serialize;

use super::{
    headers::{Headers, printable},
    origin::Origin,
};

/// The credentials mode of a request: `withCredentials` of an `EventSource`, `credentials` of a `fetch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Credentials {
    /// Cookies travel, and the reply must allow that.
    Include,
    /// No cookies across origins.
    Omit,
}

impl Credentials {
    /// Both modes.
    pub const BOTH: [Self; 2] = [Self::Include, Self::Omit];

    /// `include` or `omit`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Omit => "omit",
        }
    }
}

/// Why a browser keeps a reply from the page.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Block {
    /// No `Access-Control-Allow-Origin`.
    NoAllowOrigin,
    /// More than one line of it, or one line that lists several values.
    ManyAllowOrigins(String),
    /// `*`, but the request carries credentials.
    WildcardWithCredentials,
    /// It names another origin.
    OtherOrigin(String),
    /// `Access-Control-Allow-Credentials` is not there.
    NoAllowCredentials,
    /// `Access-Control-Allow-Credentials` is there, but is not exactly `true`.
    AllowCredentialsNotTrue(String),
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAllowOrigin => f.write_str("no Access-Control-Allow-Origin"),
            Self::ManyAllowOrigins(seen) => {
                write!(f, "several values in Access-Control-Allow-Origin: `{seen}`")
            }
            Self::WildcardWithCredentials => f.write_str(
                "Access-Control-Allow-Origin is `*`, which never counts with credentials",
            ),
            Self::OtherOrigin(seen) => {
                write!(
                    f,
                    "Access-Control-Allow-Origin names another origin: `{seen}`"
                )
            }
            Self::NoAllowCredentials => f.write_str("no Access-Control-Allow-Credentials"),
            Self::AllowCredentialsNotTrue(seen) => write!(
                f,
                "Access-Control-Allow-Credentials is `{seen}`, not exactly `true`"
            ),
        }
    }
}

/// The [CORS check](https://fetch.spec.whatwg.org/#concept-cors-check).
///
/// # Errors
///
/// The reason why the check fails.
pub fn cors_check(
    headers: &Headers,
    origin: &Origin,
    credentials: Credentials,
) -> Result<(), Block> {
    let Some(allowed) = headers.get("access-control-allow-origin") else {
        return Err(Block::NoAllowOrigin);
    };
    if allowed == b"*" && credentials == Credentials::Omit {
        return Ok(());
    }
    if allowed != origin.as_str().as_bytes() {
        return Err(if allowed.contains(&b',') {
            Block::ManyAllowOrigins(printable(&allowed))
        } else if allowed == b"*" {
            Block::WildcardWithCredentials
        } else {
            Block::OtherOrigin(printable(&allowed))
        });
    }
    if credentials == Credentials::Omit {
        return Ok(());
    }
    match headers.get("access-control-allow-credentials") {
        Some(value) if value == b"true" => Ok(()),
        Some(value) => Err(Block::AllowCredentialsNotTrue(printable(&value))),
        None => Err(Block::NoAllowCredentials),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "https://app.example.com";

    fn check(lines: &[(&str, &str)], credentials: Credentials) -> Result<(), Block> {
        let headers = Headers::from_lines(lines.iter().copied());
        cors_check(&headers, &APP.parse().unwrap(), credentials)
    }

    #[test]
    fn a_wildcard_opens_without_credentials_only() {
        let star = [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Credentials", "true"),
        ];
        assert_eq!(check(&star, Credentials::Omit), Ok(()));
        assert_eq!(
            check(&star, Credentials::Include),
            Err(Block::WildcardWithCredentials)
        );
    }

    #[test]
    fn two_equal_allow_origin_lines_are_blocked() {
        let twice = [
            ("Access-Control-Allow-Origin", APP),
            ("Access-Control-Allow-Origin", APP),
        ];
        assert!(matches!(
            check(&twice, Credentials::Omit),
            Err(Block::ManyAllowOrigins(_))
        ));
        let stars = [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Origin", "*"),
        ];
        assert!(matches!(
            check(&stars, Credentials::Omit),
            Err(Block::ManyAllowOrigins(_))
        ));
    }

    #[test]
    fn credentials_must_be_allowed_by_exactly_true() {
        let with = |value| {
            check(
                &[
                    ("Access-Control-Allow-Origin", APP),
                    ("Access-Control-Allow-Credentials", value),
                ],
                Credentials::Include,
            )
        };
        assert_eq!(with("true"), Ok(()));
        assert_eq!(with(" true "), Ok(()));
        for value in ["True", "TRUE", "1", "", "true, true"] {
            assert!(
                matches!(with(value), Err(Block::AllowCredentialsNotTrue(_))),
                "{value}"
            );
        }
        assert_eq!(
            check(
                &[("Access-Control-Allow-Origin", APP)],
                Credentials::Include
            ),
            Err(Block::NoAllowCredentials)
        );
    }

    #[test]
    fn the_origin_is_compared_byte_by_byte() {
        for other in [
            "https://app.example.com/",
            "HTTPS://APP.EXAMPLE.COM",
            "null",
            "https://app.example.com:443",
            "",
        ] {
            assert!(
                matches!(
                    check(&[("Access-Control-Allow-Origin", other)], Credentials::Omit),
                    Err(Block::OtherOrigin(_))
                ),
                "{other}"
            );
        }
    }
}
