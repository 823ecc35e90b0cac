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
    use super::{
        Credentials::{Include, Omit},
        *,
    };

    const APP: &str = "https://app.example.com";
    const ORIGIN: &str = "Access-Control-Allow-Origin";
    const CREDENTIALS: &str = "Access-Control-Allow-Credentials";

    type Lines<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn the_cors_check_is_the_standards() {
        let star = [(ORIGIN, "*"), (CREDENTIALS, "true")];
        let many = |value: &str| Some(Block::ManyAllowOrigins(format!("{value}, {value}")));
        let cases: &[(Lines<'_>, Credentials, Option<Block>)] = &[
            (&[], Omit, Some(Block::NoAllowOrigin)),
            (&star, Omit, None),
            (&star, Include, Some(Block::WildcardWithCredentials)),
            (&[(ORIGIN, APP), (ORIGIN, APP)], Omit, many(APP)),
            (&[(ORIGIN, "*"), (ORIGIN, "*")], Omit, many("*")),
            (&[(ORIGIN, APP)], Omit, None),
            (&[(ORIGIN, APP)], Include, Some(Block::NoAllowCredentials)),
        ];
        for (lines, credentials, expected) in cases {
            let headers = Headers::from_lines(lines.iter().copied());
            let block = cors_check(&headers, &APP.parse().unwrap(), *credentials).err();
            assert_eq!(block, *expected, "{lines:?} {credentials}");
        }
    }

    #[test]
    fn values_are_compared_byte_by_byte() {
        let block = |origin, credentials| {
            let headers = Headers::from_lines([(ORIGIN, origin), (CREDENTIALS, credentials)]);
            cors_check(&headers, &APP.parse().unwrap(), Include).err()
        };
        let other_port = format!("{APP}:443");
        let (slash, upper) = (format!("{APP}/"), APP.to_uppercase());
        for other in [slash.as_str(), &upper, "null", &other_port, ""] {
            let other_origin = Some(Block::OtherOrigin(other.to_owned()));
            assert_eq!(block(other, "true"), other_origin);
        }
        assert_eq!(block(APP, "true"), None);
        assert_eq!(block(APP, " true "), None);
        for value in ["True", "TRUE", "1", "", "true, true"] {
            let not_true = Some(Block::AllowCredentialsNotTrue(value.to_owned()));
            assert_eq!(block(APP, value), not_true);
        }
    }

    #[test]
    fn p01_p08_the_answer_to_a_preflight_is_judged_by_the_standard() {
        let names = "access-control-allow-headers";
        let methods = "access-control-allow-methods";
        let both = (names, "LAST-event-id , authorization");
        let by_name = PreflightBlock::AuthorizationByName;
        let patch = [both, (methods, "GET, patch")];
        let no_list = PreflightBlock::Unreadable(names, "authorization last-event-id".to_owned());
        type Case<'a> = (u16, Lines<'a>, Credentials, &'a str, Option<PreflightBlock>);
        let cases: &[Case<'_>] = &[
            // Names are compared without case, and any 2xx will do.
            (204, &[both], Include, "GET", None),
            (200, &[both], Include, "POST", None),
            (
                301,
                &[both],
                Include,
                "GET",
                Some(PreflightBlock::Status(301)),
            ),
            // A star covers headers without credentials, but never Authorization.
            (204, &[(names, "*")], Omit, "GET", Some(by_name)),
            (204, &[(names, "*, authorization")], Omit, "GET", None),
            (
                204,
                &[(names, "*, authorization")],
                Include,
                "GET",
                Some(PreflightBlock::Header("last-event-id".to_owned())),
            ),
            // Methods are compared with case.
            (
                204,
                &patch,
                Include,
                "PATCH",
                Some(PreflightBlock::Method("PATCH".to_owned())),
            ),
            (204, &patch, Include, "GET", None),
            (
                204,
                &[(names, "authorization last-event-id")],
                Include,
                "GET",
                Some(no_list),
            ),
        ];
        for (status, more, credentials, method, expected) in cases {
            let lines = [(ORIGIN, APP), (CREDENTIALS, "true")];
            let headers = Headers::from_lines(lines.iter().chain(*more).copied());
            let (origin, asked) = (APP.parse().unwrap(), ["Authorization", "Last-Event-ID"]);
            let result = preflight_check(*status, &headers, &origin, *credentials, method, &asked);
            assert_eq!(result.err(), *expected, "{status} {more:?} {method}");
        }
    }

    #[test]
    fn the_browser_asks_with_sorted_lower_case_names() {
        let asked = request_headers(&["Last-Event-ID", "Authorization"]);
        assert_eq!(asked, "authorization,last-event-id");
    }
}
