//! Signing in, as the demo does it: any user gets a token for any name. It stands in
//! for what an application has, and is there only where the configuration asks for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web_sse::config::{AuthConfig, TicketConfig};
use jsonwebtoken::{EncodingKey, Header};
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// The cookie of a demo whose configuration names none.
const COOKIE: &str = "demo-session";

const ROUNDED: Duration = Duration::from_millis(1);

/// How long a session may be asked for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Makes tokens, and the cookies that hold them.
#[derive(Clone)]
pub(crate) struct Signer {
    key: EncodingKey,
    cookie: String,
    secure: bool,
}

/// Who wants to be signed in, and what the token shall say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    user: String,
    /// The topics that may be read; absent: all.
    topics: Option<Vec<String>>,
    #[serde(default)]
    publish: bool,
    /// For how long.
    seconds: u64,
    /// Whether the browser shall keep it as a cookie.
    #[serde(default)]
    pub(crate) cookie: bool,
}

#[derive(Debug, Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
    /// To the microsecond, so that a new sign-in differs from the one that was signed out.
    iat: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    topics: Option<&'a [String]>,
    publish: bool,
}

impl Wish {
    pub(crate) fn user(&self) -> &str {
        &self.user
    }
}

/// A token, and for how long it holds.
pub(crate) struct Signed {
    pub(crate) token: String,
    pub(crate) expires_in: u64,
}

impl Signer {
    /// The signer that the configuration asks for. Where it lacks keys or a cookie's name, they
    /// are made here: they end with the process, and all its tokens with them.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn of(config: &mut Config) -> Result<Option<Self>, String> {
        if !config.server.sign_in {
            return Ok(None);
        }
        let secret = match config.jwt_secret.take() {
            Some(secret) => secret,
            None => random_key("server.sign_in")?,
        };
        let auth: &mut AuthConfig = &mut config.auth;
        auth.jwt_hs256_secret = Some(secret.as_str().into());
        if auth.ticket.is_none() {
            auth.ticket = Some(TicketConfig::new(random_key("server.sign_in")?));
        }
        let cookie = auth.cookie.get_or_insert_with(|| COOKIE.to_owned()).clone();
        // Browsers take a cookie with such a name only if it is secure; to them, so is loopback.
        let prefixed = cookie.starts_with("__Host-") || cookie.starts_with("__Secure-");
        Ok(Some(Self {
            key: EncodingKey::from_secret(secret.as_bytes()),
            cookie,
            secure: prefixed || config.server.tls.is_some(),
        }))
    }

    /// A token for this wish, issued as of then.
    ///
    /// # Errors
    /// What is wrong with the wish.
    pub(crate) fn sign(&self, wish: &Wish, issued: SystemTime) -> Result<Signed, &'static str> {
        if wish.user.is_empty() || wish.user.len() > 60 {
            return Err("the user must have from 1 to 60 bytes");
        }
        if wish.seconds == 0 || wish.seconds > LONGEST.as_secs() {
            return Err("the seconds must be from 1 to 86400");
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| "the clock of this server stands before 1970")?;
        // A fraction of a second is not exact; a millisecond more keeps it from being rounded down.
        let issued = issued.duration_since(UNIX_EPOCH).unwrap_or_default() + ROUNDED;
        let claims = Claims {
            sub: &wish.user,
            exp: now.as_secs() + wish.seconds,
            iat: issued.as_secs_f64(),
            topics: wish.topics.as_deref(),
            publish: wish.publish,
        };
        let token = jsonwebtoken::encode(&Header::default(), &claims, &self.key)
            .map_err(|_| "the token cannot be signed")?;
        Ok(Signed {
            token,
            expires_in: wish.seconds,
        })
    }

    /// `Set-Cookie` for a token; an empty one with no seconds takes it back.
    pub(crate) fn cookie(&self, token: &str, seconds: u64) -> String {
        let Self { cookie, secure, .. } = self;
        let secure = if *secure { "; Secure" } else { "" };
        format!("{cookie}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
    }
}

/// 256 bits, as text. `key` is what needs them, in messages.
pub(crate) fn random_key(key: &str) -> Result<String, String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("{key}: cannot make a key: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(text: &str) -> Option<Signer> {
        let mut config = Config::parse("demo.toml", text).expect("readable");
        Signer::of(&mut config).unwrap()
    }

    fn wish(json: serde_json::Value) -> Wish {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn no_user_is_signed_in_without_a_request() {
        assert!(
            signer("[auth]\njwt_hs256_secret = \"0123456789abcdef0123456789abcdef\"").is_none()
        );
    }

    #[test]
    fn missing_keys_are_made_and_differ() {
        let keys = || {
            let mut config = Config::parse("demo.toml", "server.sign_in = true").unwrap();
            assert!(Signer::of(&mut config).unwrap().is_some());
            (config.auth.jwt_hs256_secret, config.auth.ticket)
        };
        let (first, second) = (keys(), keys());
        assert!(first.0.is_some() && first.1.is_some());
        assert_ne!(first.0, second.0);
        assert_ne!(first.1, second.1);
    }

    #[test]
    fn a_prefixed_cookie_is_secure() {
        let plain = signer("server.sign_in = true").unwrap().cookie("t", 60);
        assert_eq!(
            plain,
            "demo-session=t; Path=/; HttpOnly; SameSite=Lax; Max-Age=60"
        );
        let named = "server.sign_in = true\nauth.cookie = \"__Host-sid\"";
        let secure = signer(named).unwrap().cookie("t", 60);
        assert_eq!(
            secure,
            "__Host-sid=t; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
        );
    }

    #[test]
    fn a_wish_has_bounds() {
        let signer = signer("server.sign_in = true").unwrap();
        let ada = wish(serde_json::json!({ "user": "ada", "seconds": 60 }));
        let signed = signer.sign(&ada, SystemTime::now());
        assert_eq!(signed.unwrap().token.split('.').count(), 3);
        for bad in [
            serde_json::json!({ "user": "", "seconds": 60 }),
            serde_json::json!({ "user": "ada", "seconds": 0 }),
            serde_json::json!({ "user": "ada", "seconds": u64::MAX }),
        ] {
            assert!(signer.sign(&wish(bad), SystemTime::now()).is_err());
        }
    }
}
