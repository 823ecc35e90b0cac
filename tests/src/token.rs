//! Tokens as the demo expects them: JWT, HS256.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;

/// The claims of a token.
#[derive(Debug, Clone, Serialize)]
pub struct Claims {
    /// The user.
    pub sub: String,
    /// The end, in seconds since 1970.
    pub exp: u64,
    /// Not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// When it was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// The topics that may be read; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
    /// Whether the user may publish.
    pub publish: bool,
}

impl Claims {
    /// A user who may read everything for ten minutes.
    #[must_use]
    pub fn of(user: &str) -> Self {
        Self {
            sub: user.to_owned(),
            exp: now() + 600,
            nbf: None,
            iat: None,
            topics: None,
            publish: false,
        }
    }

    /// May publish too.
    #[must_use]
    pub fn publisher(mut self) -> Self {
        self.publish = true;
        self
    }

    /// Ends in so many seconds.
    #[must_use]
    pub fn expiring_in(mut self, seconds: u64) -> Self {
        self.exp = now() + seconds;
        self
    }

    /// Issued, and valid, only in so many seconds.
    #[must_use]
    pub fn valid_in(mut self, seconds: u64) -> Self {
        self.nbf = Some(now() + seconds);
        self.iat = self.nbf;
        self
    }

    /// Reads these topics only.
    #[must_use]
    pub fn only(mut self, topics: &[&str]) -> Self {
        self.topics = Some(topics.iter().map(|&topic| topic.to_owned()).collect());
        self
    }

    /// Signs them.
    #[must_use]
    pub fn sign(&self, secret: &str) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::default(), self, &key).expect("a signed token")
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}
