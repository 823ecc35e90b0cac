//! JSON Web Tokens (RFC 7519): signed with HS256 and one shared key, or with a key of an issuer's
//! published set.
//!
//! 1. The algorithm is the key's: HS256 is tried with the shared key and nothing else, RS256, ES256
//!    and EdDSA with public keys of their kind. A token chooses among the algorithms that were
//!    configured, and neither `none` nor another is one.
//! 2. What a token says is read when its signature has been checked.
//! 3. A signature is checked here and not by a crate for tokens: `jsonwebtoken` has one backend for
//!    the whole process, which a library cannot choose for the application that it is part of.

mod jws;

use std::{
    collections::HashSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

pub(crate) use self::jws::Jws;
#[cfg(feature = "jwks")]
use super::jwks::KeySet;
use super::{Attempt, AuthError, AuthFuture, Authenticator, CacheKey};
use crate::{config::AuthConfig, identity::Identity};

/// The claims that are read.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// A date may have a fraction (RFC 7519 § 2), and may be absurd.
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    iss: Option<String>,
    aud: Option<Audience>,
    /// Which application the token was issued to: OpenID Connect says it so,
    azp: Option<String>,
    /// and RFC 9068 so.
    client_id: Option<String>,
    topics: Option<Vec<String>>,
    #[serde(default)]
    publish: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// What a token has to say of itself.
struct Terms {
    audience: HashSet<String>,
    issuer: HashSet<String>,
    client: HashSet<String>,
    /// How far `nbf` and `iat` may lie ahead, in seconds.
    leeway: f64,
    issued_ahead: f64,
}

enum Keys {
    Shared(Box<Hmac<Sha256>>),
    #[cfg(feature = "jwks")]
    Published(std::sync::Arc<KeySet>),
}

/// Checks tokens.
pub(crate) struct Jwt {
    keys: Keys,
    terms: Terms,
}

impl Jwt {
    /// The authenticator of the configuration, if it has the key for one.
    pub(crate) fn shared(config: &AuthConfig) -> Option<Self> {
        let secret = config.jwt_hs256_secret.as_ref()?;
        let key = Hmac::new_from_slice(secret.expose()).ok()?;
        Some(Self {
            keys: Keys::Shared(Box::new(key)),
            terms: Terms::of(config),
        })
    }

    /// One that goes by the keys of an issuer.
    #[cfg(feature = "jwks")]
    pub(crate) fn published(config: &AuthConfig, keys: std::sync::Arc<KeySet>) -> Self {
        Self {
            keys: Keys::Published(keys),
            terms: Terms::of(config),
        }
    }

    async fn check(&self, token: &str, now: SystemTime) -> Result<Identity, AuthError> {
        let jws = Jws::parse(token).ok_or(AuthError::Invalid)?;
        match &self.keys {
            Keys::Shared(key) => {
                let mut mac = (**key).clone();
                mac.update(jws.signed);
                // Compares in constant time.
                let signed = jws.algorithm() == "HS256" && mac.verify_slice(&jws.signature).is_ok();
                if !signed {
                    return Err(AuthError::Invalid);
                }
            }
            #[cfg(feature = "jwks")]
            Keys::Published(keys) => keys.verify(&jws).await?,
        }
        let claims = jws.claims().ok_or(AuthError::Invalid)?;
        self.terms.identity(claims, now).ok_or(AuthError::Invalid)
    }
}

impl Terms {
    fn of(config: &AuthConfig) -> Self {
        let set = |names: &[String]| names.iter().cloned().collect();
        Self {
            audience: set(&config.jwt_audience),
            issuer: set(&config.jwt_issuer),
            client: set(&config.jwt_client),
            leeway: config.jwt_leeway.as_secs_f64(),
            // An application dates what it issues after a revocation that far ahead, and the
            // clocks of two nodes may differ by as much.
            issued_ahead: config
                .jwt_leeway
                .max(config.revocation_skew * 2)
                .as_secs_f64(),
        }
    }

    /// Whom the claims of a token that is genuine stand for, if it holds, and holds here.
    fn identity(&self, claims: Claims, now: SystemTime) -> Option<Identity> {
        if claims.sub.is_empty() || !self.is_for_us(&claims) {
            return None;
        }
        let now = now
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64();
        let is_ahead = |date: Option<f64>, leeway| date.is_some_and(|date| date > now + leeway);
        // A stream ends at `exp`, so none may open after it.
        if claims.exp <= now
            || is_ahead(claims.nbf, self.leeway)
            // It would outlive revocations, which go by when a token was issued.
            || is_ahead(claims.iat, self.issued_ahead)
        {
            return None;
        }
        // Beyond what a clock can hold, a token never expires; the lifetime of a stream has its
        // own limit.
        let ttl = Duration::try_from_secs_f64(claims.exp - now).unwrap_or(Duration::MAX);
        let mut identity = Identity::user(claims.sub)
            .expiring_in(ttl)
            .issued_at(issued(claims.iat))
            .publishing(claims.publish);
        if let Some(topics) = claims.topics {
            identity = identity.reading_matching(topics.iter().map(String::as_str));
        }
        Some(identity)
    }

    /// Audience, issuer and client. Without a configured audience a token must not name one
    /// (RFC 7519 § 4.1.3).
    fn is_for_us(&self, claims: &Claims) -> bool {
        let named = claims.aud.as_ref().map_or(&[][..], Audience::names);
        let audience = if self.audience.is_empty() {
            named.is_empty()
        } else {
            named.iter().any(|name| self.audience.contains(name))
        };
        let issuer = || {
            let stated = claims.iss.as_ref();
            self.issuer.is_empty() || stated.is_some_and(|name| self.issuer.contains(name))
        };
        let client = || {
            let mut stated = [&claims.azp, &claims.client_id]
                .into_iter()
                .flatten()
                .peekable();
            self.client.is_empty()
                || stated.peek().is_some() && stated.all(|name| self.client.contains(name))
        };
        audience && issuer() && client()
    }
}

/// When a token was issued. One that does not say may be as old as any.
fn issued(iat: Option<f64>) -> SystemTime {
    let since = iat.and_then(|iat| Duration::try_from_secs_f64(iat).ok());
    since
        .and_then(|since| UNIX_EPOCH.checked_add(since))
        .unwrap_or(UNIX_EPOCH)
}

impl Authenticator for Jwt {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        Box::pin(async move {
            let token = attempt.token.ok_or(AuthError::Missing)?;
            self.check(token.text, SystemTime::now()).await
        })
    }

    fn cache_key(&self, _: &Attempt<'_>) -> CacheKey {
        CacheKey::Token
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "reference-secret-of-at-least-32-bytes!";

    fn check(change: impl FnOnce(&mut AuthConfig), token: &str) -> Result<Identity, AuthError> {
        let mut config = AuthConfig {
            jwt_hs256_secret: Some(SECRET.into()),
            ..AuthConfig::default()
        };
        change(&mut config);
        Jwt::shared(&config)
            .unwrap()
            .check(token, SystemTime::now())
            .now_or_never()
            .unwrap()
    }

    fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::new(algorithm), claims, &key).unwrap()
    }

    fn token(claims: &Value) -> String {
        signed(Algorithm::HS256, SECRET, claims)
    }

    fn now() -> u64 {
        jsonwebtoken::get_current_timestamp()
    }

    #[test]
    fn a_token_says_who_it_is_what_it_may_and_for_how_long() {
        let claims = json!({"sub": "u", "exp": now() + 100, "topics": ["a"], "publish": true});
        let identity = check(|_| {}, &token(&claims)).unwrap();
        assert_eq!(identity.user.as_deref(), Some("u"));
        assert!(identity.topics.allow("a") && !identity.topics.allow("b"));
        assert!(identity.publish);
        let ttl = identity.ttl().unwrap();
        assert!((98..=100).contains(&ttl.as_secs()), "{ttl:?}");

        let identity = check(|_| {}, &token(&json!({"sub": "u", "exp": now() + 100}))).unwrap();
        assert!(identity.topics.allow("whatever") && !identity.publish);
    }

    #[test]
    fn w11_rights_are_patterns() {
        let rights = |topics: Value| {
            let claims = json!({"sub": "u", "exp": now() + 100, "topics": topics});
            check(|_| {}, &token(&claims)).unwrap().topics
        };
        assert!(rights(json!(["*"])).allow("anything"));
        let orders = rights(json!(["orders/*", "news"]));
        assert!(orders.allow("orders/7") && orders.allow("news"));
        assert!(!orders.allow("orders") && !orders.allow("prices"));
        assert!(!rights(json!([])).allow("news"));
    }

    #[test]
    fn a_token_says_when_it_was_issued_or_may_be_as_old_as_any() {
        for (iat, millis) in [
            (json!(1_700_000_000), 1_700_000_000_000),
            (json!(1_700_000_000.25), 1_700_000_000_250),
            (json!(null), 0),
            (json!(-1), 0),
        ] {
            let token = token(&json!({"sub": "u", "exp": now() + 100, "iat": iat}));
            let issued = check(|_| {}, &token).unwrap().issued.unwrap();
            let since = issued.duration_since(UNIX_EPOCH).unwrap();
            assert_eq!(since.as_millis(), millis, "{iat}");
        }
    }

    #[test]
    fn t02_what_does_not_hold() {
        let good = json!({"sub": "u", "exp": now() + 100});
        let parts = token(&good);
        let (message, _) = parts.rsplit_once('.').unwrap();
        // {"alg":"none"}
        let (_, payload) = message.split_once('.').unwrap();
        for token in [
            String::new(),
            "x".into(),
            "a.b.c".into(),
            format!("{message}."),
            format!("{message}.AAAA"),
            format!("eyJhbGciOiJub25lIn0.{payload}."),
            signed(Algorithm::HS384, SECRET, &good),
            signed(
                Algorithm::HS256,
                "another-secret-of-at-least-32-bytes!!!",
                &good,
            ),
            token(&json!({"sub": "u"})),
            token(&json!({"exp": now() + 100})),
            token(&json!({"sub": "", "exp": now() + 100})),
            token(&json!({"sub": 5, "exp": now() + 100})),
            token(&json!({"sub": "u", "exp": now() + 100, "aud": "somebody"})),
            token(&json!({"sub": "u", "exp": "soon"})),
            token(&json!({"sub": "u", "exp": now() + 100, "topics": "all"})),
        ] {
            assert_eq!(
                check(|_| {}, &token).unwrap_err(),
                AuthError::Invalid,
                "{token}"
            );
        }
    }

    #[test]
    fn t15_dates_at_the_edges() {
        for exp in [
            json!(u64::MAX),
            json!(9_223_372_036_854_775_807_u64),
            json!(1e300),
        ] {
            let token = token(&json!({"sub": "u", "exp": exp}));
            let identity = check(|_| {}, &token).unwrap();
            assert!(!identity.is_expired(), "{exp}");
        }
        for claims in [
            json!({"sub": "u", "exp": now()}),
            json!({"sub": "u", "exp": now() - 1}),
            json!({"sub": "u", "exp": 0}),
            json!({"sub": "u", "exp": -1}),
            json!({"sub": "u", "exp": now() + 100, "nbf": now() + 50}),
        ] {
            assert_eq!(
                check(|_| {}, &token(&claims)).unwrap_err(),
                AuthError::Invalid,
                "{claims}"
            );
        }
        let claims = json!({"sub": "u", "exp": now() + 100, "nbf": now() - 5});
        assert!(check(|_| {}, &token(&claims)).is_ok());
    }

    #[test]
    fn w09_a_clock_that_is_ahead_is_tolerated_for_nbf_and_iat() {
        let at = |name: &str, ahead: i64| {
            let mut claims = json!({"sub": "u", "exp": now() + 900});
            claims[name] = json!(now() as i64 + ahead);
            token(&claims)
        };
        for name in ["nbf", "iat"] {
            for ahead in [-600, 0, 1, 28] {
                assert!(check(|_| {}, &at(name, ahead)).is_ok(), "{name} {ahead}");
            }
            for ahead in [32, 600, i64::from(u32::MAX)] {
                assert!(check(|_| {}, &at(name, ahead)).is_err(), "{name} {ahead}");
            }
            let generous = |auth: &mut AuthConfig| auth.jwt_leeway = Duration::from_secs(120);
            assert!(check(generous, &at(name, 118)).is_ok(), "{name}");
            assert!(check(generous, &at(name, 122)).is_err(), "{name}");
        }
        let strict = |auth: &mut AuthConfig| auth.jwt_leeway = Duration::ZERO;
        assert!(check(strict, &at("nbf", 2)).is_err());
        // What an application issues after a revocation is dated ahead.
        assert!(check(strict, &at("iat", 8)).is_ok());
        assert!(check(strict, &at("iat", 12)).is_err());
        for wrong in [json!("soon"), json!([1]), json!(true)] {
            let claims = json!({"sub": "u", "exp": now() + 100, "nbf": wrong});
            assert!(check(|_| {}, &token(&claims)).is_err(), "{claims}");
        }
    }

    #[test]
    fn w09_there_is_no_leeway_for_the_end() {
        let generous = |auth: &mut AuthConfig| auth.jwt_leeway = Duration::from_secs(300);
        for exp in [now() - 1, now()] {
            let token = token(&json!({"sub": "u", "exp": exp}));
            assert_eq!(check(generous, &token).unwrap_err(), AuthError::Invalid);
        }
    }

    #[test]
    fn audience_and_issuer_when_they_are_configured() {
        let ours = |config: &mut AuthConfig| {
            config.jwt_audience = vec!["streams".into()];
            config.jwt_issuer = vec!["login".into()];
        };
        let claims = |aud: &str, iss: &str| {
            token(&json!({"sub": "u", "exp": now() + 100, "aud": aud, "iss": iss}))
        };
        assert!(check(ours, &claims("streams", "login")).is_ok());
        assert!(check(ours, &claims("other", "login")).is_err());
        assert!(check(ours, &claims("streams", "other")).is_err());
        assert!(check(ours, &token(&json!({"sub": "u", "exp": now() + 100}))).is_err());
        let named = |change: fn(&mut AuthConfig), more: Value| {
            let mut claims = json!({"sub": "u", "exp": now() + 100});
            claims
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            check(change, &token(&claims)).is_ok()
        };
        let audience: fn(&mut AuthConfig) =
            |config| config.jwt_audience = vec!["a".into(), "b".into()];
        for (aud, holds) in [
            (json!("a"), true),
            (json!(["x", "b"]), true),
            (json!(["x"]), false),
            (json!([]), false),
            (json!("A"), false),
            (json!(5), false),
            (json!({"a": 1}), false),
            (json!(null), false),
        ] {
            assert_eq!(named(audience, json!({"aud": aud})), holds, "{aud}");
        }
        assert!(!named(audience, json!({})), "it says for nobody");
        let nobody: fn(&mut AuthConfig) = |_| {};
        for (aud, holds) in [
            (json!([]), true),
            (json!(null), true),
            (json!(["a"]), false),
        ] {
            assert_eq!(named(nobody, json!({"aud": aud})), holds, "{aud}");
        }
        let client: fn(&mut AuthConfig) = |config| config.jwt_client = vec!["page".into()];
        for (claims, holds) in [
            (json!({"azp": "page"}), true),
            (json!({"client_id": "page"}), true),
            (json!({"azp": "page", "client_id": "page"}), true),
            (json!({"azp": "page", "client_id": "other"}), false),
            (json!({"azp": "other"}), false),
            (json!({}), false),
        ] {
            assert_eq!(named(client, claims.clone()), holds, "{claims}");
        }
    }
}
