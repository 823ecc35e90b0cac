//! The Fetch standard's [CORS check](https://fetch.spec.whatwg.org/#concept-cors-check) and its
//! [CORS-preflight fetch](https://fetch.spec.whatwg.org/#cors-preflight-fetch): what a browser asks before a `fetch` with
//! headers of its own, and what it makes of the answer. Pure.

use thiserror::Error;

use super::{
    headers::{Headers, printable},
    origin::Origin,
};

named! {
    /// The credentials mode of a request: `withCredentials` of an `EventSource`, `credentials` of a `fetch`.
    pub enum Credentials {
        /// Cookies travel, and the reply must allow that.
        Include = "include",
        /// No cookies across origins.
        Omit = "omit",
    }
}

impl Credentials {
    /// Both modes.
    pub const BOTH: [Self; 2] = [Self::Include, Self::Omit];
}

/// Why a browser keeps a reply from the page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Block {
    /// No `Access-Control-Allow-Origin`.
    #[error("no Access-Control-Allow-Origin")]
    NoAllowOrigin,
    /// More than one line of it, or one line that lists several values.
    #[error("several values in Access-Control-Allow-Origin: `{0}`")]
    ManyAllowOrigins(String),
    /// `*`, but the request carries credentials.
    #[error("Access-Control-Allow-Origin is `*`, which never counts with credentials")]
    WildcardWithCredentials,
    /// It names another origin.
    #[error("Access-Control-Allow-Origin names another origin: `{0}`")]
    OtherOrigin(String),
    /// `Access-Control-Allow-Credentials` is not there.
    #[error("no Access-Control-Allow-Credentials")]
    NoAllowCredentials,
    /// `Access-Control-Allow-Credentials` is there, but is not exactly `true`.
    #[error("Access-Control-Allow-Credentials is `{0}`, not exactly `true`")]
    AllowCredentialsNotTrue(String),
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
    let allowed = headers.get("access-control-allow-origin");
    let allowed = allowed.ok_or(Block::NoAllowOrigin)?;
    let omit = credentials == Credentials::Omit;
    if allowed == b"*" && omit {
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
    match headers.get("access-control-allow-credentials") {
        _ if omit => Ok(()),
        Some(value) if value == b"true" => Ok(()),
        Some(value) => Err(Block::AllowCredentialsNotTrue(printable(&value))),
        None => Err(Block::NoAllowCredentials),
    }
}

/// Why a preflight fails, and with it the request that it was made for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PreflightBlock {
    /// The CORS check of the preflight's answer failed.
    #[error("{0}")]
    Cors(Block),
    /// The answer's status is not 200 to 299; a redirect counts as that.
    #[error("status {0}, not 2xx")]
    Status(u16),
    /// A list that cannot be read: the header, and its value.
    #[error("{0} is not a list of names: `{1}`")]
    Unreadable(&'static str, String),
    /// The method is not listed.
    #[error("method {0} is not in Access-Control-Allow-Methods")]
    Method(String),
    /// A header of the request is not listed.
    #[error("`{0}` is not in Access-Control-Allow-Headers")]
    Header(String),
    /// `Authorization` must be listed by name; `*` does not cover it.
    #[error(
        "`authorization` is not in Access-Control-Allow-Headers by name; `*` does not cover it"
    )]
    AuthorizationByName,
}

/// Judges the answer to a preflight for `method` with the unsafe header names `names`.
///
/// # Errors
///
/// The first reason, in the standard's order.
pub fn preflight_check(
    status: u16,
    headers: &Headers,
    origin: &Origin,
    credentials: Credentials,
    method: &str,
    names: &[impl AsRef<str>],
) -> Result<(), PreflightBlock> {
    let names = || names.iter().map(AsRef::as_ref);
    cors_check(headers, origin, credentials).map_err(PreflightBlock::Cors)?;
    if !(200..=299).contains(&status) {
        return Err(PreflightBlock::Status(status));
    }
    let methods = list(headers, "access-control-allow-methods")?;
    let allowed = list(headers, "access-control-allow-headers")?;
    let wildcard =
        |list: &[String]| credentials == Credentials::Omit && list.iter().any(|m| m == "*");

    let safelisted = matches!(method, "GET" | "HEAD" | "POST");
    if !safelisted && !methods.iter().any(|m| m == method) && !wildcard(&methods) {
        return Err(PreflightBlock::Method(method.to_owned()));
    }
    let named = |name: &str| allowed.iter().any(|a| a.eq_ignore_ascii_case(name));
    if names().any(|n| n.eq_ignore_ascii_case("authorization")) && !named("authorization") {
        return Err(PreflightBlock::AuthorizationByName);
    }
    match names().find(|name| !named(name) && !wildcard(&allowed)) {
        Some(name) => Err(PreflightBlock::Header(name.to_ascii_lowercase())),
        None => Ok(()),
    }
}

