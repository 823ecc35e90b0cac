//! [CORS-preflight fetch](https://fetch.spec.whatwg.org/#cors-preflight-fetch): what a browser asks before a `fetch` with
//! headers of its own, and what it makes of the answer. Pure.

use std::fmt;

use super::{
    cors::{Block, Credentials, cors_check},
    headers::{Headers, printable},
    origin::Origin,
};

/// Why a preflight fails, and with it the request that it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PreflightBlock {
    /// The CORS check of the preflight's answer failed.
    Cors(Block),
    /// The answer's status is not 200 to 299; a redirect counts as that.
    Status(u16),
    /// A list that cannot be read: the header, and its value.
    Unreadable(&'static str, String),
    /// The method is not listed.
    Method(String),
    /// A header of the request is not listed.
    Header(String),
    /// `Authorization` must be listed by name; `*` does not cover it.
    AuthorizationByName,
}

impl fmt::Display for PreflightBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cors(block) => write!(f, "{block}"),
            Self::Status(status) => write!(f, "status {status}, not 2xx"),
            Self::Unreadable(name, value) => write!(f, "{name} is not a list of names: `{value}`"),
            Self::Method(method) => write!(f, "method {method} is not in Access-Control-Allow-Methods"),
            Self::Header(name) => write!(f, "`{name}` is not in Access-Control-Allow-Headers"),
            Self::AuthorizationByName => f.write_str(
                "`authorization` is not in Access-Control-Allow-Headers by name; `*` does not cover it",
            ),
        }
    }
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
    let mut names: Vec<_> = names
        .iter()
        .map(|n| n.as_ref().to_ascii_lowercase())
        .collect();
    names.sort();
    names.dedup();
    names.join(",")
}

/// [Extract header list values](https://fetch.spec.whatwg.org/#extract-header-list-values) of a list of tokens.
fn list(headers: &Headers, name: &'static str) -> Result<Vec<String>, PreflightBlock> {
    let members = headers.members(name);
    if members.iter().all(|m| m.bytes().all(is_token)) {
        Ok(members)
    } else {
        let value = headers.get(name).unwrap_or_default();
        Err(PreflightBlock::Unreadable(name, printable(&value)))
    }
}

/// A token code point of HTTP.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "https://app.example.com";

    fn check(
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
        assert_eq!(check(204, &good, Credentials::Include, "GET"), Ok(()));
        assert_eq!(check(200, &good, Credentials::Include, "POST"), Ok(()));
        assert_eq!(
            check(301, &good, Credentials::Include, "GET"),
            Err(PreflightBlock::Status(301))
        );
    }

    #[test]
    fn a_star_covers_headers_without_credentials_but_never_authorization() {
        let star = [("access-control-allow-headers", "*")];
        assert_eq!(
            check(204, &star, Credentials::Omit, "GET"),
            Err(PreflightBlock::AuthorizationByName)
        );
        let both = [("access-control-allow-headers", "*, authorization")];
        assert_eq!(check(204, &both, Credentials::Omit, "GET"), Ok(()));
        assert_eq!(
            check(204, &both, Credentials::Include, "GET"),
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
            check(204, &lists, Credentials::Include, "PATCH"),
            Err(PreflightBlock::Method("PATCH".into()))
        );
        assert_eq!(check(204, &lists, Credentials::Include, "GET"), Ok(()));
    }

    #[test]
    fn a_list_that_is_no_list_fails() {
        let bad = [(
            "access-control-allow-headers",
            "authorization last-event-id",
        )];
        assert!(matches!(
            check(204, &bad, Credentials::Include, "GET"),
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
