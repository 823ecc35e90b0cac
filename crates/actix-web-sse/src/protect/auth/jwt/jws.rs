//! A signed token in its compact form (RFC 7515 § 3.1): three parts of base64url, parted by dots.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, de::DeserializeOwned};

/// A token whose signature has not been checked: nothing in it is to be believed.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    header: Header,
    /// Header and payload as they were sent, which is what was signed.
    pub(crate) signed: &'a [u8],
    payload: &'a str,
    pub(crate) signature: Vec<u8>,
}

/// What is read of a header. Keys that come with a token (`jwk`, `jku`, `x5c`, `x5u`) are not looked
/// at: whoever made the token chose them.
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    #[cfg(any(test, feature = "jwks"))]
    kid: Option<String>,
    #[cfg(any(test, feature = "jwks"))]
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

impl<'a> Jws<'a> {
    /// Reads a token; `None` for what is none, and for one with extensions that are critical: none
    /// is known here (RFC 7515 § 4.1.11).
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if payload.contains('.') {
            return None;
        }
        let header: Header = json(header)?;
        if header.crit.is_some() {
            return None;
        }
        Some(Self {
            header,
            signed: signed.as_bytes(),
            payload,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// What it says that it was signed with.
    pub(crate) fn algorithm(&self) -> &str {
        &self.header.alg
    }

    /// Which key it says that it was signed with.
    #[cfg(feature = "jwks")]
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whether it says that it is an access token, or nothing about that: issuers sign other things
    /// with the same keys, such as logout tokens (RFC 8725 § 3.11).
    #[cfg(feature = "jwks")]
    pub(crate) fn may_be_access_token(&self) -> bool {
        self.header.typ.as_deref().is_none_or(|typ| {
            let typ = typ.strip_prefix("application/").unwrap_or(typ);
            ["jwt", "at+jwt"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(typ))
        })
    }

    /// What it says, once its signature has been checked.
    pub(crate) fn claims<C: DeserializeOwned>(&self) -> Option<C> {
        json(self.payload)
    }
}

fn json<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(header), part(payload), part("signature"))
    }

    #[test]
    fn a_token_has_three_parts() {
        let text = token(
            r#"{"alg":"HS256","kid":"k","jwk":{"kty":"oct"}}"#,
            r#"{"n":1}"#,
        );
        let jws = Jws::parse(&text).unwrap();
        assert_eq!(jws.algorithm(), "HS256");
        assert_eq!(jws.header.kid.as_deref(), Some("k"));
        assert_eq!(jws.signature, b"signature");
        assert_eq!(jws.signed, text.rsplit_once('.').unwrap().0.as_bytes());
        assert_eq!(jws.claims::<serde_json::Value>().unwrap()["n"], 1);
        let (signed, signature) = text.rsplit_once('.').unwrap();
        for wrong in [
            String::new(),
            "..".to_owned(),
            signed.to_owned(),
            format!("{signed}.{signature}."),
            format!("{signed}.{signature}.x"),
            format!("{signed}.{signature}="),
            format!("{signed}.{signature} "),
            format!("{signed}.+/+/"),
            format!(".{text}"),
            token("{}", "{}"),
            token("[]", "{}"),
            token(r#"{"alg":5}"#, "{}"),
            token(r#"{"alg":"HS256","alg":"none"}"#, "{}"),
        ] {
            assert!(Jws::parse(&wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_extension_that_is_critical_is_not_understood() {
        for crit in [r#"["b64"]"#, "[]", r#"["exp"]"#, "true"] {
            let header = format!(r#"{{"alg":"HS256","b64":false,"crit":{crit}}}"#);
            assert!(Jws::parse(&token(&header, "{}")).is_none(), "{crit}");
        }
    }

    #[cfg(feature = "jwks")]
    #[test]
    fn w12_what_says_that_it_is_something_else_is_no_access_token() {
        let is = |typ: &str| {
            let text = token(&format!(r#"{{"alg":"RS256"{typ}}}"#), "{}");
            Jws::parse(&text).unwrap().may_be_access_token()
        };
        for typ in [
            "",
            r#","typ":"JWT""#,
            r#","typ":"at+jwt""#,
            r#","typ":"application/at+JWT""#,
        ] {
            assert!(is(typ), "{typ}");
        }
        for typ in [
            r#","typ":"logout+jwt""#,
            r#","typ":"secevent+jwt""#,
            r#","typ":"""#,
        ] {
            assert!(!is(typ), "{typ}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[ -~]{0,60}", dots in "[A-Za-z0-9_.-]{0,80}") {
            let _ = Jws::parse(&text);
            let _ = Jws::parse(&dots);
        }
    }
}