/// The value of `Access-Control-Request-Headers`: sorted, in lower case, no spaces.
pub(crate) fn request_headers(names: &[impl AsRef<str>]) -> String {
    let names = names.iter().map(|n| n.as_ref().to_ascii_lowercase());
    let names: std::collections::BTreeSet<_> = names.collect();
    names.into_iter().collect::<Vec<_>>().join(",")
}

/// [Extract header list values](https://fetch.spec.whatwg.org/#extract-header-list-values) of a list of tokens.
fn list(headers: &Headers, name: &'static str) -> Result<Vec<String>, PreflightBlock> {
    let members = headers.members(name);
    if members.iter().all(|m| m.bytes().all(is_token)) {
        return Ok(members);
    }
    let value = headers.text(name).unwrap_or_default();
    Err(PreflightBlock::Unreadable(name, value))
}

/// A token code point of HTTP.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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

    fn preflight(
        status: u16,
        more: &[(&str, &str)],
        credentials: Credentials,
        method: &str,
    ) -> Result<(), PreflightBlock> {
        let mut lines = vec![
            ("access-control-allow-origin", APP),
            ("access-control-allow-credentials", "true"),
        ];
        lines.extend(more);
        preflight_check(
            status,
            &Headers::from_lines(lines),
            &APP.parse().unwrap(),
            credentials,
            method,
            &["Authorization", "Last-Event-ID"],
        )
    }

    #[test]
    fn p01_names_are_case_insensitive_and_any_2xx_will_do() {
        let good = [(
            "access-control-allow-headers",
            "LAST-event-id , authorization",
        )];
        assert_eq!(preflight(204, &good, Credentials::Include, "GET"), Ok(()));
        assert_eq!(preflight(200, &good, Credentials::Include, "POST"), Ok(()));
        assert_eq!(
            preflight(301, &good, Credentials::Include, "GET"),
            Err(PreflightBlock::Status(301))
        );
    }

    #[test]
    fn a_star_covers_headers_without_credentials_but_never_authorization() {
        let star = [("access-control-allow-headers", "*")];
        assert_eq!(
            preflight(204, &star, Credentials::Omit, "GET"),
            Err(PreflightBlock::AuthorizationByName)
        );
        let both = [("access-control-allow-headers", "*, authorization")];
        assert_eq!(preflight(204, &both, Credentials::Omit, "GET"), Ok(()));
        assert_eq!(
            preflight(204, &both, Credentials::Include, "GET"),
            Err(PreflightBlock::Header("last-event-id".into()))
        );
    }

    #[test]
    fn p08_methods_are_case_sensitive() {
        let lists = [
            (
                "access-control-allow-headers",
                "authorization,last-event-id",
            ),
            ("access-control-allow-methods", "GET, patch"),
        ];
        assert_eq!(
            preflight(204, &lists, Credentials::Include, "PATCH"),
            Err(PreflightBlock::Method("PATCH".into()))
        );
        assert_eq!(preflight(204, &lists, Credentials::Include, "GET"), Ok(()));
    }

    #[test]
    fn a_list_that_is_no_list_fails() {
        let bad = [(
            "access-control-allow-headers",
            "authorization last-event-id",
        )];
        assert!(matches!(
            preflight(204, &bad, Credentials::Include, "GET"),
            Err(PreflightBlock::Unreadable(..))
        ));
    }

    #[test]
    fn the_browser_asks_with_sorted_lower_case_names() {
        assert_eq!(
            request_headers(&["Last-Event-ID", "Authorization"]),
            "authorization,last-event-id"
        );
    }
}
